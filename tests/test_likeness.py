"""Likeness of worlds: versions of one world are nearer to each other than to other worlds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from moderation.likeness import LOOKS, Near, Signature, describe, likeness, nearest, signature
from worldmodel.compiler import compile_world
from worldmodel.constants import ACTIONS
from worldmodel.models import load_model
from worldmodel.package import load_package

EXAMPLES = Path(__file__).parent.parent / "examples"
WORLDS = ("back-room", "mossy-steps", "top-garden")


@cache
@torch.no_grad()
def seen(name: str, seed_shift: int) -> np.ndarray:
    """Frames of random play in an example, or in the same with another layout."""
    package = load_package(EXAMPLES / name)
    spec = package.spec.model_copy(update={"seed": package.spec.seed + seed_shift})
    model, rng = load_model("simulator"), np.random.default_rng(seed_shift)
    world = compile_world(replace(package, spec=spec))
    spawns = [int(spawn) for spawn in rng.integers(0, len(world.spawns), 4)]
    state, frames = model.spawn([world] * 4, [1, 2, 3, 4], spawns), []
    for _ in range(6):
        actions = torch.from_numpy(rng.integers(ACTIONS, size=4))
        for render in (False, False, False, True):
            state, shown = model.step(state, actions, render=render)
        assert shown.frames is not None
        frames.append(shown.frames.permute(0, 2, 3, 1).numpy())
    return np.concatenate(frames)


def test_the_nearest_world_is_the_other_version_of_the_same() -> None:
    ours = {name: signature(seen(name, 0)) for name in WORLDS}
    again = {name: signature(seen(name, 1)) for name in WORLDS}
    for name in WORLDS:
        first, second, _ = nearest(again[name], ours)
        assert first.world == name
        assert first.likeness > second.likeness + 0.1


@pytest.mark.parametrize("words", ["", "a dark warehouse"])
def test_a_signature_survives_as_bytes(words: str) -> None:
    kept = signature(seen("back-room", 0), words=words)
    back = Signature.from_bytes(kept.to_bytes())
    assert likeness(kept, back) == pytest.approx(1, abs=1e-5)
    assert (back.looks == kept.looks).all()
    assert (back.words is None) == (not words)


def test_words_count_where_both_worlds_have_some() -> None:
    pictures = seen("back-room", 0)
    dark = signature(pictures, words="a dark warehouse with a locked room")
    near = signature(pictures, words="a gloomy storehouse, one room is locked")
    far = signature(pictures, words="race cars on a sunny beach")
    silent = signature(pictures)
    assert likeness(dark, silent) == pytest.approx(1, abs=1e-5)
    assert likeness(dark, dark) == pytest.approx(1, abs=1e-5)
    assert likeness(dark, far) < likeness(dark, near) < 1


def test_takes_any_embedding_of_pictures() -> None:
    def brightness(pictures: np.ndarray) -> np.ndarray:
        angle = pictures.mean(axis=(1, 2, 3)) / 255 * np.pi / 2
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)

    dark, grey, bright = (signature(np.full((3, 8, 8, 3), v, np.uint8), brightness) for v in (0, 128, 255))
    assert likeness(dark, bright) == pytest.approx(0, abs=1e-6)
    assert likeness(dark, grey) == pytest.approx(np.cos(np.pi / 4), abs=0.01)
    with pytest.raises(ValueError, match="same embedding"):
        likeness(dark, signature(np.zeros((1, 8, 8, 3), np.uint8)))


def test_a_signature_keeps_what_is_rare() -> None:
    """Nineteen views of a wall and one of a poster: the poster is among the looks, with its share."""
    rng = np.random.default_rng(0)
    wall = rng.integers(80, 100, (19, 64, 64, 3), dtype=np.uint8)
    poster = np.zeros((1, 64, 64, 3), np.uint8)
    poster[..., 0] = 255
    made = signature(np.concatenate([wall, poster]))
    assert len(made.looks) <= LOOKS
    rare = int((made.looks @ describe(poster)[0]).argmax())
    assert made.looks[rare] @ describe(poster)[0] == pytest.approx(1, abs=1e-5)
    assert made.shares[rare] == pytest.approx(0.05)


def test_nearest_ranks_and_breaks_ties_by_name() -> None:
    def of(*vector: float) -> Signature:
        look = np.array([vector], np.float32)
        return Signature(look / np.linalg.norm(look), np.ones(1, np.float32))

    others = {"b": of(1, 0), "a": of(1, 0), "c": of(0, 1)}
    assert nearest(of(1, 0), others, 2) == [Near("a", 1.0), Near("b", 1.0)]
    assert nearest(of(1, 0), {}) == []


def test_needs_a_picture() -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        signature(np.zeros((0, 8, 8, 3), np.uint8))


pictures = arrays(np.uint8, st.tuples(st.integers(1, 12), st.just(16), st.just(16), st.just(3)))


@settings(max_examples=30, deadline=None)
@given(pictures, pictures)
def test_likeness_is_symmetric_and_highest_for_the_same(one: np.ndarray, other: np.ndarray) -> None:
    a, b = signature(one), signature(other)
    np.testing.assert_allclose(np.linalg.norm(describe(one), axis=1), 1, atol=1e-5)
    assert a.shares.sum() == pytest.approx(1)
    assert likeness(a, b) == pytest.approx(likeness(b, a), abs=1e-6)
    assert 0 <= likeness(a, b) <= likeness(a, a) + 1e-5
    assert likeness(a, a) == pytest.approx(1, abs=1e-5)
