"""What is held out stays held out, and the evaluation worlds have everything."""

from __future__ import annotations

from math import gcd

import numpy as np
import pytest

from worldmodel.evaluation.groups import traits
from worldmodel.gallery import (
    EVALUATION_MECHANICS,
    EVALUATION_THEMES,
    PICTURE_USES,
    TRAINING_MECHANICS,
    TRAINING_THEMES,
    PictureUse,
    generated_worlds,
    pictured_worlds,
)
from worldmodel.practice import HELD_OUT_PAIRS
from worldmodel.prompt import understand
from worldmodel.spec import Mechanics, WorldSpec


def features(mechanics: Mechanics) -> set[str]:
    """Of practice's FEATURES."""
    gravity = mechanics.gravity or 0
    has = {
        "wind": mechanics.wind, "double_jump": mechanics.double_jump, "water": mechanics.water,
        "ice": mechanics.ice, "platforms": mechanics.platforms, "moon": gravity < 0.7, "heavy": gravity > 1.4,
        "top_view": mechanics.view == "top",
    }  # fmt: skip
    return {name for name, value in has.items() if value}


def test_no_training_world_has_a_held_out_pair() -> None:
    for mechanics in TRAINING_MECHANICS:
        assert not [pair for pair in HELD_OUT_PAIRS if set(pair) <= features(mechanics)]


def test_evaluation_has_every_held_out_pair_and_every_mechanic() -> None:
    every = [features(mechanics) for mechanics in EVALUATION_MECHANICS]
    for pair in HELD_OUT_PAIRS:
        assert any(set(pair) <= has for has in every), pair
    assert {m.enemies for m in EVALUATION_MECHANICS} == {"walkers", "ghosts", "chasers", "flyers", "spiders"}
    assert {m.enemies for m in TRAINING_MECHANICS} == {"walkers", "ghosts", "chasers", "flyers", "spiders"}
    assert all(
        any(name in has for has in every) for name in ("wind", "water", "ice", "platforms", "top_view")
    )
    for mechanics in (TRAINING_MECHANICS, EVALUATION_MECHANICS):
        assert any(m.day_length for m in mechanics)
        assert any(m.coins_needed for m in mechanics)
        assert any(m.darkness for m in mechanics)


def test_every_theme_meets_every_set_of_mechanics() -> None:
    assert gcd(len(TRAINING_THEMES), len(TRAINING_MECHANICS)) == 1
    assert gcd(len(EVALUATION_THEMES), len(EVALUATION_MECHANICS)) == 1


def test_no_evaluation_theme_is_in_a_family_of_training() -> None:
    def families(themes: tuple[str, ...]) -> set[str]:
        return {understand(WorldSpec(title="t", prompt=theme)).theme for theme in themes}

    assert not families(TRAINING_THEMES) & families(EVALUATION_THEMES)


def test_the_worlds_come_out_as_asked_for() -> None:
    found = [set(traits(world)) for world in generated_worlds(len(EVALUATION_MECHANICS), 0, evaluation=True)]
    for wanted, has in zip(EVALUATION_MECHANICS, found, strict=True):
        assert f"{wanted.view} view" in has
        assert wanted.enemies in has
        assert ("wind" in has) == bool(wanted.wind)
        assert ("double jump" in has) == bool(wanted.double_jump)
        assert ("day and night" in has) == bool(wanted.day_length)


@pytest.mark.parametrize("use", PICTURE_USES)
def test_a_world_with_pictures_is_made_the_same_again_and_differs_from_training(use: PictureUse) -> None:
    (once,), (again,) = (pictured_worlds(use, 1, 3, evaluation=True) for _ in range(2))
    (training,) = pictured_worlds(use, 1, 3)
    assert once.key == again.key != training.key
    assert np.array_equal(once.picture, again.picture)
    assert np.array_equal(once.sprites, again.sprites)
