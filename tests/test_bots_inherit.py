"""A remix goes on from where its parent's exploration ended, and takes nothing on trust."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bots.archive import Moment
from bots.cells import Cells
from bots.exploration import Budget, Exploration
from bots.explore import CheckpointMismatch, explore
from bots.inherit import take_over
from bots.legacy import Legacy, legacy_of, unchanged
from bots.search import Search
from tests.bot_worlds import bot_world
from worldmodel.compiled import CompiledWorld, Mechanics
from worldmodel.constants import Action, Tile
from worldmodel.simulator import Simulator

BUDGET = Budget(
    search_steps=6_000, batch=64, round_steps=24, window=4_000, episode_steps=60, sample_episodes=2
)


@pytest.fixture(scope="module")
def parent() -> Search:
    search = Search(Simulator(), bot_world(), BUDGET, seed=1)
    while not search.finished:
        search.round()
    return search


@pytest.fixture(scope="module")
def legacy(parent: Search) -> Legacy:
    return legacy_of(parent.world, parent.archive)


def remix(**change: object) -> CompiledWorld:
    world = bot_world()
    return replace(world, key="remix" + world.key, **change)


def walled() -> CompiledWorld:
    """The way to the door is walled up, and the room behind it with all that is in it."""
    tiles = bot_world().tiles.copy()
    tiles[1:8, 13] = Tile.SOLID
    return remix(tiles=tiles)


def heir(world: CompiledWorld, legacy: Legacy) -> Search:
    search = Search(Simulator(), world, BUDGET, seed=2)
    take_over(search, legacy)
    return search


def ends(search: Search) -> Iterator[tuple[int, int]]:
    """(cell of an entry, cell in which plain play of its path ends) of every seventh entry."""
    entries, model = search.archive.entries, Simulator()
    cells = Cells(search.world, model.device)
    for i in range(0, len(entries), 7):
        path = search.archive.tree.path(Moment(int(entries.segment[i]), int(entries.offset[i])))
        state = model.spawn([search.world], [path.seed], [path.spawn])
        for action in path.actions.tolist():
            state, _ = model.step(state, torch.tensor([action]), render=False)
        assert len(path.actions) == entries.steps[i]
        yield int(entries.cell[i]), int(cells.cells(state))


def test_all_that_the_parent_found_is_regained_for_less(parent: Search, legacy: Legacy) -> None:
    search = heir(remix(), legacy)

    assert set(parent.archive.index) <= set(search.archive.index)
    assert search.steps == legacy.steps < 0.6 * parent.steps
    assert len(legacy.parent) < len(parent.archive.tree.segments), "what nothing stands on is left behind"


def test_every_way_is_legal_play_from_a_spawn_of_the_remix(legacy: Legacy) -> None:
    search = heir(remix(), legacy)

    for cell, reached in ends(search):
        assert cell == reached


def test_what_changed_is_found_anew_and_nothing_is_taken_on_trust(parent: Search, legacy: Legacy) -> None:
    search = heir(walled(), legacy)

    for cell, reached in ends(search):
        assert cell == reached
    assert len(search.archive) < len(parent.archive), "the way that is walled up leads nowhere now"


def test_counts_are_taken_over_only_where_nothing_changed(parent: Search, legacy: Legacy) -> None:
    same, changed = heir(remix(), legacy), heir(walled(), legacy)
    near = unchanged(legacy, walled())

    def chosen(search: Search) -> int:
        return int(search.archive.entries.chosen.sum())

    assert chosen(same) == parent.archive.entries.chosen.sum() > 0
    assert 0 < chosen(changed) < chosen(same)
    assert not near[7, 9:18].any()
    assert near[7, 8]
    assert near[7, 18]
    entries = changed.archive.entries
    assert not entries.chosen[~near.flatten()[entries.tile]].any()


def test_other_mechanics_leave_nothing_unchanged(legacy: Legacy) -> None:
    heavier = remix(mechanics=Mechanics(gravity=3))

    assert not unchanged(legacy, heavier).any()
    search = heir(heavier, legacy)
    assert not search.archive.entries.chosen.any()
    for cell, reached in ends(search):
        assert cell == reached


def test_a_spawn_that_the_remix_lacks_becomes_the_true_start(legacy: Legacy) -> None:
    search = heir(remix(spawns=bot_world().spawns[:1]), legacy)

    assert {s.spawn for s in search.archive.tree.segments} == {0}


def test_an_exploration_leaves_its_ways_and_a_remix_takes_them(tmp_path: Path) -> None:
    small = replace(BUDGET, search_steps=1_500, window=1_000)
    first = explore(Simulator(), bot_world(), small, seed=1)
    first.save(tmp_path / "parent.npz")
    left = Exploration.load(tmp_path / "parent.npz").legacy
    assert left is not None
    assert first.legacy is not None
    assert left.sha256 == first.legacy.sha256

    checkpoint = tmp_path / "run.npz"
    heirs = [
        explore(Simulator(), remix(), small, seed=2, inherit=left, checkpoint=checkpoint) for _ in range(2)
    ]
    alone = explore(Simulator(), remix(), small, seed=2)

    assert heirs[0].coverage == heirs[1].coverage, "a finished run is not carried out again"
    assert heirs[0].coverage.cells > alone.coverage.cells
    assert heirs[0].visited["search"].sum() == heirs[0].coverage.search_steps
    with pytest.raises(CheckpointMismatch, match="inherit"):
        explore(Simulator(), remix(), small, seed=2, checkpoint=checkpoint)


def test_a_legacy_survives_as_bytes(legacy: Legacy) -> None:
    assert Legacy.from_bytes(legacy.to_bytes()).sha256 == legacy.sha256


def test_a_legacy_is_small(legacy: Legacy) -> None:
    assert sum(array.nbytes for array in legacy.arrays().values()) < 200_000
    assert legacy.actions.max() < len(Action)
    assert (legacy.parent < np.arange(len(legacy.parent))).all()
