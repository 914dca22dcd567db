"""Commands about what is kept: rescanning, erasing, retention, collecting and moving the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moderation.options import FAILED, Actor, AsJson, Home, home_store, refuse

if TYPE_CHECKING:
    from moderation.rescan import Planned
    from moderation.store import Store

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def register_keeping(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("rescan")(rescan_command)
    app.command("erase")(erase_command)
    app.command("retain")(retain_command)
    store = typer.Typer(no_args_is_help=True, help="The database and the blobs of a home.")
    store.command("collect")(collect_command)
    store.command("move")(move_command)
    app.add_typer(store, name="store")


def rescan_command(
    worlds: Annotated[
        list[str] | None, typer.Argument(help="Worlds (slugs); all if none is given.", show_default=False)
    ] = None,
    dry_run: DryRun = False,
    workers: Annotated[int, typer.Option(help="Worker processes; 0 only queues the work.", min=0)] = 2,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """After an upgrade: show what was played to new detectors, and explore anew in a new world model.

    With other detectors the stored playthroughs are played again from their actions and scanned, and the
    submitted media is looked at again; nothing is explored. Exit codes: 0 done, or said; 2 weights are
    missing; 3 a stage failed for good.
    """
    from moderation.models import ModelError
    from moderation.policy_changes.bundles import BundleLost
    from moderation.rescan import plan, queue
    from moderation.review import check_weights

    store = home_store(home)
    try:
        planned = plan(store, worlds or ())
        if not dry_run:
            check_weights(store)
    except (ModelError, BundleLost, FileNotFoundError) as error:
        refuse(error)
    _show_plan(planned, as_json)
    if dry_run:
        return
    versions = queue(store, planned)
    if versions and workers:
        _work(store, versions, {one.version.id: one.version.title for one in planned}, workers)


def _show_plan(planned: list[Planned], as_json: bool) -> None:
    rows = [
        {
            "world": one.version.world,
            "version": one.version.id,
            "step": str(one.step),
            "why": one.why,
            "frames": one.steps,
        }
        for one in planned
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        version = str(row["version"])[:12]
        typer.echo(f"{row['world']} ({version}): {row['step']}: {row['why']}, {row['frames']} frames")


def _work(store: Store, versions: list[str], titles: dict[str, str], workers: int) -> None:
    from rich.console import Console

    from moderation import pipeline
    from moderation.jobs import Local
    from moderation.progress import Bars

    with Bars(Console(stderr=True), titles) as bars:
        jobs = Local(store.home, pipeline.handlers, versions, workers).run(bars)
    dead = [job for job in jobs if job.state == "dead"]
    for job in dead:
        typer.echo(f"{titles[job.subject]}: {job.kind}: {(job.error or '').strip()}", err=True)
    raise typer.Exit(FAILED if dead else 0)


def erase_command(
    person: Actor,
    creator: Annotated[str | None, typer.Option(help="Everything of this creator.")] = None,
    world: Annotated[str | None, typer.Option(help="Everything of this world (slug).")] = None,
    home: Home = None,
) -> None:
    """Erase media, recordings, findings and words of a creator or a world; the log of states stays.

    What is quarantined is kept, and said to be. Stop workers first: what one is just writing is removed by
    `firstplay store collect` a day later. Exit codes: 0 done; 2 there is nothing of that name; 3 another
    process keeps the database from forgetting.
    """
    from moderation.erasure import erase
    from moderation.store import NotFound, StillOpen

    if (creator is None) == (world is None):
        refuse(ValueError("give either --creator or --world"))
    try:
        done = erase(home_store(home), person, creator=creator, world=world)
    except NotFound as error:
        refuse(error)
    except StillOpen as error:
        refuse(error, FAILED)
    typer.echo(f"erased {len(done.versions)} versions and {done.blobs} blobs")
    for version in done.withheld:
        typer.echo(f"kept, as it is quarantined: {version[:12]}")


def retain_command(
    dry_run: DryRun = False,
    periods: Annotated[
        Path | None, typer.Option(help="Other periods than moderation/retention.yaml.")
    ] = None,
    home: Home = None,
) -> None:
    """Erase what is past its time: recordings, media and findings of worlds that players cannot see.

    Run it daily. Exit codes: 0 done, or said; 2 the periods cannot be read; 3 another process keeps the
    database from forgetting.
    """
    from moderation.erasure import PERIODS, due, read_periods, retain
    from moderation.store import StillOpen

    store = home_store(home)
    try:
        known = read_periods(periods or PERIODS)
    except (OSError, ValueError, KeyError) as error:
        refuse(ValueError(f"{periods or PERIODS}: {error}"))
    try:
        past = due(store, known) if dry_run else retain(store, known)
    except StillOpen as error:
        refuse(error, FAILED)
    for version, kind in past:
        typer.echo(f"{version.world} ({version.id[:12]}): {kind}")
    typer.echo(f"{len(past)} past their time" + (", nothing was erased" if dry_run else ", erased"))


def collect_command(home: Home = None) -> None:
    """Remove blobs that no row names and that are older than a day: what crashes and erasures left behind."""
    from moderation.collect import collect

    done = collect(home_store(home))
    typer.echo(f"removed {done.removed} blobs ({done.freed:,} bytes), kept {done.kept}")


def move_command(
    url: Annotated[
        str, typer.Argument(help="postgresql://user@host/name or sqlite:////path", show_default=False)
    ],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Copy the whole database to another, empty one, and compare every row; blobs stay where they are.

    Set $FIRSTPLAY_DATABASE to the new one afterwards; the old one is left as it is. Exit codes: 0 moved, and
    every row is the same; 2 it cannot be moved, and nothing was.
    """
    from moderation.moving import CannotMove, move
    from moderation.store import DATABASE_VARIABLE, BadDatabase

    try:
        moved = move(home_store(home), url)
    except (CannotMove, BadDatabase) as error:
        refuse(error)
    if as_json:
        typer.echo(json.dumps({"target": moved.target, "rows": dict(moved.rows)}, indent=2))
        return
    for table, rows in moved.rows.items():
        typer.echo(f"{table:20} {rows:10,} rows, all the same")
    typer.echo(f"now set {DATABASE_VARIABLE}={moved.target}")
