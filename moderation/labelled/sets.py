"""The labelled sets that scripts make, by name: ``firstplay detectors evaluate`` measures on them.

Every class has at least as many look-alikes as positives. Nothing is tuned or fitted on their held-out part.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Picture, Sound
from moderation.evaluation.labelled import LabelledItem, LabelledSet, Part, SourceName
from moderation.labelled.flashes import flashes_set

if TYPE_CHECKING:
    from moderation.labelled.writing import Kind, SignView, Writing
    from worldmodel.protocol import WorldModel

PLAIN, DISGUISED = 40, 10
"""Slurs on signs in plain writing, and in each kind of disguise."""
LETTERED = 6
"""Uploaded signs in each typeface of ``data/fonts``, for each kind of words (slur, threat, harmless)."""
TYPEFACES = ("Bangers", "Caveat", "Cinzel", "PermanentMarker", "SpecialElite", "VT323")
SCENES = 120
"""Frames of play, and as many uploaded drawings."""
OVER_MUSIC = 5.0
"""Decibels by which a voice is louder than the music, in every second utterance."""
WORDS = {"slur": 0.5, "threat": 0.5}
MENACE = {"menace": 0.7}
"""Scores from which the default policy lets a person look."""


@dataclass(frozen=True)
class Script:
    """A set that can be made."""

    detectors: tuple[str, ...]
    """What it is for."""
    make: Callable[[], LabelledSet]
    """Raises FileNotFoundError or RuntimeError naming a font, a voice or weights that are not installed."""


def scenes_set(count: int = SCENES) -> LabelledSet:
    """Harmless pictures only: how often detectors of nudity take them for something else."""
    return LabelledSet(
        name="scenes",
        made="frames of generated worlds on the neural world model, and drawings, all by script",
        licence="Apache-2.0",
        detectors={"nsfw-open": {"nsfw": 0.6}, "nsfw-js": {"porn": 0.5, "hentai": 0.6, "sexy": 0.9}},
        items=(*_frames(count), *_drawings(count)),
    )


def _frames(count: int) -> Iterator[LabelledItem]:
    from moderation.labelled.scenes import frames

    for theme, frame in frames(count, _model()):
        yield LabelledItem(Picture(frame), frozenset(), theme, "rendered")


def _drawings(count: int) -> Iterator[LabelledItem]:
    from moderation.labelled.scenes import drawings

    for kind, drawing in drawings(count):
        yield LabelledItem(Picture(drawing), frozenset(), kind, "upload")


def _model() -> WorldModel:
    from worldmodel.models import load_model

    return load_model("neural")


def signs_set(plain: int = PLAIN, disguised: int = DISGUISED, lettered: int = LETTERED) -> LabelledSet:
    """Signs in many fonts, warps and disguises in frames of play and as uploaded, and scenes without any.

    The slurs are of the detectors' own word list: what is measured of them is how well they are read, not how
    many words the list lacks. The set ``words`` (``tests/data/text``) measures that.
    """
    from moderation.labelled import writing

    model = _model()
    views = [*_plainly_harmful(plain, model)]
    for kind in writing.KINDS[1:]:
        views += writing.harmful_signs("heldout", kind, disguised, model)
    views += writing.harmless_signs("heldout", len(views), model)
    signs = [*(item for view in views for item in _sign_items(view)), *_lettered(lettered)]
    met = {source: sum(item.source == source for item in signs) for source in ("rendered", "upload")}
    return LabelledSet(
        name="signs",
        made="signs by script in frames of the neural world model and as uploads; scenes without any",
        licence="Apache-2.0; typefaces under OFL-1.1 or Apache-2.0 (data/fonts/README.md)",
        detectors={"ocr": {"text": 0.5}, "ocr+text": WORDS, "ocr+menace": MENACE},
        items=(*signs, *_frames(met["rendered"]), *_drawings(met["upload"])),
    )


def _plainly_harmful(count: int, model: WorldModel) -> Iterator[SignView]:
    """``count`` signs with slurs, and of the rarer threats half as many."""
    from moderation.labelled import writing

    views = writing.harmful_signs("heldout", "plain", 8 * count, model)
    for label, wanted in (("slur", count), ("threat", count // 2)):
        yield from [view for view in views if view.writing.label == label][:wanted]


def _sign_items(view: SignView) -> Iterator[LabelledItem]:
    """The frame that shows it, and for an uploaded sign the upload."""
    yield _written(view.writing, view.frame, "rendered", view.writing.kind)
    if view.surface == "uploaded":
        yield _written(view.writing, view.sign, "upload", view.writing.kind)


_COMPARABLE: Mapping[Kind, str] = {
    "plain": "means", "spacing": "means", "mirrored": "means", "stacked": "means", "turned": "means",
    "leet": "written",
}  # fmt: skip
"""What a reader should give; letters of other scripts that look the same may be read either way."""


def _written(writing: Writing, pixels: NDArray[np.uint8], source: SourceName, kind: str) -> LabelledItem:
    wanted = _COMPARABLE.get(writing.kind)
    return LabelledItem(
        content=Picture(pixels),
        labels=frozenset({"text"} | _meant(writing.label)),
        kind=kind if writing.label else f"harmless, {kind}",
        source=source,
        words=getattr(writing, wanted) if wanted else None,
    )


def _meant(label: str | None) -> set[str]:
    """What detectors are to say of words with this label."""
    return {"threat", "menace"} if label == "threat" else {label} if label else set()


def _lettered(each: int) -> list[LabelledItem]:
    """Uploaded posters in typefaces that games and film titles use."""
    from moderation.labelled import writing

    rng = random.Random("typefaces")  # noqa: S311
    items = []
    for face in TYPEFACES:
        path = str(files("moderation.labelled") / "data" / "fonts" / f"{face}.ttf")
        for number in range(3 * each):
            said = _said(number % 3, rng)
            cover = writing.write(said, path, 60, rng, widest=520)
            pixels = writing.poster(writing.warped(np.pad(cover, 24), rng), rng)
            items.append(_written(said, pixels, "upload", f"in {face}"))
    return items


def _said(what: int, rng: random.Random) -> Writing:
    """A slur, a threat, or harmless words, plainly written."""
    from moderation.labelled import writing

    if what == 2:
        return writing.harmless_writing(rng.choice(writing.harmless("heldout")), "plain", rng)
    while True:
        said = writing.harmful_writing("heldout", "plain", rng)
        if said.label == ("slur", "threat")[what]:
            return said


def speech_set() -> LabelledSet:
    """Spoken threats and harmless phrases by several voices, plain and over music, and sound without voices.

    Raises ``moderation.labelled.speech.VoiceMissing``.
    """
    items = [item for part in ("development", "heldout") for item in _utterances(part)]
    return LabelledSet(
        name="speech",
        made="phrases written for this project, spoken by espeak-ng, flite and Piper; music by script",
        licence="Apache-2.0",
        detectors={"speech": {"speech": 0.3}, "speech+text": {"threat": 0.5}, "speech+menace": MENACE},
        items=tuple(items),
    )


def _utterances(part: Part) -> Iterator[LabelledItem]:
    from moderation.labelled import speech

    rng = np.random.default_rng(len(part))
    threats = list(speech.spoken(part, "threat"))
    harmless = list(speech.spoken(part, "harmless"))[: len(threats)]
    styles = speech.MUSIC[part]
    for number, said in enumerate((*threats, *harmless)):
        labels = frozenset({"speech"} | (_meant("threat") if said.label == "threat" else set()))
        seconds, voice = len(said.samples) / speech.RATE, str(said.voice)
        if number % 2:
            mixed = speech.under_music(said.samples, rng, styles=styles, decibels=OVER_MUSIC)
            yield _heard(mixed, labels, f"{voice} over music", "rendered", part, said.text)
            music = speech.music(str(rng.choice(styles)), seconds, rng)
            yield _heard(music, frozenset(), "music", "rendered", part)
        else:
            yield _heard(said.samples, labels, voice, "upload", part, said.text)
            yield _heard(speech.pink(seconds, rng), frozenset(), "noise", "upload", part)


def _heard(
    samples: NDArray[np.float32],
    labels: frozenset[str],
    kind: str,
    source: SourceName,
    part: Part,
    words: str | None = None,
) -> LabelledItem:
    from moderation.labelled.speech import RATE

    return LabelledItem(Sound(samples, RATE), labels, kind, source, part, words)


SETS: Mapping[str, Script] = {
    "flashes": Script(("flash",), flashes_set),
    "scenes": Script(("nsfw-open", "nsfw-js"), scenes_set),
    "signs": Script(("ocr", "ocr+text", "ocr+menace"), signs_set),
    "speech": Script(("speech", "speech+text", "speech+menace"), speech_set),
}
