"""Labelled sets are read or refused, and detectors are measured on them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.detectors.base import Detection, Detector, DetectorCard, Motion, Picture, Sound, Text
from moderation.evaluation.chain import Chain, chained_card, readings
from moderation.evaluation.labelled import LabelledItem, LabelledSet, LabelledSetError, read_set
from moderation.evaluation.measured import (
    FOLDER,
    MeasuredError,
    measured_of,
    path_of,
    recall_of,
    recalls,
    store,
)
from moderation.evaluation.plots import SIDE, TOP, precision_recall_svg, write_plots
from moderation.evaluation.runner import Measurement, NothingToEvaluate, evaluate, misread
from moderation.scan import load_detectors
from policies.bundle import load_bundle
from policies.cases import sufficient_coverage
from policies.engine import decide
from policies.types import DetectorRun, Source
from worldmodel.media import encode_picture, encode_sound

HEADER = """\
name: birds
made: written by hand for this test
licence: Apache-2.0
source: upload
detectors: {{words: {{parrot: 0.5}}}}
items:
  - {{file: first.tsv, part: development}}
  - {{file: second.tsv}}
{more}"""


def table(*rows: str) -> str:
    """Rows whose columns are parted by ``|``."""
    return "".join(row.replace("|", "\t") + "\n" for row in rows)


FIRST = table("label|kind|text", "parrot|plain|a parrot", "clean|bird|a sparrow")
SECOND = table(
    "label|kind|source|note|text", "parrot,owl|capitals|live|x|A PARROT AND AN OWL", "clean||||a crow"
)


def folder(path: Path, more: str = "", **files: str | bytes) -> Path:
    given = {"set.yaml": HEADER.format(more=more), "first.tsv": FIRST, "second.tsv": SECOND} | files
    path.mkdir()
    for name, content in given.items():
        (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_folder_is_read_with_parts_sources_and_labels(tmp_path: Path) -> None:
    birds = read_set(folder(tmp_path / "birds"))

    assert (birds.name, birds.licence, birds.detectors) == ("birds", "Apache-2.0", {"words": {"parrot": 0.5}})
    told = [(i.content.text, sorted(i.labels), i.kind, i.source, i.part) for i in birds.items]  # type: ignore[union-attr]
    assert told == [
        ("a parrot", ["parrot"], "plain", "upload", "development"),
        ("a sparrow", [], "bird", "upload", "development"),
        ("A PARROT AND AN OWL", ["owl", "parrot"], "capitals", "live", "heldout"),
        ("a crow", [], "plain", "upload", "heldout"),
    ]
    assert [i.kind for i in birds.part("heldout").items] == ["capitals", "plain"]


def test_the_hash_of_a_set_is_of_its_items_and_labels(tmp_path: Path) -> None:
    original = read_set(folder(tmp_path / "a"))
    renamed = read_set(folder(tmp_path / "b", **{"first.tsv": FIRST + "\n"}))
    changed = read_set(folder(tmp_path / "c", **{"first.tsv": FIRST.replace("a sparrow", "a swift")}))
    relabelled = read_set(folder(tmp_path / "d", **{"first.tsv": FIRST.replace("clean", "parrot")}))

    assert original.sha256 == read_set(tmp_path / "a").sha256 == renamed.sha256
    assert len({original.sha256, changed.sha256, relabelled.sha256}) == 3


def test_pictures_sounds_and_motion_are_decoded(tmp_path: Path) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    np.savez(tmp_path / "m.npz", frames=np.zeros((3, 4, 4, 3), np.uint8), fps=15)
    rows = ("label|kind|file|words", "parrot|plain|p.png|HELLO", "clean|tone|s.wav|", "clean|still|m.npz|")
    path = folder(
        tmp_path / "birds",
        **{
            "first.tsv": table(*rows),
            "p.png": encode_picture(np.dstack([pixels, np.full((4, 4), 255, np.uint8)])),
            "s.wav": encode_sound(np.zeros(800, np.float32)),
            "m.npz": (tmp_path / "m.npz").read_bytes(),
        },
    )

    picture, sound, motion = read_set(path).items[:3]

    assert isinstance(picture.content, Picture)
    np.testing.assert_array_equal(picture.content.pixels, pixels)
    assert (picture.words, sound.words) == ("HELLO", None)
    assert isinstance(sound.content, Sound)
    assert len(sound.content.samples) == 800
    assert isinstance(motion.content, Motion)
    assert motion.content.frames.shape == (3, 4, 4, 3)
    assert [i.modality for i in (picture, sound, motion)] == ["picture", "sound", "motion"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"first.tsv": b"label\tkind\ttext\nowl\tp\t\xff\n"}, "first.tsv is not UTF-8"),
        ({"set.yaml": "name: [birds"}, "set.yaml is no valid YAML"),
        ({"set.yaml": HEADER.format(more="").replace("source: upload", "source: tv")}, "set.yaml: source: "),
        ({"set.yaml": HEADER.format(more="colour: red")}, "set.yaml: colour: Extra inputs"),
        ({"set.yaml": HEADER.format(more="").replace("0.5", "1.5")}, "detectors.words.parrot: "),
        ({"set.yaml": HEADER.format(more="").replace("first.tsv", "../x.tsv")}, "'../x.tsv' is no file"),
        ({"first.tsv": table("label|text", "parrot|a parrot")}, "first.tsv: its columns must be label, kind"),
        ({"first.tsv": table("label|kind|text", "|plain|x")}, "first.tsv, line 2: label must be clean, or"),
        ({"first.tsv": table("label|kind|text", "clean,owl|plain|x")}, "first.tsv, line 2: label must be"),
        ({"first.tsv": table("label|kind|text", "owl|plain")}, "first.tsv, line 2: has no text; tabs"),
        (
            {"first.tsv": table("label|kind|source|text", "owl|p|tv|x")},
            "line 2: source must be one of",
        ),
        ({"first.tsv": table("label|kind|file", "owl|p|gone.png")}, "line 2: 'gone.png' is no file"),
        (
            {"first.tsv": table("label|kind|file", "owl|p|first.tsv")},
            "cannot be used: it must end in",
        ),
        ({"first.tsv": table("label|kind|file", "owl|p|x.png"), "x.png": "no"}, "x.png cannot be used"),
        ({"first.tsv": table("label|kind|file", "owl|p|x.npz"), "x.npz": "no"}, "x.npz cannot be used"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, files: dict[str, Any], said: str) -> None:
    path = folder(tmp_path / "birds", **files)
    with pytest.raises(LabelledSetError) as caught:
        read_set(path)
    assert said in str(caught.value)


def test_motion_must_be_frames_of_bytes(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", frames=np.zeros((3, 4, 4)), fps=15)
    rows = table("label|kind|file", "owl|p|m.npz")
    path = folder(tmp_path / "birds", **{"first.tsv": rows, "m.npz": (tmp_path / "m.npz").read_bytes()})
    with pytest.raises(
        LabelledSetError, match=r"line 2: m\.npz cannot be used: frames must be \(T, H, W, 3\)"
    ):
        read_set(path)


def test_a_folder_without_a_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelledSetError, match=r"set\.yaml is missing: a labelled set is a folder"):
        read_set(tmp_path)


# -- measuring ----------------------------------------------------------------------------------------


class Words(Detector[Text]):
    """``parrot`` for the word in small letters, less surely in capitals."""

    card = DetectorCard("words", "1", "text", ("parrot",), "MIT", cost_ms=0.1)

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Text]) -> list[list[Detection]]:
        return [self.one(item.text) for item in batch]

    def one(self, text: str) -> list[Detection]:
        if "parrot" in text:
            return [Detection("parrot", 0.9), Detection("parrot", 0.7, text="parrot")]
        return [Detection("parrot", 0.4)] if "PARROT" in text else []


class Rows(Detector[Picture]):
    """Reads a picture whose first pixel is the number of a row of words."""

    card = DetectorCard("rows", "1", "picture", ("text",), "MIT", cost_ms=0.1)
    said = (("a par", "rot"), ("a", "parrot"), ("sparrow",), ())

    def __init__(self) -> None:
        super().__init__()
        self.looked_at = 0

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        self.looked_at += len(batch)
        return [
            [
                Detection("text", 0.8, box=(0, 10 * row, 50, 10 * row + 8), text=text)
                for row, text in enumerate(self.said[int(item.pixels[0, 0, 0])])
            ]
            for item in batch
        ]


def text_item(text: str, *labels: str, kind: str = "plain", **more: Any) -> LabelledItem:
    return LabelledItem(Text(text), frozenset(labels), kind, **{"source": "upload", **more})


def page(number: int, words: str | None, *labels: str) -> LabelledItem:
    pixels = np.full((30, 60, 3), number, np.uint8)
    return LabelledItem(Picture(pixels), frozenset(labels), "page", "rendered", words=words)


def labelled(
    detectors: dict[str, dict[str, float]], *items: LabelledItem, name: str = "birds"
) -> LabelledSet:
    return LabelledSet(name, "for this test", "Apache-2.0", detectors, items)


BIRDS = labelled(
    {"words": {"parrot": 0.5}},
    text_item("a parrot", "parrot"),
    text_item("parrots", "parrot", "owl"),
    text_item("A PARROT", "parrot", kind="capitals"),
    text_item("a crow", kind="bird"),
    text_item("parrotfish", kind="fish"),
    text_item("parrot talk", "parrot", source="live"),
)


def test_each_label_and_source_is_counted_by_kind() -> None:
    uploads, live = evaluate({"words": Words()}, [BIRDS])

    assert (uploads.detector, uploads.version, uploads.label, uploads.set_name) == (
        "words",
        "1",
        "parrot",
        "birds",
    )
    assert (uploads.source, uploads.positives, uploads.found) == ("upload", 3, 2)
    assert (uploads.lookalikes, uploads.false_alarms) == (2, 1)
    assert uploads.scores.tolist() == [0.9, 0.9, 0.4, 0.0, 0.9]
    assert (uploads.recall, uploads.precision) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert uploads.auroc == pytest.approx(((0.5 + 1) * 2 + 0 + 1) / 6)
    told = [(k.kind, k.holds, k.items, k.flagged) for k in uploads.kinds]
    assert told == [
        ("capitals", True, 1, 0), ("plain", True, 2, 2), ("bird", False, 1, 0), ("fish", False, 1, 1),
    ]  # fmt: skip
    assert (live.source, live.positives, live.lookalikes, live.auroc) == ("live", 1, 0, None)


def test_a_reading_counts_only_if_it_is_right() -> None:
    pages = labelled(
        {"rows": {"text": 0.5}},
        page(1, "A parrot", "text"),
        page(2, "parrot", "text"),
        page(2, None, "text"),
        page(3, None),
    )
    (measured,) = evaluate({"rows": Rows()}, [pages])
    assert measured.scores.tolist() == [0.8, 0.0, 0.8, 0.0]


def test_a_chain_judges_each_line_and_all_of_them_and_reads_once() -> None:
    pages = labelled(
        {"rows": {"text": 0.5}, "rows+words": {"parrot": 0.5}},
        page(0, "a par rot", "text"),
        page(1, "a parrot", "text", "parrot"),
        page(2, "sparrow", "text"),
    )
    rows = Rows()

    text, parrot = evaluate({"rows": rows, "words": Words()}, [pages])

    assert rows.looked_at == 3
    assert text.scores.tolist() == [0.8, 0.8, 0.8]
    assert (parrot.detector, parrot.version) == ("rows+words", "1_1")
    assert parrot.scores.tolist() == [0.0, 0.9, 0.0]


def test_a_chain_is_a_detector() -> None:
    chain = Chain(Rows(), Words())
    found = chain([page(1, None).content, page(3, None).content])
    assert [[(one.label, one.score) for one in item] for item in found] == [[("parrot", 0.9)], []]
    assert chain.card == chained_card(Rows.card, Words.card)
    assert (chain.card.modality, chain.card.labels) == ("picture", ("parrot",))


def test_utterances_are_read_in_their_order() -> None:
    later, sooner = (
        Detection("speech", 0.9, 5, 6, text="lanterns"),
        Detection("speech", 0.9, 1, 2, text="take the"),
    )
    assert readings([later, sooner]) == ["take the", "lanterns", "take the lanterns"]
    assert readings([]) == []


@pytest.mark.parametrize(
    ("words", "said", "share"),
    [
        ("KEEP OUT", "keep-out!", 0),
        ("KEEP OUT", "KEEP 0UT", 1 / 7),
        ("abc", "", 1),
        ("abc", "abcabc", 1),
        ("", "", 0),
    ],
)
def test_misread_is_the_share_of_characters_to_change(words: str, said: str, share: float) -> None:
    assert misread(words, said) == pytest.approx(share)


@given(st.text("abc ", max_size=8), st.text("abc ", max_size=8))
def test_misread_is_a_distance(one: str, other: str) -> None:
    edits = misread(one, other) * max(1, len(one.replace(" ", "")))
    back = misread(other, one) * max(1, len(other.replace(" ", "")))
    lengths = len(one.replace(" ", "")), len(other.replace(" ", ""))
    assert edits == pytest.approx(back)
    assert abs(lengths[0] - lengths[1]) <= edits + 1e-9
    assert edits <= max(lengths) + 1e-9


def test_only_what_was_asked_for_is_measured() -> None:
    both = labelled({"words": {"parrot": 0.5}, "rows": {"text": 0.5}}, *BIRDS.items, page(1, None, "text"))
    found = evaluate({"words": Words(), "rows": Rows()}, [both], only=["rows"])
    assert {one.detector for one in found} == {"rows"}


def test_sets_for_detectors_that_are_not_there_measure_nothing() -> None:
    with pytest.raises(NothingToEvaluate, match="no labelled set has items for rows; name a set"):
        evaluate({"rows": Rows()}, [BIRDS])


# -- keeping ------------------------------------------------------------------------------------------


def measured(found: int, positives: int, name: str = "birds", label: str = "parrot") -> Measurement:
    items = [text_item("parrot" if n < found else "PARROT", label) for n in range(positives)]
    (one,) = evaluate({"words": Words()}, [labelled({"words": {label: 0.5}}, *items, name=name)])
    return one


def test_the_lower_limit_of_the_recall_is_kept_for_the_bound(tmp_path: Path) -> None:
    first, second = measured(18, 20), measured(40, 40, "more birds")
    assert store([first, second], tmp_path) == [path_of("words", "1", tmp_path)]

    assert recall_of(Words.card, "parrot", "upload", tmp_path) == pytest.approx(0.699, abs=1e-3)  # 18 of 20
    assert recall_of(Words.card, "parrot", "live", tmp_path) is None
    assert recall_of(Words.card, "owl", "upload", tmp_path) is None


def test_a_decision_is_told_of_all_that_was_measured(tmp_path: Path) -> None:
    store([measured(18, 20), measured(9, 9, label="owl")], tmp_path)
    unmeasured = replace(Words.card, name="others")
    assert recalls([Words.card, unmeasured], "upload", tmp_path) == {
        "words": {"parrot": recall_of(Words.card, "parrot", "upload", tmp_path)}
    }
    assert recalls([Words.card], "live", tmp_path) == {}


def test_measuring_a_set_again_replaces_what_was_kept_of_it(tmp_path: Path) -> None:
    store([measured(18, 20), measured(40, 40, "more birds")], tmp_path)
    store([measured(20, 20)], tmp_path)

    assert [(row.set, row.found) for row in measured_of(Words.card, tmp_path)] == [
        ("birds", 20), ("more birds", 40),
    ]  # fmt: skip


def test_too_few_positives_say_nothing(tmp_path: Path) -> None:
    store([measured(9, 9)], tmp_path)
    assert recall_of(Words.card, "parrot", "upload", tmp_path) is None


def test_what_other_weights_measured_is_not_taken(tmp_path: Path) -> None:
    store([measured(20, 20)], tmp_path)
    path = path_of("words", "1", tmp_path)
    path.write_text(path.read_text().replace(Words.card.fingerprint, "0" * 16))
    assert recall_of(Words.card, "parrot", "upload", tmp_path) is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path_of("words", "1", tmp_path).write_text('[{"label": "parrot"}]')
    with pytest.raises(MeasuredError, match=r"words-1\.json is damaged .*: evaluate again"):
        measured_of(Words.card, tmp_path)


def test_curves_are_drawn_for_what_has_both_kinds(tmp_path: Path) -> None:
    paths = write_plots(evaluate({"words": Words()}, [BIRDS]), tmp_path / "plots")

    assert [path.name for path in paths] == [
        "words-parrot-upload-birds-precision-recall.svg",
        "words-parrot-upload-birds-reliability.svg",
    ]
    for path in paths:
        texts = [element.text for element in ET.parse(path).getroot().iter() if element.text]
        assert "words 1: parrot, upload" in texts
        assert "set birds: 3 positives, 2 look-alikes" in texts


def test_the_drawn_curve_holds_the_average_precision() -> None:
    uploads, _ = evaluate({"words": Words()}, [BIRDS])
    drawn = re.findall(r'd="M([\d.L ]+)" fill="none"', precision_recall_svg(uploads))[1]
    corners = [tuple(map(float, corner.split())) for corner in drawn.split("L")]
    area = sum((x1 - x0) * (TOP + SIDE - y1) for (x0, _), (x1, y1) in pairwise(corners)) / SIDE**2
    assert area == pytest.approx(uploads.average_precision, abs=0.002)


def test_the_texts_of_the_repository_are_a_labelled_set() -> None:
    words = read_set(Path(__file__).parent / "data" / "text")
    assert words.licence == "Apache-2.0"
    for part in ("development", "heldout"):
        items = words.part(part).items
        assert sum(not item.labels for item in items) >= 30
        for label in ("slur", "threat", "personal_data", "link"):
            holding = sum(label in item.labels for item in items)
            assert 0 < holding <= len(items) - holding, (part, label)


class TestWhatComesWithThePackage:
    """``data/measured``: bounds of a fresh installation rest on these recalls."""

    def test_it_was_measured_of_the_detectors_as_they_are(self) -> None:
        cards = load_detectors(load_bundle()).links
        known = {path_of(card.name, card.version): card.fingerprint for card in cards}

        for path in FOLDER.glob("*.json"):
            assert path in known, f"{path.name} is of a version that is gone: evaluate with --store"
            rows = json.loads(path.read_text(encoding="utf-8"))
            assert {row["fingerprint"] for row in rows} == {known[path]}
        assert recalls(cards).keys() >= {"flash", "ocr", "ocr+text", "speech+text", "speech+menace"}

    def test_the_default_policy_assumes_no_more_than_was_measured(self) -> None:
        bundle = load_bundle()
        measured = recalls(load_detectors(bundle).links)
        assumed = {name: entry.recall for name, entry in bundle.header.detectors.items()}

        for name, labels in measured.items():
            for label, limit in labels.items():
                assert assumed.get(name, {}).get(label, 0.0) <= limit, f"{name} {label}"

        enough, names = sufficient_coverage(bundle), bundle.header.detectors
        runs = [DetectorRun(name, "9", source, 1, ok=True) for name in names for source in Source]
        plain = decide(bundle, [], runs, enough).bounds
        assert len(plain) > 9
        assert decide(bundle, [], runs, replace(enough, recall=measured)).bounds == plain
