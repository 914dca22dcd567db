"""The ``firstplay`` sub-commands of this layer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from moderation.options import BAD_INPUT, AsJson, Home, home_folder

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from moderation.review import Outcome
    from moderation.store import Store, Version
    from worldmodel.package import WorldPackage


def register(app: typer.Typer) -> None:
    """Add this layer's commands to ``app``."""
    from moderation.accounts_cli import register_accounts
    from moderation.banks_cli import register_banks
    from moderation.cases_cli import register_cases
    from moderation.detectors_cli import register_detectors
    from moderation.jobs_cli import register_jobs
    from moderation.keeping_cli import register_keeping
    from moderation.models_cli import register_models
    from moderation.observing_cli import register_observing
    from moderation.policy_changes.cli import register_policy_changes
    from moderation.worlds_cli import register_worlds
    from policies.cli import group

    app.command("review")(review_command)
    app.command("replay")(replay_command)
    register_worlds(app)
    register_keeping(app)
    group(app).command("explain")(explain_command)
    register_policy_changes(group(app))
    register_models(app)
    register_detectors(app)
    register_banks(app)
    register_accounts(app)
    register_observing(app)
    register_cases(app)
    register_jobs(app)


def review_command(  # noqa: PLR0913, PLR0917 - options
    paths: Annotated[list[Path], typer.Argument(help="World packages: folders or zips.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Chance of the bots; another one plays otherwise.", min=0)] = 0,
    model: Annotated[
        Literal["neural", "simulator"], typer.Option(help="World model that the bots play in.")
    ] = "neural",
    budget: Annotated[
        Literal["small", "default", "large"], typer.Option(help="How much the bots play.")
    ] = "default",
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 2,
    policy: Annotated[
        Path | None, typer.Option(help="Policy bundle; default $FIRSTPLAY_POLICY, else the built-in one.")
    ] = None,
    player: Annotated[
        Path | None,
        typer.Option(help="Who plays the sessions that are counted: a file of `bots fit-player`."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let bots play worlds, scan what they saw and heard, and decide.

    Interrupt it as you like: the same command goes on where it was, and shows stored results at once.

    Exit codes: 0 all worlds are cleared and published; 1 some are not; 2 bad input (a package, an option,
    missing weights), nothing was done; 3 a stage failed for good.
    """
    from rich.console import Console

    from bots.playermodel import PlayerFileError
    from moderation.jobs import QueueFull
    from moderation.models import ModelError
    from moderation.pipeline import POLICY_VARIABLE
    from moderation.policy_changes.bundles import BundleLost
    from moderation.progress import Bars
    from moderation.review import Asked, exit_code, review
    from moderation.store import Conflict
    from policies.errors import BundleError

    said = Console(stderr=True)
    if policy is not None:
        os.environ[POLICY_VARIABLE] = str(policy.resolve())
    packages = _load(paths, said)
    asked = Asked(seed, model, budget, workers, player)
    titles = {package.sha256: package.spec.title for _, package in packages}
    folder = home_folder(home)
    os.environ["FIRSTPLAY_HOME"] = str(folder)  # for worker processes and the banks of known pictures
    try:
        with Bars(said, titles) as bars:
            outcomes = review(folder, packages, asked, bars)
    except (
        ModelError,
        BundleError,
        BundleLost,
        Conflict,
        PlayerFileError,
        QueueFull,
        FileNotFoundError,
    ) as error:
        said.print(f"[red]cannot review:[/] {error}", highlight=False)
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        said.print("interrupted; the same command goes on from here")
        raise typer.Exit(130) from None
    _show(outcomes, folder, asked.seed, as_json)
    raise typer.Exit(exit_code(outcomes))


def _load(paths: list[Path], said: Console) -> list[tuple[str, WorldPackage]]:
    """All packages, or every problem of every bad one and the end of the command."""
    from worldmodel.package import PackageError, load_package

    packages: dict[str, tuple[str, WorldPackage]] = {}
    bad = False
    for path in paths:
        try:
            package = load_package(path)
        except PackageError as error:
            bad = True
            said.print(f"[red]{path}:[/] {error}", highlight=False)
        else:
            packages.setdefault(package.sha256, (str(path), package))
    if bad:
        said.print("nothing was reviewed")
        raise typer.Exit(BAD_INPUT)
    return list(packages.values())


def _show(outcomes: list[Outcome], folder: Path, seed: int, as_json: bool) -> None:
    from rich.console import Console

    from moderation.dossier import write

    report = write(folder, outcomes)
    if as_json:
        told = {"seed": seed, "report": str(report), "worlds": [one.as_json() for one in outcomes]}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    console = Console()
    console.print(_table(outcomes))
    for line in _evidence(outcomes):
        console.print(line, highlight=False, markup=False)
    console.print(f"report: {report}", highlight=False, soft_wrap=True)


def _table(outcomes: list[Outcome]) -> Table:
    from rich.table import Table

    names = ("world", "state", "because", "age", "cells", "unseen", "bound", "seconds")
    caption = (
        "age: for whom it is fit, by the most mature content that play was seen to reach; "
        "unseen: 95 % limit on the share of a player's steps that nobody has seen; "
        "bound: 95 % limit on the share of sessions that could show what was not found, for all kinds; "
        "seconds: intake + explore + scan + decide"
    )
    table = Table(*names, caption=caption)
    for outcome in outcomes:
        table.add_row(*_cells(outcome))
    return table


def _cells(outcome: Outcome) -> list[str]:
    colour = "green" if outcome.cleared else "red" if outcome.state == "rejected" else "yellow"
    taken = "stored" if outcome.from_store else " + ".join(f"{t:.0f}" for t in outcome.seconds.values())
    row = [outcome.world, f"[{colour}]{outcome.state}[/]", "a stage failed", "", "", "", "", taken]
    if outcome.decided is None:
        return row
    from bots.statement import rounded_up
    from moderation.risk import risk_upper

    decision, coverage = outcome.decided.decision, outcome.decided.coverage
    reason = decision.reasons[0] if decision.reasons and not outcome.cleared else "no rule fired"
    row[2] = "\n".join(one.rule for one in decision.fired) or reason
    row[3] = f"{decision.rating.age}+" if decision.rating else ""
    row[4] = f"{coverage.cells:,}"
    row[5] = f"{coverage.unseen_mass_upper:.1%}"
    risk = risk_upper(decision.bounds, len(decision.fired))
    row[6] = rounded_up(1.0 if risk is None else risk)
    return row


def _evidence(outcomes: list[Outcome]) -> Iterator[str]:
    """A line for each rule that fired, and for each stage that failed."""
    for outcome in outcomes:
        if outcome.error is not None:
            yield f"{outcome.world}: failed in {outcome.error}"
        for one in outcome.decided.evidence if outcome.decided else ():
            again = f"  (firstplay replay {one.playthrough})" if one.playthrough else ""
            yield f"{outcome.world}: {one.rule}: {one.caption}{again}"


def replay_command(
    playthrough: Annotated[str, typer.Argument(help="Id of a stored playthrough, or how it begins.")],
    clip: Annotated[Path | None, typer.Option(help="Also write what it shows, as MP4.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Play a stored playthrough again and say whether it is bit-identical.

    Exit codes: 0 bit-identical; 1 it differs, and where; 2 there is no such playthrough.
    """
    from moderation.replay import Impossible, replay
    from moderation.store import NotFound

    try:
        found = replay(home_folder(home), playthrough, clip)
    except (NotFound, Impossible) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(BAD_INPUT) from None
    typer.echo(json.dumps(found.as_json(), indent=2) if as_json else str(found))
    raise typer.Exit(0 if found.identical else 1)


def find_world(store: Store, world: str) -> list[Version]:
    """Versions by a world's slug, or by how the version's hash begins; newest last."""
    return store.find_versions(world) or [v for v in store.versions() if v.id.startswith(world)]


def explain_command(
    world: Annotated[str, typer.Argument(help="Slug of a world, or how a version's hash begins.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say why a world was decided as it was: every rule with its values, and the findings that fired it.

    Exit codes: 0 said; 2 there is no decision on such a world.
    """
    from dataclasses import asdict

    from moderation.store import open_store
    from policies.explain import explain

    store = open_store(home_folder(home))
    stored = next((one for v in reversed(find_world(store, world)) for one in store.decisions(v.id)), None)
    if stored is None:
        typer.echo(f"no decision on a world {world!r}: `firstplay worlds` lists what is known", err=True)
        raise typer.Exit(BAD_INPUT)
    if as_json:
        typer.echo(json.dumps(asdict(stored.decision), indent=2, ensure_ascii=False))
        return
    typer.echo(explain(stored.decision, store.findings(stored.version, stored.exploration)))
