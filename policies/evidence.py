"""Findings, indexed for the functions that expressions may call.

Every function depends on the *set* of findings only: order and duplicates change nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import TypeAlias

from policies.types import Finding, Source

NEAR = 1.0
"""Seconds: findings of one playthrough no further apart than this belong to one run."""
TOGETHER = 0.25
"""Seconds: two findings no further apart than this are about the same moment."""

Value: TypeAlias = bool | int | float | str
Strengths: TypeAlias = tuple[Finding, ...]


def strongest_first(findings: Iterable[Finding]) -> Strengths:
    """Distinct findings by falling score; ties are broken by content, never by arrival."""
    distinct = {f.id: f for f in findings}.values()
    return tuple(sorted(distinct, key=lambda f: (-f.score, f.start, f.id)))


class Index:
    """The findings of one decision by detector, label and source, strongest first."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._groups: dict[tuple[str, str, Source], list[Finding]] = {}
        for finding in strongest_first(findings):
            key = (finding.detector, finding.label, finding.source)
            self._groups.setdefault(key, []).append(finding)
        self._views: dict[tuple[frozenset[str], frozenset[Source]], Evidence] = {}

    def view(self, detectors: frozenset[str], sources: frozenset[Source]) -> Evidence:
        """What a rule with these detectors and this scope may look at; rules that look alike share it."""
        key = (detectors, sources)
        if key not in self._views:
            labels: dict[str, list[Finding]] = {}
            for (detector, label, source), group in self._groups.items():
                if detector in detectors and source in sources:
                    labels.setdefault(label, []).extend(group)
            self._views[key] = Evidence({label: strongest_first(group) for label, group in labels.items()})
        return self._views[key]


class Evidence:
    """The findings that one rule may look at, and the functions over them."""

    def __init__(self, labels: dict[str, Strengths]) -> None:
        self._labels = labels
        self._values: dict[tuple[Value, ...], Value] = {}

    def call(self, name: str, arguments: tuple[Value, ...]) -> Value:
        """The value of a function of the policy language; computed once per decision."""
        key = (name, *arguments)
        if key not in self._values:
            self._values[key] = FUNCTIONS[name].compute(self, *arguments)
        return self._values[key]

    def select(self, label: str, threshold: float = 0.0) -> Strengths:
        """Findings of a label that score at least ``threshold``, strongest first."""
        group = self._labels.get(label, ())
        return tuple(f for f in group if f.score >= threshold)

    def both(self, label: str, threshold: float, other: str, other_threshold: float) -> Strengths:
        """Findings of ``label`` at whose moment ``other`` was found too."""
        places = _by_place(self.select(other, other_threshold))
        spans = {place: _spans(group, TOGETHER) for place, group in places.items()}
        return tuple(f for f in self.select(label, threshold) if _meets(f, spans.get(_place(f), [])))


def _place(finding: Finding) -> tuple[str | None, str | None]:
    return finding.playthrough, finding.media


def _by_place(findings: Iterable[Finding]) -> dict[tuple[str | None, str | None], list[Finding]]:
    places: dict[tuple[str | None, str | None], list[Finding]] = {}
    for finding in sorted(findings, key=lambda f: (f.start, f.end, f.id)):
        places.setdefault(_place(finding), []).append(finding)
    return places


def _end(finding: Finding) -> float:
    return max(finding.start, finding.end)


def _spans(group: Sequence[Finding], margin: float) -> list[tuple[float, float]]:
    """Union of the findings' spans, each widened by ``margin`` at both ends, in time."""
    spans: list[tuple[float, float]] = []
    for finding in group:
        start, end = finding.start - margin, _end(finding) + margin
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return spans


def _meets(finding: Finding, spans: Sequence[tuple[float, float]]) -> bool:
    following = bisect_right(spans, (_end(finding), inf))
    return following > 0 and spans[following - 1][1] >= finding.start


def _runs(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings of one place each, in time, with no gap longer than NEAR inside a run."""
    runs: list[list[Finding]] = []
    for group in _by_place(findings).values():
        reach = -inf
        for finding in group:
            if finding.start - reach > NEAR:
                runs.append([])
            runs[-1].append(finding)
            reach = max(reach, _end(finding))
    return runs


def _moments(runs: Iterable[Sequence[Finding]]) -> int:
    """Distinct moments of the longest run: however long a view stands still, it was looked at once."""
    return max((len({f.start for f in run}) for run in runs), default=0)


def _lasting(run: Sequence[Finding]) -> float:
    return max(_end(f) for f in run) - run[0].start


def _max(evidence: Evidence, label: str) -> float:
    return max((f.score for f in evidence.select(label)), default=0.0)


def _p95(evidence: Evidence, label: str) -> float:
    scores = sorted(f.score for f in evidence.select(label))
    return scores[ceil(0.95 * len(scores)) - 1] if scores else 0.0


def _count(evidence: Evidence, label: str, threshold: float) -> int:
    return len(evidence.select(label, threshold))


def _duration(evidence: Evidence, label: str, threshold: float) -> float:
    seconds: dict[tuple[str | None, str | None], float] = {}
    for run in _runs(evidence.select(label, threshold)):
        seconds[_place(run[0])] = seconds.get(_place(run[0]), 0.0) + _lasting(run)
    return max(seconds.values(), default=0.0)


def _longest(evidence: Evidence, label: str, threshold: float) -> float:
    return max((_lasting(run) for run in _runs(evidence.select(label, threshold))), default=0.0)


def _streak(evidence: Evidence, label: str, threshold: float) -> int:
    return _moments(_runs(evidence.select(label, threshold)))


def _distinct_episodes(evidence: Evidence, label: str, threshold: float) -> int:
    return len({f.playthrough for f in evidence.select(label, threshold)} - {None})


def _first_at(evidence: Evidence, label: str, threshold: float) -> float:
    return min((f.start for f in evidence.select(label, threshold)), default=inf)


def _together(evidence: Evidence, label: str, threshold: float, other: str, other_threshold: float) -> int:
    return _moments(_runs(evidence.both(label, threshold, other, other_threshold)))


@dataclass(frozen=True)
class Function:
    """A function that expressions may call."""

    compute: Callable[..., Value]
    parameters: tuple[str, ...]
    """``label`` (a string literal) or ``threshold`` (a number literal 0..1)."""
    result: str
    """``int`` or ``double``."""
    rises: bool
    falls: bool
    """Which way one more finding can move the value."""
    prose: str
    """How the value reads in a sentence; ``{0}`` .. are the arguments."""


_LABEL_AT = ("label", "threshold")
FUNCTIONS: dict[str, Function] = {
    "max": Function(_max, ("label",), "double", True, False, "the highest score of “{0}”"),
    "p95": Function(_p95, ("label",), "double", True, True, "the 95th percentile of the scores of “{0}”"),
    "count": Function(
        _count, _LABEL_AT, "int", True, False, "the number of “{0}” findings scoring {1} or more"
    ),
    "duration": Function(
        _duration,
        _LABEL_AT,
        "double",
        True,
        False,
        "the seconds of one playthrough in which “{0}” scores {1} or more",
    ),
    "longest": Function(
        _longest,
        _LABEL_AT,
        "double",
        True,
        False,
        "the seconds for which “{0}” scores {1} or more without a break",
    ),
    "streak": Function(
        _streak, _LABEL_AT, "int", True, False, "the longest run of frames in which “{0}” scores {1} or more"
    ),
    "distinct_episodes": Function(
        _distinct_episodes,
        _LABEL_AT,
        "int",
        True,
        False,
        "the number of playthroughs in which “{0}” scores {1} or more",
    ),
    "first_at": Function(
        _first_at, _LABEL_AT, "double", False, True, "the second at which “{0}” first scores {1} or more"
    ),
    "together": Function(
        _together,
        ("label", "threshold", "label", "threshold"),
        "int",
        True,
        False,
        "the longest run of frames in which “{0}” scores {1} or more and “{2}” scores {3} or more",
    ),
}
