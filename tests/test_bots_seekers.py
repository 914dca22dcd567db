"""Seekers: what pays, what counts as found, and that a planted picture is found, confirmed and recorded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bots.confirm import PERSIST, Suspect, confirm, run_through
from bots.exploration import Budget, Exploration, Progress
from bots.explore import CheckpointMismatch, explore
from bots.probe import Probed
from bots.recorder import glimpses, regenerate
from bots.recording import Playthrough
from bots.search import Search
from bots.seekers import SEEKER, Ledger, SeekerConfig
from tests.bot_worlds import bot_world
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import TILE, Action
from worldmodel.simulator import Simulator

BUDGET = Budget(search_steps=20_000, sample_episodes=2, episode_steps=40, batch=64, floor=0.0)
PAINTED = (17, 3, 20, 6)
"""Tiles of wall paint in the room behind the door."""
MAGENTA, CYAN = (255, 0, 255), (0, 255, 255)
CONFIG = SeekerConfig(hint=0.3, alike=0.8, cap=3.0)


@dataclass
class ColourProbe:
    """Scores the share of a frame that has a colour of which no world has much: 1.25 % of it is sure."""

    only: int | None = None
    """Number of the look (0, 1, ...) that alone sees anything; None for all of them."""
    name: str = "colours/1"
    labels: tuple[str, ...] = ("magenta", "cyan")
    sure: tuple[float, ...] = (0.5, 0.5)
    cost: float = 50.0
    looks: int = 0

    def __call__(self, frames: NDArray[np.uint8]) -> Probed:
        pixels = frames.transpose(0, 2, 3, 1).astype(int)
        shares = [(np.abs(pixels - colour).max(3) < 40).mean((1, 2)) for colour in (MAGENTA, CYAN)]
        scores = np.minimum(1, 40 * np.stack(shares, 1)).astype(np.float32)
        if self.only is not None:
            numbers = self.looks + np.arange(len(frames))
            scores[numbers != self.only] = 0
        self.looks += len(frames)
        embeddings = np.concatenate([scores, np.full((len(frames), 1), 1e-3, np.float32)], 1)
        return Probed(scores, embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True))


@dataclass
class Noted(ColourProbe):
    """Notes the number of the first look that was a sure find."""

    first: int | None = None

    def __call__(self, frames: NDArray[np.uint8]) -> Probed:
        before, seen = self.looks, super().__call__(frames)
        sure = np.nonzero(seen.scores.max(1) >= 0.5)[0]
        if self.first is None and len(sure):
            self.first = before + int(sure[0])
        return seen


def planted(colour: tuple[int, int, int] = MAGENTA) -> CompiledWorld:
    """The world with a patch behind the door painted in one colour."""
    world = bot_world(key="planted")
    picture = world.picture.copy()
    x0, y0, x1, y1 = (edge * TILE for edge in PAINTED)
    picture[y0:y1, x0:x1] = colour
    return replace(world, picture=picture)


def scores(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


# ---- what pays -------------------------------------------------------------------------------------------


def test_only_the_rise_of_a_score_pays() -> None:
    ledger = Ledger(CONFIG)

    assert ledger.enter(scores(0.0), scores(0.2), scores(1, 0)) == (pytest.approx(0.2), -1)
    assert ledger.enter(scores(0.2), scores(0.2), scores(1, 0)) == (0, -1)
    assert ledger.enter(scores(0.25), scores(0.1), scores(1, 0)) == (0, -1)


def test_a_flagged_state_pays_for_being_unlike_other_flagged_ones() -> None:
    ledger = Ledger(CONFIG)

    first, _ = ledger.enter(scores(0.4), scores(0.4), scores(1, 0))
    again, same = ledger.enter(scores(0.4), scores(0.4), scores(1, 0))
    other, another = ledger.enter(scores(0.4), scores(0.4), scores(0, 1))

    assert (first, again, other) == pytest.approx((1, 0, 1))
    assert same != another


def test_one_cluster_pays_no_more_than_its_cap_and_another_still_pays() -> None:
    ledger = Ledger(CONFIG)

    paid = [ledger.enter(scores(0.0), scores(0.9), scores(1, 0))[0] for _ in range(20)]
    other, _ = ledger.enter(scores(0.0), scores(0.9), scores(0, 1))

    assert sum(paid) == pytest.approx(CONFIG.cap)
    assert paid[-1] == 0
    assert other == pytest.approx(1.9)


def test_things_of_two_kinds_are_two_clusters_however_alike() -> None:
    ledger = Ledger(CONFIG)

    _, one = ledger.enter(scores(0, 0), scores(0.9, 0.1), scores(1, 0))
    _, two = ledger.enter(scores(0, 0), scores(0.1, 0.9), scores(1, 0))

    assert one != two


# ---- what counts as found --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "moment", "run"),
    [("0110", 1, 2), ("0110", 0, 0), ("1111", 3, 4), ("1011", 0, 1), ("1011", 3, 2)],
)
def test_a_run_is_counted_through_the_moment(shown: str, moment: int, run: int) -> None:
    assert run_through(np.array([mark == "1" for mark in shown]), moment) == run


def beside_the_patch() -> Suspect:
    """A way that stands still at a spawn point from which the patch is on the screen."""
    model, world = Simulator(), planted()
    actions = np.full(20, int(Action.NOOP), np.uint8)
    way = Playthrough(
        world.key, model.card.sha256, "search", SEEKER, 5, 1, actions, np.zeros((20, 9), bool),
        np.full(20, -1, np.int16),
    )  # fmt: skip
    return Suspect(way, 0, 1.0)


def test_what_is_still_there_when_the_way_is_played_again_is_confirmed() -> None:
    suspect = beside_the_patch()
    (seen,), steps = confirm(Simulator(), planted(), [suspect], ColourProbe())

    assert seen.confirmed
    assert seen.frames >= PERSIST
    assert np.array_equal(seen.playthrough.actions[:20], suspect.way.actions)
    assert steps > 0


def test_a_flicker_of_one_frame_is_not_confirmed() -> None:
    suspect = beside_the_patch()
    moment = 8  # of the frames that are looked at, the one of the suspect's moment
    (seen,), _ = confirm(Simulator(), planted(), [suspect], ColourProbe(only=moment))

    assert seen.frames == 1
    assert not seen.confirmed


def test_glimpses_are_the_frames_of_the_recording() -> None:
    model, world, way = Simulator(), planted(), beside_the_patch().way
    (glimpse,) = glimpses(model, world, [way], [(3, 9)])

    assert np.array_equal(glimpse.frames, regenerate(model, world, way).frames[3:9])


# ---- in a search -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found() -> Exploration:
    return explore(Simulator(), planted(), BUDGET, seed=4, probe=ColourProbe())


def test_a_planted_picture_is_found_confirmed_and_on_a_recording(found: Exploration) -> None:
    (find,) = [one for one in found.finds if one.confirmed]
    playthrough = next(p for p in found.search if p.id == find.playthrough)
    recording = regenerate(Simulator(), planted(), playthrough)
    frame = np.ascontiguousarray(recording.frames[find.step].transpose(2, 0, 1))

    assert find.label == "magenta"
    assert playthrough.player == SEEKER
    assert recording.as_explored
    assert ColourProbe()(frame[None]).scores[0, 0] >= 0.5


def test_what_was_only_a_flicker_is_told_as_unconfirmed() -> None:
    # Only one look ever sees anything: the first that the search takes of something painted.
    whole = Noted()
    explore(Simulator(), planted(), BUDGET, seed=4, probe=whole)
    flickering = explore(Simulator(), planted(), BUDGET, seed=4, probe=ColourProbe(only=whole.first))

    (find,) = flickering.finds
    assert (find.confirmed, find.playthrough) == (False, None)
    assert find.frames < PERSIST
    assert not any(p.player == SEEKER for p in flickering.search)


def test_a_clean_world_has_no_finds() -> None:
    clean = explore(
        Simulator(), bot_world(), replace(BUDGET, search_steps=6_000), seed=4, probe=ColourProbe()
    )

    assert clean.finds == ()


def test_looking_takes_no_more_than_its_share_of_the_steps() -> None:
    search = Search(Simulator(), planted(), BUDGET, 4, probe=ColourProbe(cost=300.0))
    while not search.finished:
        search.round()
    seekers = search.seekers
    assert seekers is not None
    by_rounds = seekers.cost - 17 * len(seekers.finds) * seekers.probe.cost  # each confirmation looks at 17

    assert 0 < by_rounds <= seekers.config.share * search.steps


def test_entries_carry_the_scores_and_seekers_leave_what_is_confirmed() -> None:
    search = Search(Simulator(), planted(), BUDGET, 4, probe=ColourProbe())
    while not search.finished:
        search.round()
    entries, seekers = search.archive.entries, search.seekers
    assert seekers is not None

    assert entries.scores[entries.looked].max() >= 0.5
    assert (entries.scores[~entries.looked] == 0).all()
    assert seekers.ledger.clusters[0].confirmed
    assert (seekers.lure(search.archive)[entries.cluster == 0] == 0).all()


def test_a_search_with_seekers_repeats_and_goes_on_after_a_kill(tmp_path: Path, found: Exploration) -> None:
    class Killed(Exception):
        pass

    def kill(progress: Progress) -> None:
        if progress.done > 12_000:
            raise Killed

    checkpoint = tmp_path / "explore.npz"
    with pytest.raises(Killed):
        explore(
            Simulator(), planted(), BUDGET, 4, kill, probe=ColourProbe(), checkpoint=checkpoint,
            checkpoint_seconds=0.0,
        )  # fmt: skip
    with pytest.raises(CheckpointMismatch, match="probe"):
        explore(Simulator(), planted(), BUDGET, 4, checkpoint=checkpoint)
    again = explore(Simulator(), planted(), BUDGET, 4, probe=ColourProbe(), checkpoint=checkpoint)

    assert [p.id for p in again.playthroughs] == [p.id for p in found.playthroughs]
    assert again.finds == found.finds
    assert np.array_equal(again.curves["search"], found.curves["search"])


def test_finds_are_kept_with_an_exploration(tmp_path: Path, found: Exploration) -> None:
    found.save(tmp_path / "exploration.npz")

    assert Exploration.load(tmp_path / "exploration.npz").finds == found.finds
