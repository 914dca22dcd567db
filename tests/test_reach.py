"""What the search says can be reached."""

from __future__ import annotations

from tests.small_worlds import small_world
from worldmodel.compiled import Mechanics
from worldmodel.constants import LeverEffect
from worldmodel.reach import reachability


def test_open_ground_is_reached_up_to_the_goal() -> None:
    reach = reachability(small_world("########\n#@....G#\n########"))
    assert reach.goal
    assert reach.complete
    assert reach.reached((4, 1, 5, 2))


def test_what_lies_behind_a_wall_is_not_reached() -> None:
    reach = reachability(small_world("########\n#@..#.G#\n########"))
    assert not reach.goal
    assert not reach.reached((5, 1, 7, 2))


def test_a_locked_room_needs_its_key() -> None:
    locked = reachability(small_world("########\n#@..D.G#\n########"))
    opened = reachability(small_world("########\n#@k.D.G#\n########"))
    assert not locked.goal
    assert opened.goal


def test_a_lever_opens_the_way() -> None:
    world = small_world("########\n#@L.D.G#\n########", lever=LeverEffect.OPEN)
    world.links[1, 4] = 3
    assert reachability(world).goal


def test_height_depends_on_gravity() -> None:
    drawing = "#######\n#....G#\n#...###\n#...###\n#@..###\n#######"
    assert reachability(small_world(drawing, Mechanics(gravity=1, jump=16))).goal
    assert not reachability(small_world(drawing, Mechanics(gravity=3, jump=12))).goal


def test_the_limit_ends_the_search_and_says_so() -> None:
    reach = reachability(small_world("##########\n#@.......#\n#........#\n##########"), limit=4)
    assert not reach.complete


def test_steps_to_a_thing_are_to_it_or_beside_it() -> None:
    reach = reachability(small_world("########\n#@..P..#\n###p####\n########"))
    assert reach.steps_to((4, 1, 5, 2)) is not None
    assert reach.steps_to((20, 10, 21, 11)) is None
