"""Exploring a world: what is found, that it can be repeated, and that a killed run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bots.archive import Path as ArchivePath
from bots.cells import Cells, Mark
from bots.coverage import CoverageStats, discovery_rate
from bots.exploration import Budget, Exploration, Progress
from bots.explore import CheckpointMismatch, explore
from bots.recording import Playthrough
from bots.search import Search
from bots.storage import StorageError
from tests.bot_worlds import SIGN, bot_world
from tests.small_worlds import small_world
from worldmodel.constants import FPS, SAMPLES_PER_STEP, Action, Event
from worldmodel.protocol import State
from worldmodel.simulator import Simulator

BUDGET = Budget(search_steps=25_000, sample_episodes=6, episode_steps=100, batch=64, window=8_000)
SMALL = Budget(
    search_steps=2_500, sample_episodes=3, episode_steps=30, batch=32, round_steps=20, window=1_500
)


@pytest.fixture(scope="module")
def found() -> Exploration:
    return explore(Simulator(), bot_world(), BUDGET, seed=4)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "explore.npz"
    explore(Simulator(), bot_world(), SMALL, seed=3, checkpoint=path)
    return path


def same(one: State, other: State) -> bool:
    return all(torch.equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(State))


def carried_out(
    playthroughs: Sequence[Playthrough | ArchivePath],
) -> list[tuple[np.ndarray, np.ndarray, State]]:
    """Events, clips and last state of each, by plain play from its spawn."""
    model, world, rows = Simulator(), bot_world(), range(len(playthroughs))
    lengths = [len(p.actions) for p in playthroughs]
    actions = torch.zeros(max(lengths), len(lengths), dtype=torch.int64)
    for row in rows:
        actions[: lengths[row], row] = torch.from_numpy(playthroughs[row].actions.astype(np.int64))
    state = model.spawn([world] * len(rows), [p.seed for p in playthroughs], [p.spawn for p in playthroughs])
    events, clips, last = [], [], {row: state[row : row + 1] for row in rows}
    for step, pressed in enumerate(actions, 1):
        state, seen = model.step(state, pressed, render=False)
        events.append(seen.events.numpy())
        clips.append(seen.clip.numpy())
        last |= {row: state[row : row + 1] for row in rows if lengths[row] == step}
    return [(np.array(events)[: lengths[r], r], np.array(clips)[: lengths[r], r], last[r]) for r in rows]


def test_everything_that_can_happen_is_found(found: Exploration) -> None:
    happened = {h.event for h in found.happenings}

    assert {"collect", "key", "door", "lever", "speech", "portal", "hurt"} <= happened
    assert found.visited["search"][1:3, 17:20].any(), "the room behind the door was entered"


def test_each_happening_is_on_the_recording_that_it_names(found: Exploration) -> None:
    by_id = {p.id: p for p in found.search}
    for happening in found.happenings:
        playthrough = by_id[happening.playthrough]
        assert playthrough.events[happening.step, Event[happening.event.upper()]], happening


def test_recordings_run_on_after_a_lever_and_until_a_voice_has_ended(found: Exploration) -> None:
    by_id = {p.id: p for p in found.search}
    lever = next(h for h in found.happenings if h.event == "lever")
    voice = next(h for h in found.happenings if h.event == "speech")
    length = len(bot_world().clips[0].samples) // SAMPLES_PER_STEP

    assert len(by_id[lever.playthrough].actions) >= lever.step + 60
    assert len(by_id[voice.playthrough].actions) >= voice.step + length
    assert by_id[voice.playthrough].clips[voice.step] == voice.link - 1


def test_every_search_recording_is_legal_play_from_a_spawn_point(found: Exploration) -> None:
    for playthrough, (events, clips, _) in zip(found.search, carried_out(found.search), strict=True):
        assert 0 <= playthrough.spawn < len(bot_world().spawns)
        assert playthrough.arm == "search"
        assert np.array_equal(events, playthrough.events)
        assert np.array_equal(clips, playthrough.clips)


def test_a_path_replayed_from_the_spawn_reaches_the_archived_state_bit_for_bit() -> None:
    search = Search(Simulator(), bot_world(), SMALL, seed=2)
    while not search.finished:
        search.round()
    archive = search.archive
    deep = np.argsort(archive.entries.steps)[-8:]

    state, origin = archive.origin(deep, ["x"] * len(deep))
    paths = [archive.tree.path(moment) for moment in origin.moments]
    for row, (_, _, replayed) in enumerate(carried_out(paths)):
        assert len(paths[row].actions) == archive.entries.steps[deep[row]] > 20, "over more than one return"
        assert same(replayed, state[row : row + 1])


def test_cells_keep_the_shortest_way_that_spares_health() -> None:
    search = Search(Simulator(), bot_world(), SMALL, seed=2)
    best: dict[int, int] = {}
    while not search.finished:
        search.round()
        entries = search.archive.entries
        for cell, cost in zip(entries.cell.tolist(), entries.cost.tolist(), strict=True):
            assert cost <= best.get(cell, cost)
            best[cell] = cost
    assert len(best) == len(search.archive.index) == len(search.archive)


def test_a_recording_is_made_where_a_placed_object_can_be_seen(found: Exploration) -> None:
    near, nowhere = found.sights
    playthrough = next(p for p in found.search if p.id == near.playthrough)
    _, _, state = carried_out([playthrough])[0]
    x, y = (state.position[0] // 32).tolist()

    assert near.distance <= 1
    assert SIGN[0] - 3 <= x <= SIGN[2] + 3
    assert y <= SIGN[3] + 4
    assert (nowhere.distance, nowhere.playthrough) == (-1, None)


def test_recordings_show_nearly_every_scene_within_their_budget(found: Exploration) -> None:
    shown, reached = found.scenes
    beginnings = [(p.seed, p.actions[:n].tobytes()) for p in found.search for n in range(len(p.actions))]
    assert not {(p.seed, p.actions.tobytes()) for p in found.search} & set(beginnings)
    extra = [p for p in found.search if p.id not in {h.playthrough for h in found.happenings}]

    assert shown >= 0.75 * reached
    assert len(extra) <= BUDGET.evidence_playthroughs + len(found.sights)


def test_the_sample_arm_plays_independent_whole_episodes(found: Exploration) -> None:
    assert len(found.sample) == BUDGET.sample_episodes
    assert len({p.seed for p in found.sample}) == BUDGET.sample_episodes
    assert len({p.spawn for p in found.sample}) > 1
    for playthrough, (events, _, _) in zip(found.sample, carried_out(found.sample), strict=True):
        goal = playthrough.events[:, Event.GOAL].any()
        assert len(playthrough.actions) == BUDGET.episode_steps or goal
        assert np.array_equal(events, playthrough.events)


def test_nothing_of_the_search_reaches_the_sample(found: Exploration) -> None:
    other = explore(Simulator(), bot_world(), replace(BUDGET, search_steps=1_000, window=500), seed=4)

    assert [p.id for p in other.sample] == [p.id for p in found.sample]


def test_coverage_counts_what_was_played(found: Exploration) -> None:
    coverage = found.coverage

    assert coverage.search_steps == found.curves["search"][-1, 0] == found.visited["search"].sum()
    assert coverage.sample_steps == found.visited["sample"].sum() == sum(len(p.actions) for p in found.sample)
    assert coverage.cells >= found.curves["search"][-1, 1] > 200
    assert 0 <= coverage.unseen_mass <= coverage.unseen_mass_upper <= 1
    assert (np.diff(found.curves["search"], axis=0) >= 0).all()


def test_the_stop_reason_says_which_rule_ended_it(found: Exploration) -> None:
    tiny = small_world("#####\n#@..#\n#####")
    settled = explore(Simulator(), tiny, replace(SMALL, search_steps=50_000), seed=1).coverage

    assert found.coverage.stop_reason.startswith("budget: ")
    assert settled.stop_reason.startswith("settled: ")
    assert settled.search_steps < 10_000
    assert "3 of 3 sample episodes" in settled.stop_reason


def test_progress_names_the_arm_and_reaches_the_end() -> None:
    seen: list[Progress] = []
    explore(Simulator(), bot_world(), SMALL, seed=1, progress=seen.append)

    assert [p.arm for p in seen] == sorted((p.arm for p in seen), reverse=True)
    assert all(0 < p.done <= p.total for p in seen)
    assert seen[-1].done == SMALL.sample_episodes


def alike(one: Exploration, other: Exploration) -> bool:
    def plain(e: Exploration) -> list[object]:
        hashes = [(p.id, p.player, p.events.tobytes(), p.clips.tobytes()) for p in e.playthroughs]
        arrays = [a.tolist() for d in (e.curves, e.visited) for a in d.values()]
        return [hashes, arrays, e.coverage, e.happenings, e.sights, e.scenes, e.budget]

    return plain(one) == plain(other)


def test_the_same_seed_gives_the_same_exploration() -> None:
    tiny = replace(SMALL, search_steps=1_500)
    runs = [explore(Simulator(), bot_world(), tiny, seed=seed) for seed in (3, 3, 5)]

    assert alike(runs[0], runs[1])
    assert not alike(runs[0], runs[2])


class Killed(Exception):
    """Stands for the death of the process between two rounds."""


@pytest.mark.parametrize("rounds", [2])
def test_a_killed_run_goes_on_to_the_same_result(tmp_path: Path, rounds: int) -> None:
    parent = [found_parent()]
    whole = explore(Simulator(), bot_world(), SMALL, seed=3, replay_first=parent)
    calls = 0

    def kill(_: Progress) -> None:
        nonlocal calls
        calls += 1
        if calls == rounds:
            raise Killed

    checkpoint = tmp_path / "run" / "explore.npz"
    again = {"seed": 3, "replay_first": parent, "checkpoint": checkpoint, "checkpoint_seconds": 0.0}
    with pytest.raises(Killed):
        explore(Simulator(), bot_world(), SMALL, progress=kill, **again)
    model = Simulator()
    model.spawn([bot_world(key="other")], [0])  # the world's slot in the bank is another one now
    resumed: list[Progress] = []
    result = explore(model, bot_world(), SMALL, progress=resumed.append, **again)

    assert alike(whole, result)
    assert len(resumed) > 0
    assert [p.name for p in checkpoint.parent.iterdir()] == ["explore.npz"], "no temporary file is left"

    silent: list[Progress] = []
    assert alike(whole, explore(Simulator(), bot_world(), SMALL, progress=silent.append, **again))
    assert silent == [], "a finished run plays nothing again"


def found_parent() -> Playthrough:
    actions = np.array([Action.RIGHT] * 20 + [Action.UP_RIGHT] * 10, np.uint8)
    return Playthrough(
        "parent", "m", "search", "x/1", 77, 0, actions, np.zeros((30, 9), bool), np.zeros(30, np.int16)
    )


@pytest.mark.parametrize(
    "change", [{"seed": 9}, {"budget": replace(SMALL, batch=8)}, {"world": bot_world(key="x")}]
)
def test_a_checkpoint_of_another_run_is_refused(checkpoint: Path, change: dict[str, object]) -> None:
    given = {"world": bot_world(), "budget": SMALL, "seed": 3} | change

    with pytest.raises(CheckpointMismatch, match="delete it"):
        explore(Simulator(), checkpoint=checkpoint, **given)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off"])
def test_a_broken_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    checkpoint = tmp_path / "explore.npz"
    checkpoint.write_bytes(content)

    with pytest.raises(StorageError, match=r"explore\.npz"):
        explore(Simulator(), bot_world(), SMALL, checkpoint=checkpoint)


def test_a_remix_replays_its_parents_first() -> None:
    parent = found_parent()
    elsewhere = replace(parent, spawn=1, seed=5)
    nowhere = replace(parent, spawn=9, seed=6)

    result = explore(Simulator(), bot_world(), SMALL, seed=1, replay_first=[parent, elsewhere, nowhere])

    replays = [p for p in result.search if p.player == "parent-replay/1"]
    assert {(p.seed, p.spawn) for p in replays} == {(77, 0), (5, 1), (6, 0)}
    for playthrough, (events, _, _) in zip(replays, carried_out(replays), strict=True):
        assert playthrough.world == bot_world().key
        assert np.array_equal(playthrough.actions, parent.actions)
        assert np.array_equal(events, playthrough.events)


def test_an_exploration_can_be_kept(found: Exploration, tmp_path: Path) -> None:
    found.save(tmp_path / "exploration.npz")

    assert alike(Exploration.load(tmp_path / "exploration.npz"), found)


def test_a_checkpoint_is_no_exploration(checkpoint: Path) -> None:
    with pytest.raises(StorageError, match="no exploration"):
        Exploration.load(checkpoint)


@pytest.mark.parametrize(
    "wrong", [{"search_steps": 0}, {"batch": 0}, {"sample_episodes": -1}, {"floor": -0.1}]
)
def test_an_impossible_budget_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Budget(**wrong)


def test_cells_tell_apart_what_matters_and_nothing_else() -> None:
    model, world = Simulator(), bot_world()
    cells = Cells(world, model.device)
    state = model.spawn([world], [1])
    here = cells.cells(state)

    for name, change in {"coins": 3, "safe": 5, "facing": -1, "health": 1, "step": 99}.items():
        assert torch.equal(
            cells.cells(state.updated(**{name: torch.full_like(getattr(state, name), change)})), here
        )
    for name, change in {"keys": 2, "flash": 30, "position": 200}.items():
        assert cells.cells(state.updated(**{name: torch.full_like(getattr(state, name), change)})) != here
    opened = state.canvas.clone()
    opened[opened == 5] = 6
    assert cells.cells(state.updated(canvas=opened)) != here
    assert cells.scenes(state.updated(canvas=opened)) != cells.scenes(state)
    assert torch.equal(cells.scenes(state.updated(keys=state.keys + 1)), cells.scenes(state))


def test_marks_name_the_thing_that_something_happened_to() -> None:
    assert Mark.of(Mark(Event.SPEECH, 4).code) == Mark(Event.SPEECH, 4)
    assert Mark(Event.LEVER, 3).label == "lever 3"
    assert Mark(Event.COLLECT).label == "collect"


def test_discovery_rate_is_taken_over_the_last_window() -> None:
    curve = np.array([[1000, 500], [2000, 600], [3000, 605], [4000, 610]])

    assert discovery_rate(curve, 2000) == 5.0
    assert discovery_rate(curve, 10**6) == pytest.approx(110 / 3)
    assert discovery_rate(curve[:1], 2000) == float("inf")


def test_coverage_has_the_fields_that_policies_read() -> None:
    from policies.types import Coverage

    assert {f.name for f in fields(CoverageStats)} <= {f.name for f in fields(Coverage)}
    assert FPS == 15
