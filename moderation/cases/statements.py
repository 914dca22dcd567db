"""Statements of reasons (DSA, article 17) as the EU's transparency database takes them: pure functions.

Fields, values and lengths are those of https://transparency.dsa.ec.europa.eu/page/api-documentation; a rule's
category and keywords stand in the policy bundle. Article 24(5) forbids personal data in what is sent there,
so what a world says is left out of the sentences: its creator sees them whole with the decision.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from moderation.states import WorldState
from policies.types import Decision, Fired, Verdict

EEA = tuple(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK".split()
)
"""Where a decision holds: a world is in the feed everywhere or nowhere."""
VISIBILITY: Mapping[WorldState, str] = {
    WorldState.REJECTED: "DECISION_VISIBILITY_CONTENT_DISABLED",
    WorldState.CHANGES_REQUESTED: "DECISION_VISIBILITY_CONTENT_DISABLED",
    WorldState.SUSPENDED: "DECISION_VISIBILITY_CONTENT_DISABLED",
    WorldState.TAKEN_DOWN: "DECISION_VISIBILITY_CONTENT_REMOVED",
}
"""By the state that the decision leads to. What is only disabled may come back."""
FIELDS: Sequence[str] = (
    "puid",
    "decision_visibility",
    "decision_ground",
    "decision_facts",
    "illegal_content_legal_ground",
    "illegal_content_explanation",
    "incompatible_content_ground",
    "incompatible_content_explanation",
    "incompatible_content_illegal",
    "category",
    "category_addition",
    "category_specification",
    "content_type",
    "content_date",
    "territorial_scope",
    "application_date",
    "end_date_visibility_restriction",
    "source_type",
    "automated_detection",
    "automated_decision",
)
UNMAPPED = "STATEMENT_CATEGORY_OTHER_VIOLATION_TC"
"""Category of what no rule's category says."""
OWN_INITIATIVE = "SOURCE_VOLUNTARY"
_FACTS, _EXPLANATION, _GROUND = 5000, 2000, 500
"""Longest texts that the database takes, in characters."""
_SAID = re.compile("“.*”", re.DOTALL)


@dataclass(frozen=True)
class Basis:
    """What a restrictive decision rests on."""

    facts: str
    """What was seen, by whom."""
    grounds: tuple[str, ...] = ()
    """Sentences of the guidelines that were broken."""
    explanations: tuple[str, ...] = ()
    """Why, one sentence for each."""
    categories: tuple[str, ...] = ()
    """DSA categories, the first one first."""
    keywords: tuple[str, ...] = ()
    detected: bool = True
    """Found by a detector, not by a person."""
    automated: bool = True
    """Decided without a person."""
    law: str = ""
    """The law that the content breaks, where it breaks one."""
    source: str = OWN_INITIATIVE


def automatic(decision: Decision | None, reason: str) -> Basis:
    """Of a decision that no person took; ``reason`` where the policy's decision does not say why."""
    fired = decisive(decision)
    looked = "Detectors looked at the submitted media and at recorded play of the world. "
    if not fired:
        return Basis(f"{looked}{unquoted(reason)}", explanations=(unquoted(reason),))
    return of_rules(fired, looked)


def of_rules(fired: Iterable[Fired], before: str = "") -> Basis:
    """Of the rules that were broken; ``before`` begins the facts."""
    rules = tuple(fired)
    explanations = tuple(unquoted(one.explanation) for one in rules)
    return Basis(
        facts=before + " ".join(explanations),
        grounds=tuple(dict.fromkeys(one.guideline for one in rules if one.guideline)),
        explanations=explanations,
        categories=tuple(dict.fromkeys(one.dsa for one in rules if one.dsa)),
        keywords=tuple(dict.fromkeys(word for one in rules for word in one.dsa_keywords)),
    )


def by_person(basis: Basis, reason: str, law: str, detected: bool) -> Basis:
    """The same grounds, decided by a person with these words."""
    facts = f"A moderator looked at the evidence and decided: {reason} {basis.facts}".strip()
    explanations = (reason, *basis.explanations) if reason else basis.explanations
    return replace(basis, facts=facts, explanations=explanations, law=law, detected=detected, automated=False)


def decisive(decision: Decision | None) -> tuple[Fired, ...]:
    """The rules that led to a rejection, or where there was none those that fired."""
    fired = decision.fired if decision else ()
    return tuple(one for one in fired if one.action is Verdict.REJECTED) or fired


def unquoted(sentence: str) -> str:
    """A sentence without what the world says in it, which may name somebody."""
    return _SAID.sub("“…”", sentence)


def statement(puid: str, state: WorldState, at: float, created: float, basis: Basis) -> dict[str, Any]:
    """All of :data:`FIELDS`. ``at`` and ``created`` (of the content) are seconds since 1970.

    ``puid`` is unique for ever: letters, digits, ``-`` and ``_``.
    """
    first, *more = basis.categories or (UNMAPPED,)
    explanation = " ".join(basis.explanations)[:_EXPLANATION]
    ground = " ".join(basis.grounds)[:_GROUND] or "The guidelines for worlds."
    illegal = bool(basis.law)
    return {
        "puid": puid,
        "decision_visibility": [VISIBILITY[state]],
        "decision_ground": (
            "DECISION_GROUND_ILLEGAL_CONTENT" if illegal else "DECISION_GROUND_INCOMPATIBLE_CONTENT"
        ),
        "decision_facts": basis.facts[:_FACTS],
        "illegal_content_legal_ground": basis.law[:_GROUND] if illegal else None,
        "illegal_content_explanation": explanation if illegal else None,
        "incompatible_content_ground": None if illegal else ground,
        "incompatible_content_explanation": None if illegal else explanation,
        "incompatible_content_illegal": None if illegal else "No",
        "category": first,
        "category_addition": more,
        "category_specification": list(basis.keywords),
        "content_type": ["CONTENT_TYPE_APP", "CONTENT_TYPE_SYNTHETIC_MEDIA"],
        "content_date": _day(created),
        "territorial_scope": list(EEA),
        "application_date": _day(at),
        "end_date_visibility_restriction": None,
        "source_type": basis.source,
        "automated_detection": "Yes" if basis.detected else "No",
        "automated_decision": (
            "AUTOMATED_DECISION_FULLY" if basis.automated else "AUTOMATED_DECISION_NOT_AUTOMATED"
        ),
    }


def json_lines(statements: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One statement a line."""
    for one in statements:
        yield json.dumps(one, ensure_ascii=False) + "\n"


def csv_lines(statements: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A heading and a record for each statement; lists are JSON, as in the database's own dumps."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, FIELDS)
    writer.writeheader()
    for one in statements:
        yield _taken(buffer)
        writer.writerow({key: json.dumps(v) if isinstance(v, list) else v for key, v in one.items()})
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    written = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return written


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
