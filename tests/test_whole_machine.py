"""Whatever creators, machines, people and crashes do in whatever order: nothing is lost, nothing let through.

Submissions, decisions, cases, take-downs and changes of policy are the real ones, over a real database; only
what bots play and what detectors find is made up. ``FIRSTPLAY_WHOLE_RUNS=2000 pytest
tests/test_whole_machine.py`` tries that many histories.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle as Stash
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import event

from feedapi.once import answer_once
from feedapi.problems import Problem
from feedapi.shapes import Upload
from moderation import lineage, pipeline, scan, submitting
from moderation.accounts import ROLES, Principal
from moderation.cases import queue
from moderation.cases.appeals import appeal
from moderation.cases.decide import BadRuling, Choice, approve, decide, disagree
from moderation.cases.queue import MayNot
from moderation.cases.reasons import OUTCOMES, Outcome
from moderation.jobs import Handler, Work
from moderation.policy_changes import promotion
from moderation.policy_changes.backtest import backtest, keep_backtest
from moderation.policy_changes.bundles import keep
from moderation.policy_changes.promotion import NotYet
from moderation.states import DECIDED, REVIEWABLE, IllegalTransition, WorldState
from moderation.store import (
    Conflict,
    Job,
    LeaseLost,
    NotFound,
    NotPublished,
    Store,
    Transaction,
    live,
    open_store,
)
from moderation.store import cases as stored
from moderation.store.bundles import find_bundle
from moderation.store.cases import Case, Status
from moderation.submitting import Submission
from policies import Bundle, DetectorRun, Finding, Source, load_bundle
from policies.cases import sufficient_coverage
from tests import laws
from tests.case_worlds import ANNA, BEN, CORA, DAN, POLICY
from tests.test_pipeline import light
from worldmodel.package import WorldPackage, make_package

T = TypeVar("T")
RUNS = int(os.environ.get("FIRSTPLAY_WHOLE_RUNS", "15"))
pytestmark = pytest.mark.timeout(300 + 10 * RUNS)
REFUSED = (
    BadRuling,
    Conflict,
    IllegalTransition,
    LeaseLost,
    MayNot,
    NotFound,
    NotPublished,
    NotYet,
    Problem,
)
PEOPLE = {one.account: one for one in (ANNA, BEN, CORA, DAN)}
CREATORS = {name: Principal(name, frozenset({"creator"}), ROLES["creator"]) for name in ("kim", "lee")}
BANNED = """\
  - rule: banned
    title: Banned
    category: violence
    severity: S4
    scope: [media]
    detectors: [{name: eye}]
    when: max("odd") >= 0.9
    explanation: "It is banned."
    guideline: Nothing is banned.
quality_sampling: 0.3
quotas:
  - {of: prior_rejections, limit: 2, explanation: "Many were rejected before, so a person looks."}
breakers: {daily: 3}
"""
BASE = POLICY + BANNED
TEXTS = {
    "base": BASE,
    "stricter": BASE.replace("small", "stricter").replace(
        'when: max("slur") >= 0.9', 'when: max("slur") >= 0.3'
    ),
    "looser": BASE.replace("small", "looser").replace('when: max("odd") >= 0.9', 'when: max("odd") >= 0.99'),
}
CHOICES = (
    Choice(Outcome.CLEAR),
    Choice(Outcome.CLEAR),
    Choice(Outcome.REJECT, ("slurs",), "A slur."),
    Choice(Outcome.REQUEST_CHANGES, ("slurs",), "Take it out."),
    Choice(Outcome.TAKE_DOWN, ("blood",), "Blood."),
)
SEEN = ("nothing", "nothing", "slur 0.95", "slur 0.6", "blood 0.6", "flash 0.95", "odd 0.95")
REQUEST = pipeline.Request(0, "simulator", "m" * 64, {"search_steps": 10}, "d" * 64)
WORKER_LEASE, CASE_LEASE = 600.0, 60.0
places = st.integers(0, 9)
"""Which of several."""
fuses = st.one_of(st.none(), st.integers(0, 25))
"""Statements after which the process dies; None: it does not."""
creators, people = st.sampled_from(sorted(CREATORS)), st.sampled_from(sorted(PEOPLE))


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Request:
    """Something that somebody asks for."""

    act: Callable[[], object]
    keyed: bool
    """Whether it carries an idempotency key."""
    done: bool = False
    answer: object = None


class Late(Work):
    """A worker that does not notice that it was taken for dead, and commits all the same."""

    def commit(self, *, done: bool = False) -> Any:
        forsake(self.store, self.job)
        return super().commit(done=done)


class Whole(RuleBasedStateMachine):
    """Two creators, four people, two authors of policies, some players, and workers that die."""

    requests = Stash("requests")

    @initialize(first=st.sampled_from(SEEN), second=st.sampled_from(SEEN))
    def open(self, first: str, second: str) -> None:
        """Some histories begin with a world in the feed, and a remix of it."""
        self.store = fresh()
        self.stages = stages()
        self.now = 1e6
        self.count = 0
        self.shown: dict[str, str] = {}
        """What detectors see, by version."""
        self.sessions: dict[int, str] = {}
        """Versions that somebody plays."""
        self.send("kim", "Alpha", None, first, None)
        self.work_on()
        self.look()
        if self.versions(WorldState.PUBLISHED):
            self.send("lee", "After alpha", "alpha", second, None)
            self.work_on()
            self.look()

    def teardown(self) -> None:
        self.everything_ends()

    # -- how things are done ------------------------------------------------------------------------------

    def attempt(self, request: Request, fuse: int | None = None) -> Request:
        """Whole or not at all: what is refused, or dies on the way, leaves no trace."""
        before = laws.rows_of(self.store)
        try:
            with burning(self.store, fuse):
                request.answer = request.act()
            request.done = True
        except (*REFUSED, Killed):
            assert laws.rows_of(self.store) == before, "what was not done leaves a trace"
        return request

    def key(self) -> str:
        self.count += 1
        return f"k{self.count}"

    # -- creators -------------------------------------------------------------------------------------------

    @rule(
        target=requests,
        who=creators,
        title=st.sampled_from(["Alpha", "Beta"]),
        shown=st.sampled_from(SEEN),
        fuse=fuses,
    )
    def submit(self, who: str, title: str, shown: str, fuse: int | None) -> Request:
        return self.send(who, title, None, shown, fuse)

    @precondition(lambda self: self.versions())
    @rule(target=requests, who=creators, nth=places, shown=st.sampled_from(SEEN), fuse=fuses)
    def remix(self, who: str, nth: int, shown: str, fuse: int | None) -> Request:
        parent = some(self.worlds(), nth)
        return self.send(who, f"After {parent.split('-')[0][:20]}", parent, shown, fuse)

    def send(self, who: str, title: str, parent: str | None, shown: str, fuse: int | None) -> Request:
        key = self.key()
        made = package(title, parent, self.count)
        self.shown[made.sha256] = shown
        submission = Submission(made, "package")

        def work(tx: Transaction) -> tuple[int, Upload, dict[str, str]]:
            version = submitting.submit(tx, who, submission)
            return 202, Upload(id=version.id, size=version.revision), {}

        def act() -> object:
            return answer_once(self.store, CREATORS[who], key, ("submit", made.sha256), work).body

        return self.attempt(Request(act, keyed=True), fuse)

    @precondition(lambda self: self.versions())
    @rule(target=requests, nth=places, fuse=fuses)
    def withdraw(self, nth: int, fuse: int | None) -> Request:
        version, key = self.store.version(some(self.versions(), nth)), self.key()

        def work(tx: Transaction) -> tuple[int, Upload, dict[str, str]]:
            submitting.withdraw(tx, version, version.revision, "no longer")
            return 200, Upload(id=version.id, size=tx.version(version.id).revision), {}

        def act() -> object:
            asked = ("withdraw", version.id, str(version.revision))
            return answer_once(self.store, CREATORS[version.creator], key, asked, work).body

        return self.attempt(Request(act, keyed=True), fuse)

    @precondition(lambda self: self.versions(WorldState.REJECTED, WorldState.TAKEN_DOWN))
    @rule(target=requests, nth=places, fuse=fuses)
    def appeal(self, nth: int, fuse: int | None) -> Request:
        found = some(self.versions(WorldState.REJECTED, WorldState.TAKEN_DOWN), nth)
        one, key = self.store.version(found), self.key()
        return self.attempt(
            Request(lambda: appeal(self.store, one.creator, one.id, "unjust", key=key).id, keyed=True), fuse
        )

    # -- machines -------------------------------------------------------------------------------------------

    @rule(fuse=fuses)
    def work(self, fuse: int | None) -> None:
        """A worker does the next job, or is killed on the way and another has to."""
        job = self.store.queue.claim("one", WORKER_LEASE)
        if job is not None:
            self.carry_out(Work(self.store, job, WORKER_LEASE), fuse)

    @rule()
    def work_on(self) -> None:
        """Workers do all that there is to do."""
        while (job := self.store.queue.claim("one", WORKER_LEASE)) is not None:
            self.carry_out(Work(self.store, job, WORKER_LEASE))

    @precondition(lambda self: any(job["state"] == "ready" for job in self.rows["jobs"]))
    @rule()
    def work_too_late(self) -> None:
        """A worker commits after its lease ran out: refused, and another one does the job."""
        job = self.store.queue.claim("late", WORKER_LEASE)
        assert job is not None
        before = laws.rows_of(self.store)
        try:
            self.handlers[job.kind](Late(self.store, job, WORKER_LEASE))
        except LeaseLost:
            mine = {"jobs", "explorations", "versions", "events"} if job.kind == "receive" else {"jobs"}
            after = laws.rows_of(self.store)
            assert all(after[name] == before[name] for name in before.keys() - mine)
        except REFUSED:
            pass  # before it came to commit anything
        else:
            raise AssertionError("a late commit counts")
        forsake(self.store, job)

    def carry_out(self, work: Work, fuse: int | None = None) -> None:
        try:
            with burning(self.store, fuse):
                self.handlers[work.job.kind](work)
        except Killed:
            forsake(self.store, work.job)
        except Exception as error:  # as a worker does: kept with the job, which is tried again
            dead = self.store.queue.fail(work.job, str(error), 0.0, limit=4)
            if dead:
                raise

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "receive": self.received,
            "intake": self.intake,
            "explore": self.explored,
            "scan": self.scanned,
            "decide": self.stages.decide,
        }

    def received(self, work: Work) -> None:
        pipeline.ask(self.store, work.job.subject, REQUEST, pipeline.policy_bundle(self.store).sha256)
        with work.commit(done=True):
            pass

    def intake(self, work: Work) -> None:
        report = scan.Report(self.found(work.job.subject, Source.MEDIA), [run(Source.MEDIA)])
        with mock.patch.object(pipeline, "look_at_media", return_value={"media": report}):
            self.stages.intake(work)

    def explored(self, work: Work) -> None:
        row = self.store.exploration(work.job.payload["exploration"])
        with work.commit(done=True) as tx:
            tx.explored(row.id, sufficient_coverage(bundles()["base"]), {}, ())
            tx.transition(row.version, WorldState.SCANNING, "policy", "explored")
            pipeline._queue(tx, "scan", row.version, row.id)

    def scanned(self, work: Work) -> None:
        row = self.store.exploration(work.job.payload["exploration"])
        policy = pipeline.policy_bundle(self.store).sha256
        with work.commit(done=True) as tx:
            tx.add_findings(row.version, row.id, self.found(row.version, Source.PLAYTHROUGH))
            tx.add_run(row.version, row.id, "play", run(Source.PLAYTHROUGH))
            tx.scanned(row.id)
            tx.transition(row.version, WorldState.DECIDING, "policy", "scanned")
            pipeline._queue(tx, "decide", row.version, row.id, policy)

    def found(self, version: str, source: Source) -> list[Finding]:
        label, _, score = self.shown[version].partition(" ")
        if not score or (label == "odd") != (source is Source.MEDIA):
            return []
        name = hashlib.sha256(f"{version}{label}".encode()).hexdigest()[:16]
        return [Finding(name, "eye", "1", label, float(score), source, 1, 2, text="words")]

    @precondition(lambda self: self.versions(*REVIEWABLE))
    @rule(nth=places, seed=st.integers(0, 3))
    def review_again(self, nth: int, seed: int) -> None:
        """By another seed, or as before."""
        asked = replace(REQUEST, seed=seed)
        policy = pipeline.policy_bundle(self.store).sha256
        pipeline.ask(self.store, some(self.versions(*REVIEWABLE), nth), asked, policy)

    # -- people ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.cases(Status.WAITING))
    @rule(target=requests, who=people, fuse=fuses)
    def claim(self, who: str, fuse: int | None) -> Request:
        key, now = self.key(), self.now
        return self.attempt(
            Request(
                lambda: queue.claim(self.store, PEOPLE[who], lease=CASE_LEASE, now=now, key=key).id,
                keyed=True,
            ),
            fuse,
        )

    @precondition(lambda self: self.cases(Status.CLAIMED))
    @rule(target=requests, nth=places, which=places, fuse=fuses)
    def decide(self, nth: int, which: int, fuse: int | None) -> Request:
        case = self.case(some(self.cases(Status.CLAIMED), nth))
        who, key, now, bundle = PEOPLE[case.holder or ""], self.key(), self.now, self.policy()
        choice = some([one for one in CHOICES if one.outcome in OUTCOMES[case.reason]], which)
        return self.attempt(
            Request(
                lambda: decide(self.store, who, case.id, choice, bundle, now=now, key=key).id, keyed=True
            ),
            fuse,
        )

    @precondition(lambda self: self.cases(Status.SECOND))
    @rule(target=requests, nth=places, who=people, agrees=st.booleans(), fuse=fuses)
    def second(self, nth: int, who: str, agrees: bool, fuse: int | None) -> Request:
        case, key, now, bundle = some(self.cases(Status.SECOND), nth), self.key(), self.now, self.policy()

        def act() -> object:
            if agrees:
                return approve(self.store, PEOPLE[who], case, bundle, key=key).id
            return disagree(self.store, PEOPLE[who], case, "no", now=now, key=key).id

        return self.attempt(Request(act, keyed=True), fuse)

    @rule()
    def time_passes(self) -> None:
        self.now += CASE_LEASE / 2 + 1
        queue.sweep(self.store, self.now)

    @precondition(lambda self: self.versions(WorldState.PUBLISHED, WorldState.SUSPENDED))
    @rule(target=requests, nth=places, fuse=fuses)
    def take_down(self, nth: int, fuse: int | None) -> Request:
        world = some(self.worlds(WorldState.PUBLISHED, WorldState.SUSPENDED), nth)
        return self.attempt(
            Request(lambda: lineage.take_down(self.store, world, "cora", "illegal"), keyed=False), fuse
        )

    @precondition(lambda self: len(self.versions()) > 3)
    @rule(nth=places, fuse=fuses, sure=st.integers(0, 3))
    def quarantine(self, nth: int, fuse: int | None, sure: int) -> None:
        """Now and then."""
        if not sure:
            world = some(self.worlds(), nth)
            act = Request(lambda: lineage.quarantine(self.store, world, "cora", "for the law"), keyed=False)
            self.attempt(act, fuse)

    # -- players and the guard ------------------------------------------------------------------------------

    @precondition(lambda self: self.versions(WorldState.PUBLISHED))
    @rule(nth=places)
    def play(self, nth: int) -> None:
        """As a ticket's socket does: by the published world, where it may be played."""
        world = some(self.worlds(WorldState.PUBLISHED), nth)
        version = self.store.published_world(world).version
        if live.playable(self.store, [world]):
            self.sessions[len(self.sessions)] = version

    @precondition(lambda self: self.versions(WorldState.PUBLISHED))
    @rule(nth=places, fuse=fuses)
    def guard(self, nth: int, fuse: int | None) -> None:
        version = some(self.versions(WorldState.PUBLISHED), nth)

        def act() -> None:
            with self.store.writing() as tx:
                lineage.suspend(tx, version, "guard", "seen in play", None)

        self.attempt(Request(act, keyed=False), fuse)

    # -- policies -------------------------------------------------------------------------------------------

    @rule(target=requests, name=st.sampled_from(sorted(TEXTS)), fuse=fuses)
    def change_policy(self, name: str, fuse: int | None) -> Request:
        """Proposed by one, held against all that is stored, promoted by another."""
        sha256 = bundles()[name].sha256
        self.attempt(Request(lambda: promotion.shadow(self.store, sha256, "ada"), keyed=False))
        with self.store.reading() as connection:
            new = find_bundle(connection, sha256)
        keep_backtest(self.store, backtest(self.store, new, promotion.live(self.store), processes=1))
        promoted = Request(lambda: promotion.promote(self.store, sha256, "grace"), keyed=False)
        return self.attempt(promoted, fuse)

    # -- again ----------------------------------------------------------------------------------------------

    @rule(act=requests)
    def repeat(self, act: Request) -> None:
        """What was carried out under a key changes nothing the second time, and is answered as the first."""
        if not (act.done and act.keyed):
            self.attempt(act)
            return
        before = laws.rows_of(self.store)
        assert act.act() == act.answer
        assert laws.rows_of(self.store) == before

    # -- what must always hold ------------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost_or_let_through(self) -> None:
        rows = self.look()
        laws.hold(rows)
        laws.nothing_is_lost(rows)
        self.only_what_is_published_is_served(rows)

    def only_what_is_published_is_served(self, rows: laws.Rows) -> None:
        published = {row["id"] for row in rows["versions"] if row["state"] == WorldState.PUBLISHED}
        gone = laws.gone(rows)
        assert {one.version for one in self.store.published()} <= published
        playable = live.playable(self.store, {row["world"] for row in rows["versions"]})
        self.watch()
        served = {self.store.published_world(world).version for world in playable}
        for version in served | set(self.sessions.values()):
            assert version in published, "a version is played that is not published"
            assert gone.isdisjoint(laws.lines(rows, version)), "what was taken down is played in a remix"

    def watch(self) -> None:
        """As the server does after every change: sessions end of what may not be played any more."""
        known = live.still_playable(self.store, set(self.sessions.values()))
        self.sessions = {number: one for number, one in self.sessions.items() if one in known}

    def everything_ends(self) -> None:
        """When all workers have done what there is to do, everything is decided, or with people."""
        self.work_on()
        rows = laws.rows_of(self.store)
        assert {row["state"] for row in rows["jobs"]} <= {"done"}
        assert all(WorldState(row["state"]) in DECIDED for row in rows["versions"])
        self.nothing_is_lost_or_let_through()

    # -- looking --------------------------------------------------------------------------------------------

    def look(self) -> laws.Rows:
        """All that there is, which the rules choose from."""
        self.rows = laws.rows_of(self.store)
        return self.rows

    def versions(self, *states: WorldState) -> list[str]:
        """Ids, oldest first."""
        rows = sorted(self.rows["versions"], key=lambda row: (row["created"], row["id"]))
        return [row["id"] for row in rows if not states or row["state"] in states]

    def worlds(self, *states: WorldState) -> list[str]:
        return sorted({row["world"] for row in self.rows["versions"] if not states or row["state"] in states})

    def cases(self, *statuses: Status) -> list[int]:
        """Numbers of those that are open."""
        return [row["id"] for row in self.rows["cases"] if row["status"] in statuses]

    def case(self, number: int) -> Case:
        with self.store.reading() as connection:
            return stored.find_case(connection, number)

    def policy(self) -> Bundle:
        return pipeline.policy_bundle(self.store)


def some(several: Sequence[T], nth: int) -> T:
    return several[nth % len(several)]


def run(source: Source) -> DetectorRun:
    return DetectorRun("eye", "1", source, 5, ok=True)


@cache
def package(title: str, parent: str | None, number: int) -> WorldPackage:
    more = f"remix_of: {parent}\n" if parent else ""
    return make_package({"world.yaml": f"title: {title}\nprompt: cave {number}\nseed: 1\n{more}".encode()})


def forsake(store: Store, job: Job) -> None:
    """Its worker was not heard of until the lease ran out."""
    with store.writing() as tx:
        tx.connection.exec_driver_sql(
            "UPDATE jobs SET lease_until = 0 WHERE id = ? AND token = ? AND state = 'running'",
            (job.id, job.token),
        )
    store.queue.sweep(WORKER_LEASE, limit=100)


@contextmanager
def burning(store: Store, fuse: int | None) -> Iterator[None]:
    """Kill the process after so many statements."""
    left = [fuse]

    def burn(*_: object) -> None:
        if left[0] is not None:
            if left[0] == 0:
                left[0] = None
                raise Killed
            left[0] -= 1

    event.listen(store.database._engine, "before_cursor_execute", burn)
    try:
        yield
    finally:
        event.remove(store.database._engine, "before_cursor_execute", burn)


@cache
def bundles() -> dict[str, Bundle]:
    folder = Path(tempfile.mkdtemp())
    for name, text in TEXTS.items():
        (folder / f"{name}.yaml").write_text(text)
    return {name: load_bundle(folder / f"{name}.yaml") for name in TEXTS}


@cache
def workshop() -> Store:
    """One store for all histories, which knows its statements by heart."""
    folder = Path(tempfile.mkdtemp())
    return open_store(folder, f"sqlite:///{shutil.copy(prepared(), folder)}")


@cache
def stages() -> pipeline.Stages:
    return pipeline.Stages(workshop(), light())


def fresh() -> Store:
    """The same store, with nothing in it again."""
    store = workshop()
    store.database.close()
    file = Path(str(store.database.url.database))
    for rest in ("-wal", "-shm"):
        file.with_name(file.name + rest).unlink(missing_ok=True)
    shutil.copy(prepared(), file)
    return store


@cache
def prepared() -> Path:
    """A database with a live bundle and others in it, to copy."""
    file = Path(tempfile.mkdtemp()) / "prepared.sqlite3"
    folder = Path(tempfile.mkdtemp())
    with_bundles = open_store(file.parent, f"sqlite:///{file}")
    for name, bundle in bundles().items():
        path = folder / f"{name}.yaml"
        path.write_text(TEXTS[name])
        with with_bundles.writing() as tx:
            keep(tx, bundle, path)
    base = bundles()["base"].sha256
    promotion.shadow(with_bundles, base, "ada")
    with with_bundles.reading() as connection:
        new = find_bundle(connection, base)
    keep_backtest(with_bundles, backtest(with_bundles, new, promotion.live(with_bundles), processes=1))
    promotion.promote(with_bundles, base, "grace")
    with_bundles.close()
    return file


Whole.TestCase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestWhole = Whole.TestCase
