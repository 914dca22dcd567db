"""What the pipeline promises: every stage once, whatever interrupts it; only what is clear is published."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from bots.inherit import take_over
from bots.legacy import Legacy
from bots.search import Search
from moderation import pipeline, scan
from moderation.cases.concluding import conclude
from moderation.detectors.base import Detection, Detector, DetectorCard, Picture, Sound
from moderation.detectors.flash import Flash
from moderation.detectors.known import Known
from moderation.detectors.loudness import Loudness
from moderation.detectors.mechanics import Mechanics
from moderation.detectors.menace import Menace
from moderation.detectors.symbols import Symbols
from moderation.detectors.text import TextRules
from moderation.detectors.toxicity import Toxicity
from moderation.dossier import alike, signatures
from moderation.jobs import Handler, Terms, Work, Worker
from moderation.states import WorldState
from moderation.store import Evidence, Store, open_store
from moderation.store.charges import of_version
from moderation.store.erasing import blobs_of
from moderation.store.figures import costs_of
from policies.types import Verdict
from worldmodel.package import WorldPackage, load_package

TERMS = Terms(heartbeat=0.1, backoff=0.01)
BUDGET = {
    "search_steps": 600,
    "sample_episodes": 3,
    "episode_steps": 20,
    "batch": 8,
    "window": 200,
    "round_steps": 16,
    "path_steps": 60,
    "evidence_playthroughs": 3,
    "evidence_steps": 120,
}
WORLD = """
title: {title}
prompt: a meadow with coins and slow walkers
mechanics: {{view: side, hazards: 0.2, enemies: walkers}}
objects:
  - {{kind: sign, text: "{sign}", where: {{near: spawn}}}}
seed: 3
{more}
"""


class Brightness(Detector[Picture]):
    """Stands in for a large model: fast, and as sensitive to every pixel."""

    card = DetectorCard("nsfw-open", "1", "picture", ("nsfw",), "Apache-2.0")

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        return [[Detection("nsfw", float(item.pixels.mean()) / 512, item.at, item.at)] for item in batch]


class Colours(Brightness):
    card = DetectorCard("nsfw-js", "1", "picture", ("drawing",), "Apache-2.0")

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        return [[Detection("drawing", float(item.pixels.std()) / 256, item.at, item.at)] for item in batch]


class Contrast(Brightness):
    """Reads nothing but very bright pictures."""

    card = DetectorCard("ocr", "1", "picture", ("text",), "Apache-2.0")

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        return [[] for _ in batch]


class Uploads(Brightness):
    card = DetectorCard("zero-shot", "1", "picture", ("drugs", "gore"), "Apache-2.0")

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        return [[] for _ in batch]


class Silence(Detector[Sound]):
    """Hears an unclear voice in anything loud."""

    card = DetectorCard("speech", "1", "sound", ("speech", "unclear"), "Apache-2.0")

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Sound]) -> list[list[Detection]]:
        return [[Detection("unclear", 0.1, 0, 1)] if np.abs(i.samples).max() > 0.2 else [] for i in batch]


def light() -> scan.Detectors:
    return scan.Detectors(
        pictures=(Brightness(), Colours(), Known(Path("no banks")), Symbols()),
        reader=Contrast(),
        motions=(Flash(),),
        speech=Silence(),
        words=(TextRules(), Toxicity(), Menace()),
        sounds=(Loudness(),),
        designs=(Mechanics(),),
        uploads=(Uploads(),),
    )


def handlers(store: Store) -> Mapping[str, Handler]:
    """The real stages with light detectors; each start is noted, to see what is repeated."""
    import torch

    torch.set_num_threads(1)
    stages = pipeline.Stages(store, light()).handlers

    def noted(kind: str) -> Handler:
        def run(work: Work) -> None:
            with (store.home / "starts").open("a") as file:
                file.write(f"{kind}\n")
            stages[kind](work)

        return run

    return {kind: noted(kind) for kind in stages}


@cache
def request() -> pipeline.Request:
    return pipeline.Request(
        0, "simulator", pipeline.world_model("simulator").card.sha256, BUDGET, "these detectors"
    )


def package(folder: Path, title: str = "Meadow", sign: str = "this way", more: str = "") -> WorldPackage:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "world.yaml").write_text(WORLD.format(title=title, sign=sign, more=more))
    return load_package(folder)


def submit(store: Store, world: WorldPackage, asked: pipeline.Request | None = None) -> str:
    return pipeline.submit(store, world, asked or request(), pipeline.policy_bundle().sha256)


def work(store: Store, detectors: scan.Detectors | None = None, limit: int = 20, batch: int = 1) -> None:
    """Do all jobs in this process."""
    stages = pipeline.Stages(store, detectors or light()).handlers
    with Worker(store, stages, terms=TERMS, batch=batch) as worker:
        for _ in range(limit):
            if not worker.run_one():
                break
    errors = [job.error for job in store.queue.jobs() if job.error]
    assert not errors, errors[0]


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    home = tmp_path_factory.mktemp("home")
    store = open_store(home / "store")
    submit(store, package(home / "meadow"))
    work(store)
    return store


@pytest.fixture
def copy(reviewed: Store, tmp_path: Path) -> Store:
    """The reviewed store again, to change."""
    with reviewed.writing():  # nobody writes meanwhile
        shutil.copytree(reviewed.home, tmp_path / "store")
    return open_store(tmp_path / "store")


def test_a_review_goes_through_every_state_and_logs_why(reviewed: Store) -> None:
    (version,) = reviewed.versions()
    history = reviewed.history(version.id)

    assert [e.to_state for e in history][:5] == [
        "submitted",
        "screening",
        "exploring",
        "scanning",
        "deciding",
    ]
    assert history[-1].policy_hash == pipeline.policy_bundle().sha256
    assert all(event.reason for event in history)
    assert [(job.kind, job.state) for job in reviewed.queue.jobs()] == [(k, "done") for k in pipeline.STAGES]


def test_a_review_is_charged_to_its_world_with_what_it_stores(reviewed: Store) -> None:
    (version,) = reviewed.versions()

    with reviewed.reading() as connection:
        charges = of_version(connection, version.id)
        blobs = blobs_of(connection, version.id)

    assert {one.work for one in charges} == set(pipeline.STAGES)
    assert all(one.seconds > 0 and one.sent == 0 for one in charges)
    assert sum(one.stored for one in charges) == sum(reviewed.blobs.size(blob) for blob in blobs) > 0


def test_too_little_play_never_clears(reviewed: Store) -> None:
    (version,) = reviewed.versions()
    (stored,) = reviewed.decisions(version.id)

    assert version.state is WorldState.INCONCLUSIVE
    assert stored.decision.verdict is Verdict.INCONCLUSIVE
    assert reviewed.published() == []


def test_every_frame_of_every_playthrough_is_accounted_for(reviewed: Store) -> None:
    (version,) = reviewed.versions()
    assert version.exploration is not None
    plays = reviewed.playthroughs(version.exploration)
    frames = reviewed.frames(version.exploration)

    assert {play.playthrough.arm for play in plays} == {"search", "sample"}
    for play in plays:
        assert play.shown is not None
        assert len(play.shown) == len(play.playthrough.actions) + 1
        assert play.shown.max() < len(frames)
        assert play.playthrough.frames_sha256 is not None
    assert [frame.ordinal for frame in frames] == list(range(len(frames)))


def test_every_detector_of_the_policy_has_looked_at_media_and_play(reviewed: Store) -> None:
    (version,) = reviewed.versions()
    runs = reviewed.detector_runs(version.id, version.exploration)

    looked = {(run.detector, str(run.source)) for run in runs}
    names = set(pipeline.policy_bundle().header.detectors) & {card.name for card in light().cards}
    in_play = names - {"mechanics", "zero-shot"}
    assert looked == {(name, "media") for name in names} | {(name, "playthrough") for name in in_play}
    assert all(run.ok for run in runs)


def test_the_audit_of_a_review_goes_into_its_bound(reviewed: Store) -> None:
    (version,) = reviewed.versions()
    (tallies,) = reviewed.results("audit")
    (stored,) = reviewed.decisions(version.id)

    assert set(tallies) == {"picture", "writing", "speech"}
    assert tallies["picture"][0] >= tallies["picture"][1]
    assert set(stored.coverage.kept) == {"nsfw-open", "nsfw-js", "known", "symbols", "ocr", "speech"}
    assert all(0 < share < 1 for share in stored.coverage.kept.values())


def test_the_same_request_again_queues_nothing(reviewed: Store) -> None:
    (version,) = reviewed.versions()

    pipeline.ask(reviewed, version.id, request(), pipeline.policy_bundle().sha256)

    assert all(job.state == "done" for job in reviewed.queue.jobs())
    assert reviewed.version(version.id).revision == version.revision


def test_a_stored_playthrough_replays_bit_for_bit_and_a_changed_one_does_not(reviewed: Store) -> None:
    from moderation.replay import replay

    (version,) = reviewed.versions()
    assert version.exploration is not None
    play = reviewed.playthroughs(version.exploration)[-1]

    same = replay(reviewed.home, play.playthrough.id)
    with reviewed.writing() as tx:
        broken = replace(play.playthrough, frames_sha256="0" * 64)
        tx.looked_at(version.exploration, play.ordinal, broken, play.shown)  # type: ignore[arg-type]
    other = replay(reviewed.home, play.playthrough.id)
    with reviewed.writing() as tx:
        tx.looked_at(version.exploration, play.ordinal, play.playthrough, play.shown)  # type: ignore[arg-type]

    assert same.identical
    assert not other.identical
    assert other.what.startswith("frames differ")


def test_another_seed_explores_again_and_another_policy_only_decides_again(copy: Store) -> None:
    store = copy
    version = store.versions()[0].id

    pipeline.ask(store, version, request(), "another policy")
    assert [job.kind for job in store.queue.jobs() if job.state == "ready"] == ["decide"]
    assert store.version(version).state is WorldState.DECIDING

    other = replace(request(), seed=1)
    pipeline.ask(store, version, other, pipeline.policy_bundle().sha256)
    assert [job.kind for job in store.queue.jobs() if job.state == "ready"] == ["explore"]
    work(store)
    assert store.version(version).exploration == other.exploration(version)
    assert len(store.decisions(version)) == 2


def test_a_fitted_player_plays_the_sessions_and_is_another_exploration(copy: Store) -> None:
    from bots.playermodel import DEFAULT

    version = copy.versions()[0].id
    quick = replace(DEFAULT.parameters, delay=1)
    fitted = replace(request(), player=asdict(quick))

    pipeline.ask(copy, version, fitted, pipeline.policy_bundle().sha256)
    pipeline.ask(copy, version, fitted, pipeline.policy_bundle().sha256)
    work(copy)

    name = fitted.exploration(version)
    played = [one.playthrough for one in copy.playthroughs(name)]
    assert name != request().exploration(version)
    assert copy.version(version).exploration == name
    assert {p.player for p in played if p.arm == "sample"} == {f"model-1/{quick.sha256[:12]}"}
    assert len(copy.decisions(version)) == 2


def test_two_who_ask_for_one_version_at_once_ask_once(each_database: str, tmp_path: Path) -> None:
    """Both have begun before either may write, and both want sessions by the same fitted player."""
    from bots.playermodel import DEFAULT

    store = open_store(tmp_path / "store", each_database)
    fitted = replace(request(), player=asdict(DEFAULT.parameters))
    version = package(tmp_path / "w").sha256
    with store.writing() as tx:
        tx.submit(version, "meadow", "Meadow", "p", {}, "x", None)
    others = [open_store(tmp_path / "store", each_database) for _ in range(2)]

    with ThreadPoolExecutor() as pool:
        with store.writing() as tx:
            tx.version(version, hold=True)
            asking = [pool.submit(pipeline.ask, other, version, fitted, "a policy") for other in others]
            time.sleep(0.5)  # for both to come as far as they can
        for one in asking:
            one.result(timeout=60)

    assert [job.kind for job in store.queue.jobs()] == ["intake"]
    assert len(store.history(version)) == 2
    assert list(store.pieces(fitted.exploration(version), "player")) == [0]
    for opened in (store, *others):
        opened.close()


def test_a_world_that_a_newer_compiler_makes_otherwise_is_explored_again(
    copy: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = copy.versions()[0].id
    monkeypatch.setattr("worldmodel.compiler.COMPILER_VERSION", "next")

    pipeline.ask(copy, version, request(), pipeline.policy_bundle().sha256)

    assert [job.kind for job in copy.queue.jobs() if job.state == "ready"] == ["explore"]


def test_a_slur_in_the_title_is_found_at_intake_and_the_world_is_not_published(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    version = submit(store, package(tmp_path / "w", sign="wetbacks keep out"))
    work(store)

    (stored,) = store.decisions(version)
    assert store.version(version).state is WorldState.REJECTED
    assert "submitted-words" in {fired.rule for fired in stored.decision.fired}
    assert any("objects[0].text" in one.caption for one in stored.evidence)


def test_a_detector_that_fails_never_lets_a_world_through(tmp_path: Path) -> None:
    class Failing(Contrast):
        def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
            raise RuntimeError("out of memory")

    store = open_store(tmp_path / "store")
    version = submit(store, package(tmp_path / "w"))
    work(store, replace(light(), reader=Failing()))

    (stored,) = store.decisions(version)
    assert store.version(version).state is WorldState.NEEDS_REVIEW
    assert any(
        "out of memory" in (run.error or "") for run in store.detector_runs(version, stored.exploration)
    )


def test_a_world_that_another_seed_condemned_is_not_published_by_a_lucky_one(copy: Store) -> None:
    store = copy
    version = store.versions()[0].id
    clear = replace(store.decisions(version)[0].decision, verdict=Verdict.CLEARED, policy_hash="p")
    worse = replace(clear, verdict=Verdict.REJECTED, reasons=("a slur",))
    row = store.exploration(store.version(version).exploration or "")
    with store.writing() as tx:
        tx.add_decision(version, "another exploration", worse, row.coverage, ())  # type: ignore[arg-type]
        tx.transition(version, WorldState.DECIDING, "policy", "again")
        conclude(tx, version, row.id, clear)

    assert store.version(version).state is WorldState.NEEDS_REVIEW
    assert "a slur" in store.history(version)[-1].reason


def test_a_remix_is_first_played_as_its_parent_was_where_that_was_bad(
    copy: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = copy
    taken: list[int] = []

    def note(search: Search, legacy: Legacy) -> None:
        taken.append(legacy.steps)
        take_over(search, legacy)

    monkeypatch.setattr("bots.explore.take_over", note)
    parent = store.versions()[0].id
    exploration = store.version(parent).exploration
    assert exploration is not None
    bad = store.playthroughs(exploration)[0].playthrough
    shown = Evidence("slurs", "f", bad.id, 0, 1, None, (), "a slur", reproduced=True)
    decided = store.decisions(parent)[0].decision
    coverage = store.exploration(exploration).coverage
    assert coverage is not None
    with store.writing() as tx:
        tx.add_decision(parent, exploration, replace(decided, policy_hash="x"), coverage, [shown])

    child = submit(store, package(tmp_path / "child", "Meadow Two", more="remix_of: meadow"))
    work(store)

    plays = store.playthroughs(store.version(child).exploration or "")
    first = plays[0].playthrough
    assert first.actions[: len(bad.actions)].tolist() == bad.actions[: len(first.actions)].tolist()
    assert len(taken) == 1
    assert taken[0] > 100, "its search goes on from where the parent's ended"
    (near,) = alike(store.version(child), signatures(store))
    assert near.title == store.version(parent).title
    assert near.likeness > 0.9


# -- several worlds at once ---------------------------------------------------------------------------


def three(folder: Path) -> list[WorldPackage]:
    signs = {"Meadow": "this way", "Marsh": "mind the water", "Moor": "keep right"}
    return [package(folder / title, title, sign) for title, sign in signs.items()]


def test_worlds_explored_in_one_batch_end_with_the_same_rows_as_one_by_one(tmp_path: Path) -> None:
    alone, together = open_store(tmp_path / "alone"), open_store(tmp_path / "together")
    for store, batch in ((alone, 1), (together, 3)):
        for world in three(tmp_path):
            submit(store, world)
        with Worker(store, pipeline.Stages(store, light()).handlers, terms=TERMS, queues=["cpu"]) as worker:
            while worker.run_one():  # so that all explorations are ready at once
                pass
        work(store, batch=batch)

    found, expected = rows(together), rows(alone)
    in_turn = {"events", "event_reasons", "decisions"}  # know what other worlds came before
    assert [name for name in TABLES if found[name] != expected[name] and name not in in_turn] == []
    with alone.reading() as one, together.reading() as other:
        looked = [
            {
                (cost.work, cost.part, cost.items)
                for world in three(tmp_path)
                for cost in costs_of(c, world.sha256)
            }
            for c in (one, other)
        ]
    assert looked[0] == looked[1]
    explored = [job for job in together.queue.jobs() if job.kind == "explore"]
    assert len({job.worker for job in explored}) == 1
    assert [job.state for job in together.queue.jobs()].count("done") == 3 * len(pipeline.STAGES)


def test_a_world_that_fails_in_a_batch_costs_only_its_own_try(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    versions = [submit(store, world) for world in three(tmp_path)]
    stages = pipeline.Stages(store, light()).handlers
    with Worker(store, stages, terms=TERMS, queues=["cpu"]) as worker:
        while worker.run_one():
            pass
    store.blobs.delete(store.version(versions[1]).package)

    with Worker(store, stages, terms=TERMS, queues=["gpu"], batch=3) as worker:
        worker.run_one()

    explored = [job for job in store.queue.jobs() if job.kind == "explore"]
    assert [(job.state, job.failures) for job in explored] == [("done", 0), ("ready", 1), ("done", 0)]
    assert "BlobMissing" in (explored[1].error or "")
    states = [store.version(version).state for version in versions]
    assert states == [WorldState.SCANNING, WorldState.EXPLORING, WorldState.SCANNING]


# -- interruptions ------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.test_pipeline import TERMS, handlers
from moderation.jobs import Local
if __name__ == "__main__":
    Local(Path({home!r}), handlers, [{version!r}], workers=1, terms=TERMS).run()
"""
TIMES = {
    "versions": "created, updated",
    "events": "at, reason",  # a digest with a salt; the words are in event_reasons
    "event_reasons": "salt",
    "decisions": "at, id",
    "explorations": "created",
    "worlds": "created",
}
TABLES = ["worlds", "versions", "events", "explorations", "playthroughs", "frames", "pieces", "findings"]
TABLES += ["detector_runs", "decisions", "event_reasons"]


def rows(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Everything but times, in an order that does not depend on them."""
    found: dict[str, list[dict[str, Any]]] = {}
    with store.reading() as connection:
        for table in TABLES:
            left_out = TIMES.get(table, "").split(", ")
            all_rows = connection.execute(text(f"SELECT * FROM {table}")).mappings()
            plain = [{k: v for k, v in row.items() if k not in left_out} for row in all_rows]
            found[table] = sorted(plain, key=repr)
    return found


def start(home: Path, version: str) -> subprocess.Popen[bytes]:
    script = home / "run.py"
    root = str(Path(__file__).parent.parent)
    script.write_text(SCRIPT.format(root=root, home=str(home), version=version))
    return subprocess.Popen([sys.executable, str(script)], start_new_session=True)


def wait_for(store: Store, process: subprocess.Popen[bytes], kind: str) -> None:
    """Wait until a stage is at work (or over already)."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if any(job.kind == kind and job.state != "ready" for job in store.queue.jobs()):
            return
        time.sleep(0.005)
    assert process.poll() is not None, f"{kind} never began"


def test_killed_in_every_stage_and_run_again_it_ends_with_the_same_rows(tmp_path: Path) -> None:
    world = package(tmp_path / "meadow")
    calm, shaken = open_store(tmp_path / "calm"), open_store(tmp_path / "shaken")
    version = submit(calm, world)
    submit(shaken, world)
    work(calm)
    chance = random.Random(os.environ.get("FIRSTPLAY_TEST_SEED", "0"))

    for kind in pipeline.STAGES:
        process = start(shaken.home, version)
        wait_for(shaken, process, kind)
        time.sleep(chance.uniform(0, 0.4))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert start(shaken.home, version).wait() == 0

    shaken_rows, calm_rows = rows(shaken), rows(calm)
    assert [table for table in TABLES if shaken_rows[table] != calm_rows[table]] == []
    assert all(job.state == "done" and job.failures == 0 for job in shaken.queue.jobs())
    starts = (shaken.home / "starts").read_text().split()
    assert starts == sorted(starts, key=pipeline.STAGES.index), "a finished stage was begun again"
    assert len(starts) > len(pipeline.STAGES), "no kill hit a stage at work"
