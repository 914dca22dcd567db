"""How workers learn that there is something to do, without asking the database all the time.

A waker is called after a commit with the jobs that can be claimed now. It holds no truth: a call that is
lost, late or doubled harms nothing, because whoever is woken claims from the table, and the sweeper wakes
again for what nobody came for.

On one host: every idle worker waits at a Unix datagram socket of its own under ``home/workers``, named after
the queues it looks into; one byte wakes it. Across hosts: a message through a broker (``moderation.broker``).
"""

from __future__ import annotations

import errno
import os
import select
import socket
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol


class ReadyJob(Protocol):
    """A job that can be claimed (``moderation.store.Ready``)."""

    @property
    def id(self) -> int: ...
    @property
    def queue(self) -> str: ...


class Waker(Protocol):
    """Wakes workers; never raises."""

    def __call__(self, ready: Sequence[ReadyJob]) -> None: ...
    def close(self) -> None: ...


def open_waker(home: Path) -> Waker:
    """Wakes the workers of this host, and those behind ``$FIRSTPLAY_BROKER`` where that is set.

    Raises ``moderation.broker.BadBroker``.
    """
    from moderation.broker import broker_url

    local = LocalWaker(home)
    url = broker_url()
    if url is None:
        return local
    from moderation.broker import BrokerWaker

    return _Both(local, BrokerWaker(url))


class _Both:
    def __init__(self, first: Waker, second: Waker) -> None:
        self._wakers = (first, second)

    def __call__(self, ready: Sequence[ReadyJob]) -> None:
        for wake in self._wakers:
            wake(ready)

    def close(self) -> None:
        for wake in self._wakers:
            wake.close()


class LocalWaker:
    """Rings the bells of the workers under a home folder; threads may share it."""

    def __init__(self, home: Path) -> None:
        self._folder = bells(home)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        weakref.finalize(self, self._socket.close)

    def __call__(self, ready: Sequence[ReadyJob]) -> None:
        queues = {job.queue for job in ready}
        with _folder(self._folder) as folder:
            for name in () if folder is None else os.listdir(folder):  # noqa: PTH208 - as it is this moment
                if name.endswith(_ENDING) and queues & set(name.split("~")[0].split("+")):
                    self._ring(f"/proc/self/fd/{folder}/{name}", name)

    def close(self) -> None:
        """Ring no more."""
        self._socket.close()

    def _ring(self, address: str, name: str) -> None:
        try:
            self._socket.sendto(b"!", address)
        except ConnectionRefusedError:  # its worker is gone
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            # A full socket belongs to a worker that is busy and has been rung often enough.
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS, errno.ENOENT):
                raise


class Bell:
    """What an idle worker of some queues waits at; belongs to one thread."""

    def __init__(self, home: Path, queues: Sequence[str], name: str) -> None:
        self._path = bells(home) / f"{'+'.join(queues)}~{name}{_ENDING}"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with _folder(self._path.parent) as folder:
            self._socket.bind(f"/proc/self/fd/{folder}/{self._path.name}")

    def wait(self, seconds: float) -> bool:
        """Sleep until somebody rings, at most so long; whether somebody did. Look for jobs after it."""
        rung, _, _ = select.select([self._socket], [], [], seconds)
        with suppress(BlockingIOError):
            while rung:
                self._socket.recv(1)
        return bool(rung)

    def ring(self) -> None:
        """Wake whoever waits; callable from any thread."""
        with suppress(OSError), _folder(self._path.parent) as folder:
            self._socket.sendto(b"!", f"/proc/self/fd/{folder}/{self._path.name}")

    def close(self) -> None:
        """Take it down."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


def bells(home: Path) -> Path:
    """Folder of what shows which workers of this host live."""
    return home / "workers"


_ENDING = ".bell"


class _folder:  # noqa: N801 - used like a function
    """The open folder, None where it is not there: addresses of sockets may have 107 bytes only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number: int | None = None

    def __enter__(self) -> int | None:
        with suppress(FileNotFoundError):
            self._number = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        return self._number

    def __exit__(self, *_: object) -> None:
        if self._number is not None:
            os.close(self._number)
