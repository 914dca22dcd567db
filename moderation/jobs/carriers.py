"""The two ways to run workers, behind one interface. Neither holds truth."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from moderation.broker import broker_url
from moderation.jobs.local import Local
from moderation.jobs.trying import Terms
from moderation.jobs.work import Handlers


class Carrier(Protocol):
    """Runs worker processes on this host."""

    def serve(self, stopped: threading.Event, patience: float = 10.0) -> None:
        """Work until stopped; a job that does not stop within ``patience`` seconds is given back."""


def open_carrier(
    home: Path,
    handlers: Handlers,
    queues: Sequence[str],
    processes: int,
    terms: Terms | None = None,
    batch: int = 1,
) -> Carrier:
    """Workers behind ``$FIRSTPLAY_BROKER``, or local ones where that is unset; ``batch`` as for ``Worker``.

    Raises BadBroker.
    """
    url = broker_url()
    if url is None:
        return Local(home, handlers, None, processes, terms, queues, batch)
    from moderation.jobs.on_celery import OnCelery

    return OnCelery(home, handlers, url, processes, terms, queues, batch)
