"""Who looked at what only some may see: every case that was opened, and every recording of one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from feedapi import services
from feedapi.creators import SHA256
from feedapi.identity import Operator
from feedapi.problems import responses
from moderation.store import accounts

router = APIRouter(prefix="/v1", tags=["operation"])


class ReadItem(BaseModel):
    """Somebody looked."""

    id: int
    account: str
    what: str
    """The case, and the clip or picture of it."""
    version: str
    at: datetime


class ReadList(BaseModel):
    """Newest first."""

    items: list[ReadItem]
    next: int | None
    """`before` of the next page; null at the end."""


@router.get("/reads", responses=responses("not-signed-in", "not-allowed"))
def list_reads(
    request: Request,
    who: Operator,
    account: Annotated[str | None, Query(max_length=63, description="Of whoever looked.")] = None,
    version: Annotated[str | None, Query(pattern=SHA256, description="Of the world.")] = None,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="`next` of a page.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> ReadList:
    """Who looked at which case and recording, the newest first."""
    del who
    with services.of(request).store.reading() as connection:
        found = accounts.reads(connection, account, version, before, limit + 1)
    items = [
        ReadItem(
            id=one.id,
            account=one.account,
            what=one.what,
            version=one.version,
            at=datetime.fromtimestamp(one.at, UTC),
        )
        for one in found[:limit]
    ]
    return ReadList(items=items, next=items[-1].id if len(found) > limit else None)
