"""A moderator plays on from a moment of a clip, over real sockets, and files what they find."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from bots.recorder import regenerate, resume, verify
from feedapi import take_over
from feedapi.wire import DRAWN_MESSAGE, KEYS_MESSAGE, Close, Frame, Key, Kind
from moderation.accounts import create_account, create_key
from moderation.erasure import erase
from moderation.lineage import quarantine
from moderation.pipeline import POLICY_VARIABLE
from moderation.store import cases, live
from moderation.store.live import ReportKind
from moderation.store.sightings import sightings
from policies import Bundle
from tests.case_worlds import small_bundle
from tests.feed_home import Running, running
from tests.played_cases import Played, played_case
from tests.test_console_browser import status
from worldmodel.constants import FPS
from worldmodel.models import load_model

pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    made = small_bundle(tmp_path)
    monkeypatch.setenv(POLICY_VARIABLE, str(tmp_path / "small.yaml"))
    return made


@pytest.fixture
def server(tmp_path: Path, bundle: Bundle) -> Iterator[Running]:
    with running(tmp_path / "home") as here:
        for account, role in (("anna", "moderator"), ("ben", "moderator"), ("kim", "creator")):
            create_account(here.services.store, account, [role])
        yield here


@pytest.fixture
def played(server: Running, bundle: Bundle) -> Played:
    return played_case(server.services.store, bundle)


@contextmanager
def client(server: Running, account: str) -> Iterator[httpx.Client]:
    key = create_key(server.services.store, account)
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as made:
        yield made


@pytest.fixture
def anna(server: Running) -> Iterator[httpx.Client]:
    with client(server, "anna") as made:
        yield made


def taken_over(client: httpx.Client, played: Played, step: int = 30) -> dict[str, object]:
    body = {"playthrough": played.play.id, "step": step}
    answer = client.post(f"/v1/cases/{played.case.id}/takeovers", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def frames(socket: ClientConnection, wanted: int) -> list[Frame]:
    got: list[Frame] = []
    while len(got) < wanted:
        data = socket.recv(timeout=60)
        if isinstance(data, bytes):
            got.append(Frame.unpacked(data))
            socket.send(DRAWN_MESSAGE.pack(Kind.DRAWN, got[-1].tick))
    return got


def walk(server: Running, leave: dict[str, object], wanted: int = 20) -> Frame:
    """Walk left from the moment; the newest frame."""
    with connect(server.socket(str(leave["socket"]))) as socket:
        socket.send(KEYS_MESSAGE.pack(Kind.KEYS, Key.LEFT, 1.0))
        return frames(socket, wanted)[-1]


def file(
    client: httpx.Client, played: Played, leave: dict[str, object], step: int, **more: str
) -> httpx.Response:
    body = {"step": step, "rule": "slurs", "text": "a sign behind the tree"}
    path = f"/v1/cases/{played.case.id}/takeovers/{leave['token']}/findings"
    return client.post(path, json=body, headers=more)


def test_play_goes_on_from_the_very_state_of_the_moment(
    anna: httpx.Client, server: Running, played: Played
) -> None:
    world = server.services.store.compile_version(played.version)
    model = load_model("simulator")
    there = resume(model, world, played.play, 30)

    leave = taken_over(anna, played)
    with connect(server.socket(str(leave["socket"]))) as socket:
        (first,) = frames(socket, 1)

    assert leave["step"] == 30
    assert int(there.state.step[0]) == 30
    assert 31 <= first.step <= 33, "the first frame is the step after the moment"
    assert np.array_equal(there.playthrough.actions, played.play.actions[:30])


def test_what_is_filed_is_a_finding_with_a_replay_that_is_bit_identical(
    anna: httpx.Client, server: Running, played: Played, bundle: Bundle
) -> None:
    store = server.services.store
    leave = taken_over(anna, played)
    newest = walk(server, leave)

    answer = file(anna, played, leave, newest.step)

    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert told["reproduced"]
    stored = store.find_playthrough(told["playthrough"])
    world, model = store.compile_version(played.version), load_model("simulator")
    assert verify(model, world, stored.playthrough).identical
    assert np.array_equal(stored.playthrough.actions[:30], played.play.actions[:30])
    assert len(stored.playthrough.actions) == newest.step
    (found,) = [one for one in store.findings(played.version, stored.exploration) if one.detector == "person"]
    assert (found.label, found.text, found.playthrough) == (
        "slurs",
        "a sign behind the tree",
        told["playthrough"],
    )
    assert found.start == pytest.approx(newest.step / FPS)
    seen = anna.get(f"/v1/cases/{played.case.id}").json()["seen"]
    assert [one["text"] for one in seen["sightings"]] == ["a sign behind the tree"]
    clip = anna.get(told["clip"])
    assert (clip.status_code, clip.headers["content-type"]) == (200, "video/mp4")


def test_everything_about_it_is_in_the_log_of_the_case(
    anna: httpx.Client, server: Running, played: Played
) -> None:
    store = server.services.store
    leave = taken_over(anna, played)
    told = file(anna, played, leave, walk(server, leave).step).json()

    with store.reading() as connection:
        log = cases.actions(connection, played.case.id)
    by = {one.action: one for one in log}
    assert (by["took over"].actor, by["took over"].detail) == (
        "anna",
        {"playthrough": played.play.id, "step": 30},
    )
    assert by["filed"].detail["finding"] == told["finding"]


def test_bots_begin_with_it_when_they_explore_the_world_again(
    anna: httpx.Client, server: Running, played: Played
) -> None:
    store = server.services.store
    leave = taken_over(anna, played)
    told = file(anna, played, leave, walk(server, leave).step).json()
    with store.writing() as tx:
        tx.add_exploration("again", played.version, 8, "simulator", played.play.model, {})

    (report,) = live.reports(store, played.version)
    (first,) = live.seeds(store, [played.version], "again")

    assert report.kind is ReportKind.MODERATOR
    assert first.id == told["playthrough"]
    assert status(store, played.case) == "waiting", "filing decides nothing"


def test_filed_twice_with_one_key_is_filed_once(anna: httpx.Client, server: Running, played: Played) -> None:
    store = server.services.store
    leave = taken_over(anna, played)
    step = walk(server, leave).step

    answers = [file(anna, played, leave, step, **{"Idempotency-Key": "once"}).json() for _ in range(2)]

    assert answers[0] == answers[1]
    with store.reading() as connection:
        assert len(sightings(connection, played.version)) == 1


def test_each_connection_begins_at_the_moment_again(
    anna: httpx.Client, server: Running, played: Played
) -> None:
    leave = taken_over(anna, played)
    walk(server, leave, 30)

    with connect(server.socket(str(leave["socket"]))) as socket:
        (first,) = frames(socket, 1)

    assert first.step <= 33


def test_only_what_was_played_by_oneself_can_be_filed(
    anna: httpx.Client, server: Running, played: Played
) -> None:
    leave = taken_over(anna, played)
    step = walk(server, leave).step

    assert file(anna, played, leave, step + 1000).status_code == 422
    with client(server, "ben") as ben:
        assert file(ben, played, leave, step).status_code == 404
    body = {"step": step, "rule": "nonesuch", "text": ""}
    path = f"/v1/cases/{played.case.id}/takeovers/{leave['token']}/findings"
    assert "no rule 'nonesuch'" in anna.post(path, json=body).json()["detail"]


def test_a_playthrough_of_another_world_is_not_the_cases(
    anna: httpx.Client, server: Running, played: Played, bundle: Bundle
) -> None:
    other = played_case(server.services.store, bundle, "Windy Meadow")
    body = {"playthrough": other.play.id, "step": 3}

    answer = anna.post(f"/v1/cases/{played.case.id}/takeovers", json=body)

    assert answer.status_code == 404


def test_nobody_but_moderators_takes_over(server: Running, played: Played) -> None:
    path, body = f"/v1/cases/{played.case.id}/takeovers", {"playthrough": played.play.id, "step": 3}

    with client(server, "kim") as kim:
        assert kim.post(path, json=body).status_code == 403
    assert httpx.post(f"{server.url}{path}", json=body).status_code == 401
    address = server.socket(f"{path}/{'x' * 24}/play")
    with connect(address) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == Close.BAD_TICKET


def test_a_take_over_ends_before_it_is_too_long_to_be_filed(
    anna: httpx.Client, server: Running, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take_over, "LONGEST", 45)
    leave = taken_over(anna, played)
    with connect(server.socket(str(leave["socket"]))) as socket, pytest.raises(ConnectionClosed) as closed:
        frames(socket, 1000)

    assert closed.value.rcvd is not None
    assert "file it" in closed.value.rcvd.reason
    assert file(anna, played, leave, 45).status_code == 201


def test_a_model_that_is_not_the_one_of_the_clip_says_so(
    anna: httpx.Client, server: Running, bundle: Bundle
) -> None:
    played = played_case(server.services.store, bundle, "Old Meadow")
    with server.services.store.writing() as tx:
        tx.connection.exec_driver_sql("UPDATE playthroughs SET model_sha256 = 'older'")
    stored = server.services.store.playthroughs(f"e-{played.version}")[0].playthrough
    body = {"playthrough": stored.id, "step": 3}
    with server.services.store.writing() as tx:
        tx.connection.exec_driver_sql(f"UPDATE playthroughs SET id = '{stored.id}'")
    leave = anna.post(f"/v1/cases/{played.case.id}/takeovers", json=body).json()

    with connect(server.socket(leave["socket"])) as socket, pytest.raises(ConnectionClosed) as closed:
        frames(socket, 1)

    assert closed.value.rcvd is not None
    assert "was played on model older" in closed.value.rcvd.reason


def test_the_neural_model_is_resumed_and_replayed_as_well(
    anna: httpx.Client, server: Running, bundle: Bundle
) -> None:
    store = server.services.store
    played = played_case(store, bundle, "Neural Meadow", model="neural")
    leave = taken_over(anna, played)

    told = file(anna, played, leave, walk(server, leave, 5).step).json()

    stored = store.find_playthrough(told["playthrough"]).playthrough
    world, model = store.compile_version(played.version), load_model("neural")
    assert verify(model, world, stored).identical
    assert regenerate(model, world, stored).as_explored


def test_an_erasure_takes_it_along(anna: httpx.Client, server: Running, played: Played) -> None:
    store = server.services.store
    leave = taken_over(anna, played)
    told = file(anna, played, leave, walk(server, leave).step).json()
    assert told["clip"].rpartition("/")[2] in store.named_blobs()

    erase(store, "operator", creator="kim")

    with store.reading() as connection:
        assert sightings(connection, played.version) == []
    assert told["clip"].rpartition("/")[2] not in store.named_blobs()


def test_a_clip_of_any_moment_is_made_when_it_is_asked_for(
    anna: httpx.Client, server: Running, played: Played
) -> None:
    path = f"/v1/cases/{played.case.id}/playthroughs/{played.play.id}/clip"

    whole = anna.get(path, params={"at": 2.0})
    part = anna.get(path, params={"at": 2.0}, headers={"Range": "bytes=4-7"})

    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
    with av.open(io.BytesIO(whole.content)) as file:
        seconds = sum(1 for _ in file.decode(video=0)) / FPS
    assert 2.5 < seconds < 3.5, "a second and a half before and after"
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert anna.get(path, params={"at": 1e9}).status_code == 422


def test_what_is_quarantined_is_not_played(anna: httpx.Client, server: Running, played: Played) -> None:
    store = server.services.store
    leave = taken_over(anna, played)
    step = walk(server, leave).step
    quarantine(store, store.version(played.version).world, "operator", "the law")
    body = {"playthrough": played.play.id, "step": 3}
    here = f"/v1/cases/{played.case.id}"

    assert anna.post(f"{here}/takeovers", json=body).status_code == 409
    assert file(anna, played, leave, step).status_code == 409
    assert anna.get(f"{here}/playthroughs/{played.play.id}/clip", params={"at": 1}).status_code == 409
