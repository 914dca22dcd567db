"""Loading a bundle: read, validate, compile, check and test it; errors name file, rule, line and column."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from policies.errors import BundleError, Problem
from policies.expressions import Expression, ExpressionError, compile_expression
from policies.schema import CaseSpec, Document, Header, RuleSpec
from policies.types import Source

DEFAULT = Path(__file__).parent / "default"
MAX_BYTES = 1_000_000
"""Of one file; a bundle is written by people."""
HEADER_KEYS = tuple(Header.model_fields)


@dataclass(frozen=True)
class Rule:
    """A rule that is ready to decide."""

    spec: RuleSpec
    when: Expression | None
    review: Expression | None
    required: frozenset[Source]
    """Sources in which each detector must have run."""
    recall: float | None
    """Assumed recall of the rule, None where the bundle assumes none."""

    @property
    def id(self) -> str:
        return self.spec.rule

    @property
    def detectors(self) -> frozenset[str]:
        return frozenset(d.name for d in self.spec.detectors)

    @property
    def monotone(self) -> bool:
        """One more finding can never make the rule's outcome less severe."""
        return all(e.monotone for e in (self.when, self.review) if e is not None)


@dataclass(frozen=True)
class Bundle:
    """A checked policy; :func:`policies.engine.decide` evaluates it."""

    header: Header
    rules: tuple[Rule, ...]
    cases: tuple[CaseSpec, ...]
    sha256: str
    """Of the canonical content: comments, layout, file names and order, and status change nothing."""

    @property
    def name(self) -> str:
        return f"{self.header.bundle} {self.header.version}"

    def rule(self, rule_id: str) -> Rule:
        """Raises KeyError naming a rule that the bundle lacks."""
        return {rule.id: rule for rule in self.rules}[rule_id]


def load_bundle(path: Path | str | None = None) -> Bundle:
    """The bundle of a file or folder, the default one if None; its test cases have passed.

    Raises BundleError with every problem found, each with file, rule, line, column and remedy.
    """
    return _load_default() if path is None else _load(Path(path))


@lru_cache(maxsize=1)
def _load_default() -> Bundle:
    return _load(DEFAULT)


def _load(path: Path) -> Bundle:
    from policies.cases import failures

    bundle = read_bundle(path)
    if failed := failures(bundle):
        raise BundleError([Problem(str(path), str(failure), failure.remedy) for failure in failed])
    return bundle


def read_bundle(path: Path) -> Bundle:
    """As :func:`load_bundle`, without running the test cases (``firstplay policy test`` shows each)."""
    sources = [_read(file) for file in _files(path)]
    header = _header(path, sources)
    problems: list[Problem] = []
    rules = [_compile(source, i, header, problems) for source in sources for i in range(len(source.rules))]
    problems += _duplicates(sources)
    if not rules:
        problems.append(Problem(str(path), "the bundle has no rules", "Add at least one under 'rules:'."))
    if problems:
        raise BundleError(problems)
    ready = tuple(sorted((r for r in rules if r is not None), key=lambda rule: rule.id))
    cases = tuple(case for source in sources for case in source.document.tests)
    return Bundle(header, ready, cases, _hash(header, ready, cases))


@dataclass(frozen=True)
class _File:
    """One file: its validated document, and ruamel's nodes for line numbers."""

    path: Path
    document: Document
    raw: Any

    @property
    def rules(self) -> tuple[RuleSpec, ...]:
        return self.document.rules

    def place(self, *keys: str | int) -> tuple[int, int]:
        return _place(self.raw, keys)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else []
    if not files:
        remedy = "Give a .yaml file or a folder that holds some."
        raise BundleError([Problem(str(path), "no policy file found here", remedy)])
    return files


def _read(file: Path) -> _File:
    raw = _parse_yaml(file)
    try:
        return _File(file, Document.model_validate(_plain(raw)), raw)
    except ValidationError as error:
        raise BundleError([_schema_problem(file, raw, dict(e)) for e in error.errors()]) from error


def _parse_yaml(file: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        if file.stat().st_size > MAX_BYTES:
            raise BundleError([Problem(str(file), f"larger than {MAX_BYTES:,} bytes", "Split the file.")])
        raw = YAML(typ="rt").load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError([Problem(str(file), f"cannot be read ({error})", "Save it as UTF-8.")]) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        what = f"not valid YAML ({error.problem or error.context})"
        remedy = "Check the indentation, quotes and colons here."
        raise BundleError([Problem(str(file), what, remedy, None, line, column)]) from error
    except YAMLError as error:
        raise BundleError([Problem(str(file), f"not valid YAML ({error})", "Correct it.")]) from error
    if not isinstance(raw, dict):
        raise BundleError([Problem(str(file), "the file is not a mapping", "Start it with 'rules:'.")])
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


def _place(node: Any, keys: Iterable[str | int]) -> tuple[int, int]:
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


def _schema_problem(file: Path, raw: Any, error: dict[str, Any]) -> Problem:
    keys = [key for key in error["loc"] if isinstance(key, str | int)]
    line, column = _place(raw, keys)
    rule = _rule_name(raw, keys)
    where = ".".join(str(key) for key in keys) or "the file"
    message = str(error["msg"]).removeprefix("Value error, ")
    remedy = "See 'firstplay policy schema' for what may stand here."
    return Problem(str(file), f"{where}: {message}", remedy, rule, line, column)


def _rule_name(raw: Any, keys: list[str | int]) -> str | None:
    if keys[:1] != ["rules"] or len(keys) < 2:
        return None
    rule = raw["rules"][keys[1]]
    return str(rule["rule"]) if isinstance(rule, dict) and "rule" in rule else None


def _header(path: Path, sources: list[_File]) -> Header:
    owners = [s for s in sources if any(getattr(s.document, key) is not None for key in HEADER_KEYS)]
    if len(owners) != 1:
        names = ", ".join(s.path.name for s in owners) or "no file"
        remedy = f"Put {', '.join(HEADER_KEYS)} into one file."
        problem = f"the header must stand in exactly one file, not {names}"
        raise BundleError([Problem(str(path), problem, remedy)])
    values = {key: getattr(owners[0].document, key) for key in HEADER_KEYS}
    if missing := [key for key, value in values.items() if value is None]:
        remedy = f"Add {', '.join(missing)}."
        raise BundleError([Problem(str(owners[0].path), "the header is not complete", remedy, None, 1, 1)])
    return Header(**values)


def _compile(source: _File, index: int, header: Header, problems: list[Problem]) -> Rule | None:
    spec = source.rules[index]
    before = len(problems)

    def report(keys: tuple[str | int, ...], problem: str, remedy: str) -> None:
        line, column = source.place("rules", index, *keys)
        problems.append(Problem(str(source.path), problem, remedy, spec.rule, line, column))

    if spec.category not in header.categories:
        known = ", ".join(sorted(header.categories))
        report(("category",), f"unknown category {spec.category}", f"Choose one of: {known}.")
    if spec.when is None and spec.review is None:
        report((), "the rule can never fire", "Give it 'when' or 'review'.")
    for i, use in enumerate(spec.detectors):
        if use.name not in header.detectors:
            known = ", ".join(sorted(header.detectors))
            report(("detectors", i, "name"), f"unknown detector {use.name}", f"Choose one of: {known}.")
    names = [use.name for use in spec.detectors if use.name in header.detectors]
    labels = {name: header.detectors[name].labels for name in names}
    when = _expression(source, index, "when", labels, problems)
    review = _expression(source, index, "review", labels, problems)
    if len(problems) > before:
        return None
    return Rule(spec, when, review, _required(spec), _recall(spec, header, when, review))


def _expression(
    source: _File, index: int, key: str, labels: dict[str, tuple[str, ...]], problems: list[Problem]
) -> Expression | None:
    spec = source.rules[index]
    text: str | None = getattr(spec, key)
    if text is None:
        return None
    try:
        return compile_expression(text, labels)
    except ExpressionError as error:
        line, column = _inside(source, index, key, error)
        problems.append(
            Problem(str(source.path), f"{key}: {error.problem}", error.remedy, spec.rule, line, column)
        )
        return None


def _inside(source: _File, index: int, key: str, error: ExpressionError) -> tuple[int, int]:
    """Where in the file a place in an expression is; exact for one-line and literal block scalars."""
    from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString

    line, column = source.place("rules", index, key)
    scalar = source.raw["rules"][index][key]
    if isinstance(scalar, LiteralScalarString):
        text = source.path.read_text(encoding="utf-8").splitlines()
        first = line  # the block's text starts on the line after its key
        indent = len(text[first]) - len(text[first].lstrip()) if first < len(text) else 0
        return first + error.line, indent + error.column
    if isinstance(scalar, FoldedScalarString):
        return line + 1, 1
    opening = source.path.read_text(encoding="utf-8").splitlines()[line - 1][column - 1 : column]
    return line, column + error.column - 1 + (opening in {'"', "'"})


def _required(spec: RuleSpec) -> frozenset[Source]:
    if spec.required is not None:
        return frozenset(spec.required)
    order = [source for source in (Source.PLAYTHROUGH, Source.MEDIA) if source in spec.scope]
    return frozenset(order[:1])


def _recall(
    spec: RuleSpec, header: Header, when: Expression | None, review: Expression | None
) -> float | None:
    if spec.recall is not None:
        return spec.recall
    used = {label for expression in (when, review) if expression for label in expression.labels}
    entries = [header.detectors[use.name] for use in spec.detectors]
    known = [e.recall.get(label) for e in entries for label in e.labels if label in used]
    return min((r for r in known if r is not None), default=None) if None not in known else None


def _duplicates(sources: list[_File]) -> list[Problem]:
    seen: dict[str, Path] = {}
    problems = []
    for source in sources:
        for i, spec in enumerate(source.rules):
            if spec.rule in seen:
                line, column = source.place("rules", i, "rule")
                what = f"the rule's name is already used in {seen[spec.rule].name}"
                problems.append(Problem(str(source.path), what, "Rename one.", spec.rule, line, column))
            seen[spec.rule] = source.path
    return problems


def _hash(header: Header, rules: tuple[Rule, ...], cases: tuple[CaseSpec, ...]) -> str:
    content = {
        "header": header.model_dump(mode="json", exclude={"status"}),
        "rules": [rule.spec.model_dump(mode="json") for rule in rules],
        "tests": sorted((case.model_dump(mode="json") for case in cases), key=json.dumps),
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
