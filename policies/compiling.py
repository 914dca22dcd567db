"""From a rule as written to one that can decide: names checked, conditions compiled for every audience."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import NamedTuple

from policies.errors import Problem, suggest
from policies.expressions import Expression, ExpressionError, compile_expression
from policies.files import Key, Place, SourceFile
from policies.schema import DetectorEntry, Header, RuleSpec
from policies.schemes import AGE_BANDS
from policies.types import Context, Source


@dataclass(frozen=True)
class Written:
    """A rule as written, with where each of its fields stands."""

    spec: RuleSpec
    file: SourceFile = field(repr=False)
    keys: tuple[Key, ...]
    changes: tuple[SourceFile, ...] = field(default=(), repr=False)
    """Files of heirs that change some of its fields, the latest first."""

    def home(self, *keys: Key) -> tuple[SourceFile, tuple[Key, ...]]:
        """The file that says a field, and the whole path there."""
        changed: tuple[Key, ...] = ("change", self.spec.rule)
        for file in self.changes:
            if keys and file.has(*changed, *keys[:2]):
                return file, (*changed, *keys)
        return self.file, (*self.keys, *keys)

    def place(self, *keys: Key) -> Place:
        """Where a field is written."""
        file, path = self.home(*keys)
        return file.place(*path)


@dataclass(frozen=True)
class Conditions:
    """What one audience is judged by."""

    thresholds: Mapping[str, float]
    when: Expression | None
    review: Expression | None
    rates: tuple[Expression, ...]
    """In the order of the rule's ``rates``."""

    @cached_property
    def every(self) -> tuple[Expression, ...]:
        return tuple(e for e in (self.when, self.review, *self.rates) if e is not None)


@dataclass(frozen=True)
class Whom:
    """The players that other thresholds hold for; an empty set is all of them."""

    age_bands: frozenset[str]
    countries: frozenset[str]

    def __contains__(self, context: Context) -> bool:
        return (not self.age_bands or context.age_band in self.age_bands) and (
            not self.countries or context.region in self.countries
        )


LIVE = frozenset({Source.LIVE})


class Reliance(NamedTuple):
    """What a rule asks of one of its detectors."""

    name: str
    min_version: str
    labels: frozenset[str]
    """That the rule names."""
    sources: frozenset[Source]
    """Where its findings count."""
    required: frozenset[Source]
    """Where it must have run."""


@dataclass(frozen=True)
class Rule:
    """A rule that is ready to decide."""

    written: Written
    audiences: tuple[Whom, ...]
    variants: Mapping[tuple[bool, ...], Conditions]
    """By which of the audiences match; every combination that can occur."""
    required: frozenset[Source]
    """Sources in which each detector must have run."""
    recall: float | None
    """Assumed recall of the rule, None where the bundle assumes none."""
    uses: Mapping[str, frozenset[str]]
    """Labels that its conditions name, by detector."""

    @property
    def spec(self) -> RuleSpec:
        return self.written.spec

    @property
    def id(self) -> str:
        return self.spec.rule

    @property
    def base(self) -> Conditions:
        """What everybody is judged by for whom nothing else is said."""
        return self.variants[(False,) * len(self.audiences)]

    @property
    def when(self) -> Expression | None:
        return self.base.when

    @property
    def review(self) -> Expression | None:
        return self.base.review

    @cached_property
    def detectors(self) -> frozenset[str]:
        return frozenset(self.uses)

    @cached_property
    def scope(self) -> frozenset[Source]:
        """Where it looks."""
        return frozenset(self.spec.scope)

    @cached_property
    def asks(self) -> tuple[Reliance, ...]:
        """What a release needs of each detector, by name."""
        return self._asks(self.scope, self.required)

    @cached_property
    def asks_live(self) -> tuple[Reliance, ...]:
        """What live play needs of each detector, by name."""
        return self._asks(self.scope & LIVE, LIVE)

    def _asks(self, sources: frozenset[Source], required: frozenset[Source]) -> tuple[Reliance, ...]:
        uses = sorted(self.spec.detectors, key=lambda use: use.name)
        return tuple(
            Reliance(use.name, use.min_version, self.uses[use.name], sources, required) for use in uses
        )

    @property
    def blocks(self) -> bool:
        """Whether it can do more than raise the age rating."""
        return self.when is not None or self.review is not None

    @property
    def monotone(self) -> bool:
        """One more finding can never make the rule's outcome less severe, or the age lower."""
        return all(e.monotone for conditions in self.variants.values() for e in conditions.every)

    def conditions(self, context: Context) -> Conditions:
        """What the players of a context are judged by."""
        return self.variants[tuple(context in whom for whom in self.audiences)]


def compile_rule(written: Written, header: Header, problems: list[Problem]) -> Rule | None:
    """The rule, ready to decide; None where something is wrong with it, which ``problems`` then says."""
    return _Compiler(written, header, problems).rule()


class _Compiler:
    def __init__(self, written: Written, header: Header, problems: list[Problem]) -> None:
        self.written = written
        self.spec = written.spec
        self.header = header
        self.problems = problems
        known = header.detectors
        self.entries = {use.name: known[use.name] for use in self.spec.detectors if use.name in known}

    def rule(self) -> Rule | None:
        before = len(self.problems)
        self._names()
        if len(self.entries) < len(self.spec.detectors):
            return None
        audiences = tuple(self._whom(i) for i in range(len(self.spec.audiences)))
        base = self._conditions(self.spec.thresholds)
        self._unused_thresholds(base)
        if len(self.problems) > before:
            return None
        variants = {(False,) * len(audiences): base}
        for matching in sorted(_combinations(audiences) - variants.keys()):
            variants[matching] = self._conditions(self._thresholds(matching))
        if len(self.problems) > before:
            return None
        uses = _uses(base, self.entries)
        recall = _recall(self.spec, base, self.entries)
        return Rule(self.written, audiences, variants, _required(self.spec), recall, uses)

    def _report(self, keys: tuple[Key, ...], problem: str, remedy: str) -> None:
        self._report_at(self.written.place(*keys), problem, remedy)

    def _report_at(self, place: Place, problem: str, remedy: str) -> None:
        self.problems.append(Problem(place.file, problem, remedy, self.spec.rule, place.line, place.column))

    def _names(self) -> None:
        spec, header = self.spec, self.header
        if spec.category not in header.categories:
            remedy = suggest(spec.category, header.categories)
            self._report(("category",), f"unknown category {spec.category}", remedy)
        if spec.when is None and spec.review is None and not spec.rates:
            self._report((), "the rule can never fire", "Give it 'when', 'review' or 'rates'.")
        for i, use in enumerate(spec.detectors):
            if use.name not in header.detectors:
                remedy = suggest(use.name, header.detectors)
                self._report(("detectors", i, "name"), f"unknown detector {use.name}", remedy)
        for i, source in enumerate(spec.required or ()):
            if source not in spec.scope:
                problem = f"a detector is required on {source}, which the rule does not look at"
                self._report(("required", i), problem, f"Add {source} to the scope.")

    def _whom(self, index: int) -> Whom:
        audience = self.spec.audiences[index]
        countries: set[str] = set()
        for i, region in enumerate(audience.regions):
            if region in self.header.regions:
                countries.update(self.header.regions[region])
            elif len(region) == 2 and region.isalpha() and region.isupper():
                countries.add(region)
            else:
                problem = f"{region} is neither a country code nor a group of the header's regions"
                groups = suggest(region, self.header.regions) if self.header.regions else ""
                remedy = f"Write two capital letters such as DE. {groups}".strip()
                self._report(("audiences", index, "regions", i), problem, remedy)
        for name in audience.thresholds:
            if name not in self.spec.thresholds:
                remedy = suggest(name, self.spec.thresholds)
                keys = ("audiences", index, "thresholds", name)
                self._report(keys, f"the rule has no threshold {name}", remedy)
        return Whom(frozenset(audience.age_bands), frozenset(countries))

    def _thresholds(self, matching: tuple[bool, ...]) -> dict[str, float]:
        merged = dict(self.spec.thresholds)
        for audience, matches in zip(self.spec.audiences, matching, strict=True):
            if matches:
                merged.update(audience.thresholds)
        return merged

    def _conditions(self, thresholds: Mapping[str, float]) -> Conditions:
        rates = (
            self._expression(("rates", i, "when"), rate.when, thresholds)
            for i, rate in enumerate(self.spec.rates)
        )
        return Conditions(
            dict(thresholds),
            self._expression(("when",), self.spec.when, thresholds),
            self._expression(("review",), self.spec.review, thresholds),
            tuple(rate for rate in rates if rate is not None),
        )

    def _expression(
        self, keys: tuple[Key, ...], source: str | None, thresholds: Mapping[str, float]
    ) -> Expression | None:
        if source is None:
            return None
        labels = {name: entry.labels for name, entry in self.entries.items()}
        try:
            return compile_expression(source, labels, thresholds)
        except ExpressionError as error:
            file, path = self.written.home(*keys)
            where = ".".join(str(key) for key in keys)
            self._report_at(file.inside(path, error), f"{where}: {error.problem}", error.remedy)
            return None

    def _unused_thresholds(self, conditions: Conditions) -> None:
        sources = (self.spec.when, self.spec.review, *(rate.when for rate in self.spec.rates))
        if len(conditions.every) < sum(source is not None for source in sources):
            return
        used = {name for expression in conditions.every for name in expression.thresholds}
        for name in self.spec.thresholds:
            if name not in used:
                problem = f"no condition uses the threshold {name}"
                remedy = f"Remove it, or compare with threshold.{name}."
                self._report(("thresholds", name), problem, remedy)


def _combinations(audiences: tuple[Whom, ...]) -> set[tuple[bool, ...]]:
    """Every way in which audiences can match: only the age bands and countries that they name matter."""
    countries = {country for whom in audiences for country in whom.countries}
    contexts = (
        Context(age_band=band, region=country)
        for band, country in product(("", *AGE_BANDS), ("", *sorted(countries)))
    )
    return {tuple(context in whom for whom in audiences) for context in contexts}


def _required(spec: RuleSpec) -> frozenset[Source]:
    if spec.required is not None:
        return frozenset(spec.required)
    order = [source for source in (Source.PLAYTHROUGH, Source.MEDIA) if source in spec.scope]
    return frozenset(order[:1])


def _uses(conditions: Conditions, entries: Mapping[str, DetectorEntry]) -> dict[str, frozenset[str]]:
    named = frozenset(label for expression in conditions.every for label in expression.labels)
    return {name: named & frozenset(entry.labels) for name, entry in entries.items()}


def _recall(spec: RuleSpec, conditions: Conditions, entries: Mapping[str, DetectorEntry]) -> float | None:
    if spec.recall is not None:
        return spec.recall
    used = {label for e in (conditions.when, conditions.review) if e for label in e.labels}
    known = [entry.recall.get(label) for entry in entries.values() for label in entry.labels if label in used]
    return min((r for r in known if r is not None), default=None) if None not in known else None
