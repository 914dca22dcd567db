"""Webhooks: where a creator's server is told what became of their worlds."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from feedapi import services
from feedapi.identity import Creator
from feedapi.problems import Problem, responses
from moderation.store.webhooks import (
    Webhook,
    deliveries,
    find_webhook,
    queue_message,
    remove_webhook,
    webhooks,
)
from moderation.webhooks import BadAddress, create_webhook

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


class NewWebhook(BaseModel):
    """Where to send messages."""

    url: str = Field(max_length=2000, description="https://host/path; it must be public.")


class WebhookItem(BaseModel):
    """One address that is told."""

    id: str
    url: str
    created: datetime
    disabled: str | None
    """Why nothing is sent any more."""


class WebhookList(BaseModel):
    """One's webhooks, oldest first."""

    items: list[WebhookItem]


class WebhookSecret(BaseModel):
    """A new webhook; its secret is shown this once."""

    id: str
    secret: str
    """What its messages are signed with: any library of Standard Webhooks checks them."""


class DeliveryItem(BaseModel):
    """One attempt to tell."""

    event: str
    kind: str
    status: int | None
    error: str | None
    seconds: float
    at: datetime


class DeliveryList(BaseModel):
    """The last hundred attempts, newest first."""

    items: list[DeliveryItem]


@router.post("", status_code=201, responses=responses("not-signed-in", "not-allowed", "invalid"))
def add(request: Request, response: Response, who: Creator, new: NewWebhook) -> WebhookSecret:
    """Tell this address of every decision on one's worlds."""
    response.headers["Cache-Control"] = "no-store"
    try:
        webhook, secret = create_webhook(services.of(request).store, who.account, new.url)
    except BadAddress as error:
        raise Problem("invalid", str(error)) from None
    return WebhookSecret(id=webhook, secret=secret)


@router.get("", responses=responses("not-signed-in", "not-allowed"))
def list_webhooks(request: Request, who: Creator) -> WebhookList:
    """One's webhooks."""
    with services.of(request).store.reading() as connection:
        return WebhookList(items=[_item(one) for one in webhooks(connection, who.account)])


@router.delete(
    "/{webhook}", status_code=204, responses=responses("not-signed-in", "not-allowed", "not-found")
)
def remove(request: Request, who: Creator, webhook: str) -> None:
    """Tell it no more."""
    with services.of(request).store.writing() as tx:
        remove_webhook(tx.connection, webhook, who.account)


@router.post(
    "/{webhook}/test", status_code=202, responses=responses("not-signed-in", "not-allowed", "not-found")
)
def test(request: Request, who: Creator, webhook: str) -> WebhookItem:
    """Queue a message that says nothing but that it works."""
    with services.of(request).store.writing() as tx:
        found = find_webhook(tx.connection, webhook, who.account)
        queue_message(tx, found, f"test-{secrets.token_hex(6)}", "webhook.test", {})
    return _item(found)


@router.get("/{webhook}/deliveries", responses=responses("not-signed-in", "not-allowed", "not-found"))
def list_deliveries(request: Request, who: Creator, webhook: str) -> DeliveryList:
    """What was sent, and how it was answered."""
    with services.of(request).store.reading() as connection:
        found = deliveries(connection, find_webhook(connection, webhook, who.account).id)
    return DeliveryList(
        items=[
            DeliveryItem(
                event=one.event,
                kind=one.kind,
                status=one.status,
                error=one.error,
                seconds=one.seconds,
                at=datetime.fromtimestamp(one.at, UTC),
            )
            for one in found
        ]
    )


def _item(one: Webhook) -> WebhookItem:
    return WebhookItem(
        id=one.id, url=one.url, created=datetime.fromtimestamp(one.created, UTC), disabled=one.disabled
    )
