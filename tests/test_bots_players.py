"""What each player does with what it sees."""

from __future__ import annotations

import pytest
import torch

from bots.dice import key_of, uniforms
from bots.playermodel import DEFAULT
from bots.players import (
    DELAY,
    HUMAN,
    PERSONAS,
    Backtracker,
    CornerStander,
    Idle,
    Interactor,
    Mixture,
    Player,
    SpeedRunner,
    StickyRandom,
    Talker,
)
from bots.rollout import Trajectory, play
from bots.view import look, top_views
from tests.bot_worlds import bot_world
from tests.small_worlds import small_world
from worldmodel.compiled import CompiledWorld, Mechanics
from worldmodel.constants import Action, Event, Tile
from worldmodel.simulator import Simulator

EVERYONE = (*PERSONAS, HUMAN, DEFAULT)
ROWS = 8


def run(
    player: Player, world: CompiledWorld, steps: int = 150, seed: int = 1, rows: int = ROWS
) -> Trajectory:
    model = Simulator()
    start = model.spawn([world] * rows, list(range(rows)))
    keys = torch.arange(rows) + key_of(seed)
    return play(model, start, Mixture.of([player], torch.zeros(rows, dtype=torch.int64)), keys, steps)


def tiles_seen(played: Trajectory) -> set[tuple[int, int]]:
    return {tuple(place) for place in (played.states.position // 32).flatten(0, 1).tolist()}


@pytest.mark.parametrize("player", EVERYONE, ids=lambda p: p.name)
@pytest.mark.parametrize("top_view", [False, True])
def test_every_player_presses_legal_keys_and_repeats_itself_exactly(player: Player, top_view: bool) -> None:
    world = bot_world(top_view=top_view)

    first, again = run(player, world, 30, rows=4), run(player, world, 30, rows=4)

    assert first.actions.dtype == torch.int64
    assert int(first.actions.min()) >= 0
    assert int(first.actions.max()) < len(Action)
    assert torch.equal(first.actions, again.actions)
    assert torch.equal(first.states.position, again.states.position)


@pytest.mark.parametrize("player", [p for p in EVERYONE if p.name != "idle/1"], ids=lambda p: p.name)
def test_another_key_is_another_episode(player: Player) -> None:
    first, second = (run(player, bot_world(), 50, seed=seed, rows=4) for seed in (1, 2))

    assert not torch.equal(first.actions, second.actions)


@pytest.mark.parametrize("player", EVERYONE, ids=lambda p: p.name)
def test_a_row_plays_the_same_in_any_company(player: Player) -> None:
    world = bot_world()
    alone = run(player, world, 30, rows=1)
    among = run(player, world, 30, rows=ROWS)

    assert torch.equal(alone.actions[:, 0], among.actions[:, 0])


def test_a_mixture_gives_each_row_to_its_player() -> None:
    world, model = bot_world(), Simulator()
    choice = torch.tensor([0, 1, 0, 1])
    mixture = Mixture.of([Idle(), SpeedRunner()], choice)

    played = play(model, model.spawn([world] * 4, [0] * 4), mixture, torch.arange(4), 30)

    assert (played.actions[:, choice == 0] == Action.NOOP).all()
    assert (played.states.position[-1, choice == 1, 0] > played.states.position[-1, choice == 0, 0]).all()


def test_sticky_random_holds_its_keys() -> None:
    actions = run(StickyRandom(), bot_world()).actions
    held = (actions[1:] == actions[:-1]).float().mean()

    assert 0.8 < held < 0.95
    assert len(actions.unique()) == len(Action)


def test_the_corner_stander_ends_up_standing() -> None:
    played = run(CornerStander(), small_world("##########\n#...@....#\n##########"))

    last = played.states.position[-20:]
    assert (last == last[0]).all()
    assert set((last[0, :, 0] // 32).tolist()) == {1, 8}


def test_the_speed_runner_goes_right_and_over_a_step() -> None:
    world = small_world("#############\n#...........#\n#@....#.....#\n#############")
    played = run(SpeedRunner(), world)

    assert (played.states.position[..., 0].amax(0) >= 11 * 32).all()


def test_all_personas_that_are_asked_for_are_there() -> None:
    names = {player.name.split("/")[0] for player in PERSONAS}

    wanted = "idle spammer corner-stander wall-hugger speed-runner collector talker backtracker"
    assert set(wanted.split()) <= names
    assert len(names) == len(PERSONAS)


def test_the_talker_talks_and_leaves_the_rest_alone() -> None:
    corridor = "################\n#......L...o...#\n#@..L....C....k#\n################"
    talker, interactor = (run(player, small_world(corridor), 200) for player in (Talker(), Interactor()))

    pulls = [int(played.events[..., Event.LEVER].sum()) for played in (talker, interactor)]

    assert talker.events[..., Event.SPEECH].any(0).all()
    assert pulls[0] < 0.5 * pulls[1], "only by chance, when it is stuck"


def test_the_backtracker_comes_back_and_goes_further() -> None:
    played = run(
        Backtracker(), small_world("#" * 40 + "\n#" + "." * 18 + "@" + "." * 19 + "#\n" + "#" * 40), 300
    )
    across = played.states.position[..., 0] // 32
    right, left = across.amax(0) > 22, across.amin(0) < 16

    assert right.all()
    assert left.all()
    turns = (played.actions[1:] != played.actions[:-1]).sum(0)
    assert (turns < 120).all(), "in legs, not to and fro"


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("collector/1", {Event.COLLECT, Event.KEY}),
        ("interactor/1", {Event.LEVER, Event.KEY, Event.DOOR, Event.SPEECH}),
        ("human/1", {Event.COLLECT, Event.KEY, Event.LEVER, Event.DOOR, Event.SPEECH}),
        (DEFAULT.name, {Event.COLLECT, Event.KEY, Event.LEVER, Event.DOOR, Event.SPEECH}),
    ],
)
@pytest.mark.parametrize("top_view", [False, True])
def test_players_with_wishes_fulfil_them(name: str, events: set[Event], top_view: bool) -> None:
    player = next(p for p in EVERYONE if p.name == name)

    played = run(player, bot_world(top_view=top_view), 300, rows=16)

    happened = {event for event in Event if played.events[..., event].any()}
    assert events <= happened


def test_the_human_explores_more_than_random_keys_do() -> None:
    human = tiles_seen(run(HUMAN, bot_world(), 200, rows=8))
    random = tiles_seen(run(StickyRandom(), bot_world(), 200, rows=8))

    assert len(human) > 1.2 * len(random)


def test_the_human_acts_only_after_its_reaction_time() -> None:
    played = run(HUMAN, bot_world())

    assert (played.actions[:DELAY] == Action.NOOP).all()


def test_no_player_sees_past_the_edge_of_the_screen() -> None:
    """What lies behind the edge may differ: the view, all that players are given, stays the same."""
    near = small_world("##########\n#@.......#\n##########")
    far = small_world("##########\n#@.....ok#\n##########")
    model = Simulator()
    states = model.spawn([near, far], [1, 1])

    view = look(states, top_views(model, states))

    assert torch.equal(view.tiles[0], view.tiles[1])
    assert view.tiles[0, 4, 4] == Tile.EMPTY
    assert not view.enemies.any()


def test_enemies_on_the_screen_are_seen() -> None:
    model = Simulator()
    states = model.spawn([small_world("##########\n#@.w.....g\n##########")], [1])

    view = look(states, top_views(model, states))

    assert view.enemies[0].nonzero().tolist() == [[4, 6]]


def test_seen_from_above_is_told_by_the_world() -> None:
    model = Simulator()
    worlds = [small_world("###\n#@#\n###"), small_world("###\n#@#\n###", Mechanics(top_view=True))]
    states = model.spawn([*worlds, worlds[1]], [0, 0, 0])

    assert top_views(model, states).tolist() == [False, True, True]


def test_dice_are_uniform_and_depend_on_key_and_step_only() -> None:
    keys = torch.arange(4000)
    rolled = uniforms(keys, 3, 4)

    assert rolled.min() >= 0
    assert rolled.max() < 1
    assert torch.allclose(rolled.mean(0), torch.full((4,), 0.5), atol=0.03)
    assert torch.equal(rolled[100:200], uniforms(keys[100:200], 3, 4))
    assert not torch.equal(rolled, uniforms(keys, 4, 4))
    assert abs(float(torch.corrcoef(rolled.T)[0, 1])) < 0.06


def test_keys_differ_and_fit_a_signed_seed() -> None:
    keys = {key_of(a, b) for a in range(40) for b in range(40)}

    assert len(keys) == 1600
    assert all(0 <= key < 2**62 for key in keys)
