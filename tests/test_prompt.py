"""What words come to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldmodel.constants import Mover
from worldmodel.palette import themes
from worldmodel.prompt import Understanding, understand
from worldmodel.spec import Mechanics, WorldSpec
from worldmodel.text.lexicon import THEMES
from worldmodel.travel import jump_height


def read(prompt: str, **mechanics: object) -> Understanding:
    return understand(WorldSpec(title="t", prompt=prompt, mechanics=Mechanics(**mechanics)))


def test_low_gravity_is_lower_than_normal_and_heavy_is_higher():
    gravities = [read(p).mechanics.gravity for p in ("low gravity", "a forest", "very strong gravity")]
    assert gravities == [1, 2, 3]


@pytest.mark.parametrize(
    "prompt",
    ["no ghosts", "without any ghosts", "a cave, no enemies", "ghost free", "a calm and quiet place"],
)
def test_a_negation_leaves_no_enemies(prompt):
    assert read(prompt).enemies == ()


def test_an_adjective_belongs_to_its_enemy():
    slow, fast = read("very slow ghosts"), read("fast hunting wolves")
    assert set(slow.enemies) == {Mover.GHOST}
    assert slow.mechanics.enemy_speed == 1
    assert set(fast.enemies) == {Mover.CHASER}
    assert fast.mechanics.enemy_speed == 3
    assert slow.mechanics.speed == fast.mechanics.speed, "the player is as fast as ever"


def test_amounts_grow_with_the_words():
    few, some, many = (len(read(f"{word} beetles").enemies) for word in ("few", "", "many"))
    assert 0 < few < some < many


@pytest.mark.parametrize(
    ("prompt", "theme"),
    [
        ("a dark cave", "cave"),
        ("mossy trees", "forest"),
        ("a frozen glacier", "ice"),
        ("a night market on the moon", "market"),
        ("a neon street", "city"),
        ("molten volcano", "lava"),
        ("an old brick warehouse", "warehouse"),
    ],
)
def test_words_choose_the_looks(prompt, theme):
    assert read(prompt).theme == theme


def test_every_theme_has_colours():
    assert set(THEMES) == set(themes())


def test_numbers_of_the_spec_come_before_words():
    meaning = read("low gravity, many ghosts, seen from above", gravity=2.0, enemies="none", view="side")
    assert meaning.mechanics.gravity == 3
    assert meaning.enemies == ()
    assert not meaning.mechanics.top_view


def test_the_view_comes_from_words():
    assert read("a garden seen from above").mechanics.top_view
    assert not read("a garden from the side").mechanics.top_view


def test_what_was_made_up_is_said():
    meaning = read("a forest with low gravity")
    assert any("gravity" in note for note in meaning.understood)
    assert any(note.startswith("speed") for note in meaning.inferred)
    assert not any(note.startswith("gravity") for note in meaning.inferred)


def test_unknown_words_are_kept_as_style():
    assert read("an enchanted forest of zorg").style == ("enchanted", "zorg")


def test_ice_slides_unless_friction_is_given():
    assert read("a frozen lake").mechanics.accel < read("a forest").mechanics.accel
    assert read("a frozen lake", friction=1.0).mechanics.accel == 4


@given(
    prompt=st.text(min_size=1, max_size=80).filter(str.strip),
    gravity=st.none() | st.floats(0, 3),
    jump=st.none() | st.floats(0, 2),
    speed=st.none() | st.floats(0, 2),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_written_comes_to_playable_numbers(prompt, gravity, jump, speed):
    spec = WorldSpec.model_construct(
        title="t", prompt=prompt, mechanics=Mechanics(gravity=gravity, jump=jump, speed=speed)
    )
    meaning = understand(spec)
    m = meaning.mechanics
    assert 1 <= m.gravity <= 3
    assert 8 <= m.jump <= 18
    assert 2 <= m.speed <= 8
    assert 1 <= m.accel <= 4
    assert 0 <= m.darkness <= 3
    assert 1.75 * 32 <= jump_height(m) <= 3.35 * 32
    assert understand(spec) == meaning
