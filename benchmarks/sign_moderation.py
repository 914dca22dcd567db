"""Is harmful writing in worlds found, end to end: a sign in a frame of play, the reader, the rules on words?

    python benchmarks/sign_moderation.py --json signs.json
    python benchmarks/sign_moderation.py --part development --world-model simulator

Signs come from ``moderation.labelled.writing``, capitals 12 to 24 pixels high in the frame. A harmful sign
counts as found where its label has a score of .5 or more; a slur or threat so scored on a harmless one is an
alarm. The baseline, in the same run, is RapidOCR's own pipeline at one scale. The held-out part is never used
for tuning.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from moderation import reading
from moderation.detectors.base import Detection, Picture, Text
from moderation.detectors.ocr import ENLARGED, NOISE, SHORTEST, SMALL_SIDE, Ocr, prepared
from moderation.detectors.regions import Pixels
from moderation.detectors.text import TextRules
from moderation.evaluation.metrics import wilson
from moderation.labelled import writing
from moderation.labelled.writing import SignView, WideSign
from moderation.models import model_path
from moderation.scan.conclude import cut
from worldmodel.models import load_model
from worldmodel.protocol import WorldModel

ALARM = 0.5
BARE = 100
"""Frames without a sign."""
Saying = tuple[str, float]
"""A text and the weight of what is found in it."""


@dataclass(frozen=True)
class Reader:
    """From a picture to what it says."""

    detect: Callable[[Pixels], list[Detection]]
    say: Callable[[Sequence[Detection]], list[Saying]]

    def __call__(self, pixels: Pixels) -> list[Saying]:
        """Texts of a picture (H, W, 3) RGB."""
        return self.say(self.detect(pixels))


def this_reader() -> Reader:
    """The detector and the ways to read what it found."""
    ocr = Ocr()
    ocr.ensure_loaded()
    return Reader(lambda pixels: ocr([Picture(pixels)])[0], reading.sayings)


def baseline() -> Reader:
    """RapidOCR as it comes, at one scale, and all of its lines together."""
    from rapidocr import RapidOCR

    options: dict[str, Any] = {
        "Global.log_level": "error", "Global.text_score": NOISE, "Global.use_cls": False,
        "Global.use_preprocess_img": False, "Global.use_vertical_padding": False,
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "Det.model_path": str(model_path("ocr-detection")), "Det.limit_side_len": 32, "Det.limit_type": "min",
        "Rec.model_path": str(model_path("ocr-recognition")),
    }  # fmt: skip
    engine = RapidOCR(params=options)

    def detect(pixels: Pixels) -> list[Detection]:
        factor = ENLARGED if max(pixels.shape[:2]) <= SMALL_SIDE else 1.0
        found: Any = engine(prepared(pixels, factor))
        if found.txts is None:
            return []
        boxes = [(*quad.min(axis=0), *quad.max(axis=0)) for quad in found.boxes / factor]
        read = zip(boxes, found.txts, found.scores, strict=True)
        return [
            Detection("text", score, box=box, text=text) for box, text, score in read if len(text) >= SHORTEST
        ]

    def say(found: Sequence[Detection]) -> list[Saying]:
        text = " ".join(reading.lines(found))
        return [(text, 1.0)] if text else []

    return Reader(detect, say)


@dataclass
class Row:
    """Signs of one kind and what was found on them."""

    name: str
    signs: int = 0
    found: int = 0
    seconds: float = 0.0
    wrong: list[tuple[str, str]] = field(default_factory=list)
    """What stands there and what was read, where a harmful sign was missed or a harmless one alarmed."""

    def add(self, label: str | None, text: str, said: Sequence[Saying], labels: set[str]) -> None:
        """One sign, harmful if ``label`` is given."""
        alarm = bool(labels) if label is None else label in labels
        self.signs += 1
        self.found += alarm
        if alarm == (label is None):
            self.wrong.append((text, said[0][0] if said else ""))

    def summary(self) -> dict[str, Any]:
        low, high = wilson(self.found, self.signs)
        share = self.found / max(1, self.signs)
        times = {"ms": round(1000 * self.seconds / max(1, self.signs), 1)}
        return {
            "signs": self.signs, "found": self.found, "share": round(share, 4),
            "low": round(low, 4), "high": round(high, 4), **times, "wrong": self.wrong,
        }  # fmt: skip


READERS: dict[str, Callable[[], Reader]] = {"reader": this_reader, "baseline": baseline}


def main() -> None:
    """Print a table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--part", choices=["development", "heldout"], default="heldout")
    parser.add_argument("--world-model", choices=["neural", "simulator"], default="neural")
    parser.add_argument("--plain", type=int, default=150, help="signs in plain writing")
    parser.add_argument("--obfuscated", type=int, default=60, help="signs of each other kind")
    parser.add_argument("--harmless", type=int, default=500)
    parser.add_argument("--wide", type=int, default=30, help="signs wider than a frame, and as many harmless")
    parser.add_argument("--seed", type=int, default=0, help="another draw of signs from the same part")
    parser.add_argument("--readers", nargs="+", choices=list(READERS), default=list(READERS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    table = measure(given)
    for reader, rows in table.items():
        print(f"\n{reader:30} found  share  95 %         ms a picture (one thread)")
        for name, row in rows.items():
            span = f"{row['low']:.3f}..{row['high']:.3f}"
            print(
                f"{name:30} {row['found']:3}/{row['signs']:3}  {row['share']:.3f}  {span}  {row['ms']:6.1f}"
            )
            if row["wrong"]:
                print(f"    {row['wrong'][:5]}")
    if given.json:
        asked = {name: str(value) for name, value in vars(given).items()}
        given.json.write_text(json.dumps({"asked": asked, **table}, indent=2, ensure_ascii=False))


def measure(given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """For the reader and the baseline a table of kinds."""
    model = load_model(given.world_model)
    rules = TextRules()
    rules.ensure_loaded()
    counts = {kind: given.plain if kind == "plain" else given.obfuscated for kind in writing.KINDS}
    views = {
        kind: writing.harmful_signs(given.part, kind, count, model, given.seed)
        for kind, count in counts.items()
    }
    harmless = writing.harmless_signs(given.part, given.harmless, model, given.seed)
    table = {}
    for name in given.readers:
        read = READERS[name]()
        rows = [*_kinds(views, read, rules), _all("harmless", harmless, read, rules)]
        rows += [_bare(given, model, read), *_wide(given, model, read, rules)]
        table[name] = {row.name: row.summary() for row in rows}
    return table


def _bare(given: argparse.Namespace, model: WorldModel, read: Reader) -> Row:
    """Frames without a sign: what most frames of play cost. What is found is writing read in textures."""
    row = Row("no writing at all")
    for frame in writing.bare_views(given.part, BARE, model, given.seed):
        begun = time.process_time()
        said = read(frame)
        row.seconds += time.process_time() - begun
        row.add(None, "", said, {text for text, _ in said})
    return row


def _kinds(views: dict[Any, list[SignView]], read: Reader, rules: TextRules) -> list[Row]:
    """Slurs by kind, all that are not plain together, threats, and uploaded pictures as they came."""
    rows = []
    for kind, shown in views.items():
        rows.append(_all(kind, [view for view in shown if view.writing.label == "slur"], read, rules))
    disguised = Row("obfuscated, all kinds")
    for row in rows[1:]:
        disguised.signs += row.signs
        disguised.found += row.found
        disguised.seconds += row.seconds
    threats = [view for view in views["plain"] if view.writing.label == "threat"]
    uploads = [view for shown in views.values() for view in shown if view.surface == "uploaded"]
    as_uploaded = Row("any kind, as uploaded")
    for view in uploads:
        _one(as_uploaded, view.writing, view.sign, read, rules)
    return [*rows, disguised, _all("threats", threats, read, rules), as_uploaded]


def _all(name: str, views: Sequence[SignView], read: Reader, rules: TextRules) -> Row:
    row = Row(name)
    for view in views:
        _one(row, view.writing, view.frame, read, rules)
    return row


def _one(row: Row, told: writing.Writing, pixels: Pixels, read: Reader, rules: TextRules) -> None:
    begun = time.process_time()
    said = read(pixels)
    labels = _labels(said, rules)
    row.seconds += time.process_time() - begun
    row.add(told.label, told.written, said, labels)


def _labels(said: Sequence[Saying], rules: TextRules) -> set[str]:
    found = rules([Text(text) for text, _ in said])
    return {
        one.label
        for (_, weight), detections in zip(said, found, strict=True)
        for one in detections
        if one.label in ("slur", "threat") and one.score * weight >= ALARM
    }


def _wide(given: argparse.Namespace, model: WorldModel, read: Reader, rules: TextRules) -> list[Row]:
    """Writing wider than a frame: in what neighbouring frames say together, in a panorama, on the map."""
    ways = {"frames": _by_frames, "panorama": _by_panorama, "map": _by_map}
    rows = []
    for harmful in (True, False):
        signs = writing.wide_signs(given.part, given.wide, harmful=harmful, seed=given.seed)
        for name, way in ways.items():
            row = Row(f"wide{'' if harmful else ', harmless'}, by {name}")
            for sign in signs:
                frames, offsets = writing.scrolled(sign, model)
                begun = time.process_time()
                said = way(sign, frames, offsets, read)
                labels = _labels(said, rules)
                row.seconds += time.process_time() - begun
                row.add(sign.writing.label, sign.writing.written, said, labels)
            rows.append(row)
    return rows


def _by_frames(_: WideSign, frames: Sequence[Pixels], __: object, read: Reader) -> list[Saying]:
    """Each frame, for less where its edge cuts words, and what two frames in a row say together."""
    found = [one for frame in frames if (one := read.detect(frame))]
    texts = [" ".join(reading.lines(one)) for one in found]
    alone = [(text, cut(one)) for text, one in zip(texts, found, strict=True)]
    whole = (reading.stitched(one, other) for one, other in pairwise(texts))
    return [*alone, *((text, 1.0) for text in whole if text)]


def _by_panorama(_: WideSign, frames: Sequence[Pixels], offsets: Any, read: Reader) -> list[Saying]:
    return [said for picture in reading.panoramas(frames, offsets) for said in read(picture)]


def _by_map(sign: WideSign, _: object, __: object, read: Reader) -> list[Saying]:
    """The whole painted map, in parts."""
    parts = reading.map_parts(sign.world.picture)
    texts = reading.together(parts, [read.detect(part.pixels) for part in parts])
    return [said for group in texts for said in read.say(group)]


if __name__ == "__main__":
    main()
