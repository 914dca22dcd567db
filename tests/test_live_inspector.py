"""What the guard's process does with moments, and what counts as seen before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from moderation import novelty, scan
from moderation.detectors.base import Motion
from moderation.detectors.flash import Flash
from moderation.detectors.ocr import Ocr
from moderation.detectors.text import TextRules
from moderation.listening import Situation
from moderation.live import REVIEWED, Glance, Inspected, Inspector, Moment
from moderation.store import DistinctFrame, open_store
from policies.bundle import Bundle, load_bundle
from tests.feed_home import add_world
from tests.guarded import POLICY, Deaf, Redness, broken_inspector, bundle, inspector
from worldmodel.compiler import compile_world
from worldmodel.constants import FPS, FRAME, SAMPLES_PER_STEP, Action
from worldmodel.crops import views
from worldmodel.package import load_package
from worldmodel.simulator import Simulator

GREY = np.full((FRAME, FRAME, 3), 90, np.uint8)
SILENCE = np.zeros((1, SAMPLES_PER_STEP), np.float32)


def red(rows: int) -> np.ndarray:
    frame = GREY.copy()
    frame[:rows] = (230, 20, 20)
    return frame


def moment(frame: np.ndarray, number: int = 0, new: bool = False, play: str = "p1") -> Moment:
    return Moment((Glance(play, "v1", number, new),), frame[None], SILENCE)


@pytest.fixture
def guard() -> Inspector:
    here = inspector()
    here.load()
    return here


def test_a_violation_is_told_once_with_its_finding_and_picture(guard: Inspector) -> None:
    verdict = guard.inspect([moment(GREY, 0, new=True), moment(red(40), 1, new=True)])
    again = guard.inspect([moment(red(40), 1)])

    (judgement,) = verdict.judgements
    assert (judgement.play, judgement.violations, judgement.near_misses) == ("p1", ("red",), ())
    assert [(f.detector, f.playthrough) for f in judgement.findings] == [("redness", "p1")]
    assert judgement.picture is not None
    assert again.judgements == ()


def test_a_near_miss_is_no_violation(guard: Inspector) -> None:
    (judgement,) = guard.inspect([moment(red(10), 0, new=True)]).judgements

    assert (judgement.violations, judgement.near_misses) == ((), ("red",))


def test_a_near_miss_that_becomes_a_violation_is_told_again(guard: Inspector) -> None:
    guard.inspect([moment(red(10), 0, new=True)])

    (judgement,) = guard.inspect([moment(red(40), 1, new=True)]).judgements

    assert (judgement.violations, judgement.near_misses) == (("red",), ())


def test_a_frame_that_another_play_showed_counts_without_another_look(guard: Inspector) -> None:
    guard.inspect([moment(red(40), 5, new=True)])

    (judgement,) = guard.inspect([moment(red(40), 5, play="p2")]).judgements

    assert (judgement.play, judgement.violations) == ("p2", ("red",))


def test_flashing_is_measured_on_every_frame_even_of_known_views(guard: Inspector) -> None:
    dark, bright = np.zeros_like(GREY), np.full_like(GREY, 255)
    verdicts = [guard.inspect([moment((dark, bright)[step // 2 % 2])]) for step in range(3 * FPS)]

    told = [judgement for verdict in verdicts for judgement in verdict.judgements]
    assert [one.violations for one in told] == [("flashing",)]


def test_a_failure_is_told_and_nothing_counts_as_cleared() -> None:
    guard = broken_inspector()
    guard.load()

    verdict = guard.inspect([moment(GREY, 0, new=True)])

    assert verdict.error is not None
    assert "MemoryError" in verdict.error


def test_a_play_that_is_over_is_forgotten(guard: Inspector) -> None:
    guard.inspect([moment(GREY)])
    guard.inspect([Moment((), np.zeros((0, FRAME, FRAME, 3), np.uint8), SILENCE[:0], (), ("p1",))])

    assert guard._plays == {}


class TestTakingOver:
    """Another policy goes on where the last one was."""

    def test_what_was_seen_is_judged_again_by_it(self, guard: Inspector) -> None:
        assert guard.inspect([moment(red(7), 0, new=True)]).judgements == ()
        stricter = Inspector(scan.Detectors.of(list(guard.detectors)), strict())
        stricter.load(guard)
        stricter.take_over(guard)

        verdict = stricter.inspect([moment(GREY, 1, new=True)])

        assert [one.violations for one in verdict.judgements] == [("red",)]
        assert not verdict.forgot

    def test_other_detectors_have_not_seen_it_and_say_so_once(self, guard: Inspector) -> None:
        guard.inspect([moment(red(7), 0, new=True)])
        other = Inspector(scan.Detectors.of([Keener(), *list(guard.detectors)[1:]]), strict())
        other.load(guard)
        other.take_over(guard)

        first, second = other.inspect([moment(GREY, 1, new=True)]), other.inspect([moment(GREY, 1)])

        assert first.judgements == ()
        assert (first.forgot, second.forgot) == (True, False)


class Keener(Redness):
    card = replace(Redness.card, version="2")


def strict() -> Bundle:
    return bundle(POLICY.replace("0.1", "0.052").replace("0.06", "0.051"))


KILL = """\
title: Signed Meadow
prompt: a calm green meadow in the sun
mechanics: {view: side, gravity: 1, speed: 1, hazards: 0, enemies: none, darkness: 0}
objects:
  - {kind: sign, text: KILL YOURSELF, where: {near: spawn}}
seed: 1
"""


def test_a_sign_that_play_passes_is_read_though_a_texture_beside_it_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "world.yaml").write_text(KILL)
    world, model = compile_world(load_package(tmp_path)), Simulator()
    readers = [Ocr(), TextRules(), Redness(), Deaf(), Flash()]
    here, known = Inspector(scan.Detectors.of(readers), load_bundle()), Inspected()
    here.load()
    state = model.spawn([world], [1])
    told = []
    for action in [Action.NOOP] * 5 + [Action.RIGHT] * 40:
        state, seen = model.step(state, torch.tensor([int(action)]))
        assert seen.frames is not None
        frame = np.ascontiguousarray(seen.frames[0].permute(1, 2, 0).numpy())
        number, new = known.look(int(views(state)[0]), frame)
        told += here.inspect([moment(frame, number, new)]).judgements

    assert [(*one.violations, *one.near_misses) for one in told] == [("threats",)]
    assert {one.text for one in told[0].findings} == {"KILL YOURSELF"}


class TestFollower:
    def test_it_finds_what_a_look_at_the_whole_recording_finds(self) -> None:
        rng = np.random.default_rng(1)
        levels = np.where(rng.random(12 * FPS) < 0.4, 220, 20)
        frames = np.broadcast_to(levels[:, None, None, None], (len(levels), 64, 64, 3)).astype(np.uint8)
        detector = Flash()
        follower = detector.follow(FPS)
        for frame in frames:
            follower.add(frame)

        whole = [one for one in detector([Motion(frames, FPS)])[0] if one.label != "stripes"]
        assert follower.found() == whole

    def test_its_clock_goes_on_when_it_begins_anew(self) -> None:
        follower = Flash().follow(FPS)
        for _ in range(40 * FPS):
            follower.add(GREY)
        for step in range(2 * FPS):
            follower.add(np.full_like(GREY, 255 * (step % 2)))

        (found,) = [one for one in follower.found() if one.label == "general_flash"]
        assert found.score == 1
        assert 39 <= found.start <= found.end <= 42.1


class TestInspected:
    def test_the_same_view_that_looks_the_same_is_looked_at_once(self) -> None:
        known = Inspected()

        assert known.look(7, GREY) == (0, True)
        assert known.look(7, GREY) == (0, False)
        assert known.look(8, GREY) == (1, True), "another place"

    def test_a_known_view_that_looks_otherwise_is_new(self) -> None:
        known = Inspected()
        known.look(7, GREY)
        other = np.random.default_rng(0).integers(0, 256, GREY.shape, dtype=np.uint8)

        assert known.look(7, other) == (1, True)

    def test_a_view_that_a_review_saw_in_several_ways_is_known_in_each(self, tmp_path: Path) -> None:
        store, other = (
            open_store(tmp_path / "home"),
            np.random.default_rng(0).integers(0, 256, GREY.shape, np.uint8),
        )
        version = add_world(store, "Sunny Meadow", "published")
        exploration = store.version(version).exploration
        assert exploration is not None
        hashes = [novelty.difference_hash(frame).tobytes() for frame in (GREY, other)]
        with store.writing() as tx:
            tx.add_frames(exploration, [DistinctFrame(n, 0, n, hash_, 7) for n, hash_ in enumerate(hashes)])
            tx.add_piece(exploration, "costly", 0, {"0": {}, "1": {}})

        known = Inspected.by_review(store, version)

        assert known.look(7, GREY) == known.look(7, other) == (REVIEWED, False)
        store.close()

    def test_a_situation_is_listened_to_again_only_where_more_of_it_is_heard(self) -> None:
        known = Inspected()

        assert known.listen(Situation("0", 10, 20))
        assert not known.listen(Situation("0", 90, 20))
        assert known.listen(Situation("0", 90, 25))
