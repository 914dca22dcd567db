"""What words come to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldmodel.constants import MAX_ENEMIES, Mover
from worldmodel.palette import themes
from worldmodel.prompt import Understanding, understand
from worldmodel.spec import LayoutWishes, Mechanics, WorldSpec
from worldmodel.store import ModelMissing
from worldmodel.text import encoder
from worldmodel.text.colours import COLOURS
from worldmodel.text.heads import heads
from worldmodel.text.lexicon import THEMES
from worldmodel.text.training import FRESH, measure, read_phrasings
from worldmodel.travel import jump_height

GUESSED = [
    ("i want to glide down slowly", "low gravity"),
    ("where kids skate", "slippery ground"),
    ("an angry dog comes running after you", "chasers"),
    ("ghostly see-through shapes", "ghosts"),
]


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


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a lake to swim in", {"water": 0.5}),
        ("no water", {"water": 0.0}),
        ("moving platforms", {"platforms": 0.6}),
        ("icy floors", {"ice": 0.5}),
        ("a crowded place", {"density": 0.85}),
        ("an open field", {"density": 0.15}),
        ("many rooms", {"rooms": 0.95}),
        ("a tall tower", {"verticality": 0.9}),
        ("no secrets", {"secrets": 0}),
        ("forking tunnels", {"branches": 0.9}),
    ],
)
def test_plain_words_name_what_the_map_holds(prompt, expected):
    meaning = read(prompt)
    assert {name: getattr(meaning, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("double jump", {"air_jumps": 1}),
        ("no double jump", {"air_jumps": 0}),
        ("a strong wind to the left", {"wind": -2}),
        ("a strong wind from the left", {"wind": 2}),
        ("a gentle breeze", {"wind": 1}),
        ("no wind", {"wind": 0}),
        ("day and night", {"day_length": 900}),
        ("collect five coins to open the gate", {"coins_needed": 5}),
        ("you must find 7 gems", {"coins_needed": 7}),
        ("five coins", {"coins_needed": 0}),
    ],
)
def test_plain_words_name_how_it_plays(prompt, expected):
    mechanics = read(prompt).mechanics
    assert {name: getattr(mechanics, name) for name in expected} == expected


def test_day_and_night_is_not_dark():
    assert read("a desert, day and night").mechanics.darkness == 0


def test_kinds_of_enemies_mix():
    assert set(read("bats and spiders").enemies) == {Mover.FLYER, Mover.SPIDER}
    assert len(read("hordes of bats, many spiders, countless ghosts").enemies) == MAX_ENEMIES


@pytest.mark.parametrize(
    ("prompt", "roles"),
    [
        ("a purple cave with orange lanterns", {"ground": "purple", "accent": "orange"}),
        ("a red sky over white sand", {"backdrop": "red", "ground": "white"}),
        ("the sky is green, black ghosts", {"backdrop": "green", "enemies": "black"}),
        ("everything is pink", {"all": "pink"}),
        ("golden coins", {}),
        ("a hero's red scarf", {}),
    ],
)
def test_colours_belong_to_their_nouns(prompt, roles):
    assert read(prompt).colours == {role: COLOURS[name] for role, name in roles.items()}


def test_a_shade_of_a_colour_is_no_darkness():
    meaning = read("dark blue walls")
    assert meaning.mechanics.darkness == 0
    assert sum(meaning.colours["ground"]) < sum(COLOURS["blue"])


def test_the_wishes_of_the_spec_come_before_words():
    spec = WorldSpec(
        title="t", prompt="a crowded place with many rooms", layout=LayoutWishes(density=0.2, size=1.0)
    )
    meaning = understand(spec)
    assert (meaning.density, meaning.rooms, meaning.size) == (0.2, 0.95, pytest.approx(1.4))


@pytest.mark.parametrize(("prompt", "guess"), GUESSED)
def test_what_the_words_do_not_say_is_guessed_by_meaning(prompt, guess):
    meaning = read(prompt)
    assert any(note.startswith(f"guessed: {guess} (") for note in meaning.inferred)
    assert meaning.style == ()


def test_plain_words_come_before_guesses():
    assert read(f"strong gravity, {GUESSED[0][0]}").mechanics.gravity == 3


def test_guesses_on_fresh_phrasings_are_mostly_right():
    known = {phrase.text for phrase in read_phrasings()}
    fresh = read_phrasings(FRESH)
    guesses = measure(lambda text: [label] if (label := heads().guess(text)) else [], fresh)
    assert known.isdisjoint(phrase.text for phrase in fresh), "nothing of the fresh set was trained on"
    assert guesses.precision >= 0.8
    assert guesses.recall >= 0.35


@pytest.mark.parametrize(
    ("prompt", "count"),
    [
        ("three bats", 3),
        ("a couple of ghosts", 2),
        ("a single spider", 1),
        ("7 beetles", 7),
        ("not many bats", 2),
    ],
)
def test_numbers_of_enemies_are_kept(prompt, count):
    assert len(read(prompt).enemies) == count


def test_a_no_reaches_what_is_joined_to_it():
    assert read("no spikes or ghosts").enemies == ()
    assert read("without traps and enemies").enemies == ()


@pytest.mark.parametrize("prompt", ["wind-up toys", "a statue of a dragon", "ice cream", "a bird tattoo"])
def test_idioms_and_pictures_are_not_taken_at_their_word(prompt):
    meaning = read(prompt)
    assert meaning.mechanics.wind == 0
    assert meaning.ice == 0
    assert not set(meaning.enemies) & {Mover.CHASER, Mover.FLYER}


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("by day bright, by night dark", {"day_length": 900}),
        ("wind against you", {"wind": -1}),
        ("no exit without enough loot", {"coins_needed": 5}),
    ],
)
def test_how_things_are_said_in_passing(prompt, expected):
    mechanics = read(prompt).mechanics
    assert {name: getattr(mechanics, name) for name in expected} == expected


def test_a_pace_after_an_enemy_is_the_enemys():
    meaning = read("bats that fly very slowly")
    assert meaning.mechanics.enemy_speed == 1
    assert meaning.mechanics.speed == read("bats").mechanics.speed


def test_the_digest_changes_with_the_world_and_not_with_the_notes():
    assert read("a forest").digest == read("a forest of zorg").digest
    assert read("a forest").digest != read("a purple forest").digest


def test_a_missing_encoder_is_an_error_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("FIRSTPLAY_MODELS", str(tmp_path))
    encoder._loaded.cache_clear()
    encoder.embed.cache_clear()
    with pytest.raises(ModelMissing, match="firstplay models fetch text-encoder"):
        read("an enchanted place")
    assert read("low gravity").mechanics.gravity == 1, "plain words need no encoder"
    monkeypatch.undo()
    encoder._loaded.cache_clear()
