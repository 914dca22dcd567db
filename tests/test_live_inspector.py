"""What the guard's process does with moments, and what counts as seen before."""

from __future__ import annotations

import numpy as np
import pytest

from moderation.detectors.base import Motion
from moderation.detectors.flash import Flash
from moderation.listening import Situation
from moderation.live import Glance, Inspected, Inspector, Moment
from tests.guarded import broken_inspector, inspector
from worldmodel.constants import FPS, FRAME, SAMPLES_PER_STEP

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

    def test_a_situation_is_listened_to_again_only_where_more_of_it_is_heard(self) -> None:
        known = Inspected()

        assert known.listen(Situation("0", 10, 20))
        assert not known.listen(Situation("0", 90, 20))
        assert known.listen(Situation("0", 90, 25))
