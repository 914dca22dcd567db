"""What is said is written down; silence, music and nonsense are not; what is hard to hear is flagged."""

from __future__ import annotations

import re
import struct
import wave
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from whisper.model import ModelDimensions, Whisper

from moderation import scan
from moderation.detectors.base import Sound
from moderation.detectors.flash import Flash
from moderation.detectors.ggml import MAGIC, GgmlError, build_whisper, read_ggml
from moderation.detectors.hearing import PAUSE, Transcript, parted
from moderation.detectors.ocr import Ocr
from moderation.detectors.speech import SoundError, Speech, likeliest_language, resample
from moderation.detectors.text import TextRules
from moderation.detectors.voice import (
    FRAME_SECONDS,
    MAX_SECONDS,
    SUSPICION,
    VoiceActivity,
    either,
    find_utterances,
)
from moderation.labelled.speech import treatments, word_error_rate
from moderation.models import ModelMissing
from worldmodel.compiler import compile_world
from worldmodel.constants import EVENTS, FPS, SAMPLE_RATE, Event
from worldmodel.package import WorldPackage
from worldmodel.sound import mix
from worldmodel.spec import WorldSpec

VOICES = Path(__file__).parent / "data" / "speech"
SENTENCES = {
    "door": "the old door opens when you bring the golden key",
    "market": "welcome to the moon market please take a lantern",
    "threat": "i know where you live and i am going to kill you",
}
HIDDEN = "i will burn you alive in your bed"


def spoken(name: str) -> NDArray[np.float32]:
    """The fixture's samples at the world's sample rate, 24 kHz."""
    from scipy.signal import resample_poly

    with wave.open(str(VOICES / f"{name}.wav")) as file:
        assert file.getframerate() == 12_000
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    return resample_poly(samples, 2, 1).astype(np.float32)


def music(seconds: float) -> NDArray[np.float32]:
    """A chord with slow tremolo under a plucked melody."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    notes = np.random.default_rng(3).choice([220, 247, 277, 330, 370, 440, 494, 554], int(seconds * 4) + 1)
    pitch = notes[(time * 4).astype(int)]
    pluck = np.sin(2 * np.pi * pitch * time) * np.exp(-3 * (time % 0.25))
    chord = sum(np.sin(2 * np.pi * f * time) * (1 + np.sin(f * time / 100)) for f in (110, 165, 220))
    return (0.2 * pluck + 0.05 * chord).astype(np.float32)


@pytest.fixture(scope="module")
def speech() -> Speech:
    detector = Speech()
    try:
        detector.ensure_loaded()
    except ModelMissing as missing:
        pytest.skip(str(missing))
    return detector


class OnlyVoiceActivity(Speech):
    """The real voice activity, and no Whisper to call."""

    def load(self) -> None:
        self._load_gate()


@pytest.fixture(scope="module")
def gate() -> Speech:
    detector = OnlyVoiceActivity()
    detector.ensure_loaded()
    return detector


def test_three_sentences_are_understood_in_one_batch(speech: Speech) -> None:
    threads = torch.get_num_threads()
    found = speech([Sound(spoken(name), SAMPLE_RATE) for name in SENTENCES])
    for (name, said), detections in zip(SENTENCES.items(), found, strict=True):
        assert detections[0].label == "speech", name
        assert {d.label for d in detections[1:]} <= {"maybe"}, name
        assert word_error_rate(said, detections[0].text or "") <= 0.2, detections
        assert detections[0].score > 0.6
    assert torch.get_num_threads() == threads


def test_speech_over_music_is_found_at_its_time(speech: Speech) -> None:
    mix, voice = music(8.0), spoken("threat")
    mix[2 * SAMPLE_RATE : 2 * SAMPLE_RATE + len(voice)] += 0.5 * voice
    (detections,) = speech([Sound(mix, SAMPLE_RATE, start=100.0)])
    detection = detections[0]
    assert detection.label == "speech"
    assert word_error_rate(SENTENCES["threat"], detection.text or "") <= 0.2
    assert detection.start == pytest.approx(102.0, abs=0.3)
    assert detection.end == pytest.approx(102.0 + len(voice) / SAMPLE_RATE, abs=0.6)


def test_two_sentences_have_the_times_of_their_own_words(speech: Speech) -> None:
    door, threat = spoken("door"), spoken("threat")
    pause = np.zeros(SAMPLE_RATE // 2, np.float32)
    (detections,) = speech([Sound(np.concatenate([pause, door, pause, threat, pause]), SAMPLE_RATE)])
    first, second = [d for d in detections if d.label == "speech"]
    assert word_error_rate(SENTENCES["door"], first.text or "") <= 0.2
    assert word_error_rate(SENTENCES["threat"], second.text or "") <= 0.2
    assert first.start == pytest.approx(0.5, abs=0.3)
    assert first.end < second.start == pytest.approx(1.0 + len(door) / SAMPLE_RATE, abs=0.3)


def test_a_soft_voice_under_music_as_loud_is_heard(speech: Speech) -> None:
    voice = spoken("soft")
    under = treatments("heldout")["under music at 0 dB"](
        resample(Sound(voice, SAMPLE_RATE)), np.random.default_rng(1)
    )
    (detections,) = speech([Sound(under, 16_000)])
    assert detections
    right = any(word_error_rate(HIDDEN, d.text or "") <= 0.34 for d in detections)
    assert right or "unclear" in {d.label for d in detections}


def test_another_language_is_told_and_not_taken_for_english(speech: Speech) -> None:
    (detections,) = speech([Sound(spoken("german"), SAMPLE_RATE)])
    told = [d.text or "" for d in detections if d.label == "foreign"]
    assert any(text.startswith("[de] ") and "Mond" in text for text in told)
    assert not [d for d in detections if d.label == "speech" and d.score > 0.67]


def world_with(threat: NDArray[np.float32]) -> WorldPackage:
    """Its effect for a key is a spoken threat, and its backdrop has a slur written over hills."""
    spec = WorldSpec.model_validate(
        {
            "title": "Quiet hills",
            "prompt": "a meadow",
            "style": {"backdrop": "hills.png"},
            "effects": {"key": "ping.wav"},
        }
    )
    return WorldPackage(spec, {"hills.png": written_over_hills()}, {"ping.wav": threat}, {}, "0" * 64, {})


def written_over_hills() -> NDArray[np.uint8]:
    """(160, 480, 4): a gradient, a curve of hills, and small letters in a corner of the sky."""
    picture = Image.new("RGBA", (480, 160), (150, 200, 240, 255))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((-100, 100, 400, 320), fill=(90, 150, 80, 255))
    draw.text((300, 20), "WETBACKS KEEP OUT", font=ImageFont.load_default(16), fill=(40, 60, 90, 255))
    return np.asarray(picture)


def listening(speech: Speech) -> scan.Detectors:
    return scan.Detectors((), Ocr(), (Flash(),), speech, (TextRules(),))


def test_intake_catches_a_threat_in_an_effect_and_a_slur_on_a_backdrop(speech: Speech) -> None:
    report = scan.scan_media(world_with(spoken("threat")), listening(speech))

    assert all(run.ok for run in report.runs)
    found = {(f.label, f.media) for f in report.findings}
    assert ("threat", "effects.key") in found
    assert ("slur", "style.backdrop") in found


def test_a_threat_in_an_effect_is_caught_in_the_play_that_sets_it_off(speech: Speech) -> None:
    world = compile_world(world_with(spoken("threat")))
    detectors, steps = listening(speech), 90
    scanner, plays = scan.PlayScanner(world, detectors), []
    for name, at in (("loud", 20), ("later", 26), ("quiet", None)):
        clips, events = np.full(steps, -1, np.int16), np.zeros((steps, EVENTS), np.bool_)
        if at is not None:
            events[at, Event.KEY] = True
        frames = np.zeros((steps + 1, 8, 8, 3), np.uint8)
        look = scanner.look(
            name, 0, frames, mix(world, events, clips), clips, events, np.zeros(steps + 1, int)
        )
        plays.append(scan.Shown(name, look.shown, tuple(scan.situations_of(world, clips, events))))

    report = scan.conclude(plays, [], scanner.heard, detectors)

    starts = {f.playthrough: f.start for f in report.findings if f.label == "threat"}
    assert starts.keys() == {"loud", "later"}
    assert starts["later"] - starts["loud"] == pytest.approx(6 / FPS, abs=0.01)


def test_a_voice_without_words_is_unclear_and_invents_no_text(speech: Speech) -> None:
    (detections,) = speech([Sound(spoken("threat")[::-1].copy(), SAMPLE_RATE)])
    assert "unclear" in {d.label for d in detections}
    assert all(d.text is None for d in detections if d.label == "unclear")
    assert all(d.score < 0.67 for d in detections if d.text)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        np.zeros(10 * SAMPLE_RATE, np.float32),
        music(20.0),
        np.random.default_rng(0).normal(0, 0.05, 10 * SAMPLE_RATE).astype(np.float32),
    ],
    ids=["empty", "silence", "music", "noise"],
)
def test_without_a_voice_nothing_is_found_and_whisper_is_not_called(
    gate: Speech, samples: NDArray[np.float32]
) -> None:
    assert gate([Sound(samples, SAMPLE_RATE)]) == [[]]


def test_a_voice_does_reach_whisper(gate: Speech) -> None:
    with pytest.raises(AttributeError, match="_english"):
        gate([Sound(spoken("door"), SAMPLE_RATE)])


def test_each_sound_is_heard_afresh(gate: Speech) -> None:
    voice = VoiceActivity()
    samples = resample(Sound(spoken("door"), SAMPLE_RATE))
    first = voice.probabilities(samples)
    voice.probabilities(resample(Sound(music(3.0), SAMPLE_RATE)))
    np.testing.assert_array_equal(voice.probabilities(samples), first)


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        (Sound(np.ones(10, np.float32), 0), "rate 0"),
        (Sound(np.array([0, np.nan], np.float32), SAMPLE_RATE), "not finite"),
    ],
)
def test_a_sound_that_cannot_be_heard_is_an_error(gate: Speech, sound: Sound, words: str) -> None:
    with pytest.raises(SoundError, match=words):
        gate([sound])


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_resampling_keeps_a_tone_and_its_length(rate: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
    heard = resample(Sound(tone, rate))
    assert len(heard) == 16_000
    assert np.abs(np.fft.rfft(heard)).argmax() == 440


@pytest.mark.parametrize(
    ("transcript", "understood"),
    [
        (Transcript("open the door", -0.2, 0.1, 1.0), True),
        (Transcript("open the door", -1.2, 0.1, 1.0), False),
        (Transcript("the low the low the low the low", -0.2, 0.1, 3.0), False),
        (Transcript("thank you", -0.2, 0.9, 1.0), False),
        (Transcript(" ...", -0.2, 0.1, 1.0), False),
    ],
)
def test_what_a_decoder_invents_is_not_believed(transcript: Transcript, understood: bool) -> None:
    assert transcript.understood is understood


@pytest.mark.parametrize(("logprob", "doubtful"), [(-0.3, False), (-0.5, True), (-1.2, True)])
def test_words_that_may_be_invented_are_for_a_person_too(logprob: float, doubtful: bool) -> None:
    assert Transcript("open the door", logprob, 0.1, 1.0).doubtful is doubtful


@dataclass
class Timed:
    """A word as Whisper times it."""

    word: str
    start: float
    end: float


def test_a_full_stop_and_a_pause_part_sentences() -> None:
    words = [
        Timed(" Stay", 0.0, 0.3),
        Timed(" here.", 0.3, 0.6),
        Timed(" The", 0.7, 0.8),
        Timed(" fire", 0.8, 1.1),
        Timed(" burns", 1.1 + 2 * PAUSE, 2.8),
    ]
    assert [[word.word for word in part] for part in parted(words)] == [
        [" Stay", " here."],
        [" The", " fire"],
        [" burns"],
    ]


@pytest.mark.parametrize(
    ("english", "german", "language"), [(0.1, 0.8, "de"), (0.3, 0.6, "en"), (0.1, 0.4, "en")]
)
def test_another_language_counts_only_where_it_is_certain(
    english: float, german: float, language: str
) -> None:
    assert likeliest_language({"en": english, "de": german, "fr": 0.05}) == language


@given(st.lists(st.floats(0, 1, width=32), max_size=80), st.lists(st.floats(0, 1, width=32), max_size=300))
def test_the_second_opinion_only_adds_voice_where_the_first_has_a_suspicion(
    first: list[float], second: list[float]
) -> None:
    voice, unmixed = np.array(first, np.float32), np.array(second, np.float32)
    both = either(voice, unmixed)
    assert both.shape == voice.shape
    assert (both >= voice).all()
    assert max(first, default=1) >= SUSPICION or (both == voice).all()


def test_under_music_the_second_opinion_fills_in_what_the_first_half_heard() -> None:
    first, second = np.zeros(100, np.float32), np.zeros(320, np.float32)
    first[50], second[120:200] = 0.3, 0.9
    assert (either(first, second)[40:60] > 0.8).all()
    assert (either(np.zeros_like(first), second) == 0).all()


def voiced(*spans: tuple[float, float], seconds: float) -> NDArray[np.float32]:
    voice = np.zeros(round(seconds / FRAME_SECONDS), np.float32)
    for start, end in spans:
        voice[round(start / FRAME_SECONDS) : round(end / FRAME_SECONDS)] = 0.9
    return voice


def test_pauses_join_or_part_utterances() -> None:
    found = find_utterances(voiced((1, 2), (2.4, 3), (5, 6), seconds=8), 8.0)
    assert [(round(u.start, 1), round(u.end, 1)) for u in found] == [(0.8, 3.2), (4.8, 6.2)]


def test_a_click_is_no_utterance() -> None:
    assert find_utterances(voiced((1, 1.1), seconds=3), 3.0) == []


def test_a_long_speech_is_split_where_it_is_quietest() -> None:
    voice = voiced((0, 60), seconds=60)
    voice[round(25 / FRAME_SECONDS)] = 0.6
    found = find_utterances(voice, 60.0)
    assert all(u.end - u.start <= MAX_SECONDS for u in found)
    assert found[0].end == pytest.approx(25, abs=0.1)
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(60, abs=0.1)
    assert all(a.end == pytest.approx(b.start) for a, b in pairwise(found))


TINY = ModelDimensions(8, 12, 16, 2, 1, 51864, 10, 16, 2, 1)


def write_ggml(path: Path, tensors: dict[str, torch.Tensor], *, magic: int = MAGIC, ftype: int = 1) -> None:
    sizes = [TINY.n_vocab, TINY.n_audio_ctx, TINY.n_audio_state, TINY.n_audio_head, TINY.n_audio_layer]
    sizes += [TINY.n_text_ctx, TINY.n_text_state, TINY.n_text_head, TINY.n_text_layer, TINY.n_mels, ftype]
    data = struct.pack("<12i", magic, *sizes)
    data += struct.pack("<2i", 2, 3) + np.zeros(6, "<f4").tobytes()
    data += struct.pack("<2i", 1, 5) + b"hello"
    for name, tensor in tensors.items():
        values = tensor.numpy()
        values = values[:, None] if re.fullmatch(r"encoder\.conv\d\.bias", name) else values
        half = values.ndim > 1
        data += struct.pack("<3i", values.ndim, len(name), int(half))
        data += struct.pack(f"<{values.ndim}i", *reversed(values.shape)) + name.encode()
        data += values.astype("<f2" if half else "<f4").tobytes()
    path.write_bytes(data)


@pytest.fixture(scope="module")
def tiny() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        name: torch.randn(tensor.shape).half().float() for name, tensor in Whisper(TINY).state_dict().items()
    }


def test_every_tensor_of_a_ggml_file_reaches_whisper(tmp_path: Path, tiny: dict[str, torch.Tensor]) -> None:
    write_ggml(tmp_path / "tiny.bin", tiny)
    model = build_whisper(tmp_path / "tiny.bin", Whisper)
    assert model.dims == TINY
    assert not model.training
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, tiny[name], rtol=0, atol=0)


def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, tiny: dict[str, torch.Tensor]) -> None:
    name = "decoder.ln.weight"
    cases = {
        "missing": {key: tensor for key, tensor in tiny.items() if key != name},
        "unknown": {**tiny, "decoder.extra": torch.zeros(3)},
        "shape": {**tiny, name: torch.zeros(15)},
    }
    for words, tensors in cases.items():
        write_ggml(tmp_path / "bad.bin", tensors)
        with pytest.raises(GgmlError, match=words):
            build_whisper(tmp_path / "bad.bin", Whisper)


def test_files_that_are_not_whole_are_refused(tmp_path: Path, tiny: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "bad.bin"
    write_ggml(path, tiny)
    whole = path.read_bytes()
    for cut in (0, 3, 40, 70, 90, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(GgmlError, match=r"early.*fetch the weights again"):
            read_ggml(path)
    write_ggml(path, tiny, magic=1)
    with pytest.raises(GgmlError, match="not a ggml file"):
        read_ggml(path)
    write_ggml(path, tiny, ftype=8)
    with pytest.raises(GgmlError, match="quantised"):
        read_ggml(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(GgmlError, match=r"nothing\.bin.*fetch"):
        read_ggml(tmp_path / "nothing.bin")
