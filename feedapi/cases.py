"""What moderators program against: the queue, claims, decisions, second approval, appeals."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from feedapi import services
from feedapi.evidence import sent
from feedapi.identity import Creator, Moderator
from feedapi.once import Key
from feedapi.problems import Problem, responses
from moderation.accounts import Principal
from moderation.cases import appeals, queue, reading
from moderation.cases.decide import BadRuling, Choice, approve, decide, disagree
from moderation.cases.reasons import OUTCOMES, Outcome, Reason
from moderation.store import Store, accounts, cases
from moderation.store.cases import Case, Status

router = APIRouter(prefix="/v1", tags=["moderation"])
CaseId = Annotated[int, Path(ge=1, le=2**31 - 1)]
SHA256 = r"^[0-9a-f]{64}$"


class CaseItem(BaseModel):
    """Something that a person must look at."""

    id: int
    version: str
    world: str
    reason: Reason
    severity: int
    """0 (least) to 4."""
    reach: int
    """Plays, as far as known."""
    opened: datetime
    due: datetime
    status: Status
    senior: bool
    """Only for seniors."""
    holder: str | None
    token: int
    """What the holder's next call shows to hold."""
    lease_until: datetime | None
    outcome: str | None
    outcomes: list[Outcome]
    """What it may end with."""


class CaseList(BaseModel):
    """The queue, worst first."""

    items: list[CaseItem]


class CaseView(BaseModel):
    """A case with all that whoever decides may see of it."""

    case: CaseItem
    blind: bool
    """Whether what was decided before is hidden until it is decided again."""
    seen: dict[str, Any]
    """Decision and its rules, evidence, actions and log; of a blind case the evidence and findings alone."""


class Held(BaseModel):
    """Which claim is meant."""

    token: int | None = None


class Ruling(Held):
    """What somebody decides."""

    outcome: Outcome
    rules: list[str] = Field(default_factory=list, max_length=20)
    """Rules of the policy that the world breaks; needed unless it is cleared."""
    reason: str = Field("", max_length=2000)
    """For the creator; no personal data, since it is published."""
    law: str = Field("", max_length=500)


class Words(Held):
    """Why, or what is to be remembered."""

    text: str = Field(min_length=1, max_length=4000)


class Plea(BaseModel):
    """What is wrong with a decision."""

    text: str = Field(min_length=1, max_length=4000)


_CASE = responses("not-signed-in", "not-allowed", "not-found", "conflict", "lease-lost")


@router.get("/cases", responses=responses("not-signed-in", "not-allowed"))
def list_cases(
    request: Request,
    who: Moderator,
    reason: Reason | None = None,
    status: Status | None = None,
) -> CaseList:
    """The open cases: the worst first, then those that most people met, then the first that is due."""
    del who
    found = queue.waiting(services.of(request).store)
    kept = [one for one in found if reason in (None, one.reason) and status in (None, one.status)]
    return CaseList(items=[_item(one) for one in kept])


@router.post("/claims", responses=_CASE)
def claim_next(request: Request, who: Moderator, key: Key = None) -> CaseItem:
    """Take the first case that one may take."""
    return _item(queue.claim(services.of(request).store, who, key=key or None))


@router.get("/cases/{case}", responses=_CASE)
def get_case(request: Request, who: Moderator, case: CaseId) -> CaseView:
    """A case with its evidence; that one looked is logged."""
    return view_of(services.of(request).store, who, case)


@router.post("/cases/{case}/claim", responses=_CASE)
def claim(request: Request, who: Moderator, case: CaseId, key: Key = None) -> CaseItem:
    """Take a case; whoever has it already keeps it longer."""
    return _item(queue.claim(services.of(request).store, who, case, key=key or None))


@router.post("/cases/{case}/heartbeat", responses=_CASE)
def heartbeat(request: Request, who: Moderator, case: CaseId, held: Held) -> CaseItem:
    """Say that one is still looking."""
    token = held.token if held.token is not None else -1
    return _item(queue.renew(services.of(request).store, who, case, token))


@router.post("/cases/{case}/release", responses=_CASE)
def release(request: Request, who: Moderator, case: CaseId, held: Held, key: Key = None) -> CaseItem:
    """Give it back undecided."""
    return _item(queue.release(services.of(request).store, who, case, token=held.token, key=key or None))


@router.post("/cases/{case}/notes", status_code=204, responses=_CASE)
def note(request: Request, who: Moderator, case: CaseId, said: Words, key: Key = None) -> None:
    """Write something down for whoever looks at the case."""
    try:
        queue.note(services.of(request).store, who, case, said.text, key=key or None)
    except ValueError as error:
        raise Problem("invalid", str(error)) from None


@router.post("/cases/{case}/escalate", responses=_CASE)
def escalate(request: Request, who: Moderator, case: CaseId, said: Words, key: Key = None) -> CaseItem:
    """Leave it to seniors."""
    store = services.of(request).store
    return _item(queue.escalate(store, who, case, said.text, token=said.token, key=key or None))


@router.post("/cases/{case}/decide", responses=_CASE)
def decide_case(request: Request, who: Moderator, case: CaseId, said: Ruling, key: Key = None) -> CaseItem:
    """Decide a case that one holds: it counts at once, or waits for a second person (``status``)."""
    from moderation.pipeline import policy_bundle

    choice = Choice(said.outcome, said.rules, said.reason, said.law)
    store = services.of(request).store
    try:
        done = decide(store, who, case, choice, policy_bundle(store), token=said.token, key=key or None)
    except BadRuling as error:
        raise Problem("invalid", str(error)) from None
    return _item(done)


@router.post("/cases/{case}/approve", responses=_CASE)
def approve_case(request: Request, who: Moderator, case: CaseId, key: Key = None) -> CaseItem:
    """Agree with what another person decided: now it counts."""
    from moderation.pipeline import policy_bundle

    store = services.of(request).store
    return _item(approve(store, who, case, policy_bundle(store), key=key or None))


@router.post("/cases/{case}/disagree", responses=_CASE)
def disagree_case(request: Request, who: Moderator, case: CaseId, said: Words, key: Key = None) -> CaseItem:
    """Do not agree: the case waits again."""
    return _item(disagree(services.of(request).store, who, case, said.text, key=key or None))


@router.get(
    "/cases/{case}/evidence/{blob}",
    response_class=Response,
    responses=_CASE | {200: {"content": {"video/mp4": {}, "image/png": {}}, "description": "What was seen."}},
)
def get_evidence(
    request: Request, who: Moderator, case: CaseId, blob: Annotated[str, Path(pattern=SHA256)]
) -> Response:
    """A clip or a picture of a case; that one looked is logged."""
    store = services.of(request).store
    kind = appeals.shows(store, who, case, blob)
    if kind is None:
        raise Problem("not-found", f"case {case} shows no such clip or picture")
    version = find_case(store, who, case).version
    with store.writing() as tx:
        accounts.note_read(tx.connection, who.account, f"case {case}, {blob}", version)
    return sent(request, store.blobs.read(blob), kind, "private, no-cache")


@router.post(
    "/versions/{version}/appeal",
    status_code=202,
    responses=responses("not-signed-in", "not-allowed", "not-found", "conflict"),
)
def appeal(
    request: Request,
    version: Annotated[str, Path(pattern=SHA256)],
    who: Creator,
    said: Plea,
    key: Key = None,
) -> CaseItem:
    """Object to a rejection or take-down of one's own world, once: another person decides, blind."""
    try:
        case = appeals.appeal(services.of(request).store, who.account, version, said.text, key=key or None)
    except ValueError as error:
        raise Problem("invalid", str(error)) from None
    return _item(case)


def view_of(store: Store, who: Principal, case: int, how: str = "") -> CaseView:
    """What this person may see of a case; logs that they looked, and ``how``. Raises MayNot, NotFound."""
    found = find_case(store, who, case)
    blind = asdict(appeals.evidence(store, who, case))
    hidden = appeals.is_blind(found)
    seen = blind if hidden else blind | reading.dossier(store, who, case)
    with store.writing() as tx:
        accounts.note_read(tx.connection, who.account, f"case {case}{how}", found.version)
    return CaseView(case=_item(found), blind=hidden, seen=seen)


def find_case(store: Store, who: Principal, case: int) -> Case:
    """A case that this person may look at. Raises MayNot, NotFound."""
    with store.reading() as connection:
        found = cases.find_case(connection, case)
        queue.check_person(connection, who, found)
    return found


def _item(case: Case) -> CaseItem:
    return CaseItem(
        id=case.id,
        version=case.version,
        world=case.world,
        reason=case.reason,
        severity=case.severity,
        reach=case.reach,
        opened=datetime.fromtimestamp(case.opened, UTC),
        due=datetime.fromtimestamp(case.due, UTC),
        status=case.status,
        senior=case.senior,
        holder=case.holder,
        token=case.token,
        lease_until=None if case.lease_until is None else datetime.fromtimestamp(case.lease_until, UTC),
        outcome=case.outcome,
        outcomes=sorted(OUTCOMES[case.reason]),
    )
