"""How well likeness tells versions of one world from different worlds.

python benchmarks/likeness.py [--generated 24] [--json FILE]

Every world is played at random from several spawn points in the simulator, and its signature is made of what
that shows. *Alike* are two versions of one world: another seed (another layout of the same idea), other
mechanics, another sign; *unlike* are versions of two different worlds. The AUROC is the share of (alike,
unlike) pairs of pairs of which the alike one has the higher likeness; .5 is chance. Remixes that the examples
contain are shown for themselves. The baseline in the same run is the mean colour of a world.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from moderation.evaluation.metrics import auroc
from moderation.likeness import Signature, Vectors, describe, likeness, signature
from worldmodel.compiled import CompiledWorld
from worldmodel.compiler import compile_world
from worldmodel.constants import ACTIONS
from worldmodel.gallery import generated_worlds
from worldmodel.models import load_model
from worldmodel.package import WorldPackage, load_package
from worldmodel.protocol import WorldModel

EXAMPLES = Path(__file__).parent.parent / "examples"
REMIXES = (("frost-run", "mossy-steps"), ("strobe-lever", "lantern-caves"))
ROWS, STEPS, EVERY = 6, 60, 10

Frames = NDArray[np.uint8]


@torch.no_grad()
def frames_of(model: WorldModel, world: CompiledWorld, seed: int) -> Frames:
    """(N, 128, 128, 3): every tenth frame of random play from several spawn points."""
    rng = np.random.default_rng(seed)
    spawns = [int(spawn) for spawn in rng.integers(0, len(world.spawns), ROWS)]
    state = model.spawn([world] * ROWS, list(range(ROWS)), spawns)
    actions, seen = torch.from_numpy(rng.integers(ACTIONS, size=ROWS)), []
    for step in range(STEPS):
        if step % 5 == 0:
            actions = torch.from_numpy(rng.integers(ACTIONS, size=ROWS))
        state, shown = model.step(state, actions, render=step % EVERY == 0)
        if shown.frames is not None:
            seen.append(shown.frames.permute(0, 2, 3, 1).numpy())
    return np.concatenate(seen)


def versions(package: WorldPackage) -> list[WorldPackage]:
    """The world, and three that are nearly it."""
    spec = package.spec
    objects = [
        o.model_copy(update={"text": "a way out"}) if getattr(o, "text", None) else o for o in spec.objects
    ]
    gravity = 0.8 if (spec.mechanics.gravity or 1) > 0.9 else 1.1
    changes = (
        {"seed": spec.seed + 1},
        {"mechanics": spec.mechanics.model_copy(update={"gravity": gravity, "coins": None})},
        {"objects": tuple(objects), "title": f"{spec.title} again", "seed": spec.seed + 2},
    )
    altered = [replace(package, spec=spec.model_copy(update=change)) for change in changes]
    return [package, *altered]


def mean_colour(pictures: Frames) -> Vectors:
    """The baseline: (N, 3) unit vectors."""
    means = pictures.mean(axis=(1, 2)).astype(np.float32) + 1
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def measured(signatures: dict[tuple[str, int], Signature]) -> dict[str, float]:
    """AUROC over all pairs of versions, and how far apart the two kinds are."""
    pairs = [
        (one[0], other[0], likeness(signatures[one], signatures[other]))
        for one, other in combinations(signatures, 2)
    ]
    alike = [value for a, b, value in pairs if a == b]
    unlike = [value for a, b, value in pairs if a != b and (a, b) not in REMIXES and (b, a) not in REMIXES]
    truth = [True] * len(alike) + [False] * len(unlike)
    remixed = [value for a, b, value in pairs if (a, b) in REMIXES or (b, a) in REMIXES]
    own = [
        max((o for o in signatures if o != one), key=lambda o: likeness(signatures[one], signatures[o]))[0]
        == one[0]
        for one in signatures
    ]
    return {
        "alike": len(alike), "unlike": len(unlike), "auroc": auroc([*alike, *unlike], truth),
        "nearest is a version of the same": float(np.mean(own)),
        "median alike": float(np.median(alike)), "median unlike": float(np.median(unlike)),
        "95th percentile unlike": float(np.percentile(unlike, 95)),
        "remixes": float(np.median(remixed)) if remixed else float("nan"),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--generated", type=int, default=24, help="generated worlds, each with two seeds")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    wanted = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    model = load_model("simulator")
    seen: dict[tuple[str, int], tuple[Frames, str]] = {}
    for path in sorted(EXAMPLES.glob("*/world.yaml")):
        for number, package in enumerate(versions(load_package(path.parent))):
            words = f"{package.spec.title}. {package.spec.prompt}"
            frames = frames_of(model, compile_world(package), number)
            seen[path.parent.name, number] = frames, words
    for seed in (0, 1):
        for number, world in enumerate(generated_worlds(wanted.generated, seed, evaluation=True)):
            seen[f"generated {number}", seed] = frames_of(model, world, seed), ""
    told = {
        "mean colour": measured({key: signature(f, mean_colour) for key, (f, _) in seen.items()}),
        "colour and structure": measured({key: signature(f, describe) for key, (f, _) in seen.items()}),
        "with words": measured({key: signature(f, describe, words) for key, (f, words) in seen.items()}),
    }
    table = Table("", *told, title=f"{len(seen)} versions of {len({name for name, _ in seen})} worlds")
    for name in told["mean colour"]:
        table.add_row(name, *(f"{row[name]:,.3f}" for row in told.values()))
    Console().print(table)
    if wanted.json:
        wanted.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
