"""What ``firstplay review``, ``replay`` and ``worlds`` say, and the exit codes that scripts rely on."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from moderation import cli
from moderation.progress import Bars
from moderation.review import Asked, Outcome, exit_code, review
from moderation.states import WorldState
from moderation.store import Job, open_store
from policies.types import Coverage, Decision, Verdict

RUN = CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    cli.register(app)
    return app


def world(home: Path) -> Path:
    folder = home / "world"
    folder.mkdir()
    (folder / "world.yaml").write_text("title: Meadow\nprompt: a meadow\n")
    return folder


def outcome(state: WorldState = WorldState.PUBLISHED, error: str | None = None) -> Outcome:
    return Outcome("w", "meadow", "Meadow", "v", "e", state, None, {}, from_store=False, error=error)


def test_exit_codes_say_whether_all_were_cleared_or_something_failed() -> None:
    cleared, rejected = outcome(), outcome(WorldState.REJECTED)

    assert exit_code([cleared, cleared]) == 0
    assert exit_code([cleared, rejected]) == 1
    assert exit_code([cleared, outcome(WorldState.SCANNING, "scan: out of memory")]) == 3
    assert exit_code([rejected, outcome(WorldState.EXPLORING)]) == 3


def test_a_bad_package_is_refused_before_anything_is_done(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "world.yaml").write_text("title: [")

    found = RUN.invoke(
        app, ["review", str(tmp_path), str(tmp_path / "nowhere"), "--home", str(tmp_path / "home")]
    )

    assert found.exit_code == 2
    assert str(tmp_path / "nowhere") in found.stderr.replace("\n", "")
    assert "nothing was reviewed" in found.stderr
    assert "Traceback" not in found.output
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("option", [["--model", "guess"], ["--budget", "huge"], ["--workers", "0"]])
def test_a_bad_option_is_refused(app: typer.Typer, tmp_path: Path, option: list[str]) -> None:
    assert RUN.invoke(app, ["review", str(tmp_path), *option]).exit_code == 2


def test_a_broken_policy_is_refused_with_its_place(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = world(tmp_path)
    monkeypatch.setenv("FIRSTPLAY_POLICY", "")  # so that what the option sets ends with the test
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "bundle.yaml").write_text("bundle: mine\nversion: 1\n")

    found = RUN.invoke(
        app, ["review", str(folder), "--policy", str(policy), "--home", str(tmp_path / "home")]
    )

    assert found.exit_code == 2
    assert "bundle.yaml" in found.stderr.replace("\n", "")
    assert "Traceback" not in found.output


def test_missing_weights_are_said_with_the_way_to_get_them(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = world(tmp_path)
    monkeypatch.setenv("FIRSTPLAY_MODELS", str(tmp_path / "empty"))

    found = RUN.invoke(app, ["review", str(folder), "--model", "simulator", "--home", str(tmp_path / "home")])

    assert found.exit_code == 2
    assert "firstplay models fetch" in found.stderr.replace("\n", " ")
    assert open_store(tmp_path / "home").queue.jobs() == []


def test_replaying_what_is_not_stored_is_bad_input(app: typer.Typer, tmp_path: Path) -> None:
    found = RUN.invoke(app, ["replay", "beef", "--home", str(tmp_path)])

    assert found.exit_code == 2
    assert "beef" in found.stderr


def test_worlds_are_listed_with_their_states(app: typer.Typer, tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.writing() as tx:
        tx.submit("v" * 64, "meadow", "Meadow", "a meadow", {}, "blob", None)

    shown = RUN.invoke(app, ["worlds", "--home", str(tmp_path)])
    told = json.loads(RUN.invoke(app, ["worlds", "--home", str(tmp_path), "--json"]).stdout)

    assert "meadow" in shown.stdout
    assert [(one["world"], one["state"]) for one in told] == [("meadow", "submitted")]


def test_a_player_file_is_part_of_the_request_and_a_bad_one_is_bad_input(
    app: typer.Typer, tmp_path: Path
) -> None:
    from bots.playermodel import DEFAULT, save_player

    good, bad = tmp_path / "player.json", tmp_path / "bad.json"
    save_player(good, DEFAULT, {})
    bad.write_text("{}")
    arguments = ["review", str(world(tmp_path)), "--model", "simulator", "--home", str(tmp_path / "home")]

    plain, fitted = Asked(model="simulator"), Asked(model="simulator", player=good)
    refused = RUN.invoke(app, [*arguments, "--player", str(bad)])

    assert fitted.request().exploration("v") != plain.request().exploration("v")
    assert refused.exit_code == 2
    assert "fit-player" in refused.stderr


def test_a_stored_result_is_shown_without_any_work_and_with_its_report(
    app: typer.Typer, tmp_path: Path
) -> None:
    from moderation import pipeline
    from worldmodel.package import load_package

    folder = world(tmp_path)
    package = load_package(folder)
    home = tmp_path / "home"
    store = open_store(home)
    request, policy = Asked(model="simulator").request(), pipeline.policy_bundle().sha256
    pipeline.submit(store, package, request, policy)
    decision = Decision(Verdict.CLEARED, "default", policy, (), ("no rule fired",))
    with store.writing() as tx:
        for state in ("exploring", "scanning", "deciding", "cleared", "published"):
            tx.transition(package.sha256, WorldState(state), "policy", state)
        tx.cancel_jobs(package.sha256)
        tx.add_decision(package.sha256, request.exploration(package.sha256), decision, Coverage(cells=7), ())

    arguments = ["review", str(folder), "--model", "simulator", "--home", str(home)]
    shown = RUN.invoke(app, arguments)
    told = json.loads(RUN.invoke(app, [*arguments, "--json"]).stdout)

    assert shown.exit_code == 0
    assert "stored" in shown.stdout
    assert Path(told["report"]).is_file()
    (one,) = told["worlds"]
    assert (one["state"], one["verdict"], one["from_store"]) == ("published", "cleared", True)
    assert one["coverage"]["cells"] == 7
    assert store.queue.jobs() == []


def test_a_review_needs_no_world_twice(tmp_path: Path) -> None:
    assert review(tmp_path, [], Asked(model="simulator")) == []


def job(number: int, state: str, **progress: object) -> Job:
    return Job(
        number, "scan", "v", {}, state, 0, 1, None, progress or None, 2.5, None, "gpu", "c", 0, 0.0, 0.0, None
    )


def test_away_from_a_terminal_each_finished_stage_is_one_line() -> None:
    written = io.StringIO()

    with Bars(Console(file=written, width=80), {"v": "Meadow"}) as bars:
        bars([job(1, "running", done=5, total=10, unit="frames"), job(2, "ready")])
        bars([job(1, "done"), job(2, "running")])
        bars([job(1, "done"), replace(job(2, "dead"), error="no room")])

    assert [line.strip() for line in written.getvalue().splitlines()] == [
        "Meadow scanned in 2.5 s",
        "Meadow failed scanning in 2.5 s",
    ]


def test_on_a_terminal_a_stage_at_work_shows_how_far_it_is() -> None:
    written = io.StringIO()
    console = Console(file=written, width=120, force_terminal=True)

    with Bars(console, {"v": "Meadow"}) as bars:
        bars([job(1, "running", done=5, total=10, unit="frames")])
        bars._progress.refresh()

    assert "scanning" in written.getvalue()
    assert "5/10 frames" in written.getvalue()
