"""``firstplay banks``: known-bad pictures as banks of perceptual hashes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moderation.banks import BankError, Banks, BankState, Entry, read_hashes
from moderation.options import BAD_INPUT, AsJson, Home, home_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Name = Annotated[str, typer.Argument(help="Name of the bank.")]
State = Annotated[
    BankState, typer.Option(help="active: a match is bad; review_only: a person judges; disabled: not used.")
]


def register_banks(app: typer.Typer) -> None:
    """Add ``banks add | list | set-state | remove | check | hash`` to ``app``."""
    banks = typer.Typer(
        help="Known-bad pictures: banks of hashes that pictures are compared with.", no_args_is_help=True
    )
    banks.command("add")(add_bank)
    banks.command("list")(list_banks)
    banks.command("set-state")(set_state)
    banks.command("remove")(remove_bank)
    banks.command("check")(check_picture)
    banks.command("hash")(hash_pictures)
    app.add_typer(banks, name="banks")


def add_bank(
    file: Annotated[Path, typer.Argument(help="PDQ hashes: one per line, CSV, or JSON.")],
    name: Annotated[str, typer.Option(help="What to call the bank.")],
    state: State = BankState.ACTIVE,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of one so named.")] = False,
    home: Home = None,
) -> None:
    """Load a list of hashes as a bank. Exit code 2 where the list or the name cannot be used."""
    with _told():
        bank = _banks(home).add(name, read_hashes(file), state, replace=replace)
        typer.echo(f"{bank.name}: {len(bank.lines()):,} hashes, {bank.state}")


def list_banks(home: Home = None, as_json: AsJson = False) -> None:
    """Show every bank, its state, and how many hashes it has."""
    with _told():
        found = [
            {"name": bank.name, "state": str(bank.state), "hashes": len(bank.lines())}
            for bank in _banks(home).all()
        ]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("bank", "state", "hashes")
    for row in found:
        table.add_row(str(row["name"]), str(row["state"]), f"{row['hashes']:,}")
    Console().print(table)


def set_state(
    name: Name,
    state: Annotated[BankState, typer.Argument(help="active, review_only or disabled.")],
    home: Home = None,
) -> None:
    """Say what a match with a bank means from now on."""
    with _told():
        bank = _banks(home).set_state(name, state)
    typer.echo(f"{bank.name}: {bank.state}")


def remove_bank(name: Name, home: Home = None) -> None:
    """Delete a bank's hashes."""
    with _told():
        _banks(home).remove(name)
    typer.echo(f"{name}: removed")


def check_picture(
    picture: Annotated[Path, typer.Argument(help="PNG, JPEG or WebP.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compare one picture with all banks. Exit codes: 0 it is not known, 1 it is, 2 it cannot be read."""
    from moderation.detectors.base import Picture
    from moderation.detectors.known import Known

    with _told():
        (found,) = Known(_banks(home).folder)([Picture(_pixels(picture))])
    if as_json:
        told = [{"label": one.label, "score": round(one.score, 3), "text": one.text} for one in found]
        typer.echo(json.dumps(told, indent=2))
    for one in found if not as_json else ():
        typer.echo(f"{one.label} {one.score:.2f}: {one.text}")
    if not found and not as_json:
        typer.echo("not known")
    raise typer.Exit(1 if found else 0)


def hash_pictures(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures; they are only read.")],
    category: Annotated[str, typer.Option(help="Written beside every hash.")] = "",
    out: Annotated[Path | None, typer.Option(help="File to write; default: the terminal.")] = None,
) -> None:
    """Hash every picture of a folder into a list for `banks add`; nothing else of a picture is kept.

    An entry's id is the start of the SHA-256 of its file. Pictures with too little in them to be told from
    others are left out, and named. Exit code 1 where some were left out.
    """
    from moderation.banks import write_hashes

    entries, left_out = [], 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            entries.append(_hashed(path, category))
        except BankError as error:
            left_out += 1
            typer.echo(str(error), err=True)
    text = write_hashes(entries)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
    typer.echo(f"{len(entries):,} hashes, {left_out:,} files left out", err=True)
    if left_out or not entries:
        raise typer.Exit(1)


def _hashed(path: Path, category: str) -> Entry:
    import hashlib

    from moderation.pdq import QUALITY, pdq, to_hex

    hash_, quality = pdq(_pixels(path))
    if quality <= QUALITY:
        raise BankError(f"{path} has too little in it to be told from others (quality {quality})")
    return Entry(to_hex(hash_), hashlib.sha256(path.read_bytes()).hexdigest()[:16], category)


def _pixels(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) on white. Raises BankError for what is no picture."""
    import numpy as np

    from worldmodel.formats import MediaError
    from worldmodel.media import decode_picture

    try:
        picture = decode_picture(path.read_bytes())
    except (OSError, MediaError) as error:
        raise BankError(f"{path} cannot be read as a picture: {error}") from error
    alpha = picture[..., 3:].astype(np.float32) / 255
    pixels: NDArray[np.uint8] = (picture[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    return pixels


def _banks(home: Path | None) -> Banks:
    return Banks(home_folder(home) / "banks")


@contextmanager
def _told() -> Iterator[None]:
    """A BankError as one line and exit code 2."""
    try:
        yield
    except BankError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(BAD_INPUT) from None
