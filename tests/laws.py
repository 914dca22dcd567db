"""What must hold of a store whatever machines, creators and people do: asked of its raw rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from sqlalchemy import Connection

from moderation.cases.concluding import POLICY as MACHINE
from moderation.cases.reasons import FOUR_EYES_FROM, Outcome, Reason
from moderation.states import RESTRICTIVE, TRANSITIONS, WITH_PEOPLE, WORKING, WorldState
from moderation.store import Store

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Mapping[str, Sequence[Row]]
"""By table."""
CASE_TABLES = {
    "events": "id",
    "versions": "id",
    "cases": "id",
    "case_actions": "id",
    "rulings": "id",
    "statements": "event",
}
"""What people change, with the order of its rows."""
TABLES = CASE_TABLES | {
    "worlds": "id",
    "jobs": "id",
    "decisions": "id",
    "explorations": "id",
    "findings": "version, exploration, id",
    "detector_runs": "version, exploration, piece, detector",
    "requests": "account, key",
    "policy_bundles": "sha256",
    "policy_events": "id",
    "backtests": "id",
    "shadow_decisions": "version, exploration, live, shadow",
    "breakers": "rule",
    "breaker_days": "rule, day, spell",
}


def rows_of(store: Store, tables: Mapping[str, str] = TABLES) -> Rows:
    """All rows of some tables."""
    with store.reading() as connection:
        return {
            name: _all(connection, f"SELECT * FROM {name} ORDER BY {order}") for name, order in tables.items()
        }


def _all(connection: Connection, query: str) -> list[Row]:
    """By the driver itself, which is fast: this is asked after every step of thousands of histories."""
    cursor = connection.connection.cursor()
    found = cursor.execute(query).fetchall()
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def histories(rows: Rows) -> dict[str, list[Row]]:
    """The events of each version, in order."""
    found: dict[str, list[Row]] = {row["id"]: [] for row in rows["versions"]}
    for event in rows["events"]:
        found[event["version"]].append(event)
    return found


def hold(rows: Rows) -> None:
    """Raise AssertionError where one of these laws is broken."""
    for version, history in histories(rows).items():
        _every_change_of_state_is_in_the_log(rows, version, history)
        _what_is_published_was_cleared(history)
        _no_machine_clears_what_a_person_stopped(rows, history)
        _people_have_a_case_of_what_waits_for_them(rows, version, history)
    _what_falls_takes_its_remixes_along(rows)
    _two_people_are_two(rows)
    _every_restriction_has_its_statement(rows)


def nothing_is_lost(rows: Rows) -> None:
    """Whatever the pipeline works on has a job that will be done."""
    open_jobs = {row["subject"] for row in rows["jobs"] if row["state"] in ("ready", "running")}
    working = {row["id"] for row in rows["versions"] if row["state"] in WORKING}
    assert working <= open_jobs, "a version waits for a job that there is not"


def down(rows: Rows) -> dict[str, int]:
    """Versions whose take-down or quarantine stands, with the event of it."""
    found: dict[str, int] = {}
    for event in rows["events"]:
        if event["to_state"] in (WorldState.TAKEN_DOWN, WorldState.QUARANTINED):
            found[event["version"]] = event["id"]
        elif event["to_state"] == WorldState.OVERTURNED:
            found.pop(event["version"], None)
    return found


def gone(rows: Rows) -> set[str]:
    """Worlds of which something was taken down, and nothing else is published."""
    fallen, versions = down(rows), rows["versions"]
    published = {row["world"] for row in versions if row["state"] == WorldState.PUBLISHED}
    return {row["world"] for row in versions if row["id"] in fallen} - published


def lines(rows: Rows, version: str) -> Iterator[str]:
    """The worlds that a version was made from, and those that any version of these was made from."""
    parents: dict[str, set[str]] = {}
    for row in rows["versions"]:
        parents.setdefault(row["world"], set()).update({row["remix_of"]} - {None})
    (own,) = (row for row in rows["versions"] if row["id"] == version)
    waiting, seen = [own["remix_of"]] if own["remix_of"] else [], {own["world"]}
    while waiting:
        world = waiting.pop()
        if world not in seen:
            seen.add(world)
            yield world
            waiting += parents.get(world, ())


def _every_change_of_state_is_in_the_log(rows: Rows, version: str, history: Sequence[Row]) -> None:
    assert [event["revision"] for event in history] == list(range(len(history)))
    states = [WorldState(event["to_state"]) for event in history]
    assert all(b in TRANSITIONS[a] for a, b in pairwise(states))
    (now,) = (row["state"] for row in rows["versions"] if row["id"] == version)
    assert now == states[-1]


def _what_is_published_was_cleared(history: Sequence[Row]) -> None:
    for before, event in pairwise(history):
        if event["to_state"] == WorldState.PUBLISHED:
            assert before["to_state"] in (WorldState.CLEARED, WorldState.OVERTURNED)


def _no_machine_clears_what_a_person_stopped(rows: Rows, history: Sequence[Row]) -> None:
    rulings = {row["event"]: row["outcome"] for row in rows["rulings"] if row["stands"]}
    stopped = False
    for event in history:
        if event["id"] in rulings:
            stopped = rulings[event["id"]] != Outcome.CLEAR
        elif event["to_state"] == WorldState.SUSPENDED:
            stopped = True
        assert not (stopped and event["to_state"] == WorldState.CLEARED and event["actor"] == MACHINE)


def _people_have_a_case_of_what_waits_for_them(rows: Rows, version: str, history: Sequence[Row]) -> None:
    waits = history[-1]["to_state"] in WITH_PEOPLE
    mine = [row for row in rows["cases"] if row["version"] == version and row["closed"] is None]
    assert len([row for row in mine if row["reason"] != Reason.QUALITY]) == waits


def _what_falls_takes_its_remixes_along(rows: Rows) -> None:
    """Whatever is published although a world it was made from fell, people published after that."""
    fallen = down(rows)
    for version, history in histories(rows).items():
        if history[-1]["to_state"] != WorldState.PUBLISHED:
            continue
        above = set(lines(rows, version))
        falls = [
            fallen[row["id"]] for row in rows["versions"] if row["id"] in fallen and row["world"] in above
        ]
        assert not falls or (history[-1]["id"] > max(falls) and history[-1]["actor"] != MACHINE)


def _two_people_are_two(rows: Rows) -> None:
    creators = {row["id"]: row["creator"] for row in rows["versions"]}
    cases = {row["id"]: row for row in rows["cases"]}
    for row in rows["rulings"]:
        case = cases[row["case"]]
        severe = case["approvals"] > 1 or case["severity"] >= FOUR_EYES_FROM
        assert row["approved_by"] != row["decided_by"]
        assert row["approved_by"] is not None or not severe or case["reason"] == Reason.QUALITY
        assert creators[row["version"]] not in (row["decided_by"], row["approved_by"])


def _every_restriction_has_its_statement(rows: Rows) -> None:
    owed = {event["id"] for event in rows["events"] if event["to_state"] in RESTRICTIVE}
    assert {row["event"] for row in rows["statements"]} == owed
