"""Trains the network that takes music out of speech; needs ``espeak-ng`` and ``flite``.

    OMP_NUM_THREADS=1 python -m moderation.unmixing.train --steps 4000

Voices say words drawn at random from a vocabulary, under music, noise and a game's effects made by script.
Held back: the voices, styles of music and phrases of the held-out split of ``moderation.labelled.speech``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from moderation.labelled.speech import (
    RATE,
    Samples,
    Style,
    Voice,
    Wave,
    level,
    pink,
    play,
    pulse,
    saws,
    say,
    sines,
    tape,
)
from moderation.unmixing.network import WEIGHTS, Unmix, load, loudness_relative, power_mel

SECONDS = 3
BATCH = 16
RATE_OF_LEARNING = 2e-3
FURTHEST = (-8.0, 10.0)
"""Decibels of the voice over the rest."""
CLEAN, VOICELESS = 0.15, 0.15
"""Shares of examples without music, and without voice."""
AUDIBLE = 10**-3.5
"""Share of a voice's loudest frame from which a frame counts as spoken."""
ACCENTS = ("en-us", "en-gb", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc")
VARIANTS = ("", "+f1", "+f2", "+f3", "+f4", "+m1", "+m2", "+m4", "+m5", "+m7", "+klatt", "+klatt2", "+klatt3")
FLITE = ("slt", "awb")

log = logging.getLogger(__name__)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--voices", type=int, default=1500, help="utterances that are spoken")
    parser.add_argument("--music", type=int, default=600, help="pieces of music that are made")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    voices = [utterance(rng) for _ in range(given.voices)]
    sounds = [background(rng) for _ in range(given.music)]
    log.info("%d utterances, %d backgrounds", len(voices), len(sounds))
    network = load(given.start) if given.start else Unmix()
    train(network, voices, sounds, given.steps, rng)
    save(network, given.out)


# -- examples -----------------------------------------------------------------------------------------


def utterance(rng: np.random.Generator) -> Samples:
    """Three to ten words by a voice that is not held out."""
    text = " ".join(rng.choice(vocabulary(), rng.integers(3, 11)))
    return say(text, random_voice(rng))


def random_voice(rng: np.random.Generator) -> Voice:
    """None of those that are held out."""
    speed = float(rng.uniform(0.8, 1.3))
    if rng.random() < 0.45:
        return Voice("flite", str(rng.choice(FLITE)), speed)
    return Voice("espeak-ng", f"{rng.choice(ACCENTS)}{rng.choice(VARIANTS)}", speed)


def vocabulary() -> list[str]:
    """English words: the whole words among Whisper's tokens, the most frequent first."""
    from whisper.tokenizer import get_tokenizer

    encoding = get_tokenizer(multilingual=False).encoding
    tokens = (encoding.decode([number]) for number in range(12_000))
    return [
        token.strip() for token in tokens if token.startswith(" ") and token[1:].isalpha() and token.islower()
    ]


def background(rng: np.random.Generator) -> Samples:
    """Eight seconds of music, noise or both, shaped by a random filter."""
    sound = play(_style(rng), 8, rng) if rng.random() < 0.9 else pink(8, rng)
    if rng.random() < 0.4:
        sound = sound + play(_style(rng), 8, rng) * float(rng.uniform(0.1, 1))
    if rng.random() < 0.3:
        sound = sound + pink(8, rng) * float(rng.uniform(0, 0.7))
    if rng.random() < 0.4:
        sound = sound + _effects(8, rng)
    return level(_filtered(sound, rng))


def _style(rng: np.random.Generator) -> Style:
    kinds: list[Callable[[], Wave]] = [
        lambda: partial(sines, weights=(1,)),
        lambda: partial(sines, weights=tuple(rng.uniform(0, 1, 6) / np.arange(1, 7) ** rng.uniform(0, 2))),
        lambda: partial(pulse, duty=float(rng.uniform(0.25, 0.5))),
        lambda: partial(saws, drive=float(rng.uniform(0.2, 1.5))),
        lambda: partial(
            bells, ratio=float(rng.choice([0.5, 1, 1.4, 2, 3.5])), depth=float(rng.uniform(0.5, 4))
        ),
    ]
    return Style(
        wave=kinds[int(rng.integers(len(kinds)))](),
        drums=float(rng.uniform(0.3, 1.5)) if rng.random() < 0.5 else 0.0,
        chords=float(rng.uniform(0.02, 0.4)),
        decay=float(rng.uniform(0.3, 12)),
        swell=(float(10 ** rng.uniform(-1, 0.9)), float(rng.uniform(0, 1))),
        vibrato=float(rng.uniform(0, 0.03)) if rng.random() < 0.4 else 0.0,
    )


def bells(hertz: NDArray[np.float64], ratio: float, depth: float) -> NDArray[np.float64]:
    """One sine that sways the phase of another (frequency modulation)."""
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    return np.asarray(np.sin(phase + depth * np.sin(ratio * phase)))


def _effects(seconds: int, rng: np.random.Generator) -> Samples:
    """A game's effects now and then."""
    from scipy.signal import resample_poly

    from worldmodel.constants import SAMPLE_RATE, Event
    from worldmodel.sound import effect

    track = np.zeros(seconds * RATE, np.float32)
    for _ in range(int(rng.integers(1, 8))):
        made = resample_poly(effect(Event(int(rng.choice(list(Event))))), RATE, SAMPLE_RATE)
        at = int(rng.integers(0, len(track)))
        track[at : at + len(made)] += made[: len(track) - at] * float(rng.uniform(0.3, 1.5))
    return track


def _filtered(sound: Samples, rng: np.random.Generator) -> Samples:
    """With bass and treble turned up or down."""
    spectrum = np.fft.rfft(sound)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(sound), 1 / RATE), 30) / 1000)
    return np.fft.irfft(spectrum * 2 ** (octaves * rng.uniform(-0.5, 0.3)), len(sound)).astype(np.float32)


def example(
    voices: list[Samples], sounds: list[Samples], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A voice (SECONDS * RATE,) and what it is heard with, of the same length."""
    length = SECONDS * RATE
    voice = np.zeros(length, np.float32)
    if rng.random() >= VOICELESS:
        said = tape(voices[int(rng.integers(len(voices)))], float(rng.uniform(0.85, 1.2)))
        at = int(rng.integers(-len(said) // 2, length - len(said) // 2))
        said = said[max(0, -at) :][: length - max(0, at)]
        voice[max(0, at) : max(0, at) + len(said)] = said
    rest = np.zeros(length, np.float32)
    if rng.random() >= CLEAN or not voice.any():
        sound = sounds[int(rng.integers(len(sounds)))]
        start = int(rng.integers(0, len(sound) - length))
        rest = sound[start : start + length] * 10 ** (-float(rng.uniform(*FURTHEST)) / 20)
    hiss = rng.standard_normal(length) * 10 ** rng.uniform(-5, -3)
    gain = 10 ** rng.uniform(-1.5, 0.3)
    return np.float32(gain) * voice, (gain * (rest + hiss)).astype(np.float32)


# -- learning -----------------------------------------------------------------------------------------


def train(
    network: Unmix, voices: list[Samples], sounds: list[Samples], steps: int, rng: np.random.Generator
) -> float:
    """The mean loss of the last steps; the rate of learning rises for 100 steps and then falls to zero."""
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), RATE_OF_LEARNING, weight_decay=1e-2)
    running = 0.0
    for step in range(steps):
        falling = 0.5 * (1 + np.cos(np.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = RATE_OF_LEARNING * min(1.0, (step + 1) / 100) * falling
        pairs = [example(voices, sounds, rng) for _ in range(BATCH)]
        loss = _loss(network, *(torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True)))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if (step + 1) % 100 == 0:
            log.info("step %d  loss %.4f", step + 1, running)
    network.eval()
    return running


def _loss(network: Unmix, voice: Tensor, rest: Tensor) -> Tensor:
    """Distance of the masked spectrogram from the voice's, in decades; cross entropy of where a voice is."""
    mixed, alone = power_mel(voice + rest), power_mel(voice)
    with torch.autocast("cpu", torch.bfloat16):
        logits, spoken = network(loudness_relative(mixed))
    top = mixed.amax(dim=(1, 2), keepdim=True)
    floor = top * 10**-4.5
    masked = (mixed * logits.float().sigmoid() + floor).log10() - (alone + floor).log10()
    frames = alone.sum(dim=1)
    present = (frames > frames.amax(dim=1, keepdim=True) * AUDIBLE) & (frames > 1e-8)
    heard = nn.functional.binary_cross_entropy_with_logits(spoken.float(), present.float())
    loss: Tensor = masked.abs().mean() + 0.3 * heard
    return loss


def save(network: Unmix, path: Path) -> None:
    """Weights with 16 bits."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    save_file(tensors, path)


if __name__ == "__main__":
    main()
