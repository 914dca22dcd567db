"""``firstplay worldmodel train-adapter`` and ``measure-adapter``: an example of a model of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def register_adapters(group: typer.Typer) -> None:
    """Add both commands to ``firstplay worldmodel``."""
    group.command("train-adapter")(train_adapter)
    group.command("measure-adapter")(measure_adapter)


def train_adapter(
    out: Annotated[Path, typer.Option(help="Folder for weights and metrics.")] = Path("runs/adapter"),
    minutes: Annotated[float, typer.Option(min=0.01, help="Longest time to train, filming apart.")] = 25.0,
    updates: Annotated[int | None, typer.Option(min=1, help="Most updates.")] = None,
    worlds: Annotated[int | None, typer.Option(min=1, help="Generated worlds to film.")] = None,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Train a small diffusion world model from the simulator's frames, on one thread."""
    import torch

    from worldmodel.adapters.footage import film
    from worldmodel.adapters.training import AdapterTraining, Run
    from worldmodel.gallery import generated_worlds

    torch.set_num_threads(1)
    config = AdapterTraining(seed=seed, minutes=minutes)
    config = replace(config, updates=updates or config.updates, worlds=worlds or config.worlds)
    typer.echo(f"filming {config.worlds * config.episodes} episodes in {config.worlds} worlds")
    chosen = generated_worlds(config.worlds, seed)
    footage = film(chosen, config.episodes, config.steps, config.model.size, seed)

    def report(done: int, planned: int, loss: float) -> None:
        typer.echo(f"{done} of {planned} updates, loss {loss:.4f}")

    typer.echo(f"weights: {Run(config, footage).train(out, report)}")


def measure_adapter(
    weights: Annotated[Path | None, typer.Option(help="Weights; default: the package's.")] = None,
    name: Annotated[str, typer.Option("--model", help="diffusion or transformer.")] = "diffusion",
    worlds: Annotated[int, typer.Option(min=1, help="Worlds of the evaluation set.")] = 12,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes in each.")] = 4,
    training: Annotated[bool, typer.Option(help="Measure on training worlds instead.")] = False,
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Compare what a model that plays from pixels foresees with the simulator's frames."""
    import torch

    from worldmodel.adapters.common import ContextModel
    from worldmodel.adapters.measure import measure
    from worldmodel.gallery import generated_worlds
    from worldmodel.models import load_model

    torch.set_num_threads(1)
    model = load_model(name, weights=weights)
    if not isinstance(model, ContextModel):
        raise typer.BadParameter(f"{name} does not play from pixels: use `worldmodel evaluate`")
    found = measure(model, generated_worlds(worlds, 0, evaluation=not training), episodes, seed)
    table = Table(title=f"{found.episodes} episodes in {found.worlds} worlds")
    for heading in ("steps alone", "PSNR dB", "last frame repeated dB", "best at this size dB"):
        table.add_column(heading, justify="right")
    for horizon, row in found.horizons.items():
        numbers = (row.psnr, row.copy_last, row.ceiling)
        table.add_row(str(horizon), *(f"{number:.1f}" for number in numbers))
    Console().print(table)
    if found.steered is not None:
        typer.echo(f"left or right as the simulator: {found.steered:.3f} of {found.forks} forks")
