"""Requests that are answered once: the same Idempotency-Key gets the same answer, and nothing happens twice.

The answer is kept in the transaction that makes the change (draft-ietf-httpapi-idempotency-key-header), so
there is never the one without the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from feedapi.problems import Problem
from moderation.accounts import Principal
from moderation.store import Store, Transaction, accounts

Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=128, description="One per thing to be done."),
]
Work = Callable[[Transaction], tuple[int, BaseModel, dict[str, str]]]
"""Makes the change; returns status, body and headers."""


def answer_once(
    store: Store, who: Principal, key: str | None, asked: tuple[str, ...], work: Work
) -> JSONResponse:
    """Do ``work`` in one transaction and answer, or repeat the answer of the first time.

    ``asked`` is all that the request says: another one under the same key is the problem key-reused.
    """
    with store.writing() as tx:
        if not key:
            return _response(*_told(work(tx)))
        fingerprint = hashlib.sha256("\0".join(asked).encode()).hexdigest()
        before = accounts.claim_request(tx.connection, who.account, key, fingerprint)
        if before is None:
            status, body, headers = _told(work(tx))
            kept = {"status": status, "body": body, "headers": headers}
            accounts.answer_request(tx.connection, who.account, key, kept)
            return _response(status, body, headers)
    if before.fingerprint != fingerprint:
        raise Problem("key-reused", "this Idempotency-Key was used for another request")
    told = before.answer
    return _response(told["status"], told["body"], told["headers"] | {"Idempotent-Replay": "true"})


def _told(done: tuple[int, BaseModel, dict[str, str]]) -> tuple[int, Any, dict[str, str]]:
    status, body, headers = done
    return status, body.model_dump(mode="json"), headers


def _response(status: int, body: Any, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse(body, status, headers)
