"""Trains the heads and measures them: ``firstplay worldmodel train-prompt``.

Every phrasing of ``phrasings.txt`` is in one of five folds, by its hash; the threshold is chosen on scores
that each fold got from the other four, and the heads that are kept are trained on all of them. The words of
the lexicon, labelled by the lexicon, are added to the training. ``fresh_phrasings.txt`` only scores the
result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from math import sqrt
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
from worldmodel.text.heads import Heads
from worldmodel.text.reader import read

PHRASINGS = Path(__file__).parent / "phrasings.txt"
FRESH = Path(__file__).parent / "fresh_phrasings.txt"
FOLDS = 5
WANTED_PRECISION = 0.9
FRAMES = ("{}", "a world where {}", "{} please", "there is {}")
"""What may stand around a phrasing: each is an example of its own."""


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
    """To be found."""
    also: frozenset[str] = frozenset()
    """Right when guessed, and no miss when not."""

    @property
    def fold(self) -> int:
        return hashlib.sha256(self.text.encode()).digest()[0] % FOLDS


@dataclass(frozen=True)
class Quality:
    """Guesses against labels, over all phrases and labels."""

    found: int
    """Labels that were to be found and were."""
    missed: int
    also: int
    """Right guesses that nobody asked for."""
    wrong: int

    @property
    def right(self) -> int:
        return self.found + self.also

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.found / max(1, self.found + self.missed)

    def __str__(self) -> str:
        guesses, wanted = self.right + self.wrong, self.found + self.missed
        precision = (
            f"precision {self.precision:.3f} {_interval(self.right, guesses)}, {self.right} of {guesses}"
        )
        recall = f"recall {self.recall:.3f} {_interval(self.found, wanted)}, {self.found} of {wanted}"
        return f"{precision}; {recall}"


def _interval(hits: int, of: int) -> str:
    """Wilson's 95 % interval of a share."""
    if not of:
        return "(no case)"
    share, z = hits / of, 1.96
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return f"({middle - half:.2f}..{middle + half:.2f})"


def read_phrasings(path: Path = PHRASINGS) -> list[Phrase]:
    """The hand-written phrasings. Raises ValueError for an unknown label."""
    phrases, section = [], ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            text, _, further = line.partition("|")
            named = {section, *(part.strip() for part in further.split(",") if part.strip())}
            if unknown := {name.removeprefix("?") for name in named} - {*LABELS, "nothing"}:
                raise ValueError(f"{path.name}: {sorted(unknown)} are no labels of worldmodel.text.concepts")
            also = frozenset(name[1:] for name in named if name.startswith("?"))
            labels = frozenset(name for name in named if not name.startswith("?")) - {"nothing"}
            phrases.append(Phrase(text.strip(), labels, also))
    return phrases


def plain_words() -> list[Phrase]:
    """The lexicon's own words in templates, labelled by the lexicon."""
    words = {*lexicon.WORD_OF, *lexicon.SETTINGS, *lexicon.PHRASES}
    words |= {word for listed in lexicon.THEMES.values() for word in listed.split()}
    texts = [template.format(word) for word in sorted(words) for template in ("{}", "a world of {}")]
    return [Phrase(text, labels_of(read(text))) for text in texts]


def train_heads(phrases: Sequence[Phrase], config: HeadConfig = HeadConfig()) -> Heads:
    """Heads whose threshold is still to be chosen."""
    framed = [(p, frame.format(p.text)) for frame in FRAMES for p in phrases]
    examples = [*framed, *((p, p.text) for p in plain_words())]
    inputs = torch.tensor(np.stack([embed(text) for _, text in examples])) * config.scale  # (N, WIDTH)
    targets = torch.tensor(np.stack([_target(p.labels) for p, _ in examples]))  # (N, L + 1)
    # What may be guessed or not has no say in the loss.
    silent = torch.tensor(np.stack([_marks(p.also) for p, _ in examples])) * -30
    weights = torch.zeros(targets.shape[1], WIDTH, requires_grad=True)
    bias = torch.zeros(targets.shape[1], requires_grad=True)
    optimiser = torch.optim.Adam([weights, bias], config.rate)
    for _ in range(config.steps):
        logits = inputs @ weights.T + bias + silent
        loss = functional.cross_entropy(logits, targets, label_smoothing=config.smoothing)
        loss = loss + config.decay * weights.square().sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Heads(LABELS, (weights * config.scale).detach().numpy(), bias.detach().numpy().copy(), 1.0)


def _marks(labels: Collection[str]) -> NDArray[np.float32]:
    return np.array([label in labels for label in (*LABELS, "nothing")], np.float32)


def _target(labels: Collection[str]) -> NDArray[np.float32]:
    marks = _marks(labels or {"nothing"})
    shares: NDArray[np.float32] = marks / marks.sum()
    return shares


def choose_threshold(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The lowest from which on so many guesses are right as wanted; above all where there is none."""
    steps = np.unique(confidence)
    return float(next((t for t in steps if right[confidence >= t].mean() >= WANTED_PRECISION), 2.0))


def measure(guess: Callable[[str], Collection[str]], phrases: Sequence[Phrase]) -> Quality:
    """How well ``guess`` finds the labels of each phrase."""
    pairs = [(frozenset(guess(p.text)), p) for p in phrases]
    return Quality(
        found=sum(len(said & p.labels) for said, p in pairs),
        missed=sum(len(p.labels - said) for said, p in pairs),
        also=sum(len(said & p.also) for said, p in pairs),
        wrong=sum(len(said - p.labels - p.also) for said, p in pairs),
    )


def train(config: HeadConfig = HeadConfig()) -> tuple[Heads, Quality]:
    """Heads with the threshold that the folds ask for, and how well the folds were read with it."""
    phrases = read_phrasings()
    folds = [train_heads([p for p in phrases if p.fold != fold], config) for fold in range(FOLDS)]
    scores = np.stack([folds[p.fold].scores(p.text) for p in phrases])  # (N, L + 1)
    best = scores.argmax(axis=1)
    guessed = best < len(LABELS)
    right = [LABELS[b] in p.labels | p.also for b, p in zip(best, phrases, strict=True) if b < len(LABELS)]
    threshold = choose_threshold(scores.max(axis=1)[guessed], np.array(right))
    cut = {p.text: replace(folds[p.fold], threshold=threshold) for p in phrases}
    quality = measure(lambda text: _said(cut[text].guess(text)), phrases)
    return replace(train_heads(phrases, config), threshold=threshold), quality


def _said(label: str | None) -> list[str]:
    return [] if label is None else [label]


def save(heads: Heads, path: Path) -> None:
    """Write the heads as safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"labels": "\n".join(heads.labels), "threshold": str(heads.threshold)}
    save_file({"weights": heads.weights, "bias": heads.bias}, path, metadata=about)


def score(heads: Heads, phrases: Sequence[Phrase]) -> dict[str, Quality]:
    """Precision and recall by who reads: the lexicon, the heads, or both as a prompt is read."""

    def by_both(text: str) -> Collection[str]:
        reading = read(text)
        guess_rest(reading, heads)
        return labels_of(reading)

    return {
        "lexicon": measure(lambda text: labels_of(read(text)), phrases),
        "heads": measure(lambda text: _said(heads.guess(text)), phrases),
        "both": measure(by_both, phrases),
    }
