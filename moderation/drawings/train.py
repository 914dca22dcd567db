"""Trains the model for drawn pictures: ``python -m moderation.drawings.train --out FOLDER``.

One picture and one caption of each of a batch's concepts, told apart with open_clip's contrastive loss; the
concepts of a batch are all different. Beside it each picture of an emoji, or of what policies look for, is
told from the names of all those, where a name of nearly the same meaning counts as partly right. The frozen
phrase encoder makes that cheap, and lets phrases which no drawing had lie where their meaning says.

The image tower begins with weights that know photographs: from nothing, as many steps with a small ResNet
learned the drawings by heart and little else. Drawings are large and plain at first. The rate is constant
after a short start and falls at the end, so that a run can be prolonged before that; it goes on from its last
checkpoint when it is started again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from moderation.drawings.compose import EASY, ComposeConfig, Composer, between
from moderation.drawings.concepts import Split, embeddings, look_alikes, split
from moderation.drawings.families import OBJECT_GROUPS, SIGHT, Drawing
from moderation.drawings.raster import rasterise_all
from moderation.drawings.scenes import backgrounds
from worldmodel.store import cache_dir, find_entry
from worldmodel.store.fetch import fetch

log = logging.getLogger(__name__)
EMPTY = (
    "an empty game level",
    "ground and sky",
    "blocks and platforms",
    "a player and coins",
    "a dark empty cave",
    "a wall",
)
"""Captions of a picture of a world in which no drawing was put."""
MEAN, STD = 0.5, 0.5
"""What a picture's values, 0..1, are normalised by: as for the weights that training begins with."""
REPORTED, KEPT = 20, 100
"""Steps between two lines of the log, and between two checkpoints."""
TINTS: Mapping[str, tuple[float, float, float]] = {
    "blood": (0.75, 0.05, 0.08),
    "bleeding": (0.75, 0.05, 0.08),
    "wound": (0.75, 0.05, 0.08),
    "ketchup": (0.85, 0.1, 0.08),
    "water": (0.2, 0.55, 0.9),
    "droplet": (0.2, 0.55, 0.9),
    "droplets": (0.2, 0.55, 0.9),
    "drop": (0.2, 0.55, 0.9),
}
"""Colours of what is told apart by them, for drawings that have none."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything a run depends on, beside the drawings."""

    steps: int = 2700
    hard: int = 500
    """Steps until the drawings, large and on paper at first, are as hard to see as they get."""
    batch: int = 128
    rate: float = 7e-4
    """Of the image tower; its last layer, which begins at random, has three times that."""
    text_rate: float = 3e-4
    photographs: bool = True
    """Whether the image tower begins with weights that know photographs."""
    frozen: int = 2
    """Stages of the image tower, from the first, that stay as photographs have made them."""
    decay: float = 0.05
    warm: int = 40
    falling: int = 700
    """Steps, at the end, over which the rate falls to nothing."""
    worlds: int = 56
    seed: int = 1
    things: float = 25.0
    """How much more often than an icon is an emoji of a thing drawn."""
    sought: float = 35.0
    """The same for what is in a look-alike category."""
    synonym: float = 0.05
    """Difference of two names' cosines at which one counts e times less than the other."""
    model: Mapping[str, Any] = field(
        default_factory=lambda: {
            "embed_dim": 256,
            "vision_cfg": {
                "timm_model_name": "tf_efficientnet_lite0",
                "timm_pool": "avg",
                "timm_proj": "linear",
                "image_size": 64,
            },
            "text_cfg": {"phrase_encoder": "text-encoder", "width": 384},
        }
    )


class DrawnClip(nn.Module):
    """open_clip's image tower of a ``model_cfg``, and one layer on embedded phrases; random weights."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        from open_clip.timm_model import TimmModel

        super().__init__()
        vision = config["vision_cfg"]
        self.visual: nn.Module = TimmModel(
            vision["timm_model_name"],
            embed_dim=config["embed_dim"],
            image_size=vision["image_size"],
            pool=vision["timm_pool"],
            proj=vision["timm_proj"],
        )
        self.text = nn.Linear(config["text_cfg"]["width"], config["embed_dim"])
        self.logit_scale = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))

    def forward(self, pictures: Tensor, phrases: Tensor) -> dict[str, Tensor]:
        """Arguments of ``open_clip.ClipLoss``: (B, 3, W, W) 0..1 and (B, 384)."""
        return {
            "image_features": nn.functional.normalize(self.visual((pictures - MEAN) / STD), dim=-1),
            "text_features": nn.functional.normalize(self.text(phrases), dim=-1),
            "logit_scale": self.logit_scale.exp(),
        }


class Deck:
    """Deals batches of drawings and captions, no concept twice in one."""

    def __init__(self, drawings: Sequence[Drawing], config: TrainConfig) -> None:
        concepts = sorted({drawing.concept for drawing in drawings})
        number = {concept: index for index, concept in enumerate(concepts)}
        self._drawings: list[list[int]] = [[] for _ in concepts]
        words: list[set[str]] = [set() for _ in concepts]
        weights = np.ones(len(concepts))
        for index, drawing in enumerate(drawings):
            at = number[drawing.concept]
            self._drawings[at].append(index)
            words[at].update(captions(drawing))
            if drawing.group in OBJECT_GROUPS:
                weights[at] = config.things
        for concept, at in number.items():
            if any(category.side(concept) for category in look_alikes().values()):
                weights[at] = config.sought
        self._weights = np.log(weights)
        self.often = weights > 1
        """(C,) bool: concepts that are not just icons."""
        self.captions = [*EMPTY, *sorted(set[str]().union(*words))]
        row = {caption: index for index, caption in enumerate(self.captions)}
        self.names = [row[concept] for concept in concepts]
        """Captions that are just the name, one for each concept."""
        self._captions = [[row[caption] for caption in sorted(some)] for some in words]

    def deal(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(count,) drawings, -1 for an empty scene, and their captions; (count - len(EMPTY),) concepts of
        the others.
        """
        keys = self._weights + rng.gumbel(size=len(self._weights))
        chosen = np.argpartition(-keys, count - len(EMPTY))[: count - len(EMPTY)]
        drawings = [rng.choice(self._drawings[at]) for at in chosen]
        named = rng.random(len(chosen)) < 0.5
        texts = [
            self.names[at] if plain else rng.choice(self._captions[at])
            for at, plain in zip(chosen, named, strict=True)
        ]
        return np.array([-1] * len(EMPTY) + drawings), np.array([*range(len(EMPTY)), *texts]), chosen


def captions(drawing: Drawing) -> list[str]:
    """Ways to say what a drawing shows."""
    concept = drawing.concept
    said = [concept, f"a {concept}"]
    said += [f"{concept}, {word}" for word in drawing.words[:4] if word not in concept]
    said += [" ".join(drawing.words[:2])] if len(drawing.words) > 1 else []
    for category in look_alikes().values():
        if category.side(concept):
            for word, others in category.synonyms.items():
                if f" {word} " in f" {concept} ":
                    said += [f" {concept} ".replace(f" {word} ", f" {other} ").strip() for other in others]
    return said


def tints(drawings: Sequence[Drawing]) -> Tensor:
    """(N, 3), negative where a drawing may have any colour."""
    none = (-1.0, -1.0, -1.0)
    found = [
        next((TINTS[word] for word in drawing.concept.split() if word in TINTS), none) for drawing in drawings
    ]
    return torch.tensor(found)


def whitened(vectors: Tensor, width: int) -> Tensor:
    """(width, D): the first principal directions, evened out, to begin the text side with."""
    _, singular, directions = torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    spread = singular[:width] / len(vectors) ** 0.5
    evened: Tensor = directions[:width] / spread.sqrt().unsqueeze(1)
    return evened


def train(config: TrainConfig, out: Path, data: Split) -> None:
    """Train up to ``config.steps`` and leave ``last.pt`` in ``out``, from which a later call goes on."""
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config, data)
    done = trainer.resume(out / "last.pt")
    began = time.monotonic()
    for step in range(done, config.steps):
        loss = trainer.step(step)
        if (step + 1) % REPORTED == 0:
            seconds = (time.monotonic() - began) / (step + 1 - done)
            log.info("step %d: loss %.3f, %.2f s a step", step + 1, loss, seconds)
        if (step + 1) % KEPT == 0 or step + 1 == config.steps:
            trainer.save(out / "last.pt", step + 1)


class Trainer:
    """The model, what it learns from, and its optimiser."""

    def __init__(self, config: TrainConfig, data: Split) -> None:
        from open_clip import ClipLoss

        torch.manual_seed(config.seed)
        self.config = config
        self.deck = Deck(data.training, config)
        self.phrases = torch.from_numpy(embeddings(self.deck.captions))
        log.info("%d drawings, %d captions", len(data.training), len(self.phrases))
        self.model = DrawnClip(config.model).to(memory_format=torch.channels_last)
        with torch.no_grad():
            weight = whitened(self.phrases, config.model["embed_dim"])
            self.model.text.weight.copy_(weight)
            self.model.text.bias.copy_(-weight @ self.phrases.mean(0))
        if config.photographs:
            _begin_with_photographs(self.model.visual)
        _train_mode(self.model, config.frozen)
        self.optimiser = torch.optim.AdamW(_groups(self.model, config), betas=(0.9, 0.98))
        self.compose = Composer(
            torch.from_numpy(rasterise_all(data.training)),
            torch.tensor([drawing.coloured for drawing in data.training]),
            tints(data.training),
            backgrounds(config.worlds, config.seed),
            torch.Generator(),
        )
        self._chance(0)
        self._contrast = ClipLoss()
        self._names = self.phrases[self.deck.names][self.deck.often]
        self._place = np.cumsum(self.deck.often) - 1

    def _chance(self, done: int) -> None:
        """Other draws than those before a checkpoint."""
        self.compose.generator.manual_seed(self.config.seed + done)
        self._rng = np.random.default_rng([self.config.seed, done])

    def step(self, number: int) -> float:
        """One batch; the loss before it."""
        _set_rate(self.optimiser, number, self.config)
        drawings, texts, concepts = self.deck.deal(self.config.batch, self._rng)
        self.compose.config = between(EASY, ComposeConfig(), min(1.0, number / self.config.hard))
        parts = torch.tensor_split(torch.from_numpy(drawings), 4)
        pictures = torch.cat([self.compose(some) for some in parts])
        told = self.model(pictures.contiguous(memory_format=torch.channels_last), self.phrases[texts])
        loss = self._contrast(**told) + self._naming_loss(told, concepts)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, np.log(100))
        return float(loss.item())

    def _naming_loss(self, told: Mapping[str, Tensor], concepts: NDArray[np.int64]) -> Tensor:
        """Cross-entropy of the pictures of emoji and of what is looked for over the names of all those."""
        often = self.deck.often[concepts]
        shown = told["image_features"][len(EMPTY) :][often]
        own = self._names[self._place[concepts[often]]]
        right = torch.softmax(own @ self._names.T / self.config.synonym, dim=1)
        known = nn.functional.normalize(self.model.text(self._names), dim=-1)
        return nn.functional.cross_entropy(told["logit_scale"] * shown @ known.T, right)

    def save(self, path: Path, done: int) -> None:
        """All that a later call needs, in one step."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": done,
            "config": asdict(self.config),
        }
        torch.save(state, path.with_suffix(".next"))
        path.with_suffix(".next").replace(path)

    def resume(self, path: Path) -> int:
        """Steps that were done before."""
        if not path.is_file():
            return 0
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._chance(int(state["step"]))
        return int(state["step"])


def _begin_with_photographs(tower: nn.Module) -> None:
    """Weights of the same network, whose tensors come in the same order under other names."""
    fetch(SIGHT)
    known = torch.load(cache_dir() / find_entry(SIGHT).filename, weights_only=True)
    given = [tensor for name, tensor in known.items() if not name.endswith("num_batches_tracked")]
    own = tower.get_submodule("trunk").state_dict()
    names = [name for name in own if not name.endswith("num_batches_tracked")]
    own.update(zip(names, given[: len(names)], strict=True))
    tower.get_submodule("trunk").load_state_dict(own)


def _frozen(model: DrawnClip, stages: int) -> list[nn.Module]:
    trunk = model.visual.get_submodule("trunk")
    blocks = [trunk.get_submodule(f"blocks.{stage}") for stage in range(stages)]
    return [trunk.get_submodule("conv_stem"), trunk.get_submodule("bn1"), *blocks]


def _train_mode(model: DrawnClip, stages: int) -> None:
    """Everything learns but the first stages, whose averages stay too."""
    model.train()
    for part in _frozen(model, stages):
        part.eval().requires_grad_(requires_grad=False)


def _groups(model: DrawnClip, config: TrainConfig) -> list[dict[str, Any]]:
    trunk = list(model.visual.get_submodule("trunk").parameters())
    head = list(model.visual.get_submodule("head").parameters())
    return [
        {"params": [p for p in trunk if p.dim() > 1], "lr": config.rate, "weight_decay": config.decay},
        {"params": [p for p in trunk if p.dim() <= 1], "lr": config.rate, "weight_decay": 0.0},
        {"params": head, "lr": 3 * config.rate, "weight_decay": config.decay},
        {"params": list(model.text.parameters()), "lr": config.text_rate, "weight_decay": 0.0},
        {"params": [model.logit_scale], "lr": 3 * config.rate, "weight_decay": 0.0},
    ]


def _set_rate(optimiser: torch.optim.Optimizer, step: int, config: TrainConfig) -> None:
    left = (config.steps - step) / config.falling
    factor = min(1.0, (step + 1) / config.warm, left)
    for group in optimiser.param_groups:
        group["lr"] = group.setdefault("highest", group["lr"]) * factor


def main() -> None:
    """The command line."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=TrainConfig.steps)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    train(TrainConfig(steps=chosen.steps), chosen.out, split())


if __name__ == "__main__":
    main()
