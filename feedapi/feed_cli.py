"""``firstplay feed``: judge another ranking by what the present one showed."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from moderation.options import BAD_INPUT, AsJson, Home, home_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from feedapi.ranking.evaluate import Estimate, Judgement, Logged
    from moderation.store import Store

DAY = 24 * 3600.0
NOTHING = 4
"""Exit code where nothing was logged that could tell."""


def register_feed(app: typer.Typer) -> None:
    """Add ``feed`` with its commands to ``app``."""
    feed = typer.Typer(help="The feed: how worlds are ranked.", no_args_is_help=True)
    feed.callback()(_group)
    feed.command("evaluate")(evaluate)
    feed.command("starts")(starts)
    app.add_typer(feed, name="feed")


def _group() -> None:
    """The feed: how worlds are ranked."""


def evaluate(
    new_share: Annotated[float, typer.Option(min=0, max=1, help="Of slots kept for new worlds.")] = 0.2,
    author_decay: Annotated[
        float, typer.Option(min=0, max=1, help="Factor for each further world of a creator in a page.")
    ] = 0.5,
    diversity: Annotated[float, typer.Option(min=0, max=1, help="0 the best, 1 the most different.")] = 0.2,
    explore: Annotated[
        bool, typer.Option("--explore/--greedy", help="Draw from what is known, or take its mean.")
    ] = True,
    days: Annotated[float, typer.Option(min=0, help="How far to look back.")] = 14.0,
    most: Annotated[int, typer.Option(min=1, help="Rankings of that time to draw, at most.")] = 50,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Estimate what another ranking would have earned: good sessions per item that is seen.

    By inverse propensities (IPS) and self-normalised (SNIPS), with intervals of 95 % over players.
    Exit codes: 0 told; 2 the home cannot be opened; 4 too little was logged.
    """
    from feedapi.evaluation import logged
    from feedapi.ranking.rank import Settings

    settings = Settings(new_share=new_share, author_decay=author_decay, diversity=diversity, explore=explore)
    told = _judged(home, lambda store: logged(store, settings, time.time() - days * DAY, most=most))
    _tell(told, "items seen", as_json)


def starts(
    days: Annotated[float, typer.Option(min=0, help="How far to look back.")] = 14.0,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Estimate what it would have earned to let everybody begin where their world begins.

    The feed tries a world's spawn points and keeps to those where sessions go well. Told in good sessions per
    session, as by `evaluate`. Exit codes: 0 told; 2 the home cannot be opened; 4 too little was logged.
    """
    from feedapi.evaluation import logged_starts

    _tell(_judged(home, lambda store: logged_starts(store, time.time() - days * DAY)), "sessions", as_json)


def _judged(home: Path | None, logged: Callable[[Store], Logged]) -> Judgement:
    """What was logged in a home, judged; or the end of the command."""
    from feedapi.ranking.evaluate import NothingLogged, judge
    from moderation.store import BadDatabase, open_store

    try:
        store = open_store(home_folder(home))
    except BadDatabase as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    try:
        return judge(logged(store))
    except NothingLogged as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(NOTHING) from None
    finally:
        store.close()


def _tell(told: Judgement, units: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(told), indent=2))
        return
    typer.echo(f"{told.items:,} {units} by {told.players:,} players; the weights leave {told.effective:,.0f}")
    for name, estimate in (
        ("what happened", told.logged),
        ("IPS", told.ips),
        ("SNIPS", told.snips),
        ("gain (SNIPS)", told.gain),
    ):
        typer.echo(f"{name:14} {_words(estimate)}")


def _words(estimate: Estimate) -> str:
    return f"{estimate.mean:+.4f}  ({estimate.low:+.4f} to {estimate.high:+.4f})"
