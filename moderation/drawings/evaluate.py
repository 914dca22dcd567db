"""Measures the model on what training never saw: ``python -m moderation.drawings.evaluate --out FOLDER``.

Drawings hang as signs in worlds of themes that are not in training, as the world model renders them. The
temperature, and how near a phrase must be to a measured concept, come from the development families; all
other numbers from the test families and the drawings that were kept back, which decide nothing. With
``--card`` the model's ``coverage.json`` is written.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moderation.detectors.base import Picture
from moderation.detectors.clip import DRAWN, DRAWN_FOLDER, Clip, Vectors, load_clip
from moderation.detectors.zero_shot import COVERAGE, CoverageCard, ZeroShot, background, cut, windows
from moderation.drawings.concepts import HELD_OUT_FAMILY, LookAlikes, Split, embeddings, look_alikes, split
from moderation.drawings.families import Drawing
from moderation.drawings.raster import rasterise
from moderation.drawings.scenes import Renderer, sign_frames
from moderation.evaluation import metrics

DEVELOPMENT = ("openmoji", "hugeicons")
"""Held-out families that settings are chosen on."""
FLOOR = 0.9
"""Least AUROC of a concept that the card lets speak for a phrase."""
RELIABLE = 0.9
"""Share of concepts that must reach FLOOR at the least cosine that the card asks for."""
FINE = 96
"""Pixels of a drawing's side before it becomes a sign."""
SEED = 7

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Shown:
    """A drawing as a world shows it."""

    drawing: Drawing
    frame: Pixels
    vectors: Vectors
    """(K, D) of the frame's windows."""


class Exhibition:
    """One frame of each drawing that the evaluation looks at, kept in a file; no model changes them."""

    def __init__(self, drawings: Sequence[Drawing], renderer: Renderer, clip: Clip, kept: Path) -> None:
        """Raises ValueError for a drawing of which nothing is seen."""
        once = {(drawing.family, drawing.name): drawing for drawing in drawings}
        names = ["/".join(key) for key in once]
        frames = _kept_frames(kept, names)
        if frames is None:
            pixels = [rasterise(drawing, FINE) for drawing in once.values()]
            frames = np.stack(list(sign_frames(pixels, renderer, SEED)))
            np.savez_compressed(kept, names=np.array(names), frames=frames)
        self._shown = {
            key: Shown(drawing, frame, clip.pictures(cut(frame, windows(*frame.shape[:2]), clip.side)))
            for (key, drawing), frame in zip(once.items(), frames, strict=True)
        }

    def __call__(self, drawings: Sequence[Drawing]) -> list[Shown]:
        """Of drawings that were given."""
        return [self._shown[drawing.family, drawing.name] for drawing in drawings]


def _kept_frames(path: Path, names: Sequence[str]) -> Pixels | None:
    """(N, 128, 128, 3), where the file is of the same drawings."""
    if not path.is_file():
        return None
    kept = np.load(path)
    frames: Pixels = kept["frames"]
    return frames if kept["names"].tolist() == list(names) else None


def naming(shown: Sequence[Shown], names: Sequence[str], clip: Clip, scale: float) -> Floats:
    """(N, M) probability of each name among the names and the background, in its best window."""
    texts = clip.phrases([*names, *background()[:12]])
    scores = []
    for one in shown:
        logits = scale * one.vectors @ texts.T
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores.append((weights / weights.sum(axis=1, keepdims=True)).max(axis=0)[: len(names)])
    return np.asarray(scores, np.float32)


def top1(shown: Sequence[Shown], names: Sequence[str], scores: Floats) -> float:
    """Share of drawings whose name got the best score."""
    right = [
        names[int(best)] == one.drawing.concept for one, best in zip(shown, scores.argmax(1), strict=True)
    ]
    return float(np.mean(right))


def auroc(positive: ArrayLike, negative: ArrayLike) -> float:
    """Chance that a positive scores above a negative, ties half."""
    above, below = np.asarray(positive), np.asarray(negative)
    truth = np.arange(len(above) + len(below)) < len(above)
    chance = metrics.auroc(np.concatenate([above, below]), truth)
    return float("nan") if chance is None else chance


def each_concept(shown: Sequence[Shown], names: Sequence[str], scores: Floats) -> dict[str, float]:
    """AUROC of each name that was drawn: its drawings against all others."""
    drawn = np.array([one.drawing.concept for one in shown])
    return {
        name: auroc(scores[drawn == name, column], scores[drawn != name, column])
        for column, name in enumerate(names)
        if (drawn == name).any()
    }


def sides(data: Split, category: LookAlikes, *, development: bool) -> tuple[list[Drawing], list[Drawing]]:
    """Held-out drawings of what is looked for and of look-alikes, one of each concept and family."""
    found: dict[str, dict[tuple[str, str], Drawing]] = {"drawn": {}, "alike": {}}
    for drawing in data.held_out:
        side = category.side(drawing.concept)
        if side is not None and (drawing.family in DEVELOPMENT) == development:
            found[side].setdefault((drawing.family, drawing.concept), drawing)
    return list(found["drawn"].values()), list(found["alike"].values())


PAIRS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "a pistol | a power drill": (
        ("pistol", "gun", "pistol gun"),
        ("drill", "electric drill", "hammer drill"),
    ),
    "a syringe | a pen": (("syringe", "injection"), ("pen", "fountain pen")),
    "a slot machine | a cash machine": (("slot machine",), ("atm", "money atm")),
    "blood | ketchup": (("drop of blood", "blood", "blood bag"), ("ketchup",)),
}
"""Two phrases, and the concepts whose held-out drawings show each. Ketchup is drawn once in all families, and
that drawing is in training: it is looked at all the same, in a world that is not."""


def pair_drawings(data: Split, concepts: Sequence[str]) -> list[Drawing]:
    """Held-out drawings of concepts; those of training where there are no others."""
    held_out = [drawing for drawing in data.held_out if drawing.concept in concepts]
    return held_out or [drawing for drawing in data.training if drawing.concept in concepts]


def pair_accuracy(data: Split, clip: Clip, shown: Exhibition) -> dict[str, dict[str, Any]]:
    """Share of drawings for which the right one of two phrases fits better."""
    results: dict[str, dict[str, Any]] = {}
    for pair, both in PAIRS.items():
        phrases = pair.split(" | ")
        some = [shown(pair_drawings(data, concepts)) for concepts in both]
        best = [naming(one, phrases, clip, clip.scale).argmax(1) for one in some]
        right = [*(best[0] == 0), *(best[1] == 1)]
        results[pair] = {"accuracy": float(np.mean(right)), "drawings": [len(one) for one in some]}
    return results


def fitted_temperature(frames: Mapping[str, tuple[Sequence[Shown], Sequence[Shown]]], model: str) -> float:
    """What to divide the scale by so that scores are probabilities: least log loss over development frames.

    ``frames`` are those of each label that show it, and those that do not.
    """
    detector = _detector(model)
    detector.ensure_loaded()
    losses = {
        temperature: _log_loss(detector, frames, temperature)
        for temperature in (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
    }
    return min(losses, key=lambda temperature: losses[temperature])


def _log_loss(
    detector: ZeroShot,
    frames: Mapping[str, tuple[Sequence[Shown], Sequence[Shown]]],
    temperature: float,
) -> float:
    """Mean over labels and their two sides, so that no side weighs more for being larger."""
    losses = []
    for label, sides in frames.items():
        for present, shown in zip((True, False), sides, strict=True):
            scores = np.array([detector.scores(label, one.vectors, temperature).max() for one in shown])
            right = scores if present else 1 - scores
            losses.append(float(-np.log(np.clip(right, 1e-4, 1)).mean()))
    return float(np.mean(losses))


def nearest_limit(aurocs: Mapping[str, float], known: Sequence[str]) -> float:
    """Least cosine to a known concept from which RELIABLE of the concepts that were never drawn reach FLOOR.

    0.8, which stands for synonyms, where no smaller one does.
    """
    names = list(aurocs)
    cosines = (embeddings(names) @ embeddings(known).T).max(axis=1)
    for limit in np.arange(0.4, 0.8, 0.05):
        near = [aurocs[name] >= FLOOR for name, cosine in zip(names, cosines, strict=True) if cosine >= limit]
        if len(near) >= 10 and np.mean(near) >= RELIABLE:
            return round(float(limit), 2)
    return 0.8


def _detector(model: str) -> ZeroShot:
    """With the categories of ``lookalikes.yaml`` as a policy's labels."""
    from policies.schema import Phrases

    phrases = {name: Phrases(show=one.show, against=one.against) for name, one in look_alikes().items()}
    told = json.dumps({name: one.model_dump() for name, one in phrases.items()}, sort_keys=True)
    return ZeroShot(phrases, hashlib.sha256(told.encode()).hexdigest(), model)


def measure(data: Split, model_name: str, renderer: Renderer, out: Path) -> dict[str, Any]:
    """Every number of the card; see the module. Frames are kept in ``out``."""
    clip = load_clip(model_name)
    development = _development(data, model_name, clip, renderer, out)
    categories = {name: sides(data, one, development=False) for name, one in look_alikes().items()}
    named, unseen = (data.test_drawings(some, HELD_OUT_FAMILY) for some in (data.named, data.unseen))
    pairs = [d for both in PAIRS.values() for concepts in both for d in pair_drawings(data, concepts)]
    sought = [d for both in categories.values() for side in both for d in side]
    shown = Exhibition([*named, *unseen, *sought, *pairs], renderer, clip, out / "test.npz")
    every = [*data.named, *data.unseen]
    told = naming(shown([*named, *unseen]), every, clip, clip.scale)
    results, concepts = _categories(categories, model_name, clip, shown, development["temperature"])
    return {
        "model": model_name,
        "weights_sha256": clip.key,
        **development,
        "held_out_family": {
            "family": HELD_OUT_FAMILY,
            "n": len(named),
            "top1_of_200": _top1(shown(named), data.named, clip),
        },
        "held_out_concepts": {
            "n": len(unseen),
            "top1_of_50": _top1(shown(unseen), data.unseen, clip),
            "top1_of_250": top1(shown(unseen), every, told[len(named) :]),
        },
        "categories": results,
        "pairs": pair_accuracy(data, clip, shown),
        "ms_per_frame": milliseconds(model_name, [one.frame for one in shown(named[:64])]),
        "floor": FLOOR,
        "concepts": {**concepts, **each_concept(shown([*named, *unseen]), every, told)},
    }


def _top1(shown: Sequence[Shown], names: Sequence[str], clip: Clip) -> float:
    return top1(shown, names, naming(shown, names, clip, clip.scale))


def _development(data: Split, model_name: str, clip: Clip, renderer: Renderer, out: Path) -> dict[str, Any]:
    """The temperature and the nearest cosine, from the development families."""
    categories = {name: sides(data, one, development=True) for name, one in look_alikes().items()}
    named, unseen = (data.test_drawings(some, DEVELOPMENT[0]) for some in (data.named, data.unseen))
    sought = [d for both in categories.values() for side in both for d in side]
    shown = Exhibition([*named, *unseen, *sought], renderer, clip, out / "development.npz")
    every = [*data.named, *data.unseen]
    told = naming(shown([*named, *unseen]), every, clip, clip.scale)
    aurocs = each_concept(shown([*named, *unseen]), every, told)
    frames = {}
    for label, (drawn, alike) in categories.items():
        others = [d for d in named if look_alikes()[label].side(d.concept) is None]
        frames[label] = (shown(drawn), shown([*alike, *others]))
    temperature = fitted_temperature(frames, model_name)
    results, _ = _categories(categories, model_name, clip, shown, temperature)
    return {
        "temperature": temperature,
        "nearest": nearest_limit({name: aurocs[name] for name in data.unseen if name in aurocs}, data.named),
        "development": {
            "families": list(DEVELOPMENT),
            "top1_of_200": _top1(shown(named), data.named, clip),
            "top1_of_50_unseen": _top1(shown(unseen), data.unseen, clip),
            "auroc": {label: one["auroc"] for label, one in results.items()},
        },
    }


def _categories(
    categories: Mapping[str, tuple[Sequence[Drawing], Sequence[Drawing]]],
    model_name: str,
    clip: Clip,
    exhibition: Exhibition,
    temperature: float,
) -> tuple[dict[str, Any], dict[str, float]]:
    """AUROC of each category against its look-alikes, and of each concept in it against both."""
    detector = _detector(model_name)
    results: dict[str, Any] = {}
    concepts: dict[str, float] = {}
    for label, both in categories.items():
        shown = [exhibition(side) for side in both]
        drawn, alike = (
            np.array([detector.scores(label, one.vectors, temperature).max() for one in some])
            for some in shown
        )
        results[label] = {
            "auroc": auroc(drawn, alike),
            "recall_at_half": float(np.mean(drawn >= 0.5)),
            "false_positives_at_half": float(np.mean(alike >= 0.5)),
            "drawings": [len(side) for side in both],
            "missed_most": _told(shown[0], drawn, np.argsort(drawn)),
            "taken_most": _told(shown[1], alike, np.argsort(-alike)),
        }
        names = sorted({drawing.concept for drawing in both[0]})
        every = [*shown[0], *shown[1]]
        concepts |= each_concept(every, names, naming(every, names, clip, clip.scale))
    return results, concepts


def _told(shown: Sequence[Shown], scores: Floats, order: NDArray[np.int64]) -> list[str]:
    """The first eight, with their scores."""
    return [f"{shown[i].drawing.family}/{shown[i].drawing.name} {scores[i]:.2f}" for i in order[:8]]


def milliseconds(model_name: str, frames: Sequence[Pixels]) -> float:
    """CPU time of the whole detector for one frame, frame by frame, on one thread."""
    import torch

    detector = _detector(model_name)
    detector([Picture(frames[0])])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    began = time.process_time()
    for frame in frames:
        detector([Picture(frame)])
    torch.set_num_threads(threads)
    return 1000 * (time.process_time() - began) / len(frames)


def main() -> None:
    """The command line."""
    import argparse

    from worldmodel.models import load_model

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=DRAWN, help="As load_clip takes it.")
    parser.add_argument("--world-model", default="neural")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--card", action="store_true", help="Write coverage.json beside the weights.")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    measured = measure(split(), chosen.model, load_model(chosen.world_model), chosen.out)
    measured["uncovered"] = _uncovered_phrases(measured)
    text = json.dumps(measured, indent=1, ensure_ascii=False)
    (chosen.out / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    if chosen.card:
        folder = DRAWN_FOLDER if chosen.model == DRAWN else Path(chosen.model)
        (folder / COVERAGE).write_text(text + "\n", encoding="utf-8")
    print_tables(measured)


def _uncovered_phrases(measured: Mapping[str, Any]) -> dict[str, list[str]]:
    """Phrases of each category that the new card does not cover."""
    card = CoverageCard(measured["concepts"], measured["nearest"], measured["floor"])
    return {
        label: [phrase for phrase in one.show if not card.covers(phrase)]
        for label, one in look_alikes().items()
    }


def print_tables(measured: Mapping[str, Any]) -> None:
    """What was measured, for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("told apart", "n", "top-1")
    family, unseen = measured["held_out_family"], measured["held_out_concepts"]
    table.add_row(
        f"200 concepts, as {family['family']} draws them", str(family["n"]), f"{family['top1_of_200']:.3f}"
    )
    table.add_row("50 concepts that training never drew", str(unseen["n"]), f"{unseen['top1_of_50']:.3f}")
    table.add_row("the same among all 250", str(unseen["n"]), f"{unseen['top1_of_250']:.3f}")
    console.print(table)
    table = Table("label", "drawings", "look-alikes", "AUROC", "found at .5", "taken at .5")
    for label, one in measured["categories"].items():
        table.add_row(
            label,
            *map(str, one["drawings"]),
            f"{one['auroc']:.3f}",
            f"{one['recall_at_half']:.2f}",
            f"{one['false_positives_at_half']:.2f}",
        )
    console.print(table)
    table = Table("pair", "drawings", "accuracy")
    for pair, one in measured["pairs"].items():
        table.add_row(pair, str(one["drawings"]), f"{one['accuracy']:.2f}")
    console.print(table)
    console.print(f"{measured['ms_per_frame']:.1f} ms of one CPU thread a frame")


if __name__ == "__main__":
    main()
