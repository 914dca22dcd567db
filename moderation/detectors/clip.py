"""Image–text models behind one face: any of open_clip's, and our own small one for drawn pictures.

Ours has the configuration of an open_clip model (``open_clip_config.json``). Its image tower is one of
open_clip's, as ONNX, which is three times as fast on a CPU; its text side is the phrase encoder of
:mod:`worldmodel.text.encoder` and one linear layer, since words are not learned from a few thousand drawings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.sessions import open_session
from moderation.models import ModelError, ModelMissing
from worldmodel.store.cache import known_sha256
from worldmodel.store.fetch import OFFLINE_VARIABLE, is_offline

if TYPE_CHECKING:
    from torch import Tensor

DRAWN = "drawn"
"""Our own model, whose weights come with this package."""
DRAWN_FOLDER = Path(__file__).parent / "weights" / "zero-shot"
CONFIG = "open_clip_config.json"
IMAGE_SIDE, TEXT_SIDE = "image.onnx", "text.safetensors"
"""Files of our own model; ``python -m moderation.drawings.export`` writes them."""
HUB = "hf-hub:"

Squares = NDArray[np.uint8]
Vectors = NDArray[np.float32]


class UnknownClip(ModelError):
    """A name or path that stands for no image–text model."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(
            f"{name!r} is no image–text model: {problem}. Give {DRAWN!r}, a folder with {CONFIG}, "
            "ARCHITECTURE:TAG or ARCHITECTURE:FILE as open_clip knows them (ViT-B-32:laion2b_s34b_b79k), or "
            f"{HUB}ORGANISATION/REPOSITORY"
        )


class ClipMissing(ModelMissing):
    """The weights of an image–text model cannot be had."""

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.looked = name, (problem,)
        Exception.__init__(
            self,
            f"the weights of {name!r} are missing: {problem}. Copy them to this machine and name their "
            "folder, or ARCHITECTURE:FILE",
        )


class Clip(Protocol):
    """Pictures and phrases in one space."""

    side: int
    """Pixels of the side of a picture."""
    scale: float
    """What cosines were multiplied by in training, before a softmax."""

    @property
    def key(self) -> str:
        """SHA-256 of the weights."""

    def pictures(self, squares: Squares) -> Vectors:
        """(N, D) of length 1 for (N, side, side, 3) RGB."""

    def phrases(self, phrases: Sequence[str]) -> Vectors:
        """(M, D) of length 1."""


def load_clip(name_or_path: str = DRAWN) -> Clip:
    """A model ready to use on the CPU.

    Raises UnknownClip for what names no model; ModelMissing where its weights are not to be had.
    """
    folder = DRAWN_FOLDER if name_or_path == DRAWN else Path(name_or_path)
    if folder.is_dir():
        config = _config(folder)
        if "phrase_encoder" in config["model_cfg"].get("text_cfg", {}):
            return DrawnClip(folder, config)
        return OpenClip(name_or_path, f"local-dir:{folder}", None)
    if name_or_path == DRAWN:
        raise ClipMissing(DRAWN, f"there is no folder {folder}")
    if name_or_path.startswith(HUB):
        return OpenClip(name_or_path, name_or_path, None)
    architecture, _, weights = name_or_path.partition(":")
    return OpenClip(name_or_path, _known(architecture, name_or_path), weights or None)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnknownClip(str(folder), f"its {CONFIG} cannot be read ({error})") from error
    if "model_cfg" not in config:
        raise UnknownClip(str(folder), f"its {CONFIG} has no model_cfg")
    return config


def _known(architecture: str, name: str) -> str:
    import open_clip

    if architecture not in open_clip.list_models():
        raise UnknownClip(
            name, f"open_clip knows no architecture {architecture!r}, and there is no such folder"
        )
    return architecture


class OpenClip:
    """A model as open_clip makes it."""

    def __init__(self, name: str, model_name: str, weights: str | None) -> None:
        """``weights`` is a tag or a file, for an architecture of open_clip's."""
        import open_clip

        local = model_name.startswith("local-dir:") or (weights is not None and Path(weights).is_file())
        if not local and is_offline():
            raise ClipMissing(name, f"they would be downloaded, and {OFFLINE_VARIABLE} forbids that")
        try:
            self._model = open_clip.create_model(model_name, weights, require_pretrained=True).eval()
            self._tokens = open_clip.get_tokenizer(model_name)
        except (RuntimeError, OSError, ValueError, ImportError) as error:
            raise ClipMissing(name, f"open_clip says: {error}") from error
        settings = open_clip.get_model_preprocess_cfg(self._model)
        size = settings["size"]
        self.side = size if isinstance(size, int) else size[0]
        self._mean, self._std = settings["mean"], settings["std"]
        self.scale = float(self._model.logit_scale.detach().exp())

    @cached_property
    def key(self) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def pictures(self, squares: Squares) -> Vectors:
        import torch

        with torch.inference_mode():
            return _unit(self._model.encode_image(normalised(squares, self._mean, self._std)))

    def phrases(self, phrases: Sequence[str]) -> Vectors:
        import torch

        with torch.inference_mode():
            return _unit(self._model.encode_text(self._tokens(list(phrases))))


class DrawnClip:
    """Our own model, from a folder. It needs no PyTorch: the image side runs on ONNX Runtime."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        from safetensors.numpy import load_file

        for path in (folder / IMAGE_SIDE, folder / TEXT_SIDE):
            if not path.is_file():
                raise ClipMissing(str(folder), f"there is no {path}")
        self._session = open_session(folder / IMAGE_SIDE)
        tensors = load_file(folder / TEXT_SIDE)
        self._words, self._origin = tensors["text.weight"], tensors["text.bias"]  # (D, 384), (D,)
        self.side = int(config["model_cfg"]["vision_cfg"]["image_size"])
        self.scale = float(np.exp(tensors["logit_scale"]))
        hashes = known_sha256(folder / IMAGE_SIDE) + known_sha256(folder / TEXT_SIDE)
        self.key = hashlib.sha256(hashes.encode()).hexdigest()

    def pictures(self, squares: Squares) -> Vectors:
        vectors: Vectors = self._session.run(None, {"squares": squares})[0]
        return vectors

    def phrases(self, phrases: Sequence[str]) -> Vectors:
        from worldmodel.text.encoder import embed

        vectors = np.stack([embed(phrase) for phrase in phrases]) @ self._words.T + self._origin
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def normalised(squares: Squares, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(N, 3, S, S) for (N, S, S, 3) RGB."""
    import torch

    values = torch.from_numpy(np.ascontiguousarray(squares)).permute(0, 3, 1, 2).float() / 255.0
    return (values - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def _unit(vectors: Tensor) -> Vectors:
    from torch.nn import functional

    found: Vectors = functional.normalize(vectors, dim=-1).numpy()
    return found
