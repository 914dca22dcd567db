"""``firstplay status`` and ``firstplay doctor``: how the installation does, and what it lacks."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from moderation.options import AsJson, Home, home_folder

if TYPE_CHECKING:
    from moderation.store.figures import Figures

BROKEN = 1
COLOURS = {"ok": "green", "warning": "yellow", "broken": "red"}


def register_observing(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("status")(status)
    app.command("doctor")(doctor)


def status(home: Home = None, as_json: AsJson = False) -> None:
    """How many worlds and jobs there are, how long they wait, and what the work has cost."""
    from moderation.store import open_store
    from moderation.store.figures import figures

    with open_store(home_folder(home)).reading() as connection:
        now = figures(connection)
    if as_json:
        told = asdict(now) | {"findings": [[*key, n] for key, n in now.findings.items()]}
        typer.echo(json.dumps(told, indent=2))
        return
    _show(now)


def _show(now: Figures) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    worlds = ", ".join(f"{count} {state}" for state, count in sorted(now.worlds.items()))
    console.print(f"worlds: {worlds or 'none yet: `firstplay review FOLDER` or POST /v1/worlds'}")
    states = ("ready", "running", "done", "dead")
    table = Table("job", *states, "oldest waits", "work (median)", "latency (mean)")
    for one in now.jobs:
        counts = [str(one.states.get(state, 0)) for state in states]
        table.add_row(one.kind, *counts, f"{one.oldest:.0f} s", f"{one.median:.1f} s", f"{one.latency:.1f} s")
    if now.jobs:
        console.print(table)
    costs = Table("work", "detector", "items", "seconds", "ms per item")
    for cost in sorted(now.costs, key=lambda one: -one.seconds):
        each = f"{1000 * cost.seconds / cost.items:.1f}" if cost.items else ""
        costs.add_row(cost.work, cost.part or "all of it", f"{cost.items:,}", f"{cost.seconds:.1f}", each)
    if now.costs:
        console.print(costs)


def doctor(home: Home = None, as_json: AsJson = False) -> None:
    """Check the database, blobs, broker, weights, world model, policy and device, and say what to do.

    Exit codes: 0 nothing is broken; 1 something is.
    """
    from rich.console import Console

    from moderation.observing.doctor import examine

    found = []
    console = Console()
    for one in examine(home_folder(home)):
        found.append(one)
        if not as_json:
            console.print(f"[{COLOURS[one.state]}]{one.state:8}[/] {one.name}: {one.detail}", highlight=False)
            if one.remedy:
                console.print(f"         {one.remedy}", highlight=False)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    if any(one.state == "broken" for one in found):
        raise typer.Exit(BROKEN)
