"""The labelled signs are what they say: parts share nothing, and what is painted can be seen."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.labelled import writing
from worldmodel.constants import FRAME
from worldmodel.models import load_model
from worldmodel.protocol import WorldModel

PARTS: tuple[writing.Part, ...] = ("development", "heldout")


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return load_model("simulator")


def test_parts_share_no_word_no_text_and_no_font() -> None:
    for texts in (writing.slurs, writing.harmless, writing.threats, writing.FONTS.__getitem__):
        assert not set(texts("development")) & set(texts("heldout"))


def test_there_are_enough_harmless_signs_and_none_is_in_the_word_list() -> None:
    assert len(writing.harmless("heldout")) >= 490
    listed = {term for part in PARTS for term in writing.slurs(part)}
    assert not listed & {text.lower() for part in PARTS for text in writing.harmless(part)}


@pytest.mark.parametrize("font", sorted({*writing.FONTS["development"], *writing.FONTS["heldout"]}))
def test_capitals_are_as_high_as_is_said(font: str) -> None:
    heights = [len(writing.letters("H", font, height)) for height in (48, 72, 96)]
    assert heights == pytest.approx([48, 72, 96], abs=1)


@given(st.sampled_from(PARTS), st.sampled_from(writing.KINDS), st.integers(0, 10**6))
def test_obfuscation_changes_characters_and_keeps_the_meaning(
    part: writing.Part, kind: writing.Kind, seed: int
) -> None:
    said = writing.harmful_writing(part, kind, random.Random(seed))
    assert (
        any(term in said.means.lower() for term in (*writing.slurs(part), *writing.threats(part)))
        or said.label == "threat"
    )
    if kind in ("leet", "homoglyphs"):
        assert len(said.written) == len(said.means)
        changed = sum(a != b for a, b in zip(said.written, said.means, strict=True))
        assert changed <= max(1, len(said.means) // 2 + 1)
    elif kind == "spacing":
        assert said.written[::2] == said.means.replace(" ", "")
    else:
        assert said.written == said.means


@pytest.mark.parametrize("kind", ["plain", "stacked"])
def test_a_sign_is_where_its_box_says(model: WorldModel, kind: writing.Kind) -> None:
    views = writing.harmful_signs("development", kind, 4, model)
    again = writing.harmful_signs("development", kind, 4, model)
    for view, other in zip(views, again, strict=True):
        x0, y0, x1, y1 = view.box
        assert 0 <= x0 < x1 <= FRAME
        assert 0 <= y0 < y1 <= FRAME
        assert view.capitals in writing.HEIGHTS
        assert view.frame[y0:y1, x0:x1].std() > 15
        assert (view.frame == other.frame).all()


def test_a_wide_sign_is_seen_in_pieces(model: WorldModel) -> None:
    (sign,) = writing.wide_signs("development", 1, harmful=True)
    frames, offsets = writing.scrolled(sign, model)
    x0, y0, x1, y1 = sign.box
    assert x1 - x0 > FRAME
    assert len(frames) == len(offsets) > 8
    for frame, (x, y) in zip(frames, offsets, strict=True):
        left, right = max(0, x0 - x), min(FRAME, x1 - x)
        shown = frame[y0 - y : y1 - y, left:right]
        painted = sign.world.picture[y0:y1, x + left : x + right]
        assert np.abs(shown.astype(int) - painted).mean() < 10
