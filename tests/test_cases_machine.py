"""Whatever machines, creators and people do in whatever order: what must never happen does not.

``FIRSTPLAY_CASE_RUNS=2000 pytest tests/test_cases_machine.py`` tries that many histories.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle as Stash
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Connection

from moderation.cases import queue
from moderation.cases.appeals import appeal
from moderation.cases.decide import BadRuling, Choice, approve, decide, disagree
from moderation.cases.queue import MayNot
from moderation.cases.reasons import OUTCOMES, Outcome
from moderation.states import (
    DECIDED,
    REVIEWABLE,
    IllegalTransition,
    WorldState,
)
from moderation.store import (
    Conflict,
    LeaseLost,
    NotFound,
    Store,
    open_store,
)
from moderation.store import cases as stored
from moderation.store.cases import Case, Status
from tests import laws
from tests.case_worlds import (
    ANNA,
    BEN,
    CORA,
    DAN,
    found,
    judge,
    machine,
    small_bundle,
    submit,
)

RUNS = int(os.environ.get("FIRSTPLAY_CASE_RUNS", "20"))
pytestmark = pytest.mark.timeout(300 + 10 * RUNS)
REFUSED = (Conflict, LeaseLost, NotFound, MayNot, BadRuling, IllegalTransition)
PEOPLE = {one.account: one for one in (ANNA, BEN, CORA, DAN)}
CHOICES = (
    Choice(Outcome.CLEAR),
    Choice(Outcome.REJECT, ("slurs",), "A slur."),
    Choice(Outcome.REJECT, ("blood",), "Blood."),
    Choice(Outcome.REQUEST_CHANGES, ("slurs",), "Take it out."),
    Choice(Outcome.TAKE_DOWN, ("blood",), "Blood."),
)
BUNDLE = small_bundle(Path(tempfile.mkdtemp()), "quality_sampling: 0.5\n")
SEEN = {
    "nothing": (),
    "a slur": (found("slur", 0.95),),
    "perhaps a slur": (found("slur", 0.6),),
    "blood": (found("blood", 0.95),),
    "perhaps blood": (found("blood", 0.6),),
    "flashes": (found("flash", 0.95),),
}
LEASE = 60.0
seen = st.sampled_from(sorted(SEEN))
places = st.integers(0, 7)
"""Which of several."""


@cache
def empty() -> Path:
    """A migrated database with nothing in it, to copy."""
    file = Path(tempfile.mkdtemp()) / "empty.sqlite3"
    open_store(file.parent, f"sqlite:///{file}").close()
    return file


worlds = st.sampled_from(["v1", "v2"])
people = st.sampled_from(sorted(PEOPLE))


Request: TypeAlias = Callable[[], object]


class Moderation(RuleBasedStateMachine):
    """Two worlds, four people, and a clock that only this turns."""

    requests = Stash("requests")

    @initialize(first=seen, second=seen)
    def open(self, first: str, second: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        file = Path(shutil.copy(empty(), self.folder.name))
        self.store: Store = open_store(file.parent, f"sqlite:///{file}")
        self.now = 1e6
        self.count = 0
        for version, creator, shown in (("v1", "kim", first), ("v2", "anna", second)):
            submit(self.store, version, creator)
            self.reviewed(version, shown)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    # -- what may be done -------------------------------------------------------------------------------

    def attempt(self, act: Request) -> Request:
        """Do it, or be refused without a trace; either way it can be tried again."""
        before = self.everything()
        try:
            act()
        except REFUSED:
            assert self.everything() == before, "what is refused leaves a trace"
        return act

    def key(self) -> str:
        self.count += 1
        return f"k{self.count}"

    def reviewed(self, version: str, shown: str) -> WorldState:
        self.count += 1
        decision = judge(BUNDLE, *SEEN[shown], version=version)
        return machine(self.store, BUNDLE, decision, version, self.count)

    @rule(version=worlds, shown=seen)
    def review(self, version: str, shown: str) -> None:
        """By another seed or policy; people do not always leave it to machines."""
        if self.store.version(version).state in DECIDED - REVIEWABLE:
            return
        stopped = self.stopped(version)
        becomes = self.reviewed(version, shown)
        if stopped:
            assert becomes in (WorldState.NEEDS_REVIEW, WorldState.REJECTED)

    @precondition(lambda self: self.any_in(WorldState.PUBLISHED))
    @rule(version=worlds)
    def suspend(self, version: str) -> None:
        if self.store.version(version).state is WorldState.PUBLISHED:
            with self.store.writing() as tx:
                tx.transition(version, WorldState.SUSPENDED, "guard", "players met it")

    @precondition(lambda self: self.any_case(Status.WAITING))
    @rule(target=requests, person=people)
    def claim(self, person: str) -> Request:
        key, now = self.key(), self.now
        return self.attempt(lambda: queue.claim(self.store, PEOPLE[person], lease=LEASE, now=now, key=key))

    @rule(target=requests, person=people, nth=places)
    def claim_one(self, person: str, nth: int) -> Request:
        case, key, now = self.nth(nth), self.key(), self.now
        return self.attempt(
            lambda: queue.claim(self.store, PEOPLE[person], case, lease=LEASE, now=now, key=key)
        )

    @precondition(lambda self: self.any_case(Status.CLAIMED))
    @rule(target=requests, nth=places, which=places)
    def decide(self, nth: int, which: int) -> Request:
        """By whoever holds it, in a way that is open to them; their lease may have run out."""
        held = self.nth_of(Status.CLAIMED, nth)
        allowed = [one for one in CHOICES if one.outcome in OUTCOMES[held.reason]]
        choice, who = allowed[which % len(allowed)], PEOPLE[held.holder or ""]
        key, now = self.key(), self.now
        act = self.attempt(lambda: decide(self.store, who, held.id, choice, BUNDLE, now=now, key=key))
        if held.lease_until is not None and held.lease_until < now:
            assert self.case(held.id) == held, "a decision under an expired lease counts"
        else:
            assert self.case(held.id) != held
        return act

    @rule(target=requests, nth=places, choice=st.sampled_from(CHOICES), person=people)
    def decide_anything(self, nth: int, choice: Choice, person: str) -> Request:
        """By anybody, of anything."""
        case, key, now = self.nth(nth), self.key(), self.now
        return self.attempt(
            lambda: decide(self.store, PEOPLE[person], case, choice, BUNDLE, now=now, key=key)
        )

    @precondition(lambda self: self.any_case(Status.SECOND))
    @rule(target=requests, nth=places, person=st.sampled_from(["cora", "dan", "cora", "dan", "anna"]))
    def approve(self, nth: int, person: str) -> Request:
        case, key = self.nth_of(Status.SECOND, nth).id, self.key()
        return self.attempt(lambda: approve(self.store, PEOPLE[person], case, BUNDLE, key=key))

    @precondition(lambda self: self.any_case(Status.SECOND))
    @rule(target=requests, nth=places, person=people)
    def disagree(self, nth: int, person: str) -> Request:
        case, key, now = self.nth_of(Status.SECOND, nth).id, self.key(), self.now
        return self.attempt(lambda: disagree(self.store, PEOPLE[person], case, "no", now=now, key=key))

    @precondition(lambda self: self.any_case(Status.CLAIMED))
    @rule(target=requests, nth=places, back=st.booleans())
    def hand_on(self, nth: int, back: bool) -> Request:
        held = self.nth_of(Status.CLAIMED, nth)
        who, key, now = PEOPLE[held.holder or ""], self.key(), self.now
        if back:
            return self.attempt(lambda: queue.release(self.store, who, held.id, now=now, key=key))
        return self.attempt(lambda: queue.escalate(self.store, who, held.id, "unsure", now=now, key=key))

    @precondition(lambda self: self.any_in(WorldState.REJECTED, WorldState.TAKEN_DOWN))
    @rule(target=requests, version=worlds)
    def appeal(self, version: str) -> Request:
        creator, key = self.store.version(version).creator, self.key()
        return self.attempt(lambda: appeal(self.store, creator, version, "unjust", key=key))

    @rule()
    def time_passes(self) -> None:
        self.now += LEASE / 2 + 1

    @rule()
    def sweep(self) -> None:
        for number in queue.sweep(self.store, self.now):
            assert self.case(number).status is Status.WAITING

    @rule(act=requests)
    def repeat(self, act: Request) -> None:
        """What was carried out changes nothing the second time; what was refused may be tried again."""
        before = self.everything()
        try:
            act()
        except REFUSED:
            assert self.everything() == before
        else:
            after = self.everything()
            assert len(after["case_actions"]) > len(before["case_actions"]) or after == before

    # -- what must always hold ----------------------------------------------------------------------------

    @invariant()
    def nothing_happened_that_must_not(self) -> None:
        laws.hold(self.everything())

    # -- looking ------------------------------------------------------------------------------------------

    def everything(self) -> laws.Rows:
        """All rows that any of this may change."""
        return laws.rows_of(self.store, laws.CASE_TABLES)

    def stopped(self, version: str) -> bool:
        """Whether people stopped it last, or it was suspended and they have not looked since."""
        with self.store.reading() as connection:
            ruling = stored.standing_ruling(connection, version)
            suspension = stored.suspension(connection, version)
        if suspension is not None and (ruling is None or suspension[0] > (ruling.event or 0)):
            return True
        return ruling is not None and ruling.outcome is not Outcome.CLEAR

    def any_in(self, *states: WorldState) -> bool:
        with self.store.reading() as connection:
            return not states_of(connection).isdisjoint(states)

    def any_case(self, status: Status) -> bool:
        with self.store.reading() as connection:
            return bool(numbers_of(connection, status))

    def nth_of(self, status: Status, nth: int) -> Case:
        with self.store.reading() as connection:
            found = numbers_of(connection, status)
            return stored.find_case(connection, found[nth % len(found)])

    def nth(self, nth: int) -> int:
        """The number of a case; one that there is not where there is none."""
        with self.store.reading() as connection:
            found = numbers_of(connection, *Status) or [1]
        return found[-1 - nth % len(found)]

    def case(self, number: int) -> Case:
        with self.store.reading() as connection:
            return stored.find_case(connection, number)


def states_of(connection: Connection) -> set[str]:
    return set(connection.exec_driver_sql("SELECT state FROM versions").scalars())


def numbers_of(connection: Connection, *statuses: Status) -> list[int]:
    """Of cases, in order."""
    rows = connection.exec_driver_sql("SELECT id, status FROM cases ORDER BY id")
    return [row.id for row in rows if row.status in statuses]


Moderation.TestCase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestModeration = Moderation.TestCase
