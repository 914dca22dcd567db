"""Work that survives: jobs in the store, and the workers that do them on one host or many.

The truth is the ``jobs`` table; a worker claims a job with a fencing token, works, and commits only while
the token holds, so a job that two workers happen to do is committed once. ``work`` is one job in a worker's
hands, ``worker`` the loop and its heartbeat, ``trying`` how often and when a failed job is tried again,
``sweeping`` what nobody holds any more, ``carriers`` the two ways to run workers (``local`` and
``on_celery``), ``pressure`` how long a queue is.
"""

from moderation.jobs.carriers import Carrier, open_carrier
from moderation.jobs.local import Local
from moderation.jobs.pressure import QueueFull, check_room, expected_wait
from moderation.jobs.sweeping import orphaned
from moderation.jobs.trying import Hopeless, Terms
from moderation.jobs.work import Ended, Handler, Handlers, Several, Stopped, Work
from moderation.jobs.worker import Worker

__all__ = [
    "Carrier",
    "Ended",
    "Handler",
    "Handlers",
    "Hopeless",
    "Local",
    "QueueFull",
    "Several",
    "Stopped",
    "Terms",
    "Work",
    "Worker",
    "check_room",
    "expected_wait",
    "open_carrier",
    "orphaned",
]
