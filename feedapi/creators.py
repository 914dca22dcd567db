"""What creators program against: upload, submit, remix, follow, read the decision, withdraw."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

from feedapi import services
from feedapi.evidence import of_version, sent
from feedapi.identity import Creator
from feedapi.lineage import changes
from feedapi.once import Key, answer_once
from feedapi.preview import compiled, preview_of
from feedapi.problems import Problem, responses
from feedapi.shapes import (
    Change,
    Clip,
    DecisionItem,
    FiredRule,
    NewWorld,
    Preview,
    Upload,
    VersionItem,
    VersionList,
    Withdrawal,
)
from moderation import origins, submitting
from moderation.accounts import Principal
from moderation.jobs import check_room
from moderation.spending import check_review
from moderation.states import WORKING, WorldState
from moderation.store import Quarantined, Store, StoredDecision, Transaction, Version
from moderation.submitting import KnownContent, Submission
from moderation.waiting import open_jobs_of, outlook
from worldmodel.problems import PackageError

router = APIRouter(prefix="/v1", tags=["creators"])

SHA256 = r"^[0-9a-f]{64}$"
VersionId = Annotated[str, Path(pattern=SHA256, description="SHA-256 of the content.")]
ZIP = "application/zip"
POLL = 0.5
"""Seconds between two looks at a review that is followed."""
TOLD_EVERY = 5
"""Seconds to which the time that is left is rounded up, so that not every look is news."""
FOLLOWED = (
    "`state` and `progress` events. Progress names the `stage`, how much of it is `done` of a `total` in a "
    "`unit`, how many worlds are `ahead` in the queue, and the seconds `left`, each where it is known."
)
QUIET = 15.0
"""Seconds after which a stream says that it is still there."""


def _body(**kinds: Any) -> dict[str, Any]:
    """What OpenAPI says of a body that the route reads itself."""
    return {"requestBody": {"required": True, "content": kinds}}


_BYTES = {"schema": {"type": "string", "format": "binary", "minLength": 1}}


@router.post(
    "/uploads",
    status_code=201,
    responses=responses("not-signed-in", "not-allowed", "too-large"),
    openapi_extra=_body(**{"application/octet-stream": _BYTES}),
)
async def upload(request: Request, who: Creator) -> Upload:
    """Keep the body's bytes (a picture, a sound or a video) for a submission; a day if none names them."""
    data = await request.body()
    if not data:
        raise Problem("invalid", "the body is empty: send the file's bytes")
    blob = await asyncio.to_thread(submitting.upload, services.of(request).store, who.account, data)
    return Upload(id=blob, size=len(data))


_SUBMIT: dict[str, Any] = {
    "status_code": 202,
    "response_model": VersionItem,
    "responses": responses(
        "not-signed-in",
        "not-allowed",
        "bad-package",
        "known-content",
        "not-found",
        "too-large",
        "full",
        "over-budget",
    ),
}


@router.post(
    "/worlds",
    **_SUBMIT,
    openapi_extra=_body(**{"application/json": {"schema": NewWorld.model_json_schema()}, ZIP: _BYTES}),
)
async def submit(
    request: Request,
    who: Creator,
    key: Key = None,
) -> Response:
    """Submit a world: JSON with the ids of uploads, or a package as a zip. Its review begins at once."""
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    store = services.of(request).store
    return await asyncio.to_thread(_submit, store, who, key, (kind, body), None)


@router.post("/worlds/{world_id}/versions", **_SUBMIT)
def submit_version(request: Request, world_id: str, new: NewWorld, who: Creator, key: Key = None) -> Response:
    """Submit another version of one's own world; the published one stays until the new one is cleared."""
    body = new.model_dump_json().encode()
    return _submit(services.of(request).store, who, key, ("application/json", body), world_id)


@router.post("/worlds/{world_id}/remixes", **_SUBMIT)
def remix(request: Request, world_id: str, new: NewWorld, who: Creator, key: Key = None) -> Response:
    """Submit a remix of a published world: it inherits what was found there, never the clearance."""
    new.spec["remix_of"] = world_id
    body = new.model_dump_json().encode()
    return _submit(services.of(request).store, who, key, ("application/json", body), None)


def _submit(
    store: Store, who: Principal, key: str | None, sent: tuple[str, bytes], world: str | None
) -> JSONResponse:
    check_room(store)
    submission = _checked(store, who, *sent)

    def work(tx: Transaction) -> tuple[int, BaseModel, dict[str, str]]:
        check_review(tx.connection, who.account)
        version = submitting.submit(tx, who.account, submission, world)
        return 202, _item(version, "submitted"), {"Location": f"/v1/versions/{version.id}"}

    try:
        return answer_once(store, who, key, ("submit", world or "", submission.package.sha256), work)
    except KnownContent as error:
        raise Problem("known-content", str(error)) from None


def _checked(store: Store, who: Principal, kind: str, body: bytes) -> Submission:
    try:
        if kind == ZIP:
            return submitting.zipped(store, body)
        if kind != "application/json":
            raise Problem("invalid", f"content-type: send application/json or {ZIP}, not {kind or 'nothing'}")
        new = NewWorld.model_validate_json(body)
        return submitting.assemble(store, who.account, new.spec, new.files)
    except PackageError as error:
        raise _bad_package(error) from None
    except ValueError as error:
        raise Problem("invalid", f"body: {error}") from None


@router.post("/previews", responses=responses("not-signed-in", "not-allowed", "not-found", "bad-package"))
def preview(
    request: Request,
    new: NewWorld,
    who: Creator,
    against: Annotated[
        str | None, Query(pattern=SHA256, description="A version of one's own, or a published one.")
    ] = None,
) -> Preview:
    """What a world would become: what its prompt was taken to ask for, its map, and a socket to play it."""
    here = services.of(request)
    try:
        package = submitting.package_of(here.store, who.account, new.spec, new.files)
    except PackageError as error:
        raise _bad_package(error) from None
    found: list[Change] = []
    if against is not None:
        base = origins.beginning(here.store, who.account, against)
        found = changes(origins.document(here.store, base), package.spec.canonical())
    world = compiled(package)
    return preview_of(package.spec, world, here.drafts.keep(who.account, world), found)


@router.post("/versions/{version}/draft", responses=responses("not-signed-in", "not-allowed", "not-found"))
def draft(request: Request, version: VersionId, who: Creator) -> NewWorld:
    """What another version or a remix begins with: the spec, and its media as uploads of one's own.

    Of a version of one's own, or of one that is published.
    """
    store = services.of(request).store
    found = origins.beginning(store, who.account, version)
    try:
        spec, files = submitting.draft_of(store, who.account, found)
    except Quarantined as error:
        raise Problem("not-found", str(error)) from None
    return NewWorld(spec=spec, files=files)


@router.get("/world-schema")
def world_schema() -> dict[str, Any]:
    """The JSON Schema of a world's document."""
    from worldmodel.spec import json_schema

    return json_schema()


@router.get("/versions", responses=responses("not-signed-in", "not-allowed"))
def list_versions(
    request: Request,
    who: Creator,
    after: Annotated[str | None, Query(pattern=r"^\d+(\.\d+)?$", description="`next` of a page.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> VersionList:
    """One's own versions, newest first."""
    store = services.of(request).store
    found = store.versions_by(who.account, None if after is None else float(after), limit + 1)
    more = found[limit - 1].created if len(found) > limit else None
    items = [_item(version, _why(store, version)) for version in found[:limit]]
    return VersionList(items=items, next=None if more is None else repr(more))


@router.get("/versions/{version}", responses=responses("not-signed-in", "not-allowed", "not-found"))
def get_version(request: Request, response: Response, version: VersionId, who: Creator) -> VersionItem:
    """Where a version of one's own stands; its ETag is its revision."""
    store = services.of(request).store
    found = submitting.owned(store, who.account, version)
    response.headers["ETag"] = _etag(found)
    return _item(found, _why(store, found))


@router.get(
    "/versions/{version}/events",
    response_class=StreamingResponse,
    responses=responses("not-signed-in", "not-allowed", "not-found")
    | {200: {"content": {"text/event-stream": {}}, "description": FOLLOWED}},
)
async def follow(
    request: Request,
    version: VersionId,
    who: Creator,
    last: Annotated[int, Header(alias="Last-Event-ID", ge=-1, include_in_schema=False)] = -1,
) -> StreamingResponse:
    """Follow a review as server-sent events, until it is decided.

    The header Last-Event-ID, which browsers send by themselves when they connect again, goes on from there.
    """
    store = services.of(request).store
    await asyncio.to_thread(submitting.owned, store, who.account, version)
    stream = _events(request, store, version, last)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events(request: Request, store: Store, version: str, last: int) -> AsyncIterator[str]:
    """One ``state`` event per change (its id is the revision), and ``progress`` while a stage works."""
    told, quiet = "", 0.0
    while not await request.is_disconnected():
        history, jobs, state = await asyncio.to_thread(_look, store, version)
        for event in history:
            if event.revision > last:
                last = event.revision
                data = {"state": event.to_state, "reason": event.reason, "at": event.at}
                yield f"id: {last}\nevent: state\ndata: {json.dumps(data)}\n\n"
        if jobs and jobs != told:
            told, quiet = jobs, 0.0
            yield f"event: progress\ndata: {jobs}\n\n"
        if state not in WORKING:
            return
        quiet += POLL
        if quiet >= QUIET:
            quiet = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(POLL)


def _look(store: Store, version: str) -> tuple[list[Any], str, WorldState]:
    open_jobs = open_jobs_of(store, version)
    working = next(iter(open_jobs), None)
    found = store.version(version)
    view = outlook(store, found, jobs=open_jobs)
    left = None if view is None or view.left is None else TOLD_EVERY * math.ceil(view.left / TOLD_EVERY)
    wait = {"ahead": None if view is None else view.ahead, "left": left}
    jobs = "" if working is None else json.dumps({"stage": working.kind, **(working.progress or {}), **wait})
    return store.history(version), jobs, found.state


@router.get("/versions/{version}/decision", responses=responses("not-signed-in", "not-allowed", "not-found"))
def get_decision(request: Request, version: VersionId, who: Creator) -> DecisionItem:
    """The newest decision on a version of one's own: reasons, clips, and what to change."""
    store = services.of(request).store
    found = submitting.owned(store, who.account, version)
    stored = submitting.decision_of(store, found)
    if stored is None:
        raise Problem("not-found", f"nothing is decided yet: the version is {found.state}")
    return _decision(found, stored)


@router.get(
    "/versions/{version}/evidence/{blob}",
    response_class=Response,
    responses=responses("not-signed-in", "not-allowed", "not-found")
    | {200: {"content": {"video/mp4": {}, "image/png": {}}, "description": "The clip or the picture."}},
)
def get_evidence(
    request: Request, version: VersionId, blob: Annotated[str, Path(pattern=SHA256)], who: Creator
) -> Response:
    """A clip or a picture that the decision shows."""
    store = services.of(request).store
    stored = submitting.decision_of(store, submitting.owned(store, who.account, version))
    if stored is None or not submitting.shown_to_creator(stored, blob):
        raise Problem("not-found", "the decision shows no such clip or picture")
    clips = {one.clip for one in stored.evidence}
    kind = "video/mp4" if blob in clips else "image/png"
    return sent(request, store.blobs.read(blob), kind, "private, max-age=3600")


@router.post(
    "/versions/{version}/withdraw",
    responses=responses(
        "not-signed-in", "not-allowed", "not-found", "conflict", "precondition", "no-precondition"
    ),
    response_model=VersionItem,
)
def withdraw(
    request: Request,
    version: VersionId,
    who: Creator,
    said: Withdrawal,
    if_match: Annotated[str | None, Header(alias="If-Match")] = None,
    key: Key = None,
) -> Response:
    """Take a version back, for good; running sessions of it end. Needs If-Match with its ETag."""
    store = services.of(request).store
    found = submitting.owned(store, who.account, version)
    if if_match is None:
        raise Problem("no-precondition", "send the version's ETag as If-Match")

    def work(tx: Transaction) -> tuple[int, BaseModel, dict[str, str]]:
        now = tx.version(version)
        if _etag(now) != if_match:
            raise Problem("precondition", f"the version is at {_etag(now)}, not {if_match}")
        submitting.withdraw(tx, now, now.revision, said.reason)
        after = tx.version(version)
        return 200, _item(after, said.reason), {"ETag": _etag(after)}

    return answer_once(store, who, key, ("withdraw", found.id, if_match, said.reason), work)


def _bad_package(error: PackageError) -> Problem:
    errors = [
        {"file": one.file, "field": one.field, "message": one.message, "remedy": one.remedy}
        for one in error.problems
    ]
    return Problem("bad-package", str(error.problems[0]), errors=errors)


def _etag(version: Version) -> str:
    return f'"{version.revision}"'


def _why(store: Store, version: Version) -> str:
    return store.history(version.id)[-1].reason


def _item(version: Version, reason: str) -> VersionItem:
    return VersionItem(
        id=version.id,
        world=version.world,
        title=version.title,
        state=version.state,
        reason=reason,
        revision=version.revision,
        remix_of=version.remix_of,
        updated=datetime.fromtimestamp(version.updated, UTC),
    )


def _decision(version: Version, stored: StoredDecision) -> DecisionItem:
    decision, path = stored.decision, of_version(version.id)
    return DecisionItem(
        verdict=decision.verdict,
        policy=decision.policy,
        policy_hash=decision.policy_hash,
        at=datetime.fromtimestamp(stored.at, UTC),
        reasons=list(decision.reasons),
        fired=[
            FiredRule(
                rule=one.rule,
                title=one.title,
                category=one.category,
                action=one.action,
                explanation=one.explanation,
                guideline=one.guideline,
                remedy=one.remedy,
            )
            for one in decision.fired
        ],
        evidence=[
            Clip(
                rule=one.rule,
                caption=one.caption,
                start=one.start,
                end=one.end,
                clip=None if one.clip is None else path(one.clip),
                frames=[path(blob) for _, blob in one.frames],
            )
            for one in stored.evidence
        ],
        age=None if decision.rating is None else decision.rating.age,
        appealable=version.state in {WorldState.REJECTED, WorldState.TAKEN_DOWN},
    )
