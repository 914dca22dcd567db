"""What every test shares: its own state folder, one thread, and property tests that repeat."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: shared cores are slower with more

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings
from kombu.connection import Connection
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy.exc import OperationalError

from moderation.broker import BROKER_VARIABLE, PREFIX_VARIABLE, celery_app, queue_name
from moderation.store import DATABASE_VARIABLE, QUEUES
from tests.servers import Server

CHROMIUM = Path("/usr/bin/chromium")

settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the checkout's own ``.firstplay``."""
    monkeypatch.setenv("FIRSTPLAY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FIRSTPLAY_DEBUG", raising=False)
    monkeypatch.delenv(DATABASE_VARIABLE, raising=False)
    monkeypatch.delenv(BROKER_VARIABLE, raising=False)


def missing(what: str) -> NoReturn:
    """Where tests must pass, what is missing fails them."""
    pytest.fail(what) if os.environ.get("CI") else pytest.skip(what)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """The PostgreSQL server of this machine; ``$PGHOST`` and the like say where it is not the usual place."""
    server = Server(os.environ.get("FIRSTPLAY_TEST_POSTGRESQL", "postgresql://localhost/postgres"))
    try:
        server.prepare()
    except OperationalError as error:
        missing(f"no PostgreSQL at {server.url}: {error.orig}")
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def each_database(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[str]:
    """The URL of an empty database, of each kind in turn, which ``open_store`` uses unless told otherwise."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'firstplay.sqlite3'}"
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.database() as url:
        monkeypatch.setenv(DATABASE_VARIABLE, url)
        yield url


@pytest.fixture(params=["redis", "rabbitmq"])
def each_broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of Redis and of RabbitMQ in turn, which jobs use under names of their own."""
    usual = {"redis": "redis://127.0.0.1:6379/13", "rabbitmq": "amqp://guest:guest@127.0.0.1:5672//"}
    url = os.environ.get(f"FIRSTPLAY_TEST_{request.param.upper()}", usual[request.param])
    try:
        with Connection(url, connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
    except OSError as error:
        missing(f"no broker at {url}: {error}")
    monkeypatch.setenv(BROKER_VARIABLE, url)
    monkeypatch.setenv(PREFIX_VARIABLE, f"test-{uuid.uuid4().hex[:8]}")
    yield url
    with celery_app(url).connection_for_write() as connection:
        for queue in QUEUES:
            connection.default_channel.queue_delete(queue_name(queue))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window; where tests must pass, its absence fails them."""
    if not CHROMIUM.exists():
        missing(f"{CHROMIUM} is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield chromium
        chromium.close()
