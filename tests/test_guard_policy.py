"""The guard with the default policy and its real detectors, on a world that nobody reviewed."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from websockets.sync.client import connect

from feedapi.guarding import by_policy
from feedapi.wire import KEYS_MESSAGE, Key, Kind
from moderation.states import WorldState
from moderation.store import live, open_store
from moderation.store.live import ReportKind
from tests.feed_home import add_world, running
from tests.test_feed_play import frames
from tests.test_guard import address, the_report
from worldmodel.package import WorldPackage, load_package

WORLD = """\
title: {title}
prompt: a calm green meadow in the sun
mechanics: {{view: side, gravity: 1, speed: 1, hazards: 0, enemies: none, darkness: 0}}
objects:
  - {{kind: sign, text: "{text}", where: {{near: spawn}}}}
"""


def signed(title: str, text: str) -> WorldPackage:
    with TemporaryDirectory() as folder:
        (Path(folder) / "world.yaml").write_text(WORLD.format(title=title, text=text))
        return load_package(Path(folder))


def test_a_threat_on_a_sign_is_read_while_people_play_and_kept_for_the_bots(tmp_path: Path) -> None:
    store = open_store(tmp_path / "home")
    version = add_world(store, "Threat", "published", world=signed("Threat", "KYS"))

    with running(store.home, guarded=by_policy) as server, connect(address(server, "threat")) as socket:
        socket.send(KEYS_MESSAGE.pack(Kind.KEYS, Key.RIGHT, 1.0))
        end = time.monotonic() + 100
        while not live.reports(store, version) and time.monotonic() < end:
            frames(socket, 5, seconds=100)
        near = the_report(store, version, ReportKind.NEAR_MISS)
        assert frames(socket, 2), "the policy asks for a person, and play goes on"
    with store.writing() as tx:
        tx.add_exploration("again", version, 8, "simulator", "m" * 64, {})

    assert near.rules == ("threats",)
    assert "kys" in near.reasons[0].lower()
    assert store.version(version).state is WorldState.PUBLISHED
    assert [one.id for one in live.seeds(store, [version], "again")] == [near.playthrough]
