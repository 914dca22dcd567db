"""``firstplay bots train | compare | tune``: the generalist explorer, and what it brings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bots.compare import Score


def register_training(bots: typer.Typer) -> None:
    """Add the commands to ``firstplay bots``."""
    bots.command("train")(train_command)
    bots.command("compare")(compare_command)
    bots.command("tune")(tune_command)


def train_command(
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, curve and weights.")] = Path(
        "runs/generalist"
    ),
    steps: Annotated[int, typer.Option(min=1, help="Steps of the simulator in all.")] = 10_000_000,
    seconds: Annotated[float, typer.Option(min=0, help="Stop after so long, at the end of a leg.")] = inf,
    seed: Annotated[int, typer.Option(help="Same seed, same weights.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.")] = False,
) -> None:
    """Pretrain the explorer of the search arm over many generated worlds, with PPO.

    Exit codes: 0 trained; 1 stopped after --seconds, --resume goes on; 2 bad input.
    """
    import torch

    from bots.training import Leg, Run, TrainConfig

    torch.set_num_threads(1)

    def report(leg: Leg, legs: int) -> None:
        typer.echo(
            f"leg {leg.number + 1}/{legs}: {leg.steps:,} steps, {leg.seconds:.0f} s, "
            f"reward {leg.reward:.2f}, {leg.cells:.1f} new cells per 1,000 steps, entropy {leg.entropy:.2f}"
        )

    try:
        done = Run(out, TrainConfig(seed=seed, steps=steps), device).train(report, seconds, resume=resume)
    except (FileExistsError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"weights: {out / 'generalist.safetensors'}")
    if not done:
        raise typer.Exit(1)


_Weights = Annotated[
    Path | None, typer.Option(help="Of the generalist; default: the package's.", dir_okay=False)
]
_Worlds = Annotated[int, typer.Option(min=1, help="Generated worlds that training never draws.")]
_First = Annotated[int, typer.Option(min=0, help="Number of the first of them.")]
_Seeds = Annotated[int, typer.Option(min=1, help="Runs of each arm in each world.")]
_Budgets = Annotated[
    list[int], typer.Option("--budget", help="Steps after which to measure; may be repeated.")
]
_Json = Annotated[Path | None, typer.Option(help="Save table and runs to this JSON file.")]
BUDGETS = [20_000, 60_000]


def compare_command(
    weights: _Weights = None,
    worlds: _Worlds = 12,
    first: _First = 0,
    seeds: _Seeds = 1,
    budgets: _Budgets = BUDGETS,
    share: Annotated[
        list[float] | None, typer.Option(min=0, max=1, help="Of the generalist; may be repeated.")
    ] = None,
    out: _Json = None,
) -> None:
    """Measure explorers after a return: sticky actions, scripted players, the generalist mixed in."""
    import torch

    from bots.compare import REFERENCES, SHARES, arms, compare
    from bots.generalist import WEIGHTS, Generalist, load_policy

    torch.set_num_threads(1)
    contenders = arms(Generalist(load_policy(weights or WEIGHTS)), share or SHARES)
    _tabulate(compare(contenders, range(first, first + worlds), range(seeds), budgets), REFERENCES, out)


def tune_command(
    weights: _Weights = None,
    worlds: _Worlds = 4,
    first: _First = 0,
    seeds: _Seeds = 1,
    budgets: _Budgets = BUDGETS,
    out: _Json = None,
) -> None:
    """Measure what fine-tuning the generalist on each world brings, alone, with RND and with E3B."""
    import torch

    from bots.finetune import ARMS, tune
    from bots.generalist import WEIGHTS, load_policy

    torch.set_num_threads(1)
    policy = load_policy(weights or WEIGHTS)
    _tabulate(tune(policy, range(first, first + worlds), range(seeds), budgets), ARMS[:1], out)


def _tabulate(measured: Iterable[Score], references: Sequence[str], out: Path | None) -> None:
    """Print each score as it comes, then the table."""
    from rich.console import Console
    from rich.table import Table

    from bots.compare import save, table

    scores = []
    for score in measured:
        scores.append(score)
        typer.echo(
            f"world {score.world} seed {score.seed} {score.arm}, {score.budget:,} steps: {score.cells} "
            f"cells, {len(score.tiles)} tiles, {len(score.marks)} happenings, {score.seconds:.0f} s"
        )
    rows = table(scores, references)
    shown = Table("steps", "what", "arm", "mean", *(f"ahead of {name}" for name in references), "seconds")
    for row in rows:
        ahead = [
            f"{d.mean:+.3g} ({d.low:+.3g} to {d.high:+.3g})" if (d := row.ahead.get(name)) else ""
            for name in references
        ]
        cells = (f"{row.budget:,}", row.metric, row.arm, f"{row.mean:.3g}", *ahead, f"{row.seconds:.0f}")
        shown.add_row(*cells)
    Console(width=max(110, Console().width)).print(shown)
    if out is not None:
        save(scores, rows, out)
