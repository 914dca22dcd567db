"""A store moves from one database to another whole, or not at all."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner

from moderation import cli
from moderation.moving import CannotMove, move
from moderation.states import WorldState
from moderation.store import Evidence, Store, open_store
from moderation.store.copying import hashes, tables
from moderation.store.database import to_json
from policies.types import Coverage
from tests.changing_worlds import decided, slur
from tests.servers import Server
from tests.test_store import playthrough


def fill(store: Store) -> None:
    decided(store, "calm")
    decision = decided(store, "rude", slur(text="naïve “quotes” ✓"), remix_of="calm")
    shown = Evidence("slurs", "f1", "p1", 1.0, 2.0, "clip", ((1.5, "png"),), "said", reproduced=True)
    endless = Coverage(discovery_rate=inf)
    with store.writing() as tx:
        tx.add_exploration("e2", "rude", 2**40, "simulator", "m", {"batch": 3})
        tx.explored("e2", endless, {"curve": [1]}, [playthrough()])
        tx.add_piece("e2", "play", 0, {"heard": None}, "blob")
        tx.add_decision("rude", "e2", replace(decision, policy_hash="p"), endless, [shown])
        tx.enqueue("decide", "rude", "decide:rude", {"exploration": "e2"})


def contents(store: Store) -> dict[str, list[object]]:
    with store.reading() as connection:
        return {table.name: list(hashes(connection, table)) for table in tables()}


@pytest.fixture
def there(postgresql: Server):
    with postgresql.database() as url:
        yield url


@pytest.mark.parametrize("back", [False, True], ids=["to PostgreSQL", "and back to SQLite"])
def test_every_row_arrives_as_it_was_and_work_goes_on(tmp_path: Path, there: str, *, back: bool) -> None:
    store = open_store(tmp_path / "home")
    fill(store)

    moved = move(store, there)
    other = open_store(tmp_path / "home", there)
    if back:
        url = f"sqlite:///{tmp_path / 'other.sqlite3'}"
        moved = move(other, url)
        other = open_store(tmp_path / "home", url)

    assert contents(other) == contents(store)
    assert moved.rows["versions"] == 2
    assert other.decisions("rude") == store.decisions("rude")
    assert other.exploration("e2").coverage == Coverage(discovery_rate=inf)
    assert other.playthroughs("e2")[0].playthrough.id == playthrough().id
    with other.writing() as tx:  # numbers go on after the highest, and the log is guarded
        tx.transition("calm", WorldState.SUSPENDED, "grace", "why")
        tx.enqueue("scan", "calm", "another job")
    assert other.history("calm")[-1].reason == "why"
    other.close()


def test_a_database_with_anything_in_it_is_refused(tmp_path: Path, there: str) -> None:
    store = open_store(tmp_path / "home")
    fill(store)
    decided(open_store(tmp_path / "other", there), "somebody-elses")

    with pytest.raises(CannotMove, match="is not empty"):
        move(store, there)

    assert [one.id for one in open_store(tmp_path / "other", there).versions()] == ["somebody-elses"]


def test_nothing_moves_while_work_is_done(tmp_path: Path, there: str) -> None:
    store = open_store(tmp_path / "home")
    fill(store)
    store.queue.claim("worker", 30)

    with pytest.raises(CannotMove, match="stop the workers"):
        move(store, there)

    assert open_store(tmp_path / "home", there).versions() == []


def test_a_row_that_arrives_otherwise_undoes_the_move(tmp_path: Path, there: str) -> None:
    store = open_store(tmp_path / "home")
    fill(store)
    with open_store(tmp_path / "home", there).writing() as tx:
        tx.connection.execute(
            text(
                "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN NEW.title = 'other'; RETURN NEW; END $$"
            )
        )
        tx.connection.execute(
            text("CREATE TRIGGER spoil BEFORE INSERT ON worlds FOR EACH ROW EXECUTE FUNCTION spoil()")
        )

    with pytest.raises(CannotMove, match=r"row .*calm.* of worlds came out otherwise"):
        move(store, there)

    assert open_store(tmp_path / "home", there).versions() == []


def test_the_command_moves_and_says_what_to_set(tmp_path: Path, there: str) -> None:
    fill(open_store(tmp_path / "home"))
    app = typer.Typer()
    cli.register(app)

    ran = CliRunner().invoke(app, ["store", "move", there, "--home", str(tmp_path / "home")])
    again = CliRunner().invoke(app, ["store", "move", there, "--home", str(tmp_path / "home")])

    assert ran.exit_code == 0, ran.output
    assert "versions                      2 rows, all the same" in ran.output
    assert "FIRSTPLAY_DATABASE=" in ran.output
    assert again.exit_code == 2
    assert "is not empty" in again.output


def test_what_never_ends_is_json_that_every_database_takes() -> None:
    assert to_json({"a": [inf, -inf, 1.5]}) == '{"a": [1e999, -1e999, 1.5]}'
