"""The ``firstplay bots`` commands, for who develops players."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bots.training_cli import register_training

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bots.exploration import Exploration
    from bots.fit import Fit
    from worldmodel.compiled import CompiledWorld

BAD_INPUT = 2

bots = typer.Typer(help="Let bots play a world.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this layer's commands to ``app``."""
    register_training(bots)
    app.add_typer(bots, name="bots")


@bots.callback()
def _group() -> None:
    """Let bots play a world."""


@bots.command("explore")
def explore_command(  # noqa: PLR0913, PLR0917 - options
    path: Annotated[Path, typer.Argument(help="World package: a folder or zip with world.yaml.")],
    seed: Annotated[int, typer.Option(help="Same seed, same result.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the search arm.")] = 60_000,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="And at most so many seconds of it.")] = None,
    episodes: Annotated[int, typer.Option(min=0, help="Episodes of the sample arm.")] = 32,
    model: Annotated[str, typer.Option(help="World model: neural or simulator.")] = "simulator",
    player: Annotated[
        Path | None, typer.Option(help="Who plays the sample arm: a file of fit-player, else human/1.")
    ] = None,
    parent: Annotated[
        Path | None, typer.Option(help="Exploration (.npz) of the world that this remixes: go on from there.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Save the exploration to this .npz file.")] = None,
) -> None:
    """Explore one world and print what was reached: no detectors, no decision."""
    import torch
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from bots.coverage import open_tiles
    from bots.exploration import Budget, Exploration, Progress
    from bots.explore import explore
    from bots.playermodel import PlayerFileError, load_player
    from bots.players import HUMAN
    from bots.storage import StorageError
    from worldmodel.models import load_model

    torch.set_num_threads(1)  # several threads are slower on batches as small as these
    world = _world(path)
    try:
        who = HUMAN if player is None else load_player(player)
        left = None if parent is None else Exploration.load(parent).legacy
    except (PlayerFileError, StorageError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(BAD_INPUT) from error
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, transient=True) as bars:
        tasks = {arm: bars.add_task(arm, total=None) for arm in ("search", "sample")}

        def show(progress: Progress) -> None:
            doing = f"{progress.arm}: {progress.strategy}"
            bars.update(tasks[progress.arm], completed=progress.done, total=progress.total, description=doing)

        budget = Budget(search_steps=steps, sample_episodes=episodes, search_seconds=seconds)
        result = explore(load_model(model), world, budget, seed, show, inherit=left, player=who)
    typer.echo(summary(world.title, result, open_tiles(world)))
    if out is not None:
        result.save(out)
        typer.echo(f"saved to {out}")


@bots.command("fit-player")
def fit_player_command(
    sessions: Annotated[
        list[Path], typer.Argument(help="Recorded sessions: .npz files of explorations or of playthroughs.")
    ],
    world: Annotated[list[Path], typer.Option(help="Package of a world they were played in; repeat.")],
    out: Annotated[Path, typer.Option(help="Write the player to this .json file.")],
    arm: Annotated[
        str, typer.Option(help="Whose sessions: live (people) or sample; any for all of a file.")
    ] = "live",
    model: Annotated[
        str, typer.Option(help="World model they were played in: neural or simulator.")
    ] = "neural",
) -> None:
    """Fit the player of the sample arm to recorded sessions, by maximum likelihood.

    Exit codes: 0; 2 the sessions or worlds cannot be used, and why.
    """
    import torch

    from bots.fit import FitError, fit, load_sessions
    from bots.playermodel import save_player
    from bots.storage import StorageError
    from worldmodel.models import load_model

    torch.set_num_threads(1)
    worlds = {found.key: found for found in map(_world, world)}
    try:
        played = [one for path in sessions for one in load_sessions(path, None if arm == "any" else arm)]
        fitted = fit(load_model(model), worlds, played)
    except (FitError, StorageError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(BAD_INPUT) from error
    save_player(out, fitted.player, fitted.source())
    typer.echo(told_fit(fitted))
    typer.echo(f"kept in {out}; explore with --player {out}")


def told_fit(fitted: Fit) -> str:
    """A fit as a table for a terminal."""
    from bots.fit import NAMES, numbers_of

    own, held = fitted.player.parameters, fitted.held_out
    rows = [
        f"  {name:<14} {value:+.2f} ± {fitted.errors[name]:.2f}"
        for name, value in zip(NAMES, numbers_of(fitted.player).tolist(), strict=True)
        if name in fitted.errors
    ]
    head = [
        f"{fitted.player.name}: {fitted.sessions} sessions, {fitted.keys:,} keys fitted to",
        f"  acts {own.delay} steps after it saw, sticks to a key with chance {own.stick:.2f}",
        "  log-odds, with standard errors:",
    ]
    kept = (
        [f"  not told by these sessions, left as they were: {', '.join(fitted.kept)}"] if fitted.kept else []
    )
    foretold = (
        f"  sessions held out: {held.fitted:.3f} log-likelihood per key; default {held.default:.3f}, "
        f"by frequency {held.keys:.3f}; gain {held.gain:.3f} ± {held.gain_error:.3f}"
    )
    return "\n".join([*head, *rows, *kept, foretold])


@bots.command("cells-gate")
def cells_gate_command(
    model: Annotated[
        str, typer.Option(help="World model: neural, simulator, diffusion or transformer.")
    ] = "neural",
    worlds: Annotated[int, typer.Option(min=1, help="Generated evaluation worlds to play.")] = 8,
    seed: Annotated[int, typer.Option(help="Same seed, same worlds and play.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """How often the same state falls in the same cell again: the gate is 95 %.

    Exit codes: 0; 1 some kind of cell does not pass.
    """
    import json
    from dataclasses import asdict

    import torch
    from rich.console import Console
    from rich.table import Table

    from bots.gate import gate
    from worldmodel.gallery import generated_worlds
    from worldmodel.models import load_model

    torch.set_num_threads(1)
    rows = gate(load_model(model), generated_worlds(worlds, seed, evaluation=True), seed)
    if as_json:
        typer.echo(json.dumps([{**asdict(row), "passes": row.passes} for row in rows], indent=2))
    else:
        title = f"{model}, {worlds} worlds: the same state in the same cell"
        names = ("cells of", "again", "states", "same", "95 % limit", "different in one", "")
        table = Table(*names, title=title)
        for row in rows:
            shares = (f"{row.same:.2%}", f"{row.lower:.1%}", f"{row.merged:.1%}")
            table.add_row(
                row.cells, row.again, f"{row.states:,}", *shares, "passes" if row.passes else "fails"
            )
        Console().print(table)
    raise typer.Exit(0 if all(row.passes for row in rows) else 1)


def _world(path: Path) -> CompiledWorld:
    """The compiled world of a package; ends the command where it is none."""
    from worldmodel.compiler import compile_world
    from worldmodel.package import PackageError, load_package

    try:
        return compile_world(load_package(path))
    except PackageError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(BAD_INPUT) from error


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
