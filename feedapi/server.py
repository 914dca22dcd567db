"""Runs the application with uvicorn on one socket, until it is told to stop."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from fastapi import FastAPI

LARGEST_MESSAGE = 1024
"""Bytes: a client has nothing longer to say (:mod:`feedapi.wire`)."""
PATIENCE = 3
"""Seconds that open connections get to end when the server stops."""


class AddressTaken(OSError):
    """The address cannot be listened on."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises AddressTaken."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise AddressTaken(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another --port, or 0 for a free one"
        ) from error


def address(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def starting() -> Iterator[None]:
    """Import and build an application in here: without the collector, which takes a sixth of the time.

    What is there at the end stays, and is never looked at again: later collections, which stop the tick
    thread too, are the shorter for it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Server(uvicorn.Server):
    """uvicorn, set up for live play. ``started_hook`` is called once it accepts connections."""

    def __init__(self, app: FastAPI, started_hook: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            log_level="warning",
            ws_max_size=LARGEST_MESSAGE,
            ws_per_message_deflate=False,  # frames are JPEG already
            timeout_graceful_shutdown=PATIENCE,
        )
        super().__init__(config)
        self._started_hook = started_hook

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._started_hook()

    def serve_on(self, listener: socket.socket) -> None:
        """Serve until SIGINT, SIGTERM or ``should_exit``; then close every session and return."""
        with listener, suppress(KeyboardInterrupt):  # uvicorn raises it again once it has stopped
            self.run(sockets=[listener])
