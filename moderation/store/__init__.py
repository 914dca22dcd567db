"""Everything that is known about worlds: the database, and the blobs that its rows name.

``open_store(home)`` gives a :class:`Store`, on one SQLite file by default, on PostgreSQL by a URL. All SQL
of this layer is in this package: reads in ``reads``, writes in ``transaction``, jobs in ``queue``. Every
write happens inside one of the store's transactions. Threads and processes may share a home: each opens
its own Store.
"""

from moderation.store.database import DATABASE_VARIABLE, SCHEMA, BadDatabase, StillOpen
from moderation.store.queue import QUEUES, Queue
from moderation.store.reads import Store, open_store
from moderation.store.records import (
    Conflict,
    DistinctFrame,
    Event,
    Evidence,
    ExplorationRow,
    Job,
    LeaseLost,
    Load,
    NotFound,
    NotPublished,
    PublishedWorld,
    Quarantined,
    Ready,
    StoredDecision,
    StoredPlaythrough,
    Swept,
    Version,
    unknown_version,
)
from moderation.store.transaction import Transaction

__all__ = [
    "DATABASE_VARIABLE",
    "QUEUES",
    "SCHEMA",
    "BadDatabase",
    "Conflict",
    "DistinctFrame",
    "Event",
    "Evidence",
    "ExplorationRow",
    "Job",
    "LeaseLost",
    "Load",
    "NotFound",
    "NotPublished",
    "PublishedWorld",
    "Quarantined",
    "Queue",
    "Ready",
    "StillOpen",
    "Store",
    "StoredDecision",
    "StoredPlaythrough",
    "Swept",
    "Transaction",
    "Version",
    "open_store",
    "unknown_version",
]
