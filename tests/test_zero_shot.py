"""Looking for what a policy's own phrases name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from moderation.detectors import clip, zero_shot
from moderation.detectors.base import Picture
from moderation.detectors.clip import CONFIG, IMAGE_SIDE, ClipMissing, UnknownClip, load_clip
from moderation.detectors.conformance import check
from moderation.detectors.registry import Setup
from moderation.detectors.zero_shot import CoverageCard, ZeroShot, probabilities, uncovered, windows
from moderation.drawings.concepts import look_alikes
from moderation.models import ModelMissing
from policies.schema import Phrases

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
WEAPONS = {"weapons": Phrases(show=("a pistol", "a knife"), against=("a power drill", "a spoon"))}


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Embeddings are kept here; weights stay where they are."""
    monkeypatch.setattr(zero_shot, "cache_dir", lambda: tmp_path / "cache")
    return tmp_path / "cache" / zero_shot.NAME


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.nn.Module]:
    """A folder as open_clip saves a model, with random weights, and the model itself."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("tiny")
    model = open_clip.CLIP(**TINY).eval()
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    settings = {"mean": [0.4, 0.4, 0.4], "std": [0.3, 0.3, 0.3], "size": [32, 32]}
    (folder / CONFIG).write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": settings}))
    return folder, model


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)


# -- any open_clip model -------------------------------------------------------------------------------


def test_a_folder_of_open_clips_gives_the_models_own_embeddings(tiny):
    folder, model = tiny
    loaded = load_clip(str(folder))
    squares = noise(3, 32, 32, 3)
    inputs = (torch.from_numpy(squares).permute(0, 3, 1, 2) / 255 - 0.4) / 0.3
    tokens = open_clip.tokenize(["a pistol", "a spoon"], context_length=16)
    with torch.no_grad():
        pictures = model.encode_image(inputs, normalize=True).numpy()
        phrases = model.encode_text(tokens, normalize=True).numpy()

    assert loaded.side == 32
    np.testing.assert_allclose(loaded.pictures(squares), pictures, atol=1e-5)
    np.testing.assert_allclose(loaded.phrases(["a pistol", "a spoon"]), phrases, atol=1e-5)


def test_an_architecture_takes_its_weights_from_a_file(tiny, tmp_path):
    folder, model = tiny
    (tmp_path / "tiny-test.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(tmp_path)
    file = tmp_path / "some.pt"
    torch.save(model.state_dict(), file)

    loaded = load_clip(f"tiny-test:{file}")

    assert loaded.key == load_clip(str(folder)).key


def test_the_detector_runs_on_any_model_and_relies_on_none_without_a_card(tiny, own_cache):
    folder, _ = tiny
    detector = ZeroShot(WEAPONS, "k" * 64, str(folder))

    (found,) = detector([Picture(noise(48, 96, 3), at=2.5)])

    assert {one.label for one in found} <= {"weapons"}
    assert all(0 <= one.score <= 1 and one.start == 2.5 for one in found)
    assert detector.uncovered == ("weapons",)


@pytest.mark.parametrize("name", ["", "no-such-thing", "/no/such/folder", "no-such-architecture:tag"])
def test_what_names_no_model_is_refused_with_the_ways_to_name_one(name):
    with pytest.raises(UnknownClip, match="ARCHITECTURE:TAG"):
        load_clip(name)


def test_a_folder_without_a_config_is_refused_by_name(tmp_path):
    with pytest.raises(UnknownClip, match=CONFIG):
        load_clip(str(tmp_path))


@pytest.mark.parametrize("name", ["hf-hub:some/where", "ViT-B-32:laion2b_s34b_b79k"])
def test_offline_nothing_is_downloaded(name, monkeypatch):
    monkeypatch.setenv("FIRSTPLAY_OFFLINE", "1")
    with pytest.raises(ModelMissing, match="FIRSTPLAY_OFFLINE"):
        load_clip(name)


def test_missing_weights_are_an_error_and_no_silent_pass(tiny, tmp_path, monkeypatch):
    (tmp_path / CONFIG).write_text((tiny[0] / CONFIG).read_text())
    with pytest.raises(ClipMissing):
        load_clip(str(tmp_path))

    (tmp_path / CONFIG).write_text((clip.DRAWN_FOLDER / CONFIG).read_text())
    monkeypatch.setattr(clip, "DRAWN_FOLDER", tmp_path)
    with pytest.raises(ModelMissing, match=IMAGE_SIDE):
        ZeroShot(WEAPONS, "k" * 64)([Picture(noise(64, 64, 3))])


# -- where a picture is looked at ----------------------------------------------------------------------


@given(st.integers(1, 400), st.integers(1, 400))
def test_windows_are_squares_that_cover_the_whole_picture(height, width):
    seen = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in windows(height, width):
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert x1 - x0 == y1 - y0
        seen[y0:y1, x0:x1] = True
    assert seen.all()


@given(st.integers(0, 96), st.integers(0, 96))
def test_what_is_32_pixels_wide_is_whole_in_a_small_window_of_a_frame(x, y):
    small = windows(128, 128)[1:]
    assert any(x0 <= x and y0 <= y and x1 >= x + 32 and y1 >= y + 32 for x0, y0, x1, y1 in small)


def test_a_frame_is_looked_at_ten_times():
    assert windows(128, 128)[0] == (0, 0, 128, 128)
    assert len(windows(128, 128)) == 10


# -- scores --------------------------------------------------------------------------------------------


@given(st.floats(1, 100), st.integers(0, 1_000))
def test_probabilities_of_showing_and_of_not_showing_add_up_to_one(scale, seed):
    some = np.random.default_rng(seed).normal(size=(10, 8)).astype(np.float32)
    vectors, show, others = np.split(some / np.linalg.norm(some, axis=1, keepdims=True), (5, 7))
    both = probabilities(vectors, show, others, scale) + probabilities(vectors, others, show, scale)
    np.testing.assert_allclose(both, 1, atol=1e-4)


def test_a_picture_on_a_phrase_is_sure_and_between_two_is_even():
    axes = np.eye(3, dtype=np.float32)
    middle = (axes[0] + axes[1]) / np.sqrt(2)
    sure, even = probabilities(np.stack([axes[0], middle]), axes[:1], axes[1:2], 50.0)
    assert sure > 0.99
    assert even == pytest.approx(0.5)


# -- phrases -------------------------------------------------------------------------------------------


def test_embeddings_are_kept_under_the_phrases_key(own_cache, monkeypatch):
    first = ZeroShot(WEAPONS, "a" * 64)
    first.ensure_loaded()
    assert [path.name[:8] for path in own_cache.iterdir()] == ["a" * 8]

    def refuse(*_: object) -> None:
        raise AssertionError("embedded again")

    with monkeypatch.context() as patched:
        patched.setattr(clip.DrawnClip, "phrases", refuse)
        ZeroShot(WEAPONS, "a" * 64).ensure_loaded()
        with pytest.raises(AssertionError, match="again"):
            ZeroShot(WEAPONS, "b" * 64).ensure_loaded()


def test_a_kept_file_with_other_phrases_is_not_believed(own_cache):
    ZeroShot({"drugs": Phrases(show=("a syringe",))}, "a" * 64).ensure_loaded()
    frame = Picture(noise(128, 128, 3))

    again = ZeroShot(WEAPONS, "a" * 64)([frame])

    assert again == ZeroShot(WEAPONS, "c" * 64)([frame])


def test_a_detector_names_its_phrases_in_its_version():
    one, other = (ZeroShot(WEAPONS, key * 64) for key in "ab")
    assert one.card.labels == ("weapons",)
    assert one.card.version != other.card.version
    assert one.card.fingerprint != other.card.fingerprint


def test_a_policy_without_phrases_gets_a_detector_that_says_nothing(own_cache):
    detector = zero_shot.zero_shot(Setup())
    assert detector([Picture(noise(128, 128, 3))]) == [[]]
    assert detector.uncovered == ()


# -- what the card covers ------------------------------------------------------------------------------

CARD = CoverageCard({"pistol": 0.99, "kitchen knife": 0.97, "violin": 0.7}, nearest=0.6, floor=0.9)


def test_a_phrase_near_a_concept_that_was_told_well_is_covered():
    assert CARD.covering("a pistol") == "pistol"


@pytest.mark.parametrize("phrase", ["a tax return", "a violin", "someone who is sad"])
def test_a_phrase_far_from_all_or_near_one_told_badly_is_not(phrase):
    assert not CARD.covers(phrase)


def test_one_uncovered_phrase_makes_a_label_uncovered():
    phrases = {
        "weapons": Phrases(show=("a pistol", "a kitchen knife")),
        "fraud": Phrases(show=("a pistol", "a tax return")),
    }
    assert uncovered(phrases, CARD) == ("fraud",)
    assert uncovered(phrases, zero_shot.NOTHING) == ("weapons", "fraud")


# -- the weights that come with the package ------------------------------------------------------------

SHEET = Path(__file__).parent / "data" / "drawings"
"""Frames of the evaluation side by side, and what the model said of them when its card was written."""


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return json.loads((SHEET / "scores.json").read_text())


def sheet() -> np.ndarray:
    """(N, 128, 128, 3)."""
    return np.asarray(Image.open(SHEET / "frames.png")).reshape(128, -1, 128, 3).swapaxes(0, 1).copy()


def test_the_shipped_model_says_of_the_evaluations_frames_what_it_said_then(told, own_cache):
    frames, sought = sheet(), look_alikes()
    phrases = {name: Phrases(show=one.show, against=one.against) for name, one in sought.items()}

    found = ZeroShot(phrases, "d" * 64)([Picture(frame) for frame in frames])

    assert len(frames) == len(told["scores"])
    for detections, expected in zip(found, told["scores"], strict=True):
        scores = dict.fromkeys(phrases, 0.0) | {one.label: one.score for one in detections}
        assert scores == pytest.approx(expected, abs=0.03)


def test_the_detector_conforms(own_cache):
    check(ZeroShot(WEAPONS, "f" * 64), [Picture(frame) for frame in sheet()[:3]])


def test_a_detection_says_where(own_cache):
    (found,) = ZeroShot(WEAPONS, "e" * 64)([Picture(noise(128, 256, 3))])
    assert {one.box for one in found} <= set(windows(128, 256))


def test_the_card_is_of_the_shipped_weights():
    card = json.loads((clip.DRAWN_FOLDER / zero_shot.COVERAGE).read_text())
    assert card["weights_sha256"] == load_clip().key
    assert all(0 <= auroc <= 1 for auroc in card["concepts"].values())
