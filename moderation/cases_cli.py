"""``firstplay cases``, ``firstplay audit`` and ``firstplay policy breakers``: what people decide."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from moderation.cases.reasons import Outcome, Reason
from moderation.options import AsJson, Home, home_store, refuse

if TYPE_CHECKING:
    from moderation.accounts import Principal
    from moderation.cases.quality import Agreement, Quality
    from moderation.store import Store
    from moderation.store.cases import Case

Who = Annotated[
    str, typer.Option("--as", help="Account that acts: a moderator or senior.", show_default=False)
]
Number = Annotated[int, typer.Argument(metavar="CASE", help="As `firstplay cases list` numbers it.")]
Since = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="First day (UTC); default all.", show_default=False),
]


def register_cases(app: typer.Typer) -> None:
    """Add the groups ``cases`` and ``audit`` to ``app``, and ``breakers`` to its ``policy``."""
    from policies.cli import group as policy

    cases = typer.Typer(no_args_is_help=True, help="What a person must look at, and what people decided.")
    for name, command in (
        ("list", list_cases),
        ("show", show),
        ("claim", claim_case),
        ("release", release_case),
        ("note", add_note),
        ("escalate", escalate_case),
        ("decide", decide_case),
        ("approve", approve_case),
        ("appeal", appeal_decision),
        ("sweep", sweep_leases),
        ("quality", show_quality),
        ("statements", export_statements),
    ):
        cases.command(name)(command)
    app.add_typer(cases, name="cases")
    audit = typer.Typer(no_args_is_help=True, help="Everything that was done, for those who check.")
    audit.command("export")(export_audit)
    app.add_typer(audit, name="audit")
    policy(app).command("breakers")(show_breakers)


# -- the queue --------------------------------------------------------------------------------------------


def list_cases(
    reason: Annotated[Reason | None, typer.Option(help="Only these.", show_default=False)] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Open cases: the worst first, then those that most people met, then the first that is due."""
    from moderation.cases import queue

    found = [one for one in queue.waiting(home_store(home)) if reason in (None, one.reason)]
    if as_json:
        _echo_json([_told(one) for one in found])
        return
    _table(
        ("case", "world", "because", "severity", "reach", "due", "stands"),
        (
            (str(one.id), one.world, one.reason, f"S{one.severity}", str(one.reach), *_times(one))
            for one in found
        ),
    )


def show(
    case: Number,
    who: Who,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """A case with all that may be known of it: of an appeal and a check, only the evidence.

    Exit codes: 0 shown; 2 no such case, or not for this person.
    """
    from moderation.cases.appeals import evidence, is_blind
    from moderation.cases.reading import dossier

    store = home_store(home)
    with _refusing():
        person = _person(store, who)
        blind = is_blind(_case(store, case))
        told = asdict(evidence(store, person, case)) if blind else dossier(store, person, case)
    if as_json:
        _echo_json(told)
        return
    for name, value in told.items():
        typer.echo(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")


def claim_case(
    who: Who,
    case: Annotated[int | None, typer.Argument(metavar="[CASE]", help="Default: the first.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Until the claim lapses.")] = 15,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take a case; whoever has it keeps it longer. Exit code 2: none waits, or it is not for this person."""
    from moderation.cases import queue

    store = home_store(home)
    with _refusing():
        found = queue.claim(store, _person(store, who), case, lease=minutes * 60)
    _tell(found, as_json)


def release_case(case: Number, who: Who, home: Home = None, as_json: AsJson = False) -> None:
    """Give a case back undecided. Exit code 2: this person does not have it."""
    from moderation.cases import queue

    store = home_store(home)
    with _refusing():
        found = queue.release(store, _person(store, who), case)
    _tell(found, as_json)


def add_note(
    case: Number,
    text: Annotated[str, typer.Argument(help="For whoever looks at the case.")],
    who: Who,
    home: Home = None,
) -> None:
    """Write something down about a case. Exit code 2: no such case, or not for this person."""
    from moderation.cases import queue

    store = home_store(home)
    with _refusing():
        queue.note(store, _person(store, who), case, text)


def escalate_case(
    case: Number,
    who: Who,
    reason: Annotated[str, typer.Option(help="Why a senior must look.", show_default=False)],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Leave a case that one has to seniors. Exit code 2: this person does not have it."""
    from moderation.cases import queue

    store = home_store(home)
    with _refusing():
        found = queue.escalate(store, _person(store, who), case, reason)
    _tell(found, as_json)


def sweep_leases(home: Home = None) -> None:
    """Let cases wait again whose claim has lapsed; every claim does so, too."""
    from moderation.cases import queue

    for case in queue.sweep(home_store(home)):
        typer.echo(f"case {case} waits again")


# -- decisions --------------------------------------------------------------------------------------------


def decide_case(
    case: Number,
    outcome: Annotated[Outcome, typer.Argument(help="What is decided.")],
    who: Who,
    rule: Annotated[list[str] | None, typer.Option(help="Rule that it breaks; repeat for several.")] = None,
    reason: Annotated[str, typer.Option(help="For the creator, and public: no names.")] = "",
    law: Annotated[str, typer.Option(help="The law that it breaks, if any.")] = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Decide a case that one has claimed.

    Exit codes: 0 it counts; 1 a second person must agree; 2 it was refused, and why.
    """
    from moderation.cases.decide import Choice, decide
    from moderation.pipeline import policy_bundle
    from moderation.store.cases import Status

    store = home_store(home)
    choice = Choice(outcome, tuple(rule or ()), reason, law)
    with _refusing():
        found = decide(store, _person(store, who), case, choice, policy_bundle(store))
    _tell(found, as_json)
    raise typer.Exit(1 if found.status is Status.SECOND else 0)


def approve_case(
    case: Number,
    who: Who,
    disagree: Annotated[str | None, typer.Option(help="Do not agree, and why.", show_default=False)] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Agree, as a second person, with what somebody decided; or do not, and the case waits again.

    Exit code 2: there is nothing to agree with, or this person may not.
    """
    from moderation.cases import decide
    from moderation.pipeline import policy_bundle

    store = home_store(home)
    with _refusing():
        person = _person(store, who)
        if disagree is not None:
            found = decide.disagree(store, person, case, disagree)
        else:
            found = decide.approve(store, person, case, policy_bundle(store))
    _tell(found, as_json)


def appeal_decision(
    world: Annotated[str, typer.Argument(help="Slug of a world, or how a version's hash begins.")],
    text: Annotated[str, typer.Option(help="What is wrong with the decision.", show_default=False)],
    who: Annotated[str, typer.Option("--as", help="Account that made the world.")] = "creator",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Object, as its creator, to a rejection or a take-down; somebody else judges, unaware of the first.

    Exit code 2: there is nothing to object to, or it is not this creator's.
    """
    from moderation.cases.appeals import appeal
    from moderation.cli import find_world

    store = home_store(home)
    versions = find_world(store, world)
    if not versions:
        refuse(f"error: no world {world!r}: `firstplay worlds` lists them")
    with _refusing():
        found = appeal(store, who, versions[-1].id, text)
    _tell(found, as_json)


# -- for those who check ------------------------------------------------------------------------------------


def show_quality(since: Since = None, home: Home = None, as_json: AsJson = False) -> None:
    """How far people agree with automatic decisions, how appeals end, and how long cases take."""
    from moderation.cases.quality import quality

    found = quality(home_store(home), time.time(), _seconds(since))
    if as_json:
        _echo_json(asdict(found))
        return
    for line in _quality(found):
        typer.echo(line)


def export_statements(
    since: Since = None,
    form: Annotated[Literal["jsonl", "csv"], typer.Option("--format", help="How to write them.")] = "jsonl",
    home: Home = None,
) -> None:
    """Statements of reasons, as the EU's transparency database takes them, all of them, oldest first."""
    from moderation.cases import audit, statements

    told = audit.statements(home_store(home), _seconds(since))
    _stream(statements.json_lines(told) if form == "jsonl" else statements.csv_lines(told))


def export_audit(home: Home = None) -> None:
    """Every change of state, case, action, ruling, statement and breaker in order, as JSON Lines."""
    from moderation.cases import audit

    _stream(audit.lines(home_store(home)))


def show_breakers(
    reset: Annotated[str | None, typer.Option(metavar="RULE", help="Let this rule reject again.")] = None,
    reason: Annotated[str, typer.Option(help="Why it may; the log keeps it.")] = "",
    who: Annotated[
        str | None, typer.Option("--as", help="Account that resets it.", show_default=False)
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Which rules may only send to people, since they rejected too often; how often every rule fires.

    Exit codes: 0 shown, or reset; 2 that rule's breaker has not tripped, or a name or a reason is missing.
    """
    from moderation.cases import breakers
    from moderation.pipeline import policy_bundle

    store = home_store(home)
    if reset is not None:
        with _refusing():
            breakers.reset(store, reset, _person(store, who or "", "policies").account, reason)
    found = breakers.readings(store, breakers.limits_of(policy_bundle(store)))
    if as_json:
        _echo_json([asdict(one) for one in found])
        return
    _table(
        ("rule", "stands", "asked today", "fired", "rejected", "asked before", "fired", "p"),
        (
            (
                one.rule,
                "may reject" if one.tripped is None else f"tripped: {one.why}",
                *map(str, (one.today.decided, one.today.fired, one.today.restricted)),
                *map(str, (one.before.decided, one.before.fired)),
                f"{one.surprise:.2g}",
            )
            for one in found
        ),
    )


# -- words ------------------------------------------------------------------------------------------------


def _told(case: Case) -> dict[str, Any]:
    """A case without what those who judge it blind must not see."""
    from moderation.cases.appeals import is_blind

    told = asdict(case)
    for name in ("proposal", "decision", "contested") if is_blind(case) else ():
        del told[name]
    return told


def _tell(case: Case, as_json: bool) -> None:
    if as_json:
        _echo_json(_told(case))
        return
    until = "" if case.lease_until is None else f" by {case.holder} until {_at(case.lease_until)}"
    ended = "" if case.outcome is None else f": {case.outcome.replace('_', ' ')}"
    typer.echo(f"case {case.id} ({case.world}, {case.reason}): {case.status.replace('_', ' ')}{until}{ended}")


def _times(case: Case) -> tuple[str, str]:
    late = " (late)" if case.due < time.time() else ""
    holder = f" by {case.holder}" if case.holder else ""
    senior = ", for seniors" if case.senior else ""
    return f"{_at(case.due)}{late}", f"{case.status.replace('_', ' ')}{holder}{senior}"


def _quality(found: Quality) -> Iterator[str]:
    yield f"{found.waiting} cases open, {found.overdue} of them overdue"
    yield f"appeals: {found.appeals.hits} of {found.appeals.of} overturned" + _within(
        found.appeals.low, found.appeals.high
    )
    yield "checks of automatic decisions: " + (
        "none yet" if found.in_all is None else _agreement(found.in_all)
    )
    for rule, agreement in found.by_rule.items():
        yield f"  {rule}: {_agreement(agreement)}"
    for reason, times in found.times.items():
        yield (
            f"{reason}: {times.n} decided, held {times.median:.0f} s (median), {times.p90:.0f} s (p90), "
            f"{times.late} late"
        )


def _agreement(found: Agreement) -> str:
    if found.kappa is None or found.low is None or found.high is None:
        return f"{found.n} cases, {found.observed:.0%} alike; kappa is not defined where all are of one kind"
    return f"{found.n} cases, {found.observed:.0%} alike, kappa {found.kappa:.2f}" + _within(
        found.low, found.high
    )


def _within(low: float, high: float) -> str:
    return f" (95 %: {low:.2f} to {high:.2f})"


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _table(names: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*names)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _echo_json(told: object) -> None:
    typer.echo(json.dumps(told, indent=2, ensure_ascii=False))


def _stream(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line)


# -- parts ------------------------------------------------------------------------------------------------


def _person(store: Store, name: str, scope: str = "cases") -> Principal:
    """Somebody by name, on the word of whoever may run commands here. Raises NotFound, MayNot."""
    from moderation.accounts import Principal, scopes_of
    from moderation.cases.queue import MayNot
    from moderation.store import accounts

    with store.reading() as connection:
        if not name:
            raise MayNot("say who does this: --as NAME")
        found = accounts.find_account(connection, name)
    person = Principal(found.id, found.roles, frozenset() if found.disabled else scopes_of(found.roles))
    if not person.may(scope):
        raise MayNot(f"{name} may not do this: `firstplay accounts` shows who may what")
    return person


def _case(store: Store, case: int) -> Case:
    from moderation.store import cases

    with store.reading() as connection:
        return cases.find_case(connection, case)


def _seconds(day: datetime | None) -> float:
    return 0.0 if day is None else day.replace(tzinfo=UTC).timestamp()


@contextmanager
def _refusing() -> Iterator[None]:
    """What cannot be done ends the command in one sentence."""
    from moderation.cases.queue import MayNot
    from moderation.states import IllegalTransition
    from moderation.store import Conflict, LeaseLost, NotFound

    try:
        yield
    except (Conflict, LeaseLost, NotFound, MayNot, IllegalTransition, ValueError) as error:
        refuse(f"error: {error}")
