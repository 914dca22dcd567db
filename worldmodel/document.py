"""``world.yaml`` as plain values that remember their lines, and the spec made from them.

Only what JSON can say is allowed: no tags, no duplicate keys, and aliases only within a bound, since a few
hundred bytes of nested aliases can otherwise stand for billions of values.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    NodeEvent,
    ScalarEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from worldmodel import limits, spec
from worldmodel.problems import PackageError, Problem
from worldmodel.spec import WorldSpec

Place: TypeAlias = tuple[str | int, ...]
"""Keys and indices from the top of the document: ``("objects", 2, "image")``."""


@dataclass
class Document:
    """A parsed document: its value, and the line of everything in it."""

    file: str
    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, place: Place) -> int | None:
        """Line of ``place``, or of the nearest thing around it that is in the document."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)

    def problem(self, place: Place, message: str, remedy: str | None = None) -> Problem:
        return Problem(self.file, message, self.line(place), dotted(place) or None, remedy)


def dotted(place: Place) -> str:
    """``objects[2].image``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).lstrip(".")


def read_spec(data: bytes, file: str = "world.yaml") -> tuple[WorldSpec, Document]:
    """The spec in ``data`` and the document it came from. Raises PackageError with every problem found."""
    document = parse(data, file)
    try:
        if document.value is not None or not document.problems:
            found = WorldSpec.model_validate(document.value)
    except ValidationError as error:
        document.problems += [_problem(document, details) for details in error.errors()]
    if document.problems:
        raise PackageError(file, sorted(document.problems, key=lambda problem: problem.line or 0))
    return found, document


def parse(data: bytes, file: str) -> Document:
    """``data`` as plain values; what is wrong with it goes into ``Document.problems``."""
    document = Document(file)
    try:
        text = _decode(data)
        _guard(text)
        root = YAML(typ="safe", pure=True).compose(text)
        if root is None:
            document.problems.append(Problem(file, "is empty", remedy="write at least a title and a prompt"))
        else:
            document.value = _Builder(document).build(root, ())
    except _RefusedError as refusal:
        document.problems.append(Problem(file, refusal.message, refusal.line, None, refusal.remedy))
    except MarkedYAMLError as error:
        document.problems.append(_syntax_problem(file, error))
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.problems.append(Problem(file, f"contains the character U+{int(error.character):04X}", line))
    except (YAMLError, ValueError) as error:
        document.problems.append(Problem(file, f"is not valid YAML: {error}"))
    return document


class _RefusedError(Exception):
    def __init__(self, message: str, remedy: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.message, self.remedy, self.line = message, remedy, line


def _decode(data: bytes) -> str:
    if len(data) > limits.DOCUMENT_BYTES:
        raise _RefusedError(f"has {len(data):,} bytes; at most {limits.DOCUMENT_BYTES:,} are allowed")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _RefusedError("is not UTF-8 text", "save it as UTF-8", line) from error


def _guard(text: str) -> None:
    # Events come one by one from a loop; composing recurses, so depth is bounded before it starts.
    depth = nodes = documents = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        line = event.start_mark.line + 1
        nodes += isinstance(event, NodeEvent)
        documents += isinstance(event, DocumentStartEvent)
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if isinstance(event, CollectionStartEvent | ScalarEvent) and event.ctag is not None:
            raise _RefusedError(f"the tag {event.tag} is not allowed", "remove it", line)
        if documents > 1:
            raise _RefusedError("a second document starts here", "keep one document per file", line)
        if depth > limits.DOCUMENT_DEPTH:
            raise _RefusedError(f"is nested deeper than {limits.DOCUMENT_DEPTH} levels", None, line)
        if nodes > limits.DOCUMENT_NODES:
            raise _RefusedError(f"holds more than {limits.DOCUMENT_NODES:,} values", None, line)


class _Builder:
    """Turns composed nodes into plain values, counting what aliases expand to."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0

    def build(self, node: Node, place: Place) -> Any:
        line = node.start_mark.line + 1
        self.nodes += 1
        if self.nodes > limits.DOCUMENT_NODES or len(place) > limits.DOCUMENT_DEPTH:
            raise _RefusedError("its aliases expand to too much", "write the values out", line)
        self.document.lines.setdefault(place, line)
        if isinstance(node, MappingNode):
            return dict(self._items(node, place))
        if isinstance(node, SequenceNode):
            return [self.build(child, (*place, index)) for index, child in enumerate(node.value)]
        return _scalar(str(node.tag), str(node.value))

    def _items(self, node: MappingNode, place: Place) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                raise _RefusedError("a key must be a word", None, line)
            name = str(key.value)
            if name in seen:
                message = f"is given twice (first on line {seen[name]})"
                where = dotted((*place, name))
                self.document.problems.append(
                    Problem(self.document.file, message, line, where, "keep one of them")
                )
                continue
            seen[name] = self.document.lines[(*place, name)] = line
            yield name, self.build(child, (*place, name))


def _scalar(tag: str, text: str) -> str | int | float | bool | None:
    kind = tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind in {"int", "float"}:
        return _number(text)
    return text


def _number(text: str) -> int | float | str:
    for convert in (int, float):
        try:
            return convert(text) if len(text) <= 40 else text
        except ValueError:
            continue
    # .inf, .nan, 0x1f and 0o17 are numbers to YAML; left as text they fail where a number is needed.
    return text


def _syntax_problem(file: str, error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    reason = error.problem or error.context or "cannot be parsed"
    return Problem(file, f"is not valid YAML: {reason}", mark.line + 1 if mark else None)


def _problem(document: Document, details: ErrorDetails) -> Problem:
    place = _place(document.value, details)
    return document.problem(place, *_message(details))


def _place(value: Any, details: ErrorDetails) -> Place:
    """Pydantic's location without the names of union members, which are no part of the document."""
    place: list[str | int] = []
    last = len(details["loc"]) - 1
    for index, step in enumerate(details["loc"]):
        in_map = isinstance(value, Mapping) and step in value
        in_list = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if in_map or in_list:
            value = value[step]
        elif not (index == last and details["type"] == "missing"):
            continue
        place.append(step)
    return tuple(place)


_KINDS = ", ".join(limits.OBJECTS_OF_KIND)
_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is not a known field",
    "literal_error": "must be {expected}, not {given}",
    "union_tag_invalid": f"needs a kind that is one of {_KINDS}",
    "union_tag_not_found": f"needs a kind that is one of {_KINDS}",
    "greater_than_equal": "must be at least {ge:g}, not {given}",
    "less_than_equal": "must be at most {le:g}, not {given}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must be small letters and digits with '-' between words, not {given}",
    "string_unicode": "must be valid Unicode text",
    "too_long": "must hold at most {max_length} entries",
    "value_error": "{error}",
    "string_type": "must be text, not {given}",
    "float_type": "must be a number, not {given}",
    "finite_number": "must be a finite number, not {given}",
    "int_type": "must be a whole number, not {given}",
    "bool_type": "must be true or false, not {given}",
    "tuple_type": "must be a list, not {given}",
    "model_type": "must be a group of fields, not {given}",
    "model_attributes_type": "must be a group of fields with a kind, not {given}",
}
"""Pydantic's error types in a creator's words; a type that is not here keeps Pydantic's own."""


def _message(details: ErrorDetails) -> tuple[str, str | None]:
    """What is wrong, and what to do about it."""
    kind, template = details["type"], _MESSAGES.get(details["type"])
    if template is None:
        return details["msg"], None
    remedy = "add it" if kind == "missing" else None
    if kind == "extra_forbidden":
        remedy = _suggestion(str(details["loc"][-1]))
    return template.format(given=_shown(details.get("input")), **details.get("ctx", {})), remedy


def _shown(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return "a group of fields" if isinstance(value, Mapping) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:36] + "...'"


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, _field_names(), n=1)
    return f"did you mean {near[0]}?" if near else "remove it, or see `firstplay world schema`"


def _field_names() -> list[str]:
    parts = [part for part in vars(spec).values() if isinstance(part, type) and issubclass(part, BaseModel)]
    return sorted({name for part in parts for name in part.model_fields})
