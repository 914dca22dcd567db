"""What the cascade promises: nothing new is skipped, nothing known is looked at twice, failures are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation import listening, novelty, reading, scan
from moderation.detectors.base import Detection, Detector, DetectorCard, Item, Motion, Picture, Sound, Text
from moderation.listening import AMBIENT, Heard, Situation
from moderation.scan import media
from moderation.scan.chance import listened_to
from moderation.scan.looking import MAYBE
from moderation.store import DistinctFrame
from policies.types import Source
from worldmodel.constants import EVENTS, FPS, SAMPLES_PER_STEP, Event
from worldmodel.package import WorldPackage
from worldmodel.spec import WorldSpec


def card(name: str, modality: str, *labels: str) -> DetectorCard:
    return DetectorCard(name, "1", modality, labels, "Apache-2.0")  # type: ignore[arg-type]


class Redness(Detector[Picture]):
    """Score: share of strongly red pixels."""

    card = card("redness", "picture", "red")

    def load(self) -> None:
        self.looked_at = 0

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        self.looked_at += len(batch)
        return [[Detection("red", self.share(item.pixels), item.at, item.at)] for item in batch]

    @staticmethod
    def share(pixels: np.ndarray) -> float:
        red, green, blue = (pixels[..., c].astype(int) for c in range(3))
        return float(((red > 200) & (green < 60) & (blue < 60)).mean())


class Blinks(Detector[Motion]):
    """Score: share of frames whose mean differs from the one before."""

    card = card("blinks", "motion", "blink")

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Motion]) -> list[list[Detection]]:
        means = [item.frames.reshape(len(item.frames), -1).mean(1) for item in batch]
        return [
            [Detection("blink", float((np.diff(m) != 0).mean()), 0, 1)] if len(m) > 1 else [] for m in means
        ]


class Loudness(Detector[Sound]):
    """An utterance for every stretch of loud samples."""

    card = card("speech", "sound", "speech")

    def load(self) -> None:
        self.heard = 0

    def predict(self, batch: Sequence[Sound]) -> list[list[Detection]]:
        self.heard += len(batch)
        return [list(self.utterances(item)) for item in batch]

    @staticmethod
    def utterances(sound: Sound) -> list[Detection]:
        loud = np.flatnonzero(np.abs(sound.samples) > 0.5)
        if not len(loud):
            return []
        start, end = loud[0] / sound.rate, loud[-1] / sound.rate
        return [Detection("speech", 0.9, start, end, text="i will find you")]


class Threats(Detector[Text]):
    card = card("text", "text", "threat")

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Text]) -> list[list[Detection]]:
        return [[Detection("threat", 0.9)] if "find you" in item.text else [] for item in batch]


class Broken(Detector[Item]):
    card = card("broken", "picture", "x")

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Item]) -> list[list[Detection]]:
        raise MemoryError("no room")


class Sheet(Detector[Picture]):
    """Reads a picture that is red as STOP."""

    card = card("ocr", "picture", "text")

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        return [self.read(item) if Redness.share(item.pixels) > 0.5 else [] for item in batch]

    @staticmethod
    def read(item: Picture) -> list[Detection]:
        return [Detection("text", 0.8, item.at, item.at, (0, 0, 4, 2), "i will find you")]


def detectors(reader: Detector[Picture] | None = None) -> scan.Detectors:
    return scan.Detectors((Redness(),), reader or Sheet(), (Blinks(),), Loudness(), (Threats(),))


def picture(seed: int, size: int = 128) -> np.ndarray:
    """Blocks of random grey: no two seeds look alike."""
    blocks = np.random.default_rng(seed).integers(0, 256, (16, 16, 1), np.uint8)
    return np.repeat(np.repeat(np.repeat(blocks, size // 16, 0), size // 16, 1), 3, 2)


def red(size: int = 128) -> np.ndarray:
    frame = picture(99, size)
    frame[8:, :] = (255, 0, 0)
    return frame


class TestNovelty:
    @given(st.lists(st.integers(-3, 3), max_size=30))
    def test_a_view_keeps_the_ordinal_of_its_first_frame(self, views: list[int]) -> None:
        gallery, alike = novelty.Gallery(), np.zeros(60, np.uint8)

        ordinals = [gallery.add(view, alike) for view in views]

        assert [list(dict.fromkeys(views))[ordinal] for ordinal in ordinals] == views
        assert len(gallery) == len(set(views))

    def test_a_view_is_new_again_where_it_looks_different(self) -> None:
        gallery = novelty.Gallery()
        first, other = np.zeros(60, np.uint8), np.full(60, 255, np.uint8)
        nearly = first.copy()
        nearly[: novelty.ALIKE // 8] = 255

        assert [gallery.add(5, one) for one in (first, other, nearly, first)] == [0, 1, 0, 0]

    def test_a_view_that_never_looks_the_same_is_taken_so_often_and_then_as_the_most_similar(self) -> None:
        gallery = novelty.Gallery()
        looks = [novelty.difference_hash(picture(seed)) for seed in range(40)]

        ordinals = [gallery.add(5, one) for one in looks]

        assert ordinals[: novelty.LOOKS_OF_A_VIEW] == list(range(novelty.LOOKS_OF_A_VIEW))
        assert len(gallery) == novelty.LOOKS_OF_A_VIEW
        for ordinal, one in zip(ordinals, looks, strict=True):
            distances = [int(np.bitwise_count(one ^ other).sum()) for other in looks[: len(gallery)]]
            assert distances[ordinal] == min(distances)

    @given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
    def test_runs_are_the_frames_again(self, shown: list[int]) -> None:
        stretches = novelty.runs(np.array(shown, np.int32))

        assert [o for o, first, last in stretches for _ in range(first, last + 1)] == shown
        assert all(a[0] != b[0] for a, b in pairwise(stretches))

    def test_a_small_budget_is_spread_over_all_that_there_is(self) -> None:
        groups = [novelty.difference_hash(picture(n)) for n in range(4)]
        hashes = [groups[n // 10].tobytes() for n in range(40)]

        chosen = novelty.spread(hashes, 4)

        assert sorted(n // 10 for n in chosen) == [0, 1, 2, 3]
        assert novelty.spread(hashes, 40) == list(range(40))


class TestListening:
    LENGTHS = (10, 20)

    def clips(self, steps: int, **starts: int) -> np.ndarray:
        clips = np.full(steps, -1, np.int16)
        for name, at in starts.items():
            clips[at] = int(name[1:])
        return clips

    def present(self, clips: np.ndarray, **events: int) -> list[Situation]:
        """Of a world with two voices; a key's sound is its third clip."""
        happened = np.zeros((len(clips), EVENTS), np.bool_)
        for name, at in events.items():
            happened[at, Event[name.upper()]] = True
        begun = listening.starts(clips, happened, 2, [Event.KEY])
        return listening.situations(begun, [*self.LENGTHS, 30], len(clips), 2)

    def test_a_clip_alone_is_the_same_situation_whenever_it_starts(self) -> None:
        early = self.present(self.clips(100, c0=5))
        late = self.present(self.clips(100, c0=50))

        assert [s.key for s in early] == [s.key for s in late] == [AMBIENT, "0"]
        assert (early[1].start, late[1].start) == (5, 50)

    def test_a_clip_with_another_over_it_is_another_situation(self) -> None:
        keys = [s.key for s in self.present(self.clips(100, c1=5, c0=15))]

        assert keys == [AMBIENT, "1+0@10", "0+1@-10"]

    def test_a_clip_that_was_cut_off_is_new_when_more_of_it_is_heard(self) -> None:
        cut = self.present(self.clips(20, c0=15))[1]
        whole = self.present(self.clips(40, c0=15))[1]
        known = {"0": Heard(cut.steps, ())}

        assert (cut.steps, whole.steps) == (5, 10)
        assert not listening.is_new(cut, known)
        assert listening.is_new(whole, known)

    def test_an_event_with_a_creators_sound_is_a_clip_and_one_without_is_ambient(self) -> None:
        found = self.present(self.clips(100), key=40, collect=70)

        assert found == [Situation(AMBIENT, 0, 100), Situation("2", 40, 30)]

    def test_beside_an_effect_the_distance_counts_to_the_second(self) -> None:
        near = [s.key for s in self.present(self.clips(100, c0=10), key=12)]
        nearly = [s.key for s in self.present(self.clips(100, c0=10), key=15)]
        before = [s.key for s in self.present(self.clips(100, c0=30), key=5)]

        assert near == nearly == [AMBIENT, "0+2~0", "2+0~0"]
        assert before == [AMBIENT, "2+0~2", "0+2~-2"]

    def test_a_song_that_an_effect_falls_into_stays_ambient_too(self) -> None:
        present = [Situation(AMBIENT, 0, 150), Situation("2", 75, 5)]
        song = Detection("speech", 0.9, 4.0, 8.0)

        heard = listening.assign([song], present)

        assert heard[AMBIENT].detections == (song,)
        assert len(heard["2"].detections) == 1

    def test_what_is_heard_belongs_to_the_clip_that_it_overlaps(self) -> None:
        present = [Situation(AMBIENT, 0, 150), Situation("0", 75, 30)]
        voice, hum = Detection("speech", 0.9, 5.2, 6.0), Detection("unclear", 0.5, 1.0, 2.0)

        heard = listening.assign([voice, hum], present)

        assert heard[AMBIENT].detections == (hum,)
        assert heard["0"].detections[0].start == pytest.approx(0.2)

    def test_what_is_heard_survives_as_json(self) -> None:
        heard = {
            "0": Heard(5, (Detection("speech", 0.9, 0.1, 0.2, (1, 2, 3, 4), "hi"),)),
            AMBIENT: Heard(9, ()),
        }

        assert scan.heard_from(scan.heard_json(heard)) == heard


class TestReading:
    def box(self, text: str, x: int, y: int) -> Detection:
        return Detection("text", 0.9, box=(x, y, x + 20, y + 10), text=text)

    def test_words_come_in_reading_order(self) -> None:
        found = [self.box("OUT", 40, 21), self.box("STAY", 0, 0), self.box("KEEP", 0, 20)]

        assert reading.lines(found) == ["STAY", "KEEP OUT"]

    @pytest.mark.parametrize(
        ("one", "other", "whole"),
        [
            ("STAY AW", "Y AWAY FROM", "STAY AWAY FROM"),
            ("Y AWAY FROM", "STAY AW", "STAY AWAY FROM"),
            ("STAY", "GO", None),
            ("AB", "BC", None),
        ],
    )
    def test_halves_are_joined_where_they_overlap(self, one: str, other: str, whole: str | None) -> None:
        assert reading.stitched(one, other) == whole

    def test_the_best_reading_stands_for_the_partial_and_the_misread_ones(self) -> None:
        readings = [
            ("STAY AWAY FROM HERE", 0.9),
            ("5TAY AVAY FROM HERE", 0.6),
            ("AWAY FR", 0.9),
            ("shop", 0.9),
        ]

        best = reading.best_readings(readings)

        assert set(best.values()) == {"STAY AWAY FROM HERE", "shop"}
        assert best["shop"] == "shop"

    def test_what_is_read_again_stands_against_a_longer_reading_with_a_texture_in_it(self) -> None:
        readings = [
            ("KILL 00 YOJRSELF", 1.0),
            ("KILL YOURSELF", 1.0),
            ("KILL YOURSELF", 0.97),
            ("KILL YOUR", 1.0),
        ]

        assert reading.best_readings(readings)["KILL 00 YOJRSELF"] == "KILL YOURSELF"

    @pytest.mark.parametrize(
        ("text", "whole", "truncated"),
        [
            ("pray", "spray can", True),
            ("spray can", "spray can 00", False),
            ("spray", "00 spray", False),
            ("can", "may", False),
        ],
    )
    def test_a_reading_that_lacks_letters_of_a_word_is_truncated(
        self, text: str, whole: str, truncated: bool
    ) -> None:
        assert reading.truncated(text, whole) is truncated


class TestLooking:
    def test_a_detector_that_fails_leaves_a_failed_run_and_no_finding(self) -> None:
        found, run = scan.look(Broken(), [Picture(picture(1))], Source.MEDIA)

        assert found == [[]]
        assert (run.ok, run.items, run.error) == (False, 1, "MemoryError: no room")

    def test_nothing_to_look_at_is_a_run_without_items(self) -> None:
        found, run = scan.look(Broken(), [], Source.MEDIA)

        assert found == []
        assert (run.ok, run.items) == (True, 0)

    def test_the_same_detection_is_the_same_finding_and_noise_is_not_kept(self) -> None:
        one = Detection("red", 0.5, 1.0, 0.0, (1, 2, 3, 4))

        first, second = (scan.finding(Redness.card, one, Source.MEDIA, media="a") for _ in range(2))
        other = scan.finding(Redness.card, one, Source.MEDIA, media="b")
        kept, _ = scan.look(Redness(), [Picture(picture(1))], Source.MEDIA)

        assert first == second
        assert first.id != other.id
        assert first.end == first.start
        assert kept == [[]]


def package(**media: object) -> WorldPackage:
    spec = WorldSpec.model_validate(
        {
            "title": "A quiet place",
            "prompt": "here i will find you",
            "objects": [{"kind": "sign", "image": "a.png"}, {"kind": "character", "says": "b.wav"}],
            "style": {"video": "c.mp4"},
        }
    )
    parts = {"images": {}, "sounds": {}, "videos": {}} | media
    return WorldPackage(spec=spec, sha256="0" * 64, raw={}, **parts)  # type: ignore[arg-type]


class TestMedia:
    def test_findings_name_the_field_that_a_creator_wrote(self) -> None:
        image = np.dstack([red(64), np.full((64, 64), 255, np.uint8)])
        loud = np.ones(4800, np.float32)
        video = np.stack([picture(n) for n in range(30)])

        report = scan.scan_media(
            package(images={"a.png": image}, sounds={"b.wav": loud}, videos={"c.mp4": video}), detectors()
        )

        found = {(f.detector, f.media) for f in report.findings}
        assert ("redness", "objects[0].image") in found
        assert ("text", "objects[0].image") in found
        assert ("text", "objects[1].says") in found
        assert ("text", "prompt") in found
        assert ("blinks", "style.video") in found
        assert all(f.source is Source.MEDIA and f.playthrough is None for f in report.findings)
        assert all(run.ok for run in report.runs)

    def test_what_looks_at_uploads_only_sees_all_of_them_and_no_frame_of_play(self) -> None:
        image = np.dstack([red(64), np.full((64, 64), 255, np.uint8)])
        group = replace(detectors(), pictures=(), uploads=(Redness(),))

        report = scan.scan_media(package(images={"a.png": image}), group)

        assert ("redness", "objects[0].image") in {(f.detector, f.media) for f in report.findings}
        assert not any(one.card.name == "redness" for one in scan.every(group))

    def test_effects_backdrops_and_sprite_pictures_are_looked_at_and_listened_to(self) -> None:
        image = np.dstack([red(64), np.full((64, 64), 255, np.uint8)])
        spec = WorldSpec.model_validate(
            {
                "title": "A quiet place",
                "prompt": "hills",
                "style": {"backdrop": "hills.png", "sprites": {"enemy": "beetle.png"}},
                "effects": {"key": "ping.wav"},
            }
        )
        given = package(
            images={"hills.png": image, "beetle.png": image}, sounds={"ping.wav": np.ones(4800, np.float32)}
        )

        report = scan.scan_media(replace(given, spec=spec), detectors())

        assert {f.media for f in report.findings if f.label == "threat"} == {
            "style.backdrop",
            "style.sprites.enemy",
            "effects.key",
        }

    def test_every_detector_leaves_a_run_even_with_nothing_to_look_at(self) -> None:
        report = scan.scan_media(package(), detectors())

        assert {run.detector for run in report.runs} == {"redness", "ocr", "blinks", "speech", "text"}

    def test_what_hides_on_white_is_seen_on_black(self) -> None:
        image = np.zeros((32, 32, 4), np.uint8)
        image[:16] = (255, 255, 255, 255)

        grounds = media._grounds(image)

        assert [int(ground[20, 0, 0]) for ground in grounds] == [255, 0]
        assert [int(ground[0, 0, 0]) for ground in grounds] == [255, 255]


class World:
    """As much of a compiled world as listening needs."""

    clips = (type("Clip", (), {"samples": np.zeros(10 * SAMPLES_PER_STEP, np.float32)}),)
    effect_clips = {int(Event.KEY): clips[0]}  # noqa: RUF012


def play(
    scanner: scan.PlayScanner,
    ordinal: int,
    frames: list[np.ndarray],
    speaks_at: int | None = None,
    key_at: int | None = None,
) -> scan.PlayLook:
    steps = len(frames) - 1
    clips, events = np.full(steps, -1, np.int16), np.zeros((steps, EVENTS), np.bool_)
    sound = np.zeros(steps * SAMPLES_PER_STEP, np.float32)
    if speaks_at is not None:
        clips[speaks_at] = 0
    if key_at is not None:
        events[key_at, Event.KEY] = True
    for at in (speaks_at, key_at):
        if at is not None:
            sound[(at + 2) * SAMPLES_PER_STEP : (at + 8) * SAMPLES_PER_STEP] = 0.9
    views = np.array([int(frame.sum()) for frame in frames])
    return scanner.look(f"p{ordinal}", ordinal, np.stack(frames), sound, clips, events, views)


class TestPlay:
    def scanner(self) -> scan.PlayScanner:
        return scan.PlayScanner(World(), detectors())  # type: ignore[arg-type]

    def test_a_frame_is_new_once_over_all_playthroughs(self) -> None:
        scanner = self.scanner()
        still = [picture(1)] * 20

        first = play(scanner, 0, still)
        second = play(scanner, 1, [*still, picture(2)])

        assert [new.row.ordinal for new in first.new_frames] == [0]
        assert [(new.row.ordinal, new.row.playthrough, new.row.step) for new in second.new_frames] == [
            (1, 1, 20)
        ]
        assert second.shown.tolist() == [0] * 20 + [1]

    def test_a_scanner_that_remembers_goes_on_as_if_it_had_never_stopped(self) -> None:
        frames = [[picture(n), picture(n + 1), *[picture(n)] * 30] for n in range(3)]
        whole, before = self.scanner(), self.scanner()
        expected = [play(whole, n, frames[n], speaks_at=10) for n in range(3)]
        done = play(before, 0, frames[0], speaks_at=10)

        after = self.scanner()
        after.remember([new.row for new in done.new_frames], [scan.heard_from(scan.heard_json(done.heard))])
        resumed = [play(after, n, frames[n], speaks_at=10) for n in (1, 2)]

        for one, other in zip(expected[1:], resumed, strict=True):
            assert one.shown.tolist() == other.shown.tolist()
            assert [n.row for n in one.new_frames] == [n.row for n in other.new_frames]
            assert (one.heard, one.findings, one.runs) == (other.heard, other.findings, other.runs)

    def test_a_known_clip_is_not_listened_to_again_but_counts_for_every_playthrough(self) -> None:
        scanner = self.scanner()
        still = [picture(1)] * 40
        looks = [play(scanner, n, still, speaks_at=5 * n) for n in range(1, 4)]
        speech = scanner.detectors.speech
        assert isinstance(speech, Loudness)

        plays = [
            scan.Shown(f"p{n}", look.shown, _present(39, speaks_at=5 * n)) for n, look in enumerate(looks, 1)
        ]
        report = scan.conclude(plays, [scan.Looked({0: {}}, {0: 0})], scanner.heard, scanner.detectors)

        assert speech.heard == 1
        threats = [f for f in report.findings if f.label == "threat"]
        assert sorted((f.playthrough, round(f.start * FPS)) for f in threats) == [
            ("p1", 7),
            ("p2", 12),
            ("p3", 17),
        ]

    def test_what_was_just_listened_to_is_not_listened_to_again_for_the_audit(self) -> None:
        scanner = self.scanner()
        speech = scanner.detectors.speech
        assert isinstance(speech, Loudness)
        new, known = [n for n in range(500) if listened_to(f"p{n}")][:2]
        still = [picture(1)] * 40

        first = play(scanner, new, still, speaks_at=5)
        assert speech.heard == 1
        again = play(scanner, known, still, speaks_at=5)

        assert speech.heard == 2, "nothing was new in it, so that it was listened to for the audit alone"
        assert first.overheard == again.overheard
        assert first.overheard

    def test_words_in_a_creators_own_effect_are_heard_once_and_count_wherever_it_sounds(self) -> None:
        scanner = self.scanner()
        still = [picture(1)] * 40
        looks = [play(scanner, n, still, key_at=6 * n) for n in (1, 2)]
        silent = play(scanner, 3, still)

        plays = [
            *(scan.Shown(f"p{n}", look.shown, _present(39, key_at=6 * n)) for n, look in enumerate(looks, 1)),
            scan.Shown("p3", silent.shown, _present(39)),
        ]
        report = scan.conclude(plays, [scan.Looked({0: {}}, {0: 0})], scanner.heard, scanner.detectors)

        assert scanner.detectors.speech.heard == 1  # type: ignore[attr-defined]
        threats = [f for f in report.findings if f.label == "threat"]
        assert sorted((f.playthrough, round(f.start * FPS)) for f in threats) == [("p1", 8), ("p2", 14)]

    def test_what_a_voice_may_have_said_instead_is_for_a_person_and_rejects_nothing(self) -> None:
        found = (
            Detection("speech", 0.9, 0.0, 1.0, text="i will bind you"),
            Detection("maybe", 0.6, 0.0, 1.0, text="i will find you"),
        )
        play = scan.Shown("p", np.zeros(31, np.int32), (Situation("0", 0, 30),))

        report = scan.conclude([play], [], {"0": Heard(30, found)}, detectors())

        assert [(f.text, f.score) for f in report.findings if f.label == "threat"] == [
            ("i will find you", pytest.approx(0.9 * MAYBE))
        ]
        assert {f.label for f in report.findings} == {"speech", "maybe", "threat"}

    def test_what_one_frame_shows_counts_for_every_playthrough_and_time_that_shows_it(self) -> None:
        scanner = self.scanner()
        looks = [play(scanner, n, [picture(1)] * (3 + n) + [red()] * 5 + [picture(1)] * 2) for n in range(2)]
        frames = [new for look in looks for new in look.new_frames]
        seen, runs = scan.see([new.pixels for new in frames], scan.every(scanner.detectors))
        plays = [scan.Shown(f"p{n}", look.shown, ()) for n, look in enumerate(looks)]

        looked = scan.Looked(dict(enumerate(seen)), {0: 0, 1: 1})
        report = scan.conclude(plays, [looked], {}, scanner.detectors)

        found = sorted((f.playthrough, f.start, f.end) for f in report.findings if f.label == "red")
        assert found == [
            ("p0", round(3 / FPS, 4), round(8 / FPS, 4)),
            ("p1", round(4 / FPS, 4), round(9 / FPS, 4)),
        ]
        said = [f for f in report.findings if f.label == "threat"]
        assert {f.playthrough for f in said} == {"p0", "p1"}
        assert all(f.text == "i will find you" and f.box == (0, 0, 4, 2) for f in said)
        assert [run.items for run in runs] == [2, 2]

    def test_a_frame_over_budget_counts_as_the_most_similar_one_that_was_looked_at(self) -> None:
        rows = [
            DistinctFrame(n, 0, n, novelty.difference_hash(p).tobytes(), n)
            for n, p in enumerate([picture(1), red(), (red() // 2)])
        ]

        assert scan.choose_frames(rows, 2) == [0, 1]
        assert scan.stand_ins(rows, [0, 1]) == {0: 0, 1: 1, 2: 1}
        assert scan.stand_ins(rows, []) == {}

    def test_nothing_is_said_of_a_frame_that_resembles_none_that_was_looked_at(self) -> None:
        play = scan.Shown("p", np.array([0, 1, 0], np.int32), ())
        seen: dict[int, scan.Seen] = {0: {"redness": [Detection("red", 0.7)]}}

        report = scan.conclude([play], [scan.Looked(seen, {0: 0})], {}, detectors())

        assert [(f.start, f.end) for f in report.findings] == [
            (0, round(1 / FPS, 4)),
            (round(2 / FPS, 4), 0.2),
        ]

    def test_a_broken_reader_leaves_failed_runs_and_the_rest_goes_on(self) -> None:
        broken = detectors(reader=Broken())

        seen, runs = scan.see([red()], scan.every(broken))

        assert [(run.detector, run.ok) for run in runs] == [("redness", True), ("broken", False)]
        assert seen[0]["redness"][0].score > 0.5

    def test_what_was_seen_survives_as_json(self) -> None:
        seen, _ = scan.see([red()], scan.every(detectors()))

        assert scan.seen_from(scan.seen_json(seen[0])) == seen[0]


def _present(steps: int, speaks_at: int | None = None, key_at: int | None = None) -> tuple[Situation, ...]:
    clips, events = np.full(steps, -1, np.int16), np.zeros((steps, EVENTS), np.bool_)
    if speaks_at is not None:
        clips[speaks_at] = 0
    if key_at is not None:
        events[key_at, Event.KEY] = True
    return tuple(scan.situations_of(World(), clips, events))  # type: ignore[arg-type]


class Clipped(Sheet):
    """Reads the same words, once at the frame's left edge and once inside."""

    left = 0

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        return [[Detection("text", 0.8, 0, 0, (self.left, 40, 60, 60), "i will find you")] for _ in batch]


@pytest.mark.parametrize(("left", "share"), [(0, scan.CUT), (30, 1.0)])
def test_words_that_the_frames_edge_cuts_count_for_less(left: int, share: float) -> None:
    reader = Clipped()
    reader.left = left
    known = detectors(reader=reader)
    seen, _ = scan.see([picture(1)], scan.costly(known))
    play = scan.Shown("p", np.zeros(4, np.int32), ())

    report = scan.conclude([play], [scan.Looked({0: seen[0]}, {0: 0})], {}, known)

    whole = known.words[0]([Text("i will find you")])[0][0].score
    assert [f.score for f in report.findings if f.label == "threat"] == [pytest.approx(whole * share)]


class Rude(Detector[Text]):
    card = card("text", "text", "slur")

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Text]) -> list[list[Detection]]:
        return [[Detection("slur", 0.9)] if "foo" in item.text else [] for item in batch]


@pytest.mark.parametrize(
    ("text", "sure", "share"), [("foo", 0.8, scan.CUT), ("foo", 0.95, 1.0), ("foo fighters", 0.8, 1.0)]
)
def test_a_few_letters_that_are_hardly_legible_count_for_less(text: str, sure: float, share: float) -> None:
    known = replace(detectors(), words=(Rude(),))
    seen = {0: {"ocr": [Detection("text", sure, 0, 0, (30, 40, 60, 60), text)]}}
    play = scan.Shown("p", np.zeros(4, np.int32), ())

    report = scan.conclude([play], [scan.Looked(seen, {0: 0})], {}, known)

    assert [f.score for f in report.findings if f.label == "slur"] == [pytest.approx(0.9 * share)]


def readings_of(*views: list[tuple[str, float, int, int]]) -> list[scan.Looked]:
    """What the reader found in views that follow each other: text, score, left and right edge of each box."""
    seen = {
        number: {"ocr": [Detection("text", s, 0, 0, (x0, 40, x1, 60), text) for text, s, x0, x1 in view]}
        for number, view in enumerate(views)
    }
    return [scan.Looked(seen, {number: number for number in seen})]


def slurs_in(*views: list[tuple[str, float, int, int]]) -> list[float]:
    """Scores of what a detector that takes offence at foo finds in views of half a second each."""
    known = replace(detectors(), words=(Rude(),))
    play = scan.Shown("p", np.repeat(np.arange(len(views), dtype=np.int32), FPS // 2), ())
    report = scan.conclude([play], readings_of(*views), {}, known)
    return sorted({round(f.score, 3) for f in report.findings if f.label == "slur"})


def test_a_texture_that_the_frames_edge_cuts_takes_nothing_from_words_that_it_does_not() -> None:
    beside = [("00", 0.6, 0, 14), ("foo fighters", 1.0, 30, 90)]

    assert slurs_in(beside)[-1] == pytest.approx(0.9 * reading.OTHERWISE)


def test_what_two_views_read_whole_counts_beside_a_longer_reading_of_the_neighbourhood() -> None:
    whole, misread = [("big foo hall", 1.0, 30, 90)], [("big 00 fuo hall ahead", 1.0, 20, 100)]

    assert slurs_in(whole, misread, whole, misread) == [pytest.approx(0.9)]


class Curt(Rude):
    """Takes offence at the word alone."""

    def predict(self, batch: Sequence[Text]) -> list[list[Detection]]:
        return [[Detection("slur", 0.9)] if "foo" in item.text.split() else [] for item in batch]


def test_a_word_that_lacks_letters_in_several_views_is_not_one_of_its_own() -> None:
    known = replace(detectors(), words=(Curt(),))
    partly, whole = [("foo d hall", 1.0, 30, 90)], [("xfoo d hall", 1.0, 20, 100)]
    play = scan.Shown("p", np.repeat(np.arange(3, dtype=np.int32), FPS // 2), ())

    report = scan.conclude([play], readings_of(partly, whole, partly), {}, known)

    assert [f for f in report.findings if f.label == "slur"] == []
