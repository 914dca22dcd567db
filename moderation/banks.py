"""Banks of hashes of known-bad pictures, which operators load; see :mod:`moderation.pdq`.

A bank is a file ``STATE/NAME.csv`` in the folder of banks (``FIRSTPLAY_HOME/banks``), so that changing its
state is one move. Each line is a PDQ hash in 64 hexadecimal digits, and after it, where known, an id, a
category and a comment. Pictures are never kept: they cannot be got back from their hashes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from worldmodel.store.cache import known_sha256

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DIGITS = re.compile(r"[0-9a-f]{64}")
_HASH_FIELDS = ("hash", "pdq", "pdq_hash", "indicator", "signal_str", "signal_value", "value")
_TYPE_FIELDS = ("type", "signal_type", "indicator_type")
_ID_FIELDS = ("id", "signal_id", "content_id", "indicator_id")
_CATEGORY_FIELDS = ("category", "label", "tags", "status")
_COMMENT_FIELDS = ("comment", "description", "note")


class BankError(ValueError):
    """A bank or a list of hashes that cannot be used; the message names it and the remedy."""


class BankState(StrEnum):
    """What a match means."""

    ACTIVE = "active"
    """The picture is known to be bad."""
    REVIEW_ONLY = "review_only"
    """A person is to look at it."""
    DISABLED = "disabled"
    """Nothing is compared with it."""


@dataclass(frozen=True)
class Entry:
    """One known picture."""

    hash: str
    """64 hexadecimal digits, lower case."""
    id: str = ""
    category: str = ""
    comment: str = ""


@dataclass(frozen=True)
class Bank:
    """A bank as it lies in its folder."""

    name: str
    state: BankState
    path: Path

    def lines(self) -> list[str]:
        """Its entries as they are written. Raises BankError for a line that begins with no hash."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            if not _DIGITS.fullmatch(line[:64]) or line[64:65] not in {"", ","}:
                raise BankError(
                    f"{self.path}, line {number}: {line[:80]!r} does not begin with 64 hexadecimal digits:"
                    " remove the bank and add it again"
                )
        return lines


class Banks:
    """The banks of one folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(os.environ.get("FIRSTPLAY_HOME", ".firstplay")).resolve() / "banks"

    def all(self) -> list[Bank]:
        """By name. Raises BankError where two have the same name."""
        found = [
            Bank(path.stem, state, path)
            for state in BankState
            for path in (self.folder / state).glob("*.csv")
        ]
        found.sort(key=lambda bank: (bank.name, bank.state))
        names = [bank.name for bank in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise BankError(
                f"{self.folder}: more than one bank is named {', '.join(twice)}: keep one of them"
            )
        return found

    @property
    def sha256(self) -> str | None:
        """Of all that pictures are compared with; None without any. Raises BankError as :meth:`all` does."""
        told = [(bank.name, str(bank.state), known_sha256(bank.path)) for bank in self.compared()]
        return hashlib.sha256(repr(told).encode()).hexdigest() if told else None

    def get(self, name: str) -> Bank:
        """Raises BankError for a name that no bank has."""
        for bank in self.all():
            if bank.name == name:
                return bank
        raise BankError(f"there is no bank {name!r} in {self.folder}: see `firstplay banks list`")

    def add(
        self,
        name: str,
        entries: Sequence[Entry],
        state: BankState = BankState.ACTIVE,
        *,
        replace: bool = False,
    ) -> Bank:
        """Make a bank. Raises BankError for no entries, and for a bad name or, unless it is to be replaced, a
        taken one.
        """
        if not _NAME.fullmatch(name):
            raise BankError(f"{name!r} is no name for a bank: use a-z, 0-9, dot, dash and underscore")
        if not entries:
            raise BankError(f"bank {name!r} would be empty: give at least one hash")
        old = next((bank for bank in self.all() if bank.name == name), None)
        if old is not None and not replace:
            raise BankError(f"there is a bank {name!r} already: replace it, or choose another name")
        bank = Bank(name, state, self.folder / state / f"{name}.csv")
        bank.path.parent.mkdir(parents=True, exist_ok=True)
        written = bank.path.with_suffix(".new")
        written.write_text(write_hashes(dict.fromkeys(entries)), encoding="utf-8")
        written.replace(bank.path)
        if old is not None and old.path != bank.path:
            old.path.unlink()
        return bank

    def set_state(self, name: str, state: BankState) -> Bank:
        """Raises BankError for a name that no bank has."""
        bank = self.get(name)
        moved = Bank(name, state, self.folder / state / bank.path.name)
        moved.path.parent.mkdir(parents=True, exist_ok=True)
        bank.path.replace(moved.path)
        return moved

    def remove(self, name: str) -> None:
        """Raises BankError for a name that no bank has."""
        self.get(name).path.unlink()

    def compared(self) -> list[Bank]:
        """Those that pictures are compared with."""
        return [bank for bank in self.all() if bank.state is not BankState.DISABLED]


def write_hashes(entries: Iterable[Entry]) -> str:
    """A line for each: what a bank's file holds, and :func:`read_hashes` reads."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for entry in entries:
        fields = [" ".join(text.split()) for text in (entry.id, entry.category, entry.comment)]
        writer.writerow([entry.hash, *fields] if any(fields) else [entry.hash])
    return out.getvalue()


def entry_of(line: str) -> Entry:
    """An entry as a bank's file has it."""
    return Entry(*next(csv.reader([line]))[:4])


# -- lists of others ----------------------------------------------------------------------------------


def read_hashes(path: Path) -> list[Entry]:
    """The PDQ hashes of a list: lines of hexadecimal digits, CSV, or JSON.

    CSV and JSON may be exports of ThreatExchange, of Hasher-Matcher-Actioner or of any other tool that names
    its fields: the hash under ``hash``, ``pdq``, ``indicator``, ``signal_str`` or ``value``. Rows of another
    ``type`` than PDQ are left out. Raises BankError for a list without hashes, or a line that holds none.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BankError(f"{path} cannot be read as text: {error}") from error
    rows = _json_rows(path, text) if text.lstrip()[:1] in {"[", "{"} else _csv_rows(text)
    entries = [_read(path, number, row) for number, row in rows if _is_pdq(row)]
    if not entries:
        raise BankError(f"{path} holds no PDQ hashes: give one hash of 64 hexadecimal digits per line")
    return entries


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and line[0] != "#"]
    names = ["hash", "id", "category", "comment"]
    if lines and not _DIGITS.match(lines[0][1].strip(' "').lower()):
        names = [name.strip().lower() for name in next(csv.reader([lines.pop(0)[1]]))]
    for number, line in lines:
        yield number, dict(zip(names, next(csv.reader([line])), strict=False))


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise BankError(f"{path} is no JSON: {error}") from error
    if isinstance(data, dict):
        data = next((value for value in data.values() if isinstance(value, list)), [])
    for number, row in enumerate(data, 1):
        yield number, row if isinstance(row, dict) else {"hash": row}


def _is_pdq(row: Mapping[str, Any]) -> bool:
    kind = _field(row, _TYPE_FIELDS)
    return not kind or "pdq" in kind.lower()


def _read(path: Path, number: int, row: Mapping[str, Any]) -> Entry:
    digits = _field(row, _HASH_FIELDS).lower()
    if not _DIGITS.fullmatch(digits):
        raise BankError(
            f"{path}, entry {number}: {digits[:80]!r} is no PDQ hash, which has 64 hexadecimal digits"
        )
    rest = (_field(row, names) for names in (_ID_FIELDS, _CATEGORY_FIELDS, _COMMENT_FIELDS))
    return Entry(digits, *rest)


def _field(row: Mapping[str, Any], names: Sequence[str]) -> str:
    value = next((row[name] for name in names if row.get(name)), "")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value).strip()
