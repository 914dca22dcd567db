"""Findings, indexed for the functions that expressions may call.

Every function depends on the *set* of findings only: order and duplicates change nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, inf
from operator import attrgetter
from typing import TypeAlias

from policies.types import Finding, Source

NEAR = 1.0
"""Seconds: findings of one playthrough no further apart than this belong to one run."""
TOGETHER = 0.25
"""Seconds: two findings no further apart than this are about the same moment."""

Value: TypeAlias = bool | int | float | str
Strengths: TypeAlias = tuple[Finding, ...]
Place: TypeAlias = tuple[str | None, str | None]
"""Playthrough and medium."""
Timeline: TypeAlias = dict[Place, list[Finding]]
"""The findings of each place, in time."""
Run: TypeAlias = list[Finding]
"""Findings of one place, in time, with no gap longer than NEAR."""

_in_time = attrgetter("start", "end", "id")
_first = attrgetter("start", "id")
_score = attrgetter("score")


def strongest_first(findings: Iterable[Finding]) -> Strengths:
    """Distinct findings by falling score; ties are broken by content, never by arrival."""
    distinct = sorted({f.id: f for f in findings}.values(), key=_first)
    return tuple(sorted(distinct, key=_score, reverse=True))


class Index:
    """The findings of one decision by detector and label, strongest first."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        groups: dict[tuple[str, str], list[Finding]] = {}
        for finding in findings:
            groups.setdefault((finding.detector, finding.label), []).append(finding)
        self._labels: dict[str, dict[str, Strengths]] = {}
        for (detector, label), group in groups.items():
            self._labels.setdefault(detector, {})[label] = strongest_first(group)
        self._within: dict[tuple[str, frozenset[Source]], dict[str, Strengths]] = {}
        self._views: dict[tuple[frozenset[str], frozenset[Source]], Evidence] = {}

    def view(self, detectors: frozenset[str], sources: frozenset[Source]) -> Evidence:
        """What a rule with these detectors and this scope may look at; rules that look alike share it."""
        key = (detectors, sources)
        if key not in self._views:
            labels: dict[str, list[Strengths]] = {}
            for detector in detectors:
                for label, group in self._found(detector, sources).items():
                    labels.setdefault(label, []).append(group)
            found = {label: _merged(groups) for label, groups in labels.items()}
            self._views[key] = Evidence(found) if found else _NOTHING
        return self._views[key]

    def _found(self, detector: str, sources: frozenset[Source]) -> dict[str, Strengths]:
        """What a detector found there, by label."""
        key = (detector, sources)
        if key not in self._within:
            within = tuple(sources)  # compared by identity, which is faster than hashing an enum
            self._within[key] = {
                label: found
                for label, group in self._labels.get(detector, {}).items()
                if (found := tuple(f for f in group if f.source in within))
            }
        return self._within[key]


def _merged(groups: Sequence[Strengths]) -> Strengths:
    return groups[0] if len(groups) == 1 else strongest_first(f for group in groups for f in group)


class Evidence:
    """The findings that one rule may look at, and the functions over them.

    What is worked out once is kept, by how many of the strongest findings it takes: two thresholds that take
    the same findings share it.
    """

    def __init__(self, labels: dict[str, Strengths]) -> None:
        self._labels = labels
        self._values: dict[tuple[Value, ...], Value] = {}
        self._timelines: dict[tuple[str, int], Timeline] = {}
        self._runs: dict[tuple[str, int], list[Run]] = {}
        self._both: dict[tuple[str, int, str, int], Timeline] = {}

    def call(self, name: str, arguments: tuple[Value, ...]) -> Value:
        """The value of a function of the policy language; computed once per decision."""
        key = (name, *arguments)
        if key not in self._values:
            self._values[key] = FUNCTIONS[name].compute(self, *arguments)
        return self._values[key]

    def number(self, label: str, threshold: float = 0.0) -> int:
        """How many findings of a label score at least ``threshold``."""
        return bisect_right(self._labels.get(label, ()), -threshold, key=lambda f: -f.score)

    def select(self, label: str, threshold: float = 0.0) -> Strengths:
        """Findings of a label that score at least ``threshold``, strongest first."""
        return self._labels.get(label, ())[: self.number(label, threshold)]

    def runs(self, label: str, threshold: float) -> list[Run]:
        """The runs of what :meth:`select` gives."""
        key = (label, self.number(label, threshold))
        if key not in self._runs:
            self._runs[key] = _runs(self._timeline(*key))
        return self._runs[key]

    def both(self, label: str, threshold: float, other: str, other_threshold: float) -> Timeline:
        """Findings of ``label`` at whose moment ``other`` was found too."""
        one, two = self.number(label, threshold), self.number(other, other_threshold)
        key = (label, one, other, two)
        if key not in self._both:
            places = self._timeline(other, two)
            self._both[key] = {
                place: _meeting(group, _spans(places[place], TOGETHER))
                for place, group in self._timeline(label, one).items()
                if place in places
            }
        return self._both[key]

    def _timeline(self, label: str, number: int) -> Timeline:
        """Of the strongest ``number`` findings of a label."""
        key = (label, number)
        if key not in self._timelines:
            places: Timeline = {}
            for finding in sorted(self._labels.get(label, ())[:number], key=_in_time):
                places.setdefault((finding.playthrough, finding.media), []).append(finding)
            self._timelines[key] = places
        return self._timelines[key]


_NOTHING = Evidence({})
"""Of every decision in which a rule has nothing to look at, so that it is worked out once for all."""


def _end(finding: Finding) -> float:
    return max(finding.start, finding.end)


def _spans(group: Iterable[Finding], margin: float) -> list[tuple[float, float]]:
    """Union of the findings' spans, each widened by ``margin`` at both ends, in time."""
    spans: list[tuple[float, float]] = []
    for finding in group:
        start, end = finding.start - margin, _end(finding) + margin
        if spans and start <= spans[-1][1]:
            if end > spans[-1][1]:
                spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _meeting(group: Iterable[Finding], spans: Sequence[tuple[float, float]]) -> list[Finding]:
    """Those findings, given in time, that overlap a span."""
    meeting = []
    following = 0
    for finding in group:
        while following < len(spans) and spans[following][1] < finding.start:
            following += 1
        if following < len(spans) and spans[following][0] <= _end(finding):
            meeting.append(finding)
    return meeting


def _runs(timeline: Timeline) -> list[Run]:
    runs: list[Run] = []
    for group in timeline.values():
        reach = -inf
        for finding in group:
            if finding.start - reach > NEAR:
                runs.append([])
            runs[-1].append(finding)
            reach = max(reach, _end(finding))
    return runs


def _moments(runs: Iterable[Run]) -> int:
    """Distinct moments of the longest run: however long a view stands still, it was looked at once."""
    return max((len({f.start for f in run}) for run in runs), default=0)


def _lasting(run: Run) -> float:
    return max(map(_end, run)) - run[0].start


def _max(evidence: Evidence, label: str) -> float:
    strongest = evidence.select(label)[:1]
    return strongest[0].score if strongest else 0.0


def _p95(evidence: Evidence, label: str) -> float:
    """Nearest rank from below."""
    falling = evidence.select(label)
    return falling[len(falling) - ceil(0.95 * len(falling))].score if falling else 0.0


def _duration(evidence: Evidence, label: str, threshold: float) -> float:
    seconds: dict[Place, float] = {}
    for run in evidence.runs(label, threshold):
        place = (run[0].playthrough, run[0].media)
        seconds[place] = seconds.get(place, 0.0) + _lasting(run)
    return max(seconds.values(), default=0.0)


def _longest(evidence: Evidence, label: str, threshold: float) -> float:
    return max(map(_lasting, evidence.runs(label, threshold)), default=0.0)


def _streak(evidence: Evidence, label: str, threshold: float) -> int:
    return _moments(evidence.runs(label, threshold))


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
        Evidence.number, _LABEL_AT, "int", True, False, "the number of “{0}” findings scoring {1} or more"
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
