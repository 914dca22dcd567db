"""The ``firstplay bots`` commands, for who develops players."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bots.exploration import Exploration

bots = typer.Typer(help="Let bots play a world.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this layer's commands to ``app``."""
    app.add_typer(bots, name="bots")


@bots.callback()
def _group() -> None:
    """Let bots play a world."""


@bots.command("explore")
def explore_command(
    path: Annotated[Path, typer.Argument(help="World package: a folder or zip with world.yaml.")],
    seed: Annotated[int, typer.Option(help="Same seed, same result.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the search arm.")] = 60_000,
    episodes: Annotated[int, typer.Option(min=0, help="Episodes of the sample arm.")] = 32,
    model: Annotated[str, typer.Option(help="World model: neural or simulator.")] = "simulator",
    out: Annotated[Path | None, typer.Option(help="Save the exploration to this .npz file.")] = None,
) -> None:
    """Explore one world and print what was reached: no detectors, no decision."""
    import torch
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from bots.coverage import open_tiles
    from bots.exploration import Budget, Progress
    from bots.explore import explore
    from worldmodel.compiler import compile_world
    from worldmodel.models import load_model
    from worldmodel.package import PackageError, load_package

    torch.set_num_threads(1)  # several threads are slower on batches as small as these
    try:
        world = compile_world(load_package(path))
    except PackageError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, transient=True) as bars:
        tasks = {arm: bars.add_task(arm, total=None) for arm in ("search", "sample")}

        def show(progress: Progress) -> None:
            bars.update(tasks[progress.arm], completed=progress.done, total=progress.total)

        budget = Budget(search_steps=steps, sample_episodes=episodes)
        result = explore(load_model(model), world, budget, seed, show)
    typer.echo(summary(world.title, result, open_tiles(world)))
    if out is not None:
        result.save(out)
        typer.echo(f"saved to {out}")


def summary(title: str, result: Exploration, open_: NDArray[np.bool_]) -> str:
    """The result in a few lines for a terminal; ``open_`` (MAP_HEIGHT, MAP_WIDTH) tiles without a wall."""
    from bots.statement import Inspection, statement

    coverage = result.coverage
    steps = coverage.search_steps + coverage.sample_steps
    recorded = sum(len(p.actions) for p in result.search)
    happened = sorted({f"{h.event} {h.link}" if h.link else h.event for h in result.happenings})
    objects = [f"{s.kind} {'seen' if s.playthrough else 'never seen'}" for s in result.sights]
    rate = steps / max(result.seconds, 1e-9)
    lines = {
        "reached": f"{coverage.cells:,} cells in {steps:,} steps, {rate:,.0f} steps/s",
        "stopped": coverage.stop_reason,
        "happened": ", ".join(happened) or "nothing",
        "objects": ", ".join(objects) or "none placed",
        "recordings": f"{len(result.search)} search ({recorded:,} steps), {len(result.sample)} sample",
        "scenes": f"{result.scenes[0]} of {result.scenes[1]} on the search recordings",
        "unseen": f"{coverage.unseen_sessions:.1%} of sessions, {coverage.unseen_mass:.1%} of steps",
    }
    told = str(statement(Inspection.of(result, open_))).splitlines()
    facts = [f"  {name:<11} {text}" for name, text in lines.items()]
    return "\n".join([title, *facts, *(f"  {line}" for line in told), *_map(result)])


def _map(result: Exploration) -> list[str]:
    """The visited part of the map: ``#`` both arms, ``+`` search only, ``o`` sample only."""
    search, sample = (result.visited[arm] > 0 for arm in ("search", "sample"))
    marks = [
        [".o+#"[2 * a + b] for a, b in zip(*both, strict=True)] for both in zip(search, sample, strict=True)
    ]
    rows = ["".join(row) for row in marks]
    return ["  " + row for row in rows if row.strip(".")]
