"""The network hears voices through music, and Whisper hears of its spectrogram what it always heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from moderation.labelled import speech
from moderation.labelled.speech import RATE, Samples
from moderation.unmixing import network, train
from moderation.unmixing.network import FRAME_RATE, Unmix, Unmixed, unmix

VOICES = Path(__file__).parent / "data" / "speech"


def said(name: str) -> Samples:
    samples, rate = speech.read_wav(VOICES / f"{name}.wav")
    return speech.level(speech.resampled(samples, rate))


@pytest.fixture(scope="module")
def trained() -> Unmix:
    return network.load()


def test_whisper_hears_the_same_of_our_spectrogram() -> None:
    import whisper

    samples = torch.from_numpy(said("door"))
    theirs = whisper.log_mel_spectrogram(samples)
    torch.testing.assert_close(network.whisper_mel(network.power_mel(samples)), theirs)


@pytest.mark.parametrize("name", ["threat", "soft"])
@pytest.mark.parametrize("style", speech.MUSIC["heldout"])
def test_a_voice_under_music_is_heard_and_music_alone_is_not(trained: Unmix, name: str, style: str) -> None:
    rng = np.random.default_rng(2)
    mixed = speech.under_music(said(name), rng, styles=(style,), decibels=0)
    voice = unmix(trained, mixed).voice
    during, before = voice[FRAME_RATE + 30 : -FRAME_RATE - 30], voice[: FRAME_RATE - 20]
    assert (during > 0.5).mean() > 0.4
    assert (before > 0.5).mean() < 0.1


def test_taking_music_out_brings_the_spectrogram_nearer_to_the_voice(trained: Unmix) -> None:
    voice = np.pad(said("threat"), RATE)
    rest = speech.music("organ", len(voice) / RATE, np.random.default_rng(1))[: len(voice)]
    unmixed = unmix(trained, voice + rest)
    alone = network.power_mel(torch.from_numpy(voice))

    def distance(power: torch.Tensor) -> float:
        floor = alone.max() * 1e-4
        return float(((power + floor) / (alone + floor)).log10().abs().mean())

    assert distance(unmixed.power * unmixed.mask) < 0.5 * distance(unmixed.power)
    assert distance(unmixed.softened) < distance(unmixed.power)
    assert unmixed.music > 0.3
    assert unmix(trained, voice).music < 0.1


def test_a_long_sound_is_taken_apart_in_pieces(trained: Unmix, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.concatenate([said("door"), said("threat")])
    whole = unmix(trained, samples)
    monkeypatch.setattr(network, "PIECE", 150)
    pieces = unmix(trained, samples)
    assert pieces.mask.shape == whole.mask.shape == whole.power.shape
    assert pieces.voice.shape == whole.voice.shape
    assert np.abs(pieces.voice - whole.voice).mean() < 0.1


def test_a_part_is_that_of_its_seconds() -> None:
    frames = torch.arange(500.0).expand(80, 500)
    part = Unmixed(frames, frames, np.arange(500, dtype=np.float32)).part(1.0, 2.5)
    assert part.power.shape == (80, 150)
    assert part.power[0, 0] == part.voice[0] == 100


def test_weights_with_16_bits_come_back_as_they_were(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = Unmix()
    train.save(made, tmp_path / "w.safetensors")
    back = network.load(tmp_path / "w.safetensors")
    for name, tensor in back.state_dict().items():
        torch.testing.assert_close(tensor.half().float(), tensor.float())
        assert load_file(tmp_path / "w.safetensors")[name].shape == made.state_dict()[name].shape


def test_a_few_steps_of_training_come_nearer_to_the_voice() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    untrained = Unmix()
    voices, sounds = [said("door"), said("market")], [train.background(rng) for _ in range(2)]
    before = train.train(untrained, voices, sounds, 1, rng)
    assert train.train(untrained, voices, sounds, 8, rng) < before
    assert not untrained.training


def test_examples_are_a_voice_and_what_it_is_heard_with() -> None:
    rng = np.random.default_rng(4)
    voices, sounds = [said("door")], [train.background(rng)]
    made = [train.example(voices, sounds, rng) for _ in range(40)]
    assert {side.shape for pair in made for side in pair} == {(train.SECONDS * RATE,)}
    voiceless = sum(not voice.any() for voice, _ in made)
    assert 0 < voiceless < 20


def test_what_is_held_out_is_not_trained_on() -> None:
    rng = np.random.default_rng(0)
    held = {voice.name for voice in speech.VOICES["heldout"]}
    assert not held & {train.random_voice(rng).name for _ in range(300)}
    assert len(train.vocabulary()) > 2000
