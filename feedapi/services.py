"""What the routes share: the store, the ticket office, the arena, and worlds ready to play."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, cast

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from feedapi.arena import Arena
from feedapi.drafts import Drafts
from feedapi.feed import Feed
from feedapi.guarding import Guarded
from feedapi.recording import Recorder
from feedapi.tickets import TicketOffice
from moderation.secret import derived, load_secret
from moderation.store import NotPublished, Store, open_store

if TYPE_CHECKING:
    from feedapi.take_over import Desks
    from feedapi.workbench import Backtests
    from worldmodel.compiled import CompiledWorld
    from worldmodel.protocol import WorldModel

KEPT_WORLDS = 32
QUEUE = 16
"""Players who may wait for a place."""


@dataclass
class Services:
    """One per server process."""

    store: Store
    office: TicketOffice
    arena: Arena
    feed: Feed
    recorder: Recorder
    drafts: Drafts
    desks: Desks
    """Where moderators play."""
    backtests: Backtests
    """What policy authors have begun."""
    guarded: Guarded | None = None
    _compiled: OrderedDict[str, CompiledWorld] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def open(
        cls,
        home: Path,
        load: Callable[[], WorldModel],
        capacity: int,
        guarded: Callable[[Store], Guarded] | None = None,
    ) -> Services:
        """``guarded`` makes what watches over play (:func:`feedapi.guarding.by_policy`), if anything."""
        from feedapi.take_over import Desks  # both ask for services themselves
        from feedapi.workbench import Backtests

        store = open_store(home)
        watched = guarded(store) if guarded is not None else None
        recorder = Recorder(store)
        arena = Arena(
            load,
            capacity,
            queue=QUEUE,
            guard=watched.guard if watched else None,
            report=watched.report if watched else None,
            over=recorder.over,
        )
        office = TicketOffice(derived(load_secret(home), "tickets"))
        return cls(
            store, office, arena, Feed(store), recorder, Drafts(load), Desks(), Backtests(store), watched
        )

    def close(self) -> None:
        self.arena.close()
        self.drafts.close()
        self.recorder.close()
        self.feed.close()
        self.desks.close()
        self.backtests.close()
        if self.guarded is not None:
            self.guarded.close()
        self.store.close()

    def world(self, world_id: str) -> CompiledWorld:
        """A published world, ready to play. Raises ``moderation.store.NotPublished``."""
        return self.playable_version(world_id)[1]

    def playable_version(self, world_id: str) -> tuple[str, CompiledWorld]:
        """The same with its version."""
        version = self.store.published_world(world_id).version
        with self._lock:
            if version not in self._compiled:
                self._compiled[version] = self.store.compile_version(version)
            self._compiled.move_to_end(version)
            if len(self._compiled) > KEPT_WORLDS:
                self._compiled.popitem(last=False)
            return version, self._compiled[version]

    def make_ready(self, world_id: str) -> None:
        """Compile a world that somebody is about to play; nothing where it was withdrawn meanwhile."""
        with suppress(NotPublished):
            self.playable_version(world_id)


def install(app: FastAPI, services: Services) -> None:
    """Make ``services`` what :func:`of` finds from every request of ``app``."""
    app.state.services = services


def of(connection: HTTPConnection) -> Services:
    """The services behind a request or a socket."""
    return cast("Services", connection.app.state.services)
