"""``python -m benchmarks.exploration``: see the package's docstring."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress, track

import benchmarks.exploration as package
from benchmarks.exploration import run, speed, suite
from benchmarks.exploration.plots import write_plot
from benchmarks.exploration.statistics import SHARES, Run, kaplan_meier, recall
from benchmarks.exploration.strategies import STRATEGIES
from benchmarks.exploration.worlds import plant
from worldmodel.models import load_model
from worldmodel.protocol import WorldModel

console = Console()


def main() -> None:
    wanted = _arguments()
    torch.set_num_threads(1)
    if wanted.select:
        _select()
        return
    model = load_model(wanted.model)
    if wanted.speed:
        world = plant(next(e.recipe for e in suite.load() if e.recipe.clean and e.tier == 2)).world
        measured = speed.measure(model, world, wanted.steps)
        console.print(speed.table(measured))
        _write(wanted.json, asdict(measured))
        return
    entries = suite.subset(suite.load(), wanted.worlds)
    asked = [entry for entry in entries if wanted.detect or not entry.recipe.clean]
    gated = [(entry, suite.gate(model, entry)) for entry in asked]
    items = [item for _, item in gated if item is not None]
    invalid = [str(entry.recipe.seed) for entry, item in gated if item is None]
    bad = [item for item in items if item.planted.violation is not None]
    console.print(
        f"{len(entries)} worlds on {wanted.model}: {len(entries) - len(bad) - len(invalid)} clean, "
        f"{len(bad)} bad and valid, {len(invalid)} invalid ({', '.join(invalid) or 'none'}); "
        f"{wanted.seeds} x {wanted.steps:,} steps"
    )
    runs = _play(model, items, wanted)
    run.print_tables(runs, wanted.strategies, console)
    if wanted.plot:
        write_plot(runs, wanted.strategies, wanted.plot)
    told = _told(runs, wanted, invalid)
    if wanted.detect:
        told["detected"] = _detect(model, items, wanted.steps)
    _write(wanted.json, told)


def _select() -> None:
    model, neural, entries = load_model("simulator"), load_model("neural"), []
    for number, slot in enumerate(suite.SLOTS):
        found = [suite.mend(neural, one) for one in suite.select(model, number)]
        console.print(f"{number}: {slot}: {', '.join(str(one.steps) for one in found) or 'no world'}")
        entries += found
    suite.save(entries)


def _detect(model: WorldModel, items: list[suite.Item], steps: int) -> list[dict[str, Any]]:
    from benchmarks.exploration.detect import detect, table
    from moderation import scan
    from policies.bundle import load_bundle

    bundle = load_bundle()
    detectors = scan.load_detectors(bundle)
    detectors.load()
    found = [
        detect(model, item, 0, steps, detectors, bundle)
        for item in track(items, "detecting", console=console, transient=True)
    ]
    console.print(table(found))
    return [asdict(one) for one in found]


def _write(path: Path | None, told: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _play(model: WorldModel, items: list[suite.Item], wanted: argparse.Namespace) -> list[Run]:
    bad = sum(item.planted.violation is not None for item in items)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("playing", total=bad * wanted.seeds * len(wanted.strategies))
        return run.play_all(
            model, items, wanted.strategies, wanted.seeds, wanted.steps, lambda _: progress.advance(task)
        )


def _told(runs: list[Run], wanted: argparse.Namespace, invalid: list[str]) -> dict[str, Any]:
    by_strategy = {
        name: {
            "recall": {
                tier: [_number(recall(of, share)) for share in SHARES]
                for tier, of in _by_tier([r for r in runs if r.strategy == name]).items()
            },
            "median_steps": _number(kaplan_meier(r for r in runs if r.strategy == name).median),
        }
        for name in wanted.strategies
    }
    return {
        "model": wanted.model,
        "steps": wanted.steps,
        "seeds": wanted.seeds,
        "invalid": invalid,
        "shares": SHARES,
        "strategies": by_strategy,
        "differences": _differences(runs, wanted.strategies),
        "runs": [asdict(r) for r in runs],
    }


def _differences(runs: list[Run], strategies: list[str]) -> dict[str, Any]:
    """Of recall, as in the table."""
    others = [name for name in strategies if name != run.OURS and run.OURS in strategies]
    return {
        name: {
            kind: {field: _number(value) for field, value in asdict(interval).items()}
            for kind, interval in zip(("steps", "time"), run.differences(runs, name), strict=True)
        }
        for name in others
    }


def _number(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


def _by_tier(runs: list[Run]) -> dict[str, list[Run]]:
    tiers = {name: [r for r in runs if r.tier == number] for number, name in enumerate(suite.TIER_NAMES)}
    return {"all": runs} | tiers


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exploration",
        description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", choices=("simulator", "neural"), default="simulator")
    parser.add_argument("--worlds", type=int, default=12, help="half of them clean; 60 is the whole set")
    parser.add_argument("--seeds", type=int, default=1, help="of the players, for each world")
    parser.add_argument("--steps", type=int, default=20_000, help="budget for each world and seed")
    parser.add_argument("--strategies", nargs="+", choices=tuple(STRATEGIES), default=list(STRATEGIES))
    parser.add_argument("--json", type=Path, help="write all numbers here")
    parser.add_argument("--plot", type=Path, help="draw the share that reached over steps here, as SVG")
    parser.add_argument(
        "--detect", action="store_true", help="also scan what firstplay records, once a world"
    )
    parser.add_argument("--speed", action="store_true", help="steps per second of the search, by stage")
    parser.add_argument("--select", action="store_true", help="draw the set of worlds anew, and nothing else")
    return parser.parse_args()


if __name__ == "__main__":
    main()
