"""Redis or RabbitMQ as a bell that rings on every host, through Celery.

One task, ``firstplay.work``, says "queue Q has job J". A worker that gets it claims from the jobs table, so
messages may be lost, late or doubled, and the broker may be emptied at any time. The settings here keep
Celery from losing or hoarding messages all the same: acknowledged late, one at a time, given back when a
worker process dies, and invisible for longer than the longest job may take.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from celery import Celery

    from moderation.wake import ReadyJob

BROKER_VARIABLE = "FIRSTPLAY_BROKER"
"""Environment variable with the broker's URL; unset means that all workers are on this host."""
PREFIX_VARIABLE = "FIRSTPLAY_BROKER_PREFIX"
"""Environment variable: how names in the broker begin, for several installations on one; ``firstplay``."""
LONGEST_VARIABLE = "FIRSTPLAY_LONGEST_JOB"
"""Environment variable: seconds after which a job is stopped. RabbitMQ closes a channel after 1,800."""
TASK = "firstplay.work"
PROBE = "firstplay.probe"
_LONGEST = 1500.0
_SULK, _LONGEST_SULK = 1.0, 4.0
"""Seconds for which a broker that did not answer is not asked again, so that commits do not wait for it; they
double while it stays silent."""
_ANSWER, _HEARS = 2.0, 10.0
"""Seconds in which a broker must answer whoever asks it something, and whoever only listens. Commits and the
thread that keeps leases ask."""
_LOSING = {
    "filesystem": "Celery's file transport loses tasks when a worker is killed",
    "sqla": "Celery's SQL transport loses tasks that a killed worker held",
    "memory": "Celery's memory transport ends with its process",
}
_log = logging.getLogger(__name__)


class BadBroker(ValueError):
    """The URL names no broker that firstplay can use; the message says which it can."""


def broker_url() -> str | None:
    """``$FIRSTPLAY_BROKER``, None where it is unset. Raises BadBroker."""
    url = os.environ.get(BROKER_VARIABLE) or None
    if url is None:
        return None
    transport = urlsplit(url).scheme.partition("+")[0]
    if transport in ("redis", "rediss", "amqp", "amqps"):
        return url
    why = _LOSING.get(transport, f"firstplay is not tested on {transport or 'an address without a scheme'}")
    raise BadBroker(
        f"{BROKER_VARIABLE} names no broker that loses nothing: {why}. Use redis://host:6379/0 or "
        "amqp://user:password@host:5672/vhost, or leave it unset where all workers are on this host"
    )


def longest_job() -> float:
    """Seconds after which a job is stopped. Raises BadBroker."""
    given = os.environ.get(LONGEST_VARIABLE)
    try:
        seconds = _LONGEST if given is None else float(given)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise BadBroker(f"{LONGEST_VARIABLE} is {given!r}: it must be a number of seconds above 0")
    return seconds


def queue_name(queue: str) -> str:
    """What a queue is called in the broker."""
    return f"{_prefix()}.{queue}"


def _prefix() -> str:
    return os.environ.get(PREFIX_VARIABLE) or "firstplay"


def celery_app(url: str, *, listens: bool = False) -> Celery:
    """The same app for the same settings, in one process; ``listens`` for a worker that consumes."""
    return _app(url, _prefix(), longest_job(), _HEARS if listens else _ANSWER)


@lru_cache(maxsize=4)
def _app(url: str, prefix: str, longest: float, patience: float) -> Celery:
    try:
        from celery import Celery
    except ModuleNotFoundError:
        raise BadBroker(f"{BROKER_VARIABLE} needs Celery: pip install 'firstplay[distributed]'") from None
    app = Celery("firstplay", broker=url, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_soft_time_limit=longest,
        task_time_limit=longest + 60,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_proc_alive_timeout=120,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=2,
        broker_heartbeat=10,
        broker_transport_options=_transport_options(url, prefix, longest, patience),
        visibility_timeout=longest + 300,
        task_default_queue=f"{prefix}.cpu",
    )
    return app


def _transport_options(url: str, prefix: str, longest: float, patience: float) -> dict[str, Any]:
    if not url.startswith("redis"):
        return {"confirm_publish": True}
    return {
        "visibility_timeout": longest + 300,
        "global_keyprefix": f"{prefix}:",
        "socket_timeout": patience,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }


class BrokerWaker:
    """Sends one message per job; a broker that does not answer is left alone for a moment."""

    def __init__(self, url: str) -> None:
        self._app = celery_app(url)
        self._silent_until = 0.0
        self._sulk = _SULK

    def __call__(self, ready: Sequence[ReadyJob]) -> None:
        if time.monotonic() < self._silent_until:
            return
        try:
            with self._app.producer_or_acquire() as producer:
                for job in ready:
                    self._app.send_task(
                        TASK,
                        (job.queue, job.id),
                        queue=queue_name(job.queue),
                        producer=producer,
                        retry=False,
                        ignore_result=True,
                    )
            self._sulk = _SULK
        except Exception as error:  # noqa: BLE001 - every transport has its own; the sweeper wakes again
            self._silent_until = time.monotonic() + self._sulk
            self._sulk = min(2 * self._sulk, _LONGEST_SULK)
            _log.warning("the broker took no message, the sweeper will send it again: %s", error)

    def close(self) -> None:
        """Nothing: the app's connections are shared by the process."""


def waiting(url: str, queue: str) -> int:
    """Messages of a queue that no worker has taken yet. Raises what the transport raises."""
    with celery_app(url).connection_for_write() as connection:
        channel = connection.default_channel
        name = queue_name(queue)
        return int(channel.queue_declare(queue=name, durable=True, auto_delete=False).message_count)
