"""Child processes that are started again when they die, and ended together.

Each hangs on a leash: a pipe through which its parent tells it to end, and whose end tells it that the parent
is gone. Not an event of ``multiprocessing``: setting one waits for ever for a waiter that was killed.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from moderation.observing import logs, traces

LOG_VARIABLE = "FIRSTPLAY_LOG_LEVEL"
"""Environment variable: from which level worker processes log (``INFO``); warnings unless it is set."""
CONTEXT = get_context("spawn")  # a forked child would inherit torch's threads in an undefined state


class Leash:
    """The child's end; sent to it."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def hold(self, stop: Callable[[], None]) -> None:
        """Call ``stop`` in a thread when the parent says so; end this process when the parent is gone.

        An orphan would hold leases that nobody waits for.
        """
        threading.Thread(target=self._hold, args=(stop,), daemon=True).start()

    def _hold(self, stop: Callable[[], None]) -> None:
        try:
            self._pipe.recv()
        except (EOFError, OSError):
            os._exit(1)
        stop()
        with suppress(EOFError, OSError):
            self._pipe.recv()
        os._exit(1)


class Processes:
    """Keeps some processes with the same body running; belongs to one thread.

    The body is called with ``arguments`` and a ``Leash``, which it must hold.
    """

    def __init__(
        self, body: Callable[..., None], arguments: tuple[Any, ...], count: int, *, daemon: bool
    ) -> None:
        self._body = body
        self._arguments = arguments
        self._count = count
        self._daemon = daemon
        self._children: dict[BaseProcess, Connection] = {}

    def remove_dead(self) -> list[int | None]:
        """Forget what has died; the exit codes."""
        crashed = [child for child in self._children if not child.is_alive()]
        for child in crashed:
            self._children.pop(child).close()
        return [child.exitcode for child in crashed]

    def fill(self) -> None:
        """Start what is missing, each on one thread unless told otherwise: there is one for every core."""
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by numerical libraries when a child loads them
        while len(self._children) < self._count:
            theirs, ours = CONTEXT.Pipe(duplex=False)
            child = CONTEXT.Process(
                target=self._body,
                args=(*self._arguments, Leash(theirs)),
                name="firstplay-worker",
                daemon=self._daemon,
            )
            child.start()
            theirs.close()
            self._children[child] = ours

    def end(self, patience: float) -> None:
        """Ask all to end; what has not after so many seconds is terminated."""
        for pipe in self._children.values():
            with suppress(OSError):
                pipe.send("end")
        until = time.monotonic() + patience
        for child in self._children:
            child.join(timeout=max(until - time.monotonic(), 0.0))
        for child, pipe in self._children.items():
            if child.is_alive():
                child.terminate()
                child.join(timeout=2.0)
            if child.is_alive():
                child.kill()
                child.join()
            pipe.close()
        self._children.clear()


def observed() -> None:
    """Send logs of this worker process to stderr, and its spans to where they are wanted."""
    logs.set_up(logging.getLevelNamesMapping().get(os.environ.get(LOG_VARIABLE, "").upper(), logging.WARNING))
    traces.set_up("firstplay-worker")


def end_with(parent: int) -> None:
    """End this process when its parent is gone; for one that was forked and has no leash."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.25)
    os._exit(1)
