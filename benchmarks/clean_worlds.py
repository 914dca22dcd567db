"""What a detector of pictures says of worlds that show nothing bad: its highest scores in play and on maps.

    python benchmarks/clean_worlds.py [DETECTOR ...] [--worlds 27] [--seed 77] [--json FILE]

Bots play generated worlds of the evaluation's themes on the neural world model, as in a review but for less
long. Every distinct view, and the pictures of the whole map, go to the detectors. A threshold below a score
printed here would send that world to a person.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from bots.exploration import Budget
from bots.explore import explore
from bots.recorder import regenerate_many
from moderation.detectors.base import Detector, Picture
from moderation.detectors.registry import Setup, load
from moderation.novelty import Gallery, difference_hash
from moderation.symbols.maps import whole_map_pictures
from policies.bundle import load_bundle
from worldmodel.compiled import CompiledWorld
from worldmodel.gallery import generated_worlds
from worldmodel.models import load_model
from worldmodel.protocol import WorldModel

BUDGET = Budget(
    search_steps=6_000, sample_episodes=16, episode_steps=200, batch=64, window=3_000, evidence_steps=3_000
)
LEVELS = (0.5, 0.6, 0.772, 0.9, 0.95, 0.98)
Scores = dict[str, dict[str, float]]
"""By where it was seen, then by label."""


def views_of(model: WorldModel, world: CompiledWorld) -> Iterator[Picture]:
    """Every distinct frame of play, once."""
    gallery = Gallery()
    for recording in regenerate_many(model, world, explore(model, world, BUDGET).playthroughs):
        for frame, view in zip(recording.frames, recording.views.tolist(), strict=True):
            known = len(gallery)
            if gallery.add(view, difference_hash(frame)) == known:
                yield Picture(np.array(frame))


def highest(detectors: Iterable[Detector[Picture]], pictures: Sequence[Picture]) -> dict[str, float]:
    """The best score of each label over some pictures."""
    found: dict[str, float] = {}
    for detector in detectors:
        for one in (one for group in detector(pictures) for one in group):
            found[one.label] = max(found.get(one.label, 0.0), one.score)
    return found


def table(worlds: Sequence[Scores]) -> str:
    """Worlds in which a label scores at least so much."""
    labels = sorted({(where, label) for scores in worlds for where, one in scores.items() for label in one})
    lines = [f"of {len(worlds)} worlds, with a score of at least"]
    lines.append(" " * 28 + "".join(f"{level:>8}" for level in LEVELS) + "     max")
    for where, label in labels:
        best = [scores[where].get(label, 0.0) for scores in worlds]
        counts = "".join(f"{sum(score >= level for score in best):>8}" for level in LEVELS)
        lines.append(f"{where:6}{label:22}{counts}{max(best):>8.3f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("detectors", nargs="*", default=["symbols"])
    parser.add_argument("--worlds", type=int, default=27)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model, setup = load_model("neural"), Setup.of(load_bundle())
    detectors = [load(name, setup) for name in given.detectors]
    worlds: list[Scores] = []
    for world in generated_worlds(given.worlds, given.seed, evaluation=True):
        play, whole = list(views_of(model, world)), whole_map_pictures(world)
        worlds.append({"play": highest(detectors, play), "map": highest(detectors, whole)})
        print(world.title, len(play), "views", worlds[-1], flush=True)
    print(table(worlds))
    if given.json is not None:
        given.json.write_text(json.dumps(worlds, indent=1))


if __name__ == "__main__":
    main()
