"""The ``firstplay worlds`` commands: what is known, where it comes from, and taking it away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from moderation.options import Actor, AsJson, Home, home_store, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderation.store import Store
    from moderation.store.families import Member

World = Annotated[str, typer.Argument(help="Address (slug) of a world.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why; kept in the log.", show_default=False)]


def register_worlds(app: typer.Typer) -> None:
    """Add ``firstplay worlds`` to ``app``."""
    worlds = typer.Typer(invoke_without_command=True)
    worlds.callback()(list_worlds)
    worlds.command("lineage")(lineage_command)
    worlds.command("take-down")(take_down_command)
    worlds.command("quarantine")(quarantine_command)
    app.add_typer(worlds, name="worlds")


def list_worlds(context: typer.Context, home: Home = None, as_json: AsJson = False) -> None:
    """List the worlds that are known, with their states; or take them away."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.table import Table

    store = home_store(home)
    versions = store.versions()
    if as_json:
        told = [
            {
                "world": v.world,
                "title": v.title,
                "version": v.id,
                "state": str(v.state),
                "remix_of": v.remix_of,
            }
            for v in versions
        ]
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    table = Table("world", "version", "state", "because")
    for version in versions:
        table.add_row(
            version.world, version.id[:12], str(version.state), store.history(version.id)[-1].reason
        )
    Console().print(table)


def lineage_command(world: World, home: Home = None, as_json: AsJson = False) -> None:
    """Say from which worlds a world was remixed, which were remixed from it, and what it has to answer for.

    What fired rules in an ancestor is a test of the remix: met, not met, or not looked at yet.
    Exit codes: 0 said; 2 there is no such world.
    """
    from dataclasses import asdict

    from moderation.lineage import inherited
    from moderation.store.families import ancestors, descendants

    store = home_store(home)
    versions = store.find_versions(world)
    if not versions:
        refuse(LookupError(f"no world {world!r}: `firstplay worlds` lists them"))
    newest = versions[-1]
    with store.reading() as connection:
        above, below = ancestors(connection, newest.id), descendants(connection, world)
    tests = inherited(store, newest.id)
    if as_json:
        told = {
            "ancestors": [asdict(one) for one in above],
            "descendants": [asdict(one) for one in below],
            "inherited": [asdict(one) for one in tests],
        }
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for title, family in (("remixed from", above), ("remixed into", below)):
        for one in family:
            typer.echo(f"{title} {one.world} ({one.version[:12]}, {one.state})")
    for test in tests:
        met = {True: "met here too", False: "not met here", None: "not looked at yet"}[test.met]
        said = f" “{test.text}”" if test.text else ""
        typer.echo(f"inherits from {test.world}: {test.rule}: {test.label}{said}: {met}")


def take_down_command(world: World, person: Actor, reason: Reason, home: Home = None) -> None:
    """Take a published world out of the feed for good; people look at everything that was remixed from it.

    Exit codes: 0 done; 2 there is no such world, or players cannot see it anyway.
    """
    from moderation.lineage import take_down

    _away(take_down, home_store(home), world, person, reason)


def quarantine_command(world: World, person: Actor, reason: Reason, home: Home = None) -> None:
    """Keep a world for the law: nobody sees or plays it, and neither erasure nor collection removes it.

    People look at everything that was remixed from it. There is no way back.
    Exit codes: 0 done; 2 there is no such world, or nothing of it is left.
    """
    from moderation.lineage import quarantine

    _away(quarantine, home_store(home), world, person, reason)


def _away(
    away: Callable[[Store, str, str, str], list[Member]], store: Store, world: str, person: str, reason: str
) -> None:
    from moderation.store import Conflict, NotFound

    try:
        moved = away(store, world, person, reason)
    except (NotFound, Conflict) as error:
        refuse(error)
    typer.echo(f"{world}: done; {len(moved)} remixes go back to people")
    for one in moved:
        typer.echo(f"  {one.world} ({one.version[:12]})")
