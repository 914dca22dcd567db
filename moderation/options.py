"""Options and exit codes that this layer's commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from moderation.store import Store

BAD_INPUT, FAILED = 2, 3

Home = Annotated[
    Path | None, typer.Option(help="Where everything is kept; default $FIRSTPLAY_HOME, else .firstplay.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
Actor = Annotated[str, typer.Option("--as", help="Who you are; kept with what you do.", show_default=False)]


def home_folder(given: Path | None) -> Path:
    """The folder to use."""
    return (given or Path(os.environ.get("FIRSTPLAY_HOME", ".firstplay"))).resolve()


def home_store(given: Path | None) -> Store:
    """The store of that folder."""
    from moderation.store import open_store

    return open_store(home_folder(given))


def refuse(error: Exception | str, code: int = BAD_INPUT) -> NoReturn:
    """Say what is wrong, and end the command."""
    typer.echo(str(error), err=True)
    raise typer.Exit(code) from None
