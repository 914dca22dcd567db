"""``firstplay worldmodel``: train the neural world model, measure it, search what can be reached."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from worldmodel.adapters.cli import register_adapters
from worldmodel.export_cli import export
from worldmodel.world_cli import INVALID

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld
    from worldmodel.evaluation import Plan
    from worldmodel.evaluation.records import Playable
    from worldmodel.training import Progress


def register_worldmodel(app: typer.Typer) -> None:
    """Add ``worldmodel train``, ``evaluate``, ``reach`` and ``export``."""
    group = typer.Typer(
        no_args_is_help=True, help="Train and measure the neural world model; search what can be reached."
    )
    group.command("train")(train)
    group.command("train-prompt")(train_prompt)
    group.command("evaluate")(evaluate)
    group.command("reach")(reach)
    group.command("export")(export)
    register_adapters(group)
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


def train_prompt(
    out: Annotated[
        Path | None, typer.Option(help="File for the heads; default: the package's.", dir_okay=False)
    ] = None,
) -> None:
    """Train what reads the prompts, print how well it reads phrasings that it never saw.

    Exit codes: 0 trained; 2 the text encoder's weights are not here.
    """
    import torch

    from worldmodel.store import ModelError
    from worldmodel.text.heads import WEIGHTS
    from worldmodel.text.training import FRESH, read_phrasings, save, score, train

    torch.set_num_threads(1)
    try:
        heads, folds = train()
    except ModelError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(INVALID) from None
    save(heads, out or WEIGHTS)
    typer.echo(f"threshold {heads.threshold}; out of fold: {folds}")
    for reader, quality in score(heads, read_phrasings(FRESH)).items():
        typer.echo(f"fresh, {reader}: {quality}")


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
    model: Annotated[
        Literal["neural", "simulator"],
        typer.Option(help="What is measured; the simulator, against itself, must be perfect."),
    ] = "neural",
    weights: Annotated[Path | None, typer.Option(help="Weights to measure; default: the package's.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Little of everything, in about a minute.")] = False,
    seed: Annotated[int, typer.Option()] = 0,
    device: Annotated[str, typer.Option()] = "cpu",
    sheets: Annotated[
        Path | None, typer.Option(help="Folder for contact sheets, videos and report.md.", file_okay=False)
    ] = None,
    out: Annotated[Path | None, typer.Option("--json", help="Write all numbers here.")] = None,
) -> None:
    """Compare the neural world model with the simulator, step by step, on worlds it never trained on."""
    from worldmodel.evaluation import QUICK, Plan, assess, markdown, measure_speed

    plan = QUICK if quick else Plan()
    chosen, player = _worlds(worlds, seed, plan.worlds), _playable(model, device, weights)
    result = assess(player, chosen, plan, seed, lambda part: typer.echo(f"{part} ...", err=True))
    result.speed = measure_speed(player, chosen[0], seconds=1.0 if quick else 3.0)
    text = markdown(result)
    typer.echo(text)
    if sheets is not None:
        _write_sheets(player, chosen[: plan.sheets], sheets, plan, seed)
        (sheets / "report.md").write_text(text, encoding="utf-8")
    if out is not None:
        out.write_text(json.dumps(result.as_json(), indent=2) + "\n", encoding="utf-8")


def _playable(name: str, device: str, weights: Path | None) -> Playable:
    from worldmodel.models import load_model
    from worldmodel.simulator import Simulator

    return Simulator(device) if name == "simulator" else load_model("neural", device, weights)


def _write_sheets(model: Playable, worlds: list[CompiledWorld], folder: Path, plan: Plan, seed: int) -> None:
    from worldmodel.evaluation import write_sheet

    for world in worlds:
        for path in write_sheet(model, world, folder, seed, plan.steps, plan.video_steps):
            typer.echo(f"wrote {path}", err=True)


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


def _worlds(paths: list[Path] | None, seed: int, count: int = 0) -> list[CompiledWorld]:
    """The packages' worlds, or ``count`` generated ones."""
    if not paths:
        from worldmodel.gallery import generated_worlds

        return generated_worlds(count, seed, evaluation=True)
    from worldmodel.compiler import compile_world
    from worldmodel.package import PackageError, load_package

    try:
        return [compile_world(load_package(path)) for path in paths]
    except PackageError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(INVALID) from None
