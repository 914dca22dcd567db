"""What is looked at by whom, and how it is measured that nothing was missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation import novelty, scan
from moderation.detectors.base import Detection, Detector, DetectorCard, Item, Motion, Picture, Sound, Text
from moderation.scan.chance import audited_steps, listened_to
from moderation.store import DistinctFrame
from policies.types import Finding, Source
from worldmodel.constants import EVENTS, FPS, Event


class Told(Detector[Item]):
    """Says of every item what it was told to."""

    def __init__(self, name: str, *says: Detection, cost_ms: float = 0.0) -> None:
        super().__init__()
        labels = tuple(dict.fromkeys(one.label for one in says))
        self.card = DetectorCard(name, "1", "picture", labels, "Apache-2.0", cost_ms=cost_ms)
        self.says = list(says)

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Item]) -> list[list[Detection]]:
        return [list(self.says) for _ in batch]


class Bad(Told[Text]):
    """Calls every text with BAD in it a slur."""

    def predict(self, batch: Sequence[Text]) -> list[list[Detection]]:
        return [[Detection("slur", 0.9)] if "BAD" in one.text else [] for one in batch]


def detectors(*pictures: Detector[Picture]) -> scan.Detectors:
    return scan.Detectors(
        pictures=pictures,
        reader=Told[Picture]("ocr"),
        motions=(Told[Motion]("flash"),),
        speech=Told[Sound]("speech"),
        words=(Bad("words", Detection("slur", 0.9)),),
    )


def frames(count: int, playthrough: int = 0) -> list[DistinctFrame]:
    """As many that do not look alike."""
    rng = np.random.default_rng(1)
    return [
        DistinctFrame(n, playthrough, n, rng.integers(0, 256, 60, np.uint8).tobytes(), n)
        for n in range(count)
    ]


def found(
    detector: str, label: str, score: float, start: float, end: float, text: str | None = None
) -> Finding:
    return Finding("x", detector, "1", label, score, Source.PLAYTHROUGH, start, end, "p1", text=text)


class TestWhoLooksAtWhat:
    def test_a_detector_is_cheap_or_costly_by_its_card_and_the_reader_is_costly(self) -> None:
        quick, slow = Told[Picture]("quick", cost_ms=5), Told[Picture]("slow", cost_ms=50)
        between = Told[Picture]("between", cost_ms=20)
        three = detectors(slow, between, quick)

        assert scan.cheap(three) == (quick,)
        assert scan.moderate(three) == (between,)
        assert scan.costly(three) == (slow, three.reader)
        assert scan.every(three) == (quick, between, slow, three.reader)

    def test_what_no_rule_asks_for_in_play_sees_submitted_pictures_only(self) -> None:
        names = ("hash", "drawn", "ocr", "speech")
        group = scan.Detectors.of(map(Told, names), uploads={"drawn"})

        assert [one.card.name for one in scan.every(group)] == ["hash", "ocr"]
        assert [one.card.name for one in group.uploads] == ["drawn"]
        assert group.sha256 != scan.Detectors.of(map(Told, names)).sha256

    def test_what_a_cheap_detector_saw_is_looked_at_by_the_costly_ones(self) -> None:
        seen: dict[int, scan.Seen] = {
            3: {"quick": [Detection("gun", 0.8)]},
            5: {"quick": [Detection("gun", 0.1)]},
        }

        asked = scan.asked_for(frames(40), seen, {})

        assert asked == [3]
        assert 3 in scan.choose_frames(frames(40), 4, asked)

    def test_a_view_that_is_new_after_an_event_is_looked_at_by_the_costly_ones(self) -> None:
        events = np.zeros((40, EVENTS), np.bool_)
        events[10, Event.LEVER] = True

        assert scan.asked_for(frames(40), {}, {0: events}) == [11, 12]

    @given(st.integers(1, 30), st.lists(st.integers(0, 39), unique=True, max_size=5))
    def test_the_budget_holds_and_what_was_asked_for_comes_first(self, budget: int, first: list[int]) -> None:
        chosen = scan.choose_frames(frames(40), budget, first)

        assert len(set(chosen)) == budget
        assert set(first[:budget]) <= set(chosen)

    def test_findings_of_each_group_come_from_the_frames_that_it_looked_at(self) -> None:
        both = detectors(Told[Picture]("quick"), Told[Picture]("slow"))
        quick = scan.Looked(
            {0: {"quick": [Detection("a", 0.9)]}, 1: {"quick": [Detection("b", 0.9)]}}, {0: 0, 1: 1}
        )
        slow = scan.Looked({0: {"slow": [Detection("c", 0.9)]}}, {0: 0, 1: 0})

        report = scan.conclude([scan.Shown("p1", np.array([0, 1], np.int32), ())], [quick, slow], {}, both)

        spans = {f.label: (f.start, f.end) for f in report.findings}
        step = round(1 / FPS, 4)
        assert spans == {"a": (0, step), "b": (step, round(2 / FPS, 4)), "c": (0, round(2 / FPS, 4))}


class TestAudit:
    @given(st.text(max_size=8))
    def test_the_same_moments_are_drawn_whenever_a_scan_is_repeated(self, name: str) -> None:
        assert audited_steps(name, 500) == audited_steps(name, 500)
        assert listened_to(name) == listened_to(name)

    def test_moments_are_drawn_from_all_of_play_in_the_share_asked_for(self) -> None:
        drawn = [step for n in range(200) for step in audited_steps(f"p{n}", 1000, 0.01)]

        assert len(drawn) == pytest.approx(2000, rel=0.1)
        assert np.mean(drawn) == pytest.approx(500, rel=0.05)
        assert sum(listened_to(f"p{n}", 0.1) for n in range(2000)) == pytest.approx(200, rel=0.25)

    @pytest.mark.parametrize(
        ("finding", "kept"),
        [
            (found("eye", "gun", 0.9, 1.0, 3.0), 1),
            (found("eye", "gun", 0.9, 2.3, 3.0), 1),
            (found("eye", "gun", 0.9, 3.0, 4.0), 0),
            (found("eye", "gun", 0.5, 1.0, 3.0), 0),
            (found("eye", "knife", 0.9, 1.0, 3.0), 0),
            (found("nose", "gun", 0.9, 1.0, 3.0), 0),
            (replace(found("eye", "gun", 0.9, 1.0, 3.0), playthrough="p2"), 0),
        ],
    )
    def test_a_picture_is_kept_where_the_scan_says_the_same_of_that_time(
        self, finding: Finding, kept: int
    ) -> None:
        moment = scan.Moment("p1", 2 * FPS, {"eye": [Detection("gun", 0.9), Detection("tree", 0.2)]})

        tallies = scan.audit([moment], {}, [finding], detectors(Told[Picture]("eye")))

        assert tallies["picture"] == scan.Tally(1, kept)

    def test_writing_is_kept_where_it_was_read_and_lost_where_it_was_not(self) -> None:
        sign = Detection("text", 0.9, box=(10, 10, 60, 20), text="BAD WORDS")
        moment = scan.Moment("p1", 0, {"ocr": [sign]})
        read, slur = (
            found("ocr", "text", 0.9, 0, 1, "BAD WORD"),
            found("words", "slur", 0.9, 0, 1, "BAD WORD"),
        )

        assert scan.audit([moment], {}, [read, slur], detectors())["writing"] == scan.Tally(2, 2)
        assert scan.audit([moment], {}, [read], detectors())["writing"] == scan.Tally(2, 1)
        assert scan.audit([moment], {}, [], detectors())["writing"] == scan.Tally(2, 0)

    def test_stray_letters_are_no_writing(self) -> None:
        sprite = Detection("text", 0.9, box=(10, 10, 60, 20), text="OO")

        assert (
            scan.audit([scan.Moment("p1", 0, {"ocr": [sprite]})], {}, [], detectors())["writing"].found == 0
        )

    def test_speech_is_kept_where_the_same_words_were_heard(self) -> None:
        heard = {"p1": [Detection("speech", 0.9, 1.0, 2.0, text="stay where you are")]}
        right = found("speech", "speech", 0.9, 1.1, 2.0, "Stay where you are.")
        late = replace(right, start=5.0, end=6.0)

        assert scan.audit([], heard, [right], detectors())["speech"] == scan.Tally(1, 1)
        assert scan.audit([], heard, [late], detectors())["speech"] == scan.Tally(1, 0)

    def test_what_is_lost_lowers_the_recall_of_the_detectors_behind_the_cascade(self) -> None:
        eye = detectors(Told[Picture]("eye"))
        few = scan.recalls([], eye)

        lost = scan.recalls([{"picture": scan.Tally(10_000, 5_000)}], eye)

        assert lost["eye"] < few["eye"] < 1
        assert lost["ocr"] == few["ocr"]
        assert "flash" not in lost, "every frame is measured"

    def test_tallies_survive_as_json_and_an_empty_one_knows_nothing(self) -> None:
        tallies = {"picture": scan.Tally(7, 6)}

        assert scan.tallies_from(scan.tallies_json(tallies)) == tallies
        assert scan.Tally().share == 0.5


def test_a_small_budget_keeps_what_was_asked_for_even_where_all_look_alike() -> None:
    same = [novelty.difference_hash(np.zeros((128, 128, 3), np.uint8)).tobytes()] * 10

    assert set(novelty.spread(same, 3, [7, 9])) >= {7, 9}
