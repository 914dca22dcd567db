"""Trains the heads and measures them: ``python -m worldmodel.text.training [--out FILE]``.

Every phrasing of ``phrasings.txt`` is in exactly one part, by its hash: a fifth is held out and never looked
at in training; the rest is cut into folds, on whose out-of-fold scores the threshold is chosen. The words of
the lexicon, labelled by the lexicon, are added to the training.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch.nn import functional

from worldmodel.text import lexicon
from worldmodel.text.concepts import LABELS, labels_of
from worldmodel.text.encoder import WIDTH, embed
from worldmodel.text.guessing import guess_rest
from worldmodel.text.heads import WEIGHTS, Heads
from worldmodel.text.reader import read

PHRASINGS = Path(__file__).parent / "phrasings.txt"
HELD_OUT, FOLDS = 5, 5
WANTED_PRECISION = 0.9


@dataclass(frozen=True)
class HeadConfig:
    """How the heads are trained: a few seconds on one core."""

    steps: int = 300
    rate: float = 0.05
    decay: float = 1e-3
    smoothing: float = 0.1
    scale: float = 10.0
    """Embeddings have length 1; this much longer, a step of the optimiser moves the scores enough."""


@dataclass(frozen=True)
class Phrase:
    """A clause and the labels that hold for it."""

    text: str
    labels: frozenset[str]

    @property
    def bucket(self) -> int:
        return hashlib.sha256(self.text.encode()).digest()[0]


@dataclass(frozen=True)
class Quality:
    """Guesses against labels, over all phrases and labels."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)

    def __str__(self) -> str:
        guesses = self.right + self.wrong
        return f"precision {self.precision:.3f}, recall {self.recall:.3f} ({self.right} of {guesses} right)"


def read_phrasings(path: Path = PHRASINGS) -> list[Phrase]:
    """The hand-written phrasings. Raises ValueError for an unknown label."""
    phrases, label = [], ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            label = line.strip("[]")
            if label not in {*LABELS, "nothing"}:
                raise ValueError(f"{path.name}: [{label}] is no label of worldmodel.text.concepts")
        elif line and not line.startswith("#"):
            text, _, further = line.partition("|")
            labels = {label, *(part.strip() for part in further.split(",") if part.strip())} - {"nothing"}
            phrases.append(Phrase(text.strip(), frozenset(labels)))
    return phrases


def split(phrases: Sequence[Phrase]) -> tuple[list[Phrase], list[Phrase]]:
    """For training, and held out."""
    held = [p for p in phrases if p.bucket % HELD_OUT == 0]
    return [p for p in phrases if p.bucket % HELD_OUT], held


def plain_words() -> list[Phrase]:
    """The lexicon's own words in templates, labelled by the lexicon."""
    words = {*lexicon.WORD_OF, *lexicon.SETTINGS, *lexicon.PHRASES}
    words |= {word for listed in lexicon.THEMES.values() for word in listed.split()}
    texts = [template.format(word) for word in sorted(words) for template in ("{}", "a world of {}")]
    return [Phrase(text, labels_of(read(text))) for text in texts]


def train_heads(phrases: Sequence[Phrase], config: HeadConfig = HeadConfig()) -> Heads:
    """Heads whose threshold is still to be chosen."""
    names = [*LABELS, "nothing"]
    examples = [p for p in (*phrases, *plain_words()) if len(p.labels) < 2]
    inputs = torch.tensor(np.stack([embed(p.text) for p in examples])) * config.scale  # (N, WIDTH)
    targets = torch.tensor([names.index(next(iter(p.labels), "nothing")) for p in examples])
    weights = torch.zeros(len(names), WIDTH, requires_grad=True)
    bias = torch.zeros(len(names), requires_grad=True)
    optimiser = torch.optim.Adam([weights, bias], config.rate)
    for _ in range(config.steps):
        logits = inputs @ weights.T + bias
        loss = functional.cross_entropy(logits, targets, label_smoothing=config.smoothing)
        loss = loss + config.decay * weights.square().sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Heads(LABELS, (weights * config.scale).detach().numpy(), bias.detach().numpy().copy(), 1.0)


def choose_threshold(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The lowest from which on so many guesses are right as wanted; above all where there is none."""
    steps = np.unique(confidence)
    return float(next((t for t in steps if right[confidence >= t].mean() >= WANTED_PRECISION), 2.0))


def measure(guess: Callable[[str], Collection[str]], phrases: Sequence[Phrase]) -> Quality:
    """How well ``guess`` finds the labels of each phrase."""
    pairs = [(frozenset(guess(p.text)), p.labels) for p in phrases]
    right = sum(len(found & labels) for found, labels in pairs)
    wrong = sum(len(found - labels) for found, labels in pairs)
    return Quality(right, wrong, sum(len(labels - found) for found, labels in pairs))


def train(config: HeadConfig) -> Heads:
    """Heads with the threshold that the folds of the training part ask for."""
    phrases, _ = split(read_phrasings())
    confidence, right = [], []
    for fold in range(FOLDS):
        heads = train_heads([p for p in phrases if p.bucket // HELD_OUT % FOLDS != fold], config)
        for phrase in (p for p in phrases if p.bucket // HELD_OUT % FOLDS == fold):
            scores = heads.scores(phrase.text)
            if (best := int(scores.argmax())) < len(LABELS):
                confidence.append(scores[best])
                right.append(LABELS[best] in phrase.labels)
    threshold = choose_threshold(np.array(confidence), np.array(right))
    return replace(train_heads(phrases, config), threshold=threshold)


def save(heads: Heads, path: Path) -> None:
    """Write the heads as safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"labels": "\n".join(heads.labels), "threshold": str(heads.threshold)}
    save_file({"weights": heads.weights, "bias": heads.bias}, path, metadata=about)


def report(heads: Heads) -> dict[str, str]:
    """Precision and recall on the held-out phrasings, by who reads."""
    _, held = split(read_phrasings())

    def by_words(text: str) -> Collection[str]:
        return labels_of(read(text))

    def by_heads(text: str) -> Collection[str]:
        label = heads.guess(text)
        return [label] if label else []

    def by_both(text: str) -> Collection[str]:
        reading = read(text)
        guess_rest(reading, heads)
        return labels_of(reading)

    readers: dict[str, Callable[[str], Collection[str]]] = {
        "lexicon": by_words,
        "heads": by_heads,
        "both": by_both,
    }
    return {name: str(measure(reader, held)) for name, reader in readers.items()}


def main() -> None:
    """Train, save, and print the report as JSON."""
    parser = argparse.ArgumentParser(description="Train the heads that read prompts by meaning.")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    out: Path = parser.parse_args().out
    torch.set_num_threads(1)
    heads = train(HeadConfig())
    save(heads, out)
    print(json.dumps(report(heads), indent=2))  # noqa: T201 -- what the command is for


if __name__ == "__main__":
    main()
