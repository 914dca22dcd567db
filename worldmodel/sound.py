"""What a playthrough sounds like: music, wind, voices and effects, mixed step by step.

Everything is added up from the world and the events alone, so the sound of a recording can be made again bit
for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from worldmodel import limits
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import EVENTS, SAMPLE_RATE, SAMPLES_PER_STEP, Event

Samples = NDArray[np.float32]

MUSIC_LEVEL = 10 ** (-18 / 20)
"""Music plays at -18 dB, so that voices stay intelligible."""
EFFECT_LEVEL = 0.25
EFFECT_LOUDNESS = 10 ** (-20 / 20)
"""Root mean square that the loudest LOUDNESS_WINDOW of a creator's effect is brought to; the synthesised ones
lie between -24 and -19 dB."""
EFFECT_PEAK = 0.6
"""No sample of a creator's effect is larger: a click may stay under EFFECT_LOUDNESS."""
EFFECT_GAIN = 10 ** (12 / 20)
"""The most that a quiet effect is raised: what intake could hardly hear must not become loud in play."""
LOUDNESS_WINDOW = 0.4
"""Seconds, the momentary window of EBU R 128 (EBU Tech 3341)."""
FADE = 0.02
"""Seconds in which an effect that is cut dies away."""
WIND_LEVEL = 10 ** (-42 / 20)
"""Root mean square of the wind's noise at strength 1; twice that at 2."""
WIND_SECONDS = 8
KNEE = 0.8
"""Sample value above which the limiter bends; below it nothing is changed."""
_NOTES: dict[Event, tuple[tuple[float, float, float], ...]] = {
    Event.COLLECT: ((988, 988, 0.07), (1319, 1319, 0.16)),
    Event.KEY: ((784, 784, 0.08), (1047, 1047, 0.08), (1568, 1568, 0.22)),
    Event.DOOR: ((180, 90, 0.18), (140, 60, 0.22)),
    Event.HURT: ((420, 110, 0.25),),
    Event.PORTAL: ((220, 1200, 0.35), (1200, 700, 0.15)),
    Event.LEVER: ((300, 300, 0.04), (200, 200, 0.08)),
    Event.GOAL: ((523, 523, 0.12), (659, 659, 0.12), (784, 784, 0.12), (1047, 1047, 0.4)),
    Event.DIED: ((392, 370, 0.18), (311, 294, 0.18), (233, 110, 0.45)),
}
"""Notes of each effect: frequency in Hz at the start and end, and seconds."""
_ROUGH = frozenset({Event.DOOR, Event.HURT, Event.DIED, Event.LEVER})
"""Effects with odd harmonics."""


def _note(start: float, end: float, seconds: float, *, rough: bool) -> Samples:
    count = round(seconds * SAMPLE_RATE)
    phase = 2 * np.pi * np.cumsum(np.linspace(start, end, count)) / SAMPLE_RATE
    wave = np.sin(phase)
    if rough:
        wave = (wave + np.sin(3 * phase) / 3 + np.sin(5 * phase) / 5) * 0.8
    time = np.arange(count) / count
    envelope = np.minimum(1, time * count / 120) * (1 - time) ** 1.5
    return np.asarray(wave * envelope * EFFECT_LEVEL, dtype=np.float32)


def effect(event: Event) -> Samples:
    """(N,) the effect of an event; empty for speech, whose sound is the clip."""
    notes = [_note(*note, rough=event in _ROUGH) for note in _NOTES.get(event, ())]
    return np.concatenate(notes) if notes else np.zeros(0, dtype=np.float32)


def own_effect(samples: Samples) -> Samples:
    """A creator's sound (N,) as an effect: at most EFFECT_SECONDS of it, as loud as the others."""
    most = round(limits.EFFECT_SECONDS * SAMPLE_RATE)
    kept = samples[:most].astype(np.float64)
    if len(samples) > most:
        fade = round(FADE * SAMPLE_RATE)
        kept[-fade:] *= np.linspace(1, 0, fade)
    peak = float(np.abs(kept).max(initial=0))
    if peak == 0:
        return kept.astype(np.float32)
    gain = min(EFFECT_LOUDNESS / _loudness(kept), EFFECT_PEAK / peak, EFFECT_GAIN)
    return np.asarray(kept * gain, dtype=np.float32)


def _loudness(samples: NDArray[np.float64]) -> float:
    """Root mean square of the loudest LOUDNESS_WINDOW."""
    window = min(len(samples), round(LOUDNESS_WINDOW * SAMPLE_RATE))
    energy = np.concatenate([[0.0], np.cumsum(samples**2)])
    return float(np.sqrt((energy[window:] - energy[:-window]).max() / window))


@cache
def wind_noise(strength: int) -> Samples:
    """(WIND_SECONDS * SAMPLE_RATE,) a loop of wind; the same for both directions, empty for strength 0.

    Noise that falls with frequency and swells twice; shaped as a spectrum, so that its end joins its start.
    """
    if strength == 0:
        return np.zeros(0, dtype=np.float32)
    count = WIND_SECONDS * SAMPLE_RATE
    hertz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    shape = (hertz > 60) / (1 + (hertz / 350) ** 2)
    noise = np.fft.irfft(np.fft.rfft(np.random.default_rng(0).standard_normal(count)) * shape, count)
    phase = 2 * np.pi * np.arange(count) / count
    noise *= 1 + 0.35 * np.sin(2 * phase) + 0.2 * np.sin(5 * phase)
    loop: Samples = (noise * (WIND_LEVEL * abs(strength) / np.sqrt((noise**2).mean()))).astype(np.float32)
    loop.flags.writeable = False  # every mixer shares it
    return loop


def limit(samples: Samples) -> Samples:
    """Bend what is louder than ``KNEE`` so that nothing reaches 1; the same sample always gives the same."""
    size = np.abs(samples)
    room = 1 - KNEE
    bent = KNEE + room * np.tanh((size - KNEE) / room) * 0.999
    return np.where(size > KNEE, np.copysign(bent, samples), samples).astype(np.float32)


@dataclass
class _Voice:
    """A sound that is playing."""

    samples: Samples
    position: int = 0


class Mixer:
    """The sound of one playthrough, a step at a time; ``mix`` is its concatenation."""

    def __init__(self, world: CompiledWorld) -> None:
        self._clips = tuple(clip.samples for clip in world.clips)
        music = world.music.samples if world.music is not None else np.zeros(0, dtype=np.float32)
        self._loops = tuple(
            loop
            for loop in ((music * np.float32(MUSIC_LEVEL)).astype(np.float32), _wind_of(world))
            if len(loop)
        )
        self._effects = {event: effect(event) for event in Event}
        for event, own in world.effect_clips.items():
            self._effects[Event(event)] = own.samples
        self._voices: list[_Voice] = []
        self._step = 0

    def step(self, events: NDArray[np.bool_] | Sequence[bool], clip: int) -> Samples:
        """(SAMPLES_PER_STEP,) float32 of the step with these (EVENTS,) events.

        ``clip`` is the index of the voice that starts with the step's first sample, -1 for none.
        Raises IndexError for a clip that the world does not have.
        """
        self._start(events, clip)
        out = self._loops_part()
        for voice in self._voices:
            part = voice.samples[voice.position : voice.position + SAMPLES_PER_STEP]
            out[: len(part)] += part
            voice.position += SAMPLES_PER_STEP
        self._voices = [voice for voice in self._voices if voice.position < len(voice.samples)]
        self._step += 1
        return limit(out)

    def _start(self, events: NDArray[np.bool_] | Sequence[bool], clip: int) -> None:
        if not -1 <= clip < len(self._clips):
            raise IndexError(f"the world has {len(self._clips)} clips, none with index {clip}")
        if clip >= 0:
            self._voices.append(_Voice(self._clips[clip]))
        for event in Event:
            if events[event] and len(self._effects[event]):
                self._voices.append(_Voice(self._effects[event]))

    def _loops_part(self) -> Samples:
        out = np.zeros(SAMPLES_PER_STEP, dtype=np.float32)
        for loop in self._loops:
            start = self._step * SAMPLES_PER_STEP % len(loop)
            out += np.take(loop, np.arange(start, start + SAMPLES_PER_STEP), mode="wrap")
        return out


def _wind_of(world: CompiledWorld) -> Samples:
    return wind_noise(abs(world.mechanics.wind))


def mix(world: CompiledWorld, events: NDArray[np.bool_], clips: NDArray[np.integer]) -> Samples:
    """(T * SAMPLES_PER_STEP,) float32 sound of a playthrough with (T, EVENTS) events and (T,) clips.

    Raises ValueError when the shapes do not fit and IndexError for a clip that the world does not have.
    """
    if events.ndim != 2 or events.shape != (len(clips), EVENTS):
        raise ValueError(f"events {events.shape} and clips {clips.shape} must be (T, {EVENTS}) and (T,)")
    mixer = Mixer(world)
    parts = [mixer.step(row, int(clip)) for row, clip in zip(events, clips, strict=True)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
