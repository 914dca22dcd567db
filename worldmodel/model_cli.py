"""``firstplay worldmodel``: train the neural world model, measure it, search what can be reached."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from worldmodel.world_cli import INVALID

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld
    from worldmodel.evaluation import Evaluation, Speed
    from worldmodel.training import Progress

EVALUATION_WORLDS = 12


def register_worldmodel(app: typer.Typer) -> None:
    """Add ``worldmodel train``, ``evaluate`` and ``reach``."""
    group = typer.Typer(
        no_args_is_help=True, help="Train and measure the neural world model; search what can be reached."
    )
    group.command("train")(train)
    group.command("evaluate")(evaluate)
    group.command("reach")(reach)
    app.add_typer(group, name="worldmodel")


def train(
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, metrics and weights.")] = Path(
        "runs/cpu"
    ),
    size: Annotated[Literal["cpu", "gpu"], typer.Option(help="One of the shipped configurations.")] = "cpu",
    file: Annotated[
        Path | None, typer.Option("--config", help="A TOML file in place of the shipped one.", dir_okay=False)
    ] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Stop after so long; the next call goes on.")] = inf,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Train from the last checkpoint in OUT on; ends with OUT/model.safetensors.

    Exit codes: 0 trained; 1 paused after --minutes; 2 bad input.
    """
    from worldmodel.bank import WorldBank
    from worldmodel.gallery import generated_worlds
    from worldmodel.training import Paused, Run, read_config, shipped_config

    try:
        config = read_config(file) if file is not None else shipped_config(size)
    except (OSError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(INVALID) from None
    config = replace(config, seed=seed)

    def gallery() -> WorldBank:
        import torch

        bank = WorldBank(torch.device(device))
        bank.add(generated_worlds(config.gallery_worlds, seed))
        return bank

    try:
        with _Bars() as report:
            weights = Run(out, config).train(gallery, device, report, 60 * minutes)
    except Paused as pause:
        typer.echo(f"paused: {pause}; the same command goes on")
        raise typer.Exit(1) from None
    typer.echo(f"weights: {weights}")


class _Bars:
    """Progress bars, one per phase."""

    def __enter__(self) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
        )
        self._progress = Progress(*columns)
        self._progress.start()
        tasks: dict[str, object] = {}

        def report(phase: str, done: int, total: int, metrics: dict[str, float]) -> None:
            if phase not in tasks:
                tasks[phase] = self._progress.add_task(phase, total=total, metrics="")
            shown = " ".join(f"{key} {value:.4g}" for key, value in metrics.items())
            self._progress.update(tasks[phase], completed=done, metrics=shown)  # type: ignore[arg-type]

        return report

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def evaluate(
    worlds: Annotated[
        list[Path] | None, typer.Argument(help="World packages; default: generated ones.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Weights to measure; default: the package's.")] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes per world.")] = 4,
    steps: Annotated[
        int, typer.Option(min=1, help="Steps per episode; compared at 1, 16, 64 ... 4096.")
    ] = 256,
    seed: Annotated[int, typer.Option()] = 0,
    device: Annotated[str, typer.Option()] = "cpu",
    speed: Annotated[bool, typer.Option(help="Also measure steps per second.")] = True,
    out: Annotated[Path | None, typer.Option("--json", help="Write all numbers here.")] = None,
) -> None:
    """Compare the neural world model with the simulator, step by step, on worlds it never trained on."""
    from worldmodel.evaluation import evaluate as run
    from worldmodel.evaluation import measure_speed, peak_memory
    from worldmodel.models import load_model

    model = load_model("neural", device, weights)
    chosen = _worlds(worlds, seed)
    result = run(model, chosen, episodes=episodes, seed=seed, horizon=steps)
    console = Console()
    _print(console, result)
    speeds = measure_speed(model, chosen[0]) if speed else []
    if speeds:
        _print_speed(console, speeds)
        console.print(f"peak memory {peak_memory():.0f} MiB")
    if out is not None:
        numbers = {**result.as_json(), "speed": [asdict(s) for s in speeds], "peak_memory_mib": peak_memory()}
        out.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


def reach(
    path: Annotated[Path, typer.Argument(help="World package: a folder or a zip.", show_default=False)],
    limit: Annotated[int, typer.Option(min=1, help="Nodes after which the search ends.")] = 60_000,
) -> None:
    """Search, by the simulator's rules, what a player can reach from the start.

    Exit codes: 0 the goal was reached; 1 it was not found; 2 bad input.
    """
    from worldmodel.reach import reachability

    world = _worlds([path], 0)[0]
    found = reachability(world, limit=limit)
    table = Table(title=f"{world.title}: {found.nodes:,} nodes, {'whole' if found.complete else 'cut short'}")
    for heading in ("object", "kind", "fewest steps found to it or beside it"):
        table.add_column(heading, justify="right")
    for thing in world.placed:
        steps = found.steps_to(thing.box)
        name = "made up" if thing.index < 0 else f"objects[{thing.index}]"
        table.add_row(name, thing.kind, "not found" if steps is None else str(steps))
    Console().print(table)
    typer.echo("the goal was reached" if found.goal else "the goal was not found")
    raise typer.Exit(0 if found.goal else 1)


def _worlds(paths: list[Path] | None, seed: int) -> list[CompiledWorld]:
    if not paths:
        from worldmodel.gallery import generated_worlds

        return generated_worlds(EVALUATION_WORLDS, seed, evaluation=True)
    from worldmodel.compiler import compile_world
    from worldmodel.package import PackageError, load_package

    try:
        return [compile_world(load_package(path)) for path in paths]
    except PackageError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(INVALID) from None


def _print(console: Console, result: Evaluation) -> None:
    table = Table(title=f"Against the simulator: {result.worlds} worlds, {result.episodes} episodes")
    for heading in ("after steps", "PSNR dB", "first frame repeated dB", "player within half a tile"):
        table.add_column(heading, justify="right")
    for horizon, row in result.horizons.items():
        table.add_row(str(horizon), f"{row.psnr:.1f}", f"{row.psnr_copy_first:.1f}", f"{row.place:.3f}")
    console.print(table)
    console.print(f"steps exactly as the simulator's from the same state: {result.step_agreement:.5f}")
    console.print(f"enemy moves exactly as the simulator's: {result.enemy_agreement:.5f}")
    console.print(
        f"actions whose effect after four steps is exactly the simulator's: {result.action_agreement:.5f}"
    )
    console.print(f"coins that came back: {result.coins_regrown}")
    events = Table(title="Events, from the model's own states")
    for heading in ("event", "precision", "recall", "in the simulator"):
        events.add_column(heading, justify="right")
    for name, score in result.events.items():
        events.add_row(name, _share(score.precision), _share(score.recall), str(score.simulated))
    console.print(events)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _print_speed(console: Console, speeds: list[Speed]) -> None:
    table = Table(title="World-steps per second on this machine")
    for heading in ("batch", "with frames", "without frames"):
        table.add_column(heading, justify="right")
    for row in speeds:
        table.add_row(str(row.batch), f"{row.with_frames:,.0f}", f"{row.without_frames:,.0f}")
    console.print(table)
