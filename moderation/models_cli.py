"""``firstplay models``: which weights there are, getting them, and checking them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moderation.options import AsJson

if TYPE_CHECKING:
    from worldmodel.store.fetch import Status

_GOOD = {"cached", "installed"}

Names = Annotated[list[str] | None, typer.Argument(help="Names as `firstplay models list` shows them.")]


def register_models(app: typer.Typer) -> None:
    """Add ``models list | fetch | verify`` to ``app``."""
    models = typer.Typer(help="Weights that are fetched: list, get and verify them.", no_args_is_help=True)
    models.command("list")(list_models)
    models.command("fetch")(fetch_models)
    models.command("verify")(verify_models)
    app.add_typer(models, name="models")


def list_models(as_json: AsJson = False) -> None:
    """Show every model: what it is for, licence, size, and whether it is here."""
    import moderation.models  # noqa: F401 -- makes the detectors' models known
    from worldmodel.store.fetch import statuses

    _show(statuses(), as_json)


def fetch_models(
    names: Names = None,
    every: Annotated[bool, typer.Option("--all", help="Fetch whatever is not here yet.")] = False,
    given: Annotated[
        Path | None, typer.Option("--from", help="File or folder that holds the weights or their archives.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Only local files, no network.")] = False,
) -> None:
    """Put models into the cache folder. Exit code 1 when one could not be had, 2 for wrong usage."""
    from moderation.models import CATALOGUE

    if bool(names) == every:
        typer.echo("Name the models to fetch, or say --all.", err=True)
        raise typer.Exit(2)
    failed = [name for name in (names or CATALOGUE) if not _fetch_one(name, every, given, offline)]
    if failed:
        raise typer.Exit(1)


def verify_models(names: Names = None, as_json: AsJson = False) -> None:
    """Hash the files again. Exit code 1 when one is missing or not what the catalogue says."""
    from moderation.models import ModelError
    from worldmodel.store.fetch import statuses

    try:
        found = statuses(names or ())
    except ModelError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    _show(found, as_json)
    if any(status.state not in _GOOD for status in found):
        raise typer.Exit(1)


def _fetch_one(name: str, skip_installed: bool, given: Path | None, offline: bool) -> bool:
    """Whether the model is here now; says what happened."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from moderation.models import ModelError
    from worldmodel.store.fetch import fetch, statuses

    if skip_installed and (status := statuses([name])[0]).state == "installed":
        typer.echo(f"{name}: used from an installed package, {status.detail}")
        return True
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, transient=True) as bar:
            task = bar.add_task(name, total=None)
            provenance = fetch(
                name,
                given=given,
                offline=offline or None,
                progress=lambda what, done, total: bar.update(
                    task, description=what, completed=done, total=total or None
                ),
            )
    except ModelError as error:
        typer.echo(str(error), err=True)
        return False
    typer.echo(f"{name}: ready, from {provenance.source} ({provenance.licence})")
    return True


def _show(found: list[Status], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([_as_data(status) for status in found], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "state", "MB", "for", "licence")
    for status in found:
        entry = status.entry
        colour = "green" if status.state in _GOOD else "red"
        state = f"[{colour}]{status.state}[/{colour}]"
        table.add_row(entry.name, state, f"{entry.size / 1e6:.1f}", entry.kind, entry.licence)
    for column in table.columns[:3]:
        column.no_wrap = True
    Console().print(table)
    for status in found:
        if status.state not in _GOOD:
            typer.echo(f"{status.entry.name} is {status.state}: {status.detail}")


def _as_data(status: Status) -> dict[str, object]:
    entry = status.entry
    return {
        "name": entry.name,
        "state": status.state,
        "detail": status.detail,
        "kind": entry.kind,
        "licence": entry.licence,
        "size": entry.size,
        "sha256": entry.sha256,
        "sources": [str(source) for source in entry.sources],
    }
