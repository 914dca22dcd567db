"""Telling creators' servers what became of their worlds (Standard Webhooks, standardwebhooks.com).

A change of state queues one job per webhook in its own transaction, so a message is never lost and never
says what did not happen; its id is the same at every attempt, so a receiver can tell a repeat. The secret of
a webhook is derived from the installation's, so it is nowhere stored.

An address is looked up once per attempt, must be public, and is what is connected to: a name that later
points inside the network leads nowhere (OWASP, server-side request forgery).
"""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import secrets
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from moderation.jobs import Hopeless, Work
from moderation.secret import derived, load_secret
from moderation.store import NotFound, Store
from moderation.store.webhooks import (
    Delivery,
    Webhook,
    add_delivery,
    add_webhook,
    disable_webhook,
    find_webhook,
    webhooks,
)

ALLOW = "FIRSTPLAY_WEBHOOKS_ALLOW"
"""Networks, such as 10.0.0.0/8, to which webhooks may go although they are not public."""
TIMEOUT = 10.0
"""Seconds for a receiver to answer."""
MOST = 10
"""Webhooks of one account."""
GONE = 410


class BadAddress(ValueError):
    """Nothing can be sent there; the message says why."""


class NotDelivered(ConnectionError):
    """The receiver did not answer, or not with 2xx: it is tried again later."""


def create_webhook(store: Store, account: str, url: str) -> tuple[str, str]:
    """Id and secret of a new webhook. Raises BadAddress."""
    check_url(url)
    webhook = f"wh_{secrets.token_hex(8)}"
    with store.writing() as tx:
        if len(webhooks(tx.connection, account)) >= MOST:
            raise BadAddress(f"an account has at most {MOST} webhooks: remove one first")
        add_webhook(tx.connection, webhook, account, url)
    return webhook, secret_of(store, webhook)


def secret_of(store: Store, webhook: str) -> str:
    """What its messages are signed with."""
    return "whsec_" + base64.b64encode(derived(load_secret(store.home), f"webhook:{webhook}")).decode()


def notify(work: Work) -> None:
    """Deliver one message. Raises NotDelivered, to be tried again."""
    store = work.store
    told = work.job.payload
    try:
        with store.reading() as connection:
            webhook = find_webhook(connection, told["webhook"])
    except NotFound:
        webhook = None
    if webhook is None or webhook.disabled is not None:
        with work.commit(done=True):
            return
    delivery = _send(store, webhook, told["event"], told["body"])
    good = delivery.status is not None and 200 <= delivery.status < 300
    with work.commit(done=good or delivery.status == GONE) as tx:
        add_delivery(tx.connection, webhook.id, delivery)
        if delivery.status == GONE:
            disable_webhook(tx.connection, webhook.id, "the receiver answered 410: it wants no more")
    if delivery.status is None and delivery.error is not None and delivery.error.startswith("refused"):
        raise Hopeless(delivery.error)
    if not good and delivery.status != GONE:
        raise NotDelivered(delivery.error or f"the receiver answered {delivery.status}")


def _send(store: Store, webhook: Webhook, event: str, body: Mapping[str, Any]) -> Delivery:
    import httpx
    from standardwebhooks import Webhook as Signer

    data = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    now = datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "firstplay-webhooks",
        "webhook-id": event,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(secret_of(store, webhook.id)).sign(event, now, data),
    }
    began = time.monotonic()
    status, error = None, None
    try:
        status = _post(webhook.url, data.encode(), headers)
        error = None if status < 300 else f"the receiver answered {status}"
    except BadAddress as bad:
        error = f"refused: {bad}"
    except httpx.HTTPError as failed:
        error = f"{type(failed).__name__}: {failed}"
    return Delivery(event, str(body["type"]), status, error, time.monotonic() - began, time.time())


def _post(url: str, data: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer. The address that was checked is the one that is connected to."""
    import httpx

    parts = check_url(url)
    host = parts.hostname or ""
    address = public_address(host, _port(parts))
    where = f"[{address}]" if ":" in address else address
    pinned = parts._replace(netloc=f"{where}:{_port(parts)}").geturl()
    told = {**headers, "Host": parts.netloc.rpartition("@")[2]}
    with httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
        request = client.build_request("POST", pinned, content=data, headers=told)
        request.extensions["sni_hostname"] = host  # the certificate is the name's, not the address's
        answer = client.send(request, stream=True)  # what it says is nobody's business
        answer.close()
    return answer.status_code


def check_url(url: str) -> SplitResult:
    """Raises BadAddress for what no webhook can be."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadAddress(f"{url!r} is no URL: {error}") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or len(url) > 2000:
        raise BadAddress(f"{url!r} is no address for a webhook: use https://host/path")
    if parts.username or parts.password or parts.fragment:
        raise BadAddress(f"{url!r} has a user, a password or a fragment: leave them out")
    if parts.scheme == "http" and not os.environ.get(ALLOW):
        raise BadAddress(f"{url!r} is not encrypted: use https")
    if port == 0:
        raise BadAddress(f"{url!r} names port 0")
    return parts


def public_address(host: str, port: int) -> str:
    """The address that a name leads to now. Raises BadAddress unless every one is public or allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise BadAddress(f"{host!r} cannot be looked up: {error}") from None
    addresses = [str(one[4][0]) for one in found]
    allowed = [ipaddress.ip_network(one.strip()) for one in os.environ.get(ALLOW, "").split(",") if one]
    for address in addresses:
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if not ip.is_global and not any(ip.version == net.version and ip in net for net in allowed):
            raise BadAddress(f"{host!r} leads to {ip}, which is not public ({ALLOW} makes exceptions)")
    return addresses[0]


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)
