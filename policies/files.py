"""A bundle's files: YAML that knows its lines and columns, validated, with a place for every fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeAlias

from pydantic import ValidationError

from policies.errors import BundleError, Problem
from policies.expressions import ExpressionError
from policies.remedies import faults
from policies.schema import Document

MAX_BYTES = 1_000_000
"""Of one file; a bundle is written by people."""
Key: TypeAlias = str | int


class Place(NamedTuple):
    """Where something is written; lines and columns count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True)
class SourceFile:
    """One file: its text, its validated document, and ruamel's nodes for line numbers."""

    path: Path
    text: str
    document: Document
    raw: Any

    def has(self, *keys: Key) -> bool:
        """Whether something is written under this path."""
        node = self.raw
        for key in keys:
            try:
                node = node[key]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def place(self, *keys: Key) -> Place:
        """Of the value under a path, or of the deepest part of it that the file has."""
        return Place(str(self.path), *_place(self.raw, keys))

    def key_place(self, *keys: Key) -> Place:
        """Of the last key of a path, rather than its value."""
        return Place(str(self.path), *_key_place(self.raw, keys))

    def inside(self, keys: tuple[Key, ...], error: ExpressionError) -> Place:
        """Where a place in the expression under a path stands in the file.

        However YAML folds or quotes a scalar, it keeps everything but blanks in order, so that the nth
        character of the expression is the nth of the scalar.
        """
        node = self.raw
        for key in keys:
            node = node[key]
        before = "".join("".join(str(node).splitlines(keepends=True)[: error.line - 1]).split())
        current = str(node).splitlines()[error.line - 1 : error.line] or [""]
        nth = len(before) + len("".join(current[0][: error.column - 1].split()))
        _, line, column = self.place(*keys)
        return Place(str(self.path), *self._scalar(line, column).place(nth))

    def _scalar(self, line: int, column: int) -> _Scalar:
        rows = self._rows
        opening = rows[line - 1][column - 1 : column] if line <= len(rows) else ""
        if opening in {"|", ">"}:
            return _Scalar(rows, line, 0, "")
        quote = opening if opening in {"'", '"'} else ""
        return _Scalar(rows, line - 1, column - 1 + bool(quote), quote)

    @cached_property
    def _rows(self) -> list[str]:
        return self.text.splitlines()


_ESCAPES = {"'": ("''",), '"': ('\\"', "\\\\")}
"""Two characters that stand for one, by the quotes around them."""


@dataclass(frozen=True)
class _Scalar:
    """A scalar as written, from its first character on."""

    rows: list[str]
    row: int
    """From 0."""
    column: int
    quote: str

    def place(self, nth: int) -> tuple[int, int]:
        """Line and column of the nth (from 0) character that is no blank, or of the last one."""
        last = (self.row + 1, self.column + 1)
        for row, column in self._written():
            last = (row + 1, column + 1)
            if nth == 0:
                break
            nth -= 1
        return last

    def _written(self) -> Iterator[tuple[int, int]]:
        """Where each character is that is no blank, up to the closing quote or the end of the file."""
        for row in range(self.row, len(self.rows)):
            text = self.rows[row]
            column = self.column if row == self.row else 0
            while column < len(text):
                escaped = text[column : column + 2] in _ESCAPES.get(self.quote, ())
                if self.quote and text[column] == self.quote and not escaped:
                    return
                if not text[column].isspace():
                    yield row, column
                column += 2 if escaped else 1


def find_files(path: Path) -> list[Path]:
    """The files of a bundle. Raises BundleError where there are none."""
    if path.is_file():
        return [path]
    files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else []
    if not files:
        remedy = "Give a .yaml file or a folder that holds some."
        raise BundleError([Problem(str(path), "no policy file found here", remedy)])
    return files


def read_file(path: Path) -> SourceFile:
    """Parse and validate one file. Raises BundleError with every fault and its place."""
    text = _read_text(path)
    raw = _parse_yaml(path, text)
    try:
        return SourceFile(path, text, Document.model_validate(_plain(raw)), raw)
    except ValidationError as error:
        problems = []
        for fault in faults(error):
            find = _key_place if fault.at_key else _place
            named = _rule_name(raw, fault.keys)
            shown = fault.keys[2:] if named else fault.keys
            problem = ": ".join(filter(None, [".".join(map(str, shown)), fault.problem]))
            problems.append(Problem(str(path), problem, fault.remedy, named, *find(raw, fault.keys)))
        raise BundleError(problems) from error


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            _refuse(path, f"larger than {MAX_BYTES:,} bytes", "Split the file.", MAX_BYTES, path.read_bytes())
        data = path.read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise BundleError([Problem(str(path), f"cannot be read ({error})", "Check the path.")]) from error
    except UnicodeDecodeError as error:
        _refuse(path, f"cannot be read as UTF-8 ({error.reason})", "Save it as UTF-8.", error.start, data)


def _refuse(path: Path, problem: str, remedy: str, offset: int, data: bytes) -> NoReturn:
    before = data[:offset].decode("utf-8", errors="replace").split("\n")
    raise BundleError([Problem(str(path), problem, remedy, None, len(before), len(before[-1]) + 1)])


def _parse_yaml(path: Path, text: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        raw = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = f"not valid YAML ({error.problem or error.context})"
        remedy = "Check the indentation, quotes and colons here, and that no key stands twice."
        raise BundleError([Problem(str(path), what, remedy, None, line, column)]) from error
    except TypeError as error:  # ruamel's own for a mapping or list as a key, without a place
        remedy = "Write names before the colons; '{{' and '? [' make something else of them."
        raise BundleError(
            [Problem(str(path), "not valid YAML (a key is no name)", remedy, None, 1, 1)]
        ) from error
    except ValueError as error:  # ruamel's own for a number or a date that is none, without a place
        remedy = "Put quotes around what is text; a date needs a month and a day that exist."
        raise BundleError([Problem(str(path), f"not valid YAML ({error})", remedy, None, 1, 1)]) from error
    except YAMLError as error:
        remedy = "Remove control characters and anything that is not text."
        raise BundleError([Problem(str(path), f"not valid YAML ({error})", remedy, None, 1, 1)]) from error
    if not isinstance(raw, dict):
        remedy = "Start it with a key, such as 'rules:'."
        raise BundleError([Problem(str(path), "the file is not a mapping", remedy, None, 1, 1)])
    return raw


def _plain(value: Any) -> Any:
    """ruamel's nodes as plain values."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    return next((kind(value) for kind in (int, float, str) if isinstance(value, kind)), value)


def _place(node: Any, keys: Iterable[Key]) -> tuple[int, int]:
    """Line and column (from 1) of the deepest part of a path that the file has."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    place = (1, 1)
    for key in keys:
        if isinstance(node, CommentedMap) and key in node:
            line, column = node.lc.value(key)
        elif isinstance(node, CommentedSeq) and isinstance(key, int):
            line, column = node.lc.item(key)
        else:
            break
        place = (line + 1, column + 1)
        node = node[key]
    return place


def _key_place(node: Any, keys: tuple[Key, ...]) -> tuple[int, int]:
    from ruamel.yaml.comments import CommentedMap

    *path, last = keys
    for key in path:
        node = node[key]
    if isinstance(node, CommentedMap) and last in node:
        line, column = node.lc.key(last)
        return line + 1, column + 1
    return _place(node, [last])


def _rule_name(raw: Any, keys: tuple[Key, ...]) -> str | None:
    if keys[:1] == ("change",) and len(keys) > 1:
        return str(keys[1])
    if keys[:1] != ("rules",) or len(keys) < 2:
        return None
    rule = raw["rules"][keys[1]]
    return str(rule["rule"]) if isinstance(rule, dict) and "rule" in rule else None
