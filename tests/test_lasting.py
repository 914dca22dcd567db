"""What one frame alone seems to show counts less than what is seen again in the frames beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bots.exploration import Budget
from bots.recorder import regenerate
from bots.sample import sample_batch
from moderation.detectors.base import Detection, Detector, DetectorCard, Picture
from moderation.detectors.symbols import Symbols
from moderation.scan import Seen, again, doubtful
from moderation.scan.lasting import BESIDE, NEAR
from moderation.store import DistinctFrame
from moderation.symbols.blocks import built_world, plain_worlds
from moderation.symbols.emblems import HATE
from moderation.symbols.evaluate import viewpoint
from worldmodel.simulator import Simulator

Frames = NDArray[np.uint8]


class Marks(Detector[Picture]):
    """Sees a mark as surely as the first pixel is red."""

    card = DetectorCard("marks", "1", "picture", ("mark", "smudge"), "Apache-2.0", cost_ms=1.0)

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        return [[Detection("mark", int(one.pixels[0, 0, 0]) / 255, box=(0, 0, 1, 1))] for one in batch]


class Broken(Marks):
    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        raise OSError("the weights are gone")


def film(scores: dict[int, float], length: int = 40) -> Frames:
    """Frames of a playthrough with a mark, so sure, at these steps."""
    frames = np.zeros((length, 8, 8, 3), np.uint8)
    for step, score in scores.items():
        frames[step, 0, 0, 0] = round(255 * score)
    return frames


def scored(seen: Seen) -> dict[str, float]:
    return {one.label: round(one.score, 2) for one in seen["marks"]}


def looked(*scores: float, label: str = "mark") -> Seen:
    return {"marks": [Detection(label, score, box=(0, 0, 1, 1)) for score in scores]}


def frame(ordinal: int, step: int, playthrough: int = 0) -> DistinctFrame:
    return DistinctFrame(ordinal, playthrough, step, bytes(60), ordinal)


def test_what_is_gone_a_frame_later_counts_for_little() -> None:
    found = again(20, film({20: 0.9}), looked(0.9), [Marks()])

    assert scored(found) == {"mark": 0.21}
    assert found["marks"][0].box == (0, 0, 1, 1)


def test_what_is_seen_again_counts_as_before() -> None:
    assert scored(again(20, film({20: 0.9, 24: 0.95}), looked(0.9), [Marks()])) == {"mark": 0.9}


def test_it_must_be_seen_again_soon() -> None:
    late = film({20: 0.9, 20 + BESIDE + 1: 0.9})
    assert scored(again(20, late, looked(0.9), [Marks()])) == {"mark": 0.21}


def test_the_same_must_be_seen_again() -> None:
    smudged = looked(0.9, label="smudge")
    assert scored(again(20, film({20: 0.9, 21: 0.9}), smudged, [Marks()])) == {"smudge": 0.21}


def test_the_first_and_the_last_frame_have_neighbours_on_one_side() -> None:
    for step, beside in ((0, 1), (39, 38)):
        assert scored(again(step, film({step: 0.9, beside: 0.9}), looked(0.9), [Marks()])) == {"mark": 0.9}


@given(st.floats(0, 1), st.floats(0, 1))
def test_nothing_ever_counts_more(first: float, beside: float) -> None:
    (one,) = again(20, film({20: first, 22: beside}), looked(first), [Marks()])["marks"]
    assert 0 <= one.score <= first


def test_a_detector_that_fails_the_second_time_is_believed_the_first() -> None:
    assert scored(again(20, film({20: 0.9}), looked(0.9), [Broken()])) == {"mark": 0.9}


@pytest.mark.parametrize(
    ("steps", "doubted"),
    [((10,), [10]), ((10, 10 + NEAR), []), ((10, 11 + NEAR), [10, 11 + NEAR])],
    ids=["alone", "with another view", "far apart"],
)
def test_what_other_views_show_as_well_is_not_doubted(steps: Sequence[int], doubted: list[int]) -> None:
    frames = [frame(number, step) for number, step in enumerate(steps)]
    found = doubtful(frames, {one.ordinal: looked(0.9) for one in frames})

    assert [one.step for one in found.get(0, [])] == doubted


def test_views_of_other_playthroughs_and_faint_ones_prove_nothing() -> None:
    frames = [frame(0, 10), frame(1, 11, playthrough=1), frame(2, 12)]
    found = doubtful(frames, {0: looked(0.9), 1: looked(0.9), 2: looked(0.1)})

    assert {play: [one.ordinal for one in some] for play, some in found.items()} == {0: [0], 1: [1]}


def test_what_alarms_nobody_is_not_looked_at_again() -> None:
    assert doubtful([frame(0, 10)], {0: looked(0.4)}) == {}
    assert scored(again(20, film({20: 0.4}), looked(0.4), [Marks()])) == {"mark": 0.4}


def test_symbols_built_of_tiles_last_while_somebody_plays_in_front_of_them() -> None:
    before, after = [], []
    detector = Symbols()
    for film_ in played_before_symbols(4):
        (found,) = detector([Picture(film_[4])])
        before.append(_hateful(found))
        after.append(_hateful(again(4, film_, {"symbols": found}, [detector])["symbols"]))

    sure = [n for n, score in enumerate(before) if score >= 0.772]
    assert len(sure) >= 2, "there is something to find"
    assert all(after[n] >= 0.772 for n in sure)


def _hateful(found: Sequence[Detection]) -> float:
    return max((one.score for one in found if one.label == "hate_symbol"), default=0.0)


def played_before_symbols(count: int) -> Iterator[Frames]:
    """Frames of as many short playthroughs that begin where a symbol built of tiles is in view."""
    model, rng = Simulator(), np.random.default_rng(5)
    budget = Budget(search_steps=1, sample_episodes=1, episode_steps=12)
    (plain,) = plain_worlds(1, 990, evaluation=False)
    while count:
        made = built_world(plain, rng, emblems=1, patterns=0, held_out=False)
        built = next((one for one in made.built if one.label in HATE), None)
        tile = viewpoint(made.world, built, rng) if built else None
        if tile is None:
            continue
        world = replace(made.world, key=f"symbol {count}", spawns=np.array([tile], np.int16))
        (episode,) = sample_batch(model, world, budget, seed=count, numbers=[0])
        yield regenerate(model, world, episode.playthrough).frames
        count -= 1
