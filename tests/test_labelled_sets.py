"""The sets made by script are labelled as they say, with at least as many look-alikes as positives."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from moderation.detectors.base import Motion, Picture, Sound
from moderation.detectors.flash import Flash
from moderation.evaluation.chain import JOIN
from moderation.evaluation.labelled import LabelledSet
from moderation.labelled import sets, speech
from moderation.labelled.flashes import flashes_set
from moderation.labelled.scenes import DRAWINGS, drawings
from moderation.labelled.sets import SETS, TYPEFACES, scenes_set, signs_set, speech_set
from moderation.labelled.speech import Voice
from worldmodel.constants import FRAME

FONTS = Path(sets.__file__).parent / "data" / "fonts"


def sources(labelled: LabelledSet) -> set[str]:
    return {item.source for item in labelled.items}


def assert_has_enough_lookalikes(labelled: LabelledSet) -> None:
    for thresholds in labelled.detectors.values():
        for label in thresholds:
            for source in sources(labelled):
                items = [item for item in labelled.items if item.source == source]
                holding = sum(label in item.labels for item in items)
                assert holding <= len(items) - holding, (label, source)


@pytest.fixture(scope="module")
def flashes() -> LabelledSet:
    return flashes_set()


@pytest.fixture(scope="module")
def signs() -> LabelledSet:
    return signs_set(plain=4, disguised=1, lettered=1)


def test_flashes_have_enough_lookalikes_and_positives_to_count(flashes: LabelledSet) -> None:
    assert_has_enough_lookalikes(flashes)
    for source in ("upload", "rendered"):
        held = Counter(label for item in flashes.items if item.source == source for label in item.labels)
        assert min(held["general_flash"], held["red_flash"]) >= 10, source


def test_flashes_are_the_same_each_time(flashes: LabelledSet) -> None:
    assert flashes_set().sha256 == flashes.sha256


def test_the_detector_finds_what_the_standard_calls_a_flash_and_no_more(
    flashes: LabelledSet,
) -> None:
    """On one item of each kind; ``firstplay detectors evaluate flash`` measures all."""
    kinds = {(item.kind, item.labels): item for item in flashes.items if item.source == "rendered"}
    assert len(kinds) > 20
    found = Flash()([item.content for item in kinds.values() if isinstance(item.content, Motion)])
    judged = set(flashes.detectors["flash"])
    for item, seen in zip(kinds.values(), found, strict=True):
        assert {one.label for one in seen if one.score >= 1} & judged == item.labels, item.kind


def test_signs_are_met_in_frames_and_as_uploads_among_scenes_without_writing(signs: LabelledSet) -> None:
    assert_has_enough_lookalikes(signs)
    assert sources(signs) == {"upload", "rendered"}
    frames = [item.content for item in signs.items if item.source == "rendered"]
    assert all(isinstance(one, Picture) and one.pixels.shape == (FRAME, FRAME, 3) for one in frames)
    for source in sources(signs):
        counts = Counter("text" in item.labels for item in signs.items if item.source == source)
        assert counts[True] == counts[False]


def test_signs_tell_what_they_say_and_look_alike_in_kind(signs: LabelledSet) -> None:
    written = [item for item in signs.items if "text" in item.labels]
    harmful = {item.kind for item in written if item.labels > {"text"}}
    assert {"plain", "leet", "homoglyphs", "mirrored", "stacked", "turned", "spacing"} < harmful
    assert {f"in {face}" for face in TYPEFACES} < harmful
    assert all(item.words for item in written if "homoglyphs" not in item.kind)
    assert not any(item.words for item in signs.items if not item.labels)


@pytest.mark.parametrize("face", TYPEFACES)
def test_every_typeface_has_all_of_ascii_and_names_its_licence(face: str) -> None:
    font = ImageFont.truetype(FONTS / f"{face}.ttf", 40)
    drawn = {bytes(font.getmask(chr(code))) for code in range(0x21, 0x7F)}
    assert len(drawn) > 60  # not boxes; in some typefaces capitals and small letters are one
    assert f"`{face}.ttf`" in (FONTS / "README.md").read_text()


def test_scenes_are_harmless_pictures_of_two_sources() -> None:
    scenes = scenes_set(12)
    assert Counter(item.source for item in scenes.items) == {"rendered": 12, "upload": 12}
    assert not any(item.labels for item in scenes.items)
    assert {item.kind for item in scenes.items if item.source == "upload"} == set(DRAWINGS)
    assert len({item.content.pixels.tobytes() for item in scenes.items}) == 24  # type: ignore[union-attr]


def test_drawings_change_with_the_seed_only() -> None:
    first, again, other = drawings(6), drawings(6), drawings(6, seed=1)
    for (_, one), (_, two), (_, three) in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert (one != three).any()


def test_speech_is_spoken_plainly_and_over_music_among_sound_without_voices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    voices = (Voice("espeak-ng", "en-us"), Voice("espeak-ng", "en-gb"))
    monkeypatch.setattr(speech, "VOICES", {"development": voices, "heldout": voices[::-1]})
    monkeypatch.setattr(
        speech, "phrases", lambda split, label: [f"{label} {word}" for word in ("one", "two", "three")]
    )

    spoken = speech_set()

    assert_has_enough_lookalikes(spoken)
    assert all(isinstance(item.content, Sound) for item in spoken.items)
    heldout = spoken.part("heldout").items
    assert Counter(item.words for item in heldout if "threat" in item.labels) == {
        "threat one": 1, "threat two": 1, "threat three": 1,
    }  # fmt: skip
    assert {item.kind for item in heldout if item.source == "rendered"} == {
        "music", "espeak-ng:en-us over music", "espeak-ng:en-gb over music",
    }  # fmt: skip
    assert {item.kind for item in heldout if not item.labels} == {"music", "noise"}


def test_every_set_says_what_it_is_for(flashes: LabelledSet, signs: LabelledSet) -> None:
    for made in (flashes, signs, scenes_set(1)):
        assert tuple(made.detectors) == SETS[made.name].detectors
    assert all(len(name.split(JOIN)) <= 2 for script in SETS.values() for name in script.detectors)
