"""Loading a bundle: read, inherit, compile, check and test it; errors name file, rule, line and column."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from policies.compiling import Rule, Written, compile_rule
from policies.errors import BundleError, Problem, suggest
from policies.files import Place, SourceFile, find_files, read_file
from policies.schema import HEADER_KEYS, CaseSpec, Category, DetectorEntry, Header, Phrases

DEFAULT = Path(__file__).parent / "default"
_NEEDED = ("bundle", "version", "status", "summary", "coverage")
"""What a bundle must say itself; one that extends another inherits the last two."""


@dataclass(frozen=True)
class Bundle:
    """A checked policy; :func:`policies.engine.decide` evaluates it."""

    header: Header
    rules: tuple[Rule, ...]
    cases: tuple[CaseSpec, ...]
    sha256: str
    """Of the canonical content and of what it extends: comments, layout, file names and order, and status
    change nothing."""
    case_places: Mapping[str, Place] = field(default_factory=dict, compare=False, repr=False)

    @property
    def name(self) -> str:
        return f"{self.header.bundle} {self.header.version}"

    def rule(self, rule_id: str) -> Rule:
        """Raises KeyError naming a rule that the bundle lacks."""
        return {rule.id: rule for rule in self.rules}[rule_id]

    def phrases(self, detector: str) -> dict[str, Phrases]:
        """What a zero-shot detector looks for, by label; empty where the bundle names no phrases for it."""
        entry = self.header.detectors.get(detector)
        return dict(entry.phrases) if entry else {}

    def phrases_sha256(self, detector: str) -> str:
        """Of :meth:`phrases`: what a detector keeps its embeddings of them under."""
        return _sha256({label: one.model_dump() for label, one in self.phrases(detector).items()})


def load_bundle(path: Path | str | None = None) -> Bundle:
    """The bundle of a file or folder, the default one if None; its test cases have passed.

    Raises BundleError with every problem found, each with file, rule, line, column and remedy.
    """
    return _load_default() if path is None else _load(Path(path))


@lru_cache(maxsize=1)
def _load_default() -> Bundle:
    return _load(DEFAULT)


def _load(path: Path, heirs: tuple[Path, ...] = ()) -> Bundle:
    from policies.cases import failures

    bundle = read_bundle(path, heirs)
    if failed := failures(bundle):
        places = [bundle.case_places[failure.case] for failure in failed]
        raise BundleError(
            [
                Problem(place.file, str(failure), failure.remedy, None, place.line, place.column)
                for failure, place in zip(failed, places, strict=True)
            ]
        )
    return bundle


def read_bundle(path: Path | str, heirs: tuple[Path, ...] = ()) -> Bundle:
    """As :func:`load_bundle`, without running the test cases (``firstplay policy test`` shows each).

    ``heirs`` are the bundles that extend this one, so that none extends itself.
    """
    return _Reading(Path(path), heirs).bundle()


class _Reading:
    """One bundle while it is read; collects the problems of all its files."""

    def __init__(self, path: Path, heirs: tuple[Path, ...]) -> None:
        self.heirs = (*heirs, path.resolve())
        self.files = _read_all(find_files(path))
        self.problems: list[Problem] = []
        self.owner = self._header_file()
        self.parent = self._parent()

    def bundle(self) -> Bundle:
        header = self._header()
        written = self._rules()
        self._breakers({rule.spec.rule for rule in written})
        rules = [compile_rule(rule, header, self.problems) for rule in written]
        if not written:
            place = self.owner.place("rules")
            self._report(place, "the bundle has no rules", "Add at least one under 'rules:'.")
        cases = self._cases(header, {rule.spec.rule for rule in written})
        if self.problems:
            raise BundleError(self.problems)
        ready = tuple(sorted((r for r in rules if r is not None), key=lambda rule: rule.id))
        specs = tuple(case for case, _ in cases)
        sha256 = _hash(header, ready, specs, self.parent)
        return Bundle(header, ready, specs, sha256, {case.name: place for case, place in cases})

    def _report(self, place: Place, problem: str, remedy: str, rule: str | None = None) -> None:
        self.problems.append(Problem(place.file, problem, remedy, rule, place.line, place.column))

    # -- the header -------------------------------------------------------------------------------

    def _header_file(self) -> SourceFile:
        owners = [file for file in self.files if any(file.has(key) for key in HEADER_KEYS)]
        if len(owners) == 1:
            return owners[0]
        names = ", ".join(file.path.name for file in owners) or "no file"
        second = owners[1] if owners else self.files[0]
        key = next((key for key in second.raw if key in HEADER_KEYS), None)
        place = second.key_place(key) if key else second.place()
        remedy = f"Put all of {', '.join(HEADER_KEYS[:4])} and the like into one file."
        raise _error(place, f"the header must stand in exactly one file, not {names}", remedy)

    def _parent(self) -> Bundle | None:
        extends = self.owner.document.extends
        if extends is None:
            for key in ("disable", "change"):
                if self.owner.has(key):
                    place = self.owner.key_place(key)
                    problem = f"{key} needs a bundle to inherit from"
                    raise _error(place, problem, "Add 'extends: default'.")
            return None
        path = DEFAULT if extends == "default" else (self.owner.path.parent / extends)
        place = self.owner.place("extends")
        if path.resolve() in self.heirs:
            remedy = "Extend a bundle that does not lead back here."
            raise _error(place, f"{extends} extends itself", remedy)
        if not path.exists():
            remedy = f"Write 'default', or a path from {self.owner.path.parent}."
            raise _error(place, f"there is no bundle {extends}", remedy)
        return _load_default() if path == DEFAULT else _load(path, self.heirs)

    def _header(self) -> Header:
        document = self.owner.document
        inherited = self.parent.header if self.parent else None
        needed = _NEEDED[:3] if inherited else _NEEDED
        if missing := [key for key in needed if getattr(document, key) is None]:
            remedy = f"Add {', '.join(missing)}."
            raise _error(self.owner.place(), "the header is not complete", remedy)
        values = inherited.model_dump() if inherited else {}
        own = {key: getattr(document, key) for key in HEADER_KEYS if key in Header.model_fields}
        values |= {key: value for key, value in own.items() if value is not None}
        values["regions"] = {**(inherited.regions if inherited else {}), **(document.regions or {})}
        values["categories"] = self._categories(inherited)
        values["detectors"] = self._detectors(inherited)
        return Header.model_validate(values)

    def _categories(self, inherited: Header | None) -> dict[str, Category]:
        own: dict[str, Category] = {}
        for file in self.files:
            for name, category in file.document.categories.items():
                if name in own:
                    place = file.key_place("categories", name)
                    self._report(place, f"the category {name} stands in two files", "Remove one.")
                own[name] = category
        return {**(inherited.categories if inherited else {}), **own}

    def _detectors(self, inherited: Header | None) -> dict[str, DetectorEntry]:
        own: dict[str, DetectorEntry] = {}
        for file in self.files:
            for name, entry in file.document.detectors.items():
                before = own.get(name)
                if before and (twice := sorted(set(before.labels) & set(entry.labels))):
                    place = file.key_place("detectors", name)
                    problem = f"the label {twice[0]} of {name} stands in two files"
                    self._report(place, problem, "Declare each label once.")
                own[name] = _joined(before, entry)
        theirs = inherited.detectors if inherited else {}
        return {**theirs, **{name: _joined(theirs.get(name), entry) for name, entry in own.items()}}

    # -- rules and cases --------------------------------------------------------------------------

    def _rules(self) -> list[Written]:
        own: dict[str, Written] = {}
        for file in self.files:
            for i, spec in enumerate(file.document.rules):
                if spec.rule in own:
                    where = own[spec.rule].file.path.name
                    problem = f"the rule's name is already used in {where}"
                    self._report(file.place("rules", i, "rule"), problem, "Rename one.", spec.rule)
                own.setdefault(spec.rule, Written(spec, file, ("rules", i)))
        return list((self._inherited(own) | own).values())

    def _inherited(self, own: Mapping[str, Written]) -> dict[str, Written]:
        rules = {rule.id: rule.written for rule in self.parent.rules} if self.parent else {}
        known = set(rules)
        for i, name in enumerate(self.owner.document.disable or ()):
            if name not in known:
                problem = f"nothing to disable: no rule {name} is inherited"
                self._report(self.owner.place("disable", i), problem, suggest(name, known))
            rules.pop(name, None)
        for name, change in (self.owner.document.change or {}).items():
            if name in known and name not in rules:
                problem, remedy = f"{name} is both disabled and changed", "Remove one of the two."
                self._report(self.owner.key_place("change", name), problem, remedy)
            elif name not in known or name in own:
                problem = f"nothing to change: no rule {name} is inherited"
                self._report(self.owner.key_place("change", name), problem, suggest(name, known - own.keys()))
            else:
                before = rules[name]
                changes = (self.owner, *before.changes)
                rules[name] = Written(change.applied_to(before.spec), before.file, before.keys, changes)
        return rules

    def _breakers(self, known: set[str]) -> None:
        """Whether the rules exist whose quotas are named."""
        limits = self.owner.document.breakers
        for name in sorted((limits.rules.keys() if limits else set()) - known):
            place = self.owner.key_place("breakers", "rules", name)
            self._report(place, f"a quota for a rule that there is not: {name}", suggest(name, known))

    def _cases(self, header: Header, rules: set[str]) -> list[tuple[CaseSpec, Place]]:
        from policies.cases import misspelt

        found: dict[str, tuple[CaseSpec, Place]] = {}
        for file in self.files:
            for i, case in enumerate(file.document.tests):
                place = file.place("tests", i, "name")
                if case.name in found:
                    self._report(place, f"two test cases are called '{case.name}'", "Rename one.")
                found[case.name] = case, place
                for keys, problem, remedy in misspelt(case, header, rules):
                    self._report(file.place("tests", i, *keys), problem, remedy)
        return list(found.values())


def _error(place: Place, problem: str, remedy: str) -> BundleError:
    return BundleError([Problem(place.file, problem, remedy, None, place.line, place.column)])


def _read_all(paths: Sequence[Path]) -> list[SourceFile]:
    """Every file, or the problems of all that are wrong."""
    files: list[SourceFile] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            files.append(read_file(path))
        except BundleError as error:
            problems.extend(error.problems)
    if problems:
        raise BundleError(problems)
    return files


def _joined(before: DetectorEntry | None, entry: DetectorEntry) -> DetectorEntry:
    """Two declarations of one detector as one; where both speak of a label, the later counts."""
    if before is None:
        return entry
    sources = (one.recall_source for one in (before, entry) if one.recall)
    return DetectorEntry(
        labels=tuple(dict.fromkeys((*before.labels, *entry.labels))),
        phrases={**before.phrases, **entry.phrases},
        recall={**before.recall, **entry.recall},
        recall_source="; ".join(dict.fromkeys(sources)) or "assumed",
    )


def _hash(header: Header, rules: Iterable[Rule], cases: Iterable[CaseSpec], parent: Bundle | None) -> str:
    unsaid: dict[str, Any] = {"status": True, "extends": True}
    # bundles that do not speak of it keep the hash that they had before anybody could
    if header.breakers is None:
        unsaid["breakers"] = True
    if header.live.on_device == "forbidden":
        unsaid["live"] = {"on_device"}
    return _sha256(
        {
            "extends": parent.sha256 if parent else None,
            "header": header.model_dump(mode="json", exclude=unsaid),
            "rules": [rule.spec.model_dump(mode="json") for rule in rules],
            "tests": sorted((case.model_dump(mode="json") for case in cases), key=json.dumps),
        }
    )


def _sha256(content: object) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
