"""Every registered detector keeps the promises of its base, and the test notices those that do not."""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moderation.banks import Banks, Entry
from moderation.detectors import registry
from moderation.detectors.base import Design, Detection, Detector, DetectorCard, Motion, Picture, Sound, Text
from moderation.detectors.conformance import NotConforming, check
from moderation.detectors.registry import Setup
from moderation.labelled import flashes
from moderation.labelled.scenes import drawings
from moderation.pdq import QUALITY, pdq, to_hex
from policies.bundle import load_bundle
from worldmodel.palette import theme_palette
from worldmodel.signs import Board, paint_board
from worldmodel.spec import WorldSpec

SPOKEN = Path(__file__).parent / "data" / "speech"


def pictures() -> list[Picture]:
    """A sign, a drawing and a brick wall, of different sizes and times."""
    sign = paint_board(Board((0, 0, 6, 3), text="KEEP OUT"), theme_palette("cave"))
    drawn = [pixels for _, pixels in drawings(6)]
    return [Picture(sign, 0.5), Picture(drawn[1][:200]), Picture(drawn[4], 3.0)]


def motions() -> list[Motion]:
    strobe = flashes.alternate(flashes.plain(flashes.BLACK), flashes.plain(flashes.RED), flashes.FOUR, 20)
    return [Motion(np.zeros_like(strobe), 15), Motion(strobe, 15), Motion(strobe[:1], 15)]


def sounds() -> list[Sound]:
    """Half a second of silence, and one short sentence that starts later."""
    with wave.open(str(SPOKEN / "door.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        return [Sound(np.zeros(6000, np.float32), 12_000), Sound(samples, file.getframerate(), start=7.0)]


def texts() -> list[Text]:
    said = (
        "I know where you live and I am going to kill you",
        "the lanterns glow",
        "write to a@b.example.org",
    )
    return [Text(line, float(at), at + 1.0) for at, line in enumerate(said)]


def designs() -> list[Design]:
    prompts = ("a quiet cave", "a casino with slot machines that cost coins")
    return [Design(WorldSpec(title="t", prompt=prompt)) for prompt in prompts]


ITEMS: dict[str, Callable[[], Sequence[Any]]] = {
    "picture": pictures, "motion": motions, "sound": sounds, "text": texts, "design": designs,
}  # fmt: skip


@pytest.mark.parametrize("name", registry.registered())
def test_every_registered_detector_keeps_its_promises(name: str) -> None:
    known, quality = pdq(pictures()[1].pixels)
    assert quality > QUALITY
    Banks().add("drawn", [Entry(to_hex(known))])
    detector = registry.load(name, Setup.of(load_bundle()))
    check(detector, ITEMS[detector.card.modality]())


class Brightness(Detector[Picture]):
    """Score: mean brightness; keeps every promise."""

    card = DetectorCard("brightness", "1", "picture", ("bright",), "Apache-2.0", cost_ms=0.1)

    def load(self) -> None:
        self.scale = 1 / 255

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        return [[self.one(item)] for item in batch]

    def one(self, item: Picture) -> Detection:
        return Detection("bright", float(item.pixels.mean() * self.scale), item.at, item.at, (0, 0, 4, 4))


SHADES = [Picture(np.full((8, 8, 3), shade, np.uint8), float(at)) for at, shade in enumerate((20, 120, 220))]


def test_a_detector_of_another_package_can_be_checked() -> None:
    check(Brightness(), SHADES)


def spoilt(**methods: Any) -> Detector[Picture]:
    return type("Spoilt", (Brightness,), methods)()


class Growing(Brightness):
    """Gives another score each time."""

    times = 0

    def one(self, item: Picture) -> Detection:
        self.times += 1
        return Detection("bright", self.times / 100, item.at, item.at)


def seen(**changes: Any) -> Callable[[Brightness, Picture], Detection]:
    return lambda detector, item: replace(Brightness.one(detector, item), **changes)


def normalised(detector: Brightness, batch: Sequence[Picture]) -> list[list[Detection]]:
    """By the brightest of the batch, so that a result depends on its neighbours."""
    found = [detector.one(item) for item in batch]
    most = max((one.score for one in found), default=1.0)
    return [[replace(one, score=one.score / most)] for one in found]


def with_card(**changes: Any) -> Detector[Picture]:
    return spoilt(card=replace(Brightness.card, **changes))


@pytest.mark.parametrize(
    ("detector", "said"),
    [
        (spoilt(one=seen(label="dark")), "'dark' is not on the card"),
        (spoilt(one=seen(score=1.5)), "score 1.5 is not within"),
        (spoilt(one=seen(score=float("nan"))), "score nan is not within"),
        (spoilt(one=seen(start=0.0, end=0.0)), "0.0..0.0 s is not within the item's 1.0..1.000 s"),
        (spoilt(one=seen(start=2.0, end=1.0)), "2.0..1.0 s is not within"),
        (spoilt(one=seen(box=(0, 0, 9, 4))), "does not lie inside (8, 8)"),
        (spoilt(one=seen(box=(4, 0, 4, 4))), "does not lie inside"),
        (Growing(), "looking again, one by one, gives another"),
        (spoilt(predict=normalised), "looking again, one by one, gives another"),
        (spoilt(predict=lambda self, batch: [[self.one(i)] for i in batch[:2]]), "3 items gave 2 lists"),
        (spoilt(predict=lambda self, batch: [[self.one(i)] for i in reversed(batch)]), "not within the item"),
        (spoilt(predict=lambda self, batch: [[] for _ in batch]), "nothing was detected"),
        (spoilt(unload=lambda self: False), "stays loaded after unload"),
        (with_card(labels=()), "labels are empty"),
        (with_card(licence=" "), "licence is empty"),
        (with_card(cost_ms=0.0), "cost_ms is not positive"),
        (with_card(recall=1.4), "recall is not within"),
        (with_card(weights=("never-heard-of",)), "'never-heard-of' are not in the catalogue"),
        (with_card(weights=("opennsfw",)), "without the weights 'opennsfw' it passes silently"),
    ],
)
def test_broken_promises_are_named(detector: Detector[Picture], said: str) -> None:
    with pytest.raises(NotConforming, match="promises") as caught:
        check(detector, SHADES)
    assert any(said in problem for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize("items", [SHADES[:1], [], [*SHADES, Text("words")], [Text("a"), Text("b")]])
def test_unfit_items_are_refused(items: list[Any]) -> None:
    with pytest.raises(ValueError, match="at least 2 items of the detector's modality, picture"):
        check(Brightness(), items)
