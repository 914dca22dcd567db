"""How often a job that failed is tried again, and when: by the kind of its error."""

from __future__ import annotations

import errno
import random
import traceback
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from moderation.broker import longest_job

_PASSING = frozenset(
    getattr(errno, name)
    for name in """
    EAGAIN ECONNABORTED ECONNREFUSED ECONNRESET EDQUOT EFBIG EHOSTUNREACH EINTR EIO EMFILE ENETUNREACH ENFILE
    ENOBUFS ENOSPC EPIPE ESTALE ETIMEDOUT
    """.split()
)
_PASSING_ELSEWHERE = {
    ("obstore", "GenericError"),
    ("kombu", "OperationalError"),
    ("redis", "ConnectionError"),
}


class Hopeless(RuntimeError):
    """A job cannot succeed by trying again; the message says what to do. Makes it dead at once."""


@dataclass(frozen=True)
class Terms:
    """How patient workers are; seconds."""

    lease: float = 30.0
    heartbeat: float = 0.5
    failures: int = 3
    """A job that fails so often, or whose worker process dies so often, is dead."""
    transient: int = 8
    """As ``failures``, where what failed passes by itself: a lost connection, a full disk."""
    backoff: float = 1.0
    """Wait before the second try; doubles with each failure."""
    longest_backoff: float = 300.0
    poll: float = 1.0
    """An idle worker that nobody woke looks for jobs by itself."""
    sweep: float = 0.5


@dataclass(frozen=True)
class Retry:
    """What becomes of a job that failed."""

    limit: int
    """Failures that make it dead."""
    wait: float
    """Seconds until it is tried again."""
    told: str
    """Kept with the job."""


def retry_after(error: Exception, failures: int, terms: Terms) -> Retry:
    """For a job that had failed so often before. The wait is drawn between half of the backoff and all of it.

    Without that chance, jobs that failed together would come back together.
    """
    if isinstance(error, Hopeless):
        return Retry(0, 0.0, str(error))
    told = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    if type(error).__name__ == "SoftTimeLimitExceeded":
        told = f"stopped: it took longer than {longest_job():.0f} s\n{told}"
    limit = terms.transient if passes(error) else terms.failures
    return Retry(limit, wait(failures, terms), told)


def wait(failures: int, terms: Terms) -> float:
    """Seconds to wait after one more failure."""
    whole = min(terms.backoff * 2.0**failures, terms.longest_backoff)
    return random.uniform(whole / 2, whole)  # noqa: S311 - no secret


def passes(error: BaseException) -> bool:
    """Whether this is likely to pass by itself: a lost connection, a disk that is full."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    if isinstance(error, OSError):
        return isinstance(error, ConnectionError | TimeoutError) or error.errno in _PASSING
    kinds = {(one.__module__.partition(".")[0], one.__name__) for one in type(error).__mro__}
    return bool(kinds & _PASSING_ELSEWHERE)
