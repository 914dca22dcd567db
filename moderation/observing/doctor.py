"""What an installation needs, looked at one by one, each with what to do where it is missing."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from moderation.blobs import BadBlobs, BlobMissing, open_blobs
from moderation.broker import BROKER_VARIABLE
from moderation.observing.gpus import gpus
from moderation.store import BadDatabase, open_store
from moderation.store.database import Database, database_url

ROOM = 2 * 1024**3
"""Bytes that should be free where blobs and models are kept."""


@dataclass(frozen=True)
class Finding:
    """How one thing is."""

    name: str
    state: str
    """``ok``, ``warning`` (works, but) or ``broken``."""
    detail: str
    remedy: str = ""


def examine(home: Path) -> Iterator[Finding]:
    """Every check in turn; a check that fails does not stop the next."""
    checks: tuple[Callable[[Path], Finding], ...] = (
        _database,
        _blobs,
        _room,
        _broker,
        _weights,
        _world_model,
        _policy,
        device,
        _dead_jobs,
    )
    for check in checks:
        name = check.__name__.strip("_").replace("_", " ")
        try:
            yield check(home)
        except Exception as error:  # noqa: BLE001 - whatever is wrong is what the doctor is asked about
            detail = " ".join(str(error).split()) or type(error).__name__
            yield Finding(name, "broken", detail, "correct what it says, then run `firstplay doctor` again")


def _database(home: Path) -> Finding:
    home.mkdir(parents=True, exist_ok=True)
    try:
        database = Database(database_url(home))
    except BadDatabase as error:
        return Finding("database", "broken", str(error), "correct FIRSTPLAY_DATABASE")
    database.migrate(home)
    with database.writing() as connection:
        connection.exec_driver_sql("SELECT 1")
    database.close()
    where = database.url.render_as_string(hide_password=True)
    return Finding("database", "ok", f"{where} can be written")


def _blobs(home: Path) -> Finding:
    try:
        blobs = open_blobs(home)
        data = secrets.token_bytes(16)
        name = blobs.put(data)
        good = blobs.read(name) == data
        blobs.delete(name)
    except (BadBlobs, BlobMissing) as error:
        return Finding("blobs", "broken", str(error), "correct FIRSTPLAY_BLOBS and the AWS_* variables")
    where = os.environ.get("FIRSTPLAY_BLOBS") or str(home / "blobs")
    return Finding("blobs", "ok" if good else "broken", f"{where} keeps what is put there")


def _room(home: Path) -> Finding:
    free = shutil.disk_usage(home).free
    detail = f"{free / 1024**3:.1f} GB free at {home}"
    if free < ROOM:
        remedy = "make room, or remove orphans with `firstplay store collect`"
        return Finding("disk", "warning", detail, remedy)
    return Finding("disk", "ok", detail)


def _broker(home: Path) -> Finding:
    del home
    url = os.environ.get(BROKER_VARIABLE)
    if not url:
        return Finding("broker", "ok", "none is set: workers of this machine wake each other")
    from kombu.connection import Connection

    with Connection(url, connect_timeout=5) as connection:  # type: ignore[no-untyped-call]
        connection.ensure_connection(max_retries=1, timeout=5)
        said = connection.as_uri()
    return Finding("broker", "ok", f"{said} answers")


def _weights(home: Path) -> Finding:
    del home
    import moderation.models  # noqa: F401 - makes the detectors' models known
    from worldmodel.store.fetch import statuses

    absent = [one.entry.name for one in statuses() if one.state in {"missing", "corrupt"}]
    if absent:
        return Finding("weights", "broken", f"missing: {', '.join(absent)}", "firstplay models fetch --all")
    return Finding("weights", "ok", "every detector's weights are here")


def _world_model(home: Path) -> Finding:
    del home
    from worldmodel.models import load_model

    card = load_model("neural").card
    return Finding("world model", "ok", f"{card.name}, {card.sha256[:12]}")


def _policy(home: Path) -> Finding:
    from moderation.pipeline import policy_bundle

    bundle = policy_bundle(open_store(home))
    return Finding("policy", "ok", f"{bundle.name}, {bundle.sha256[:12]}: its test cases pass")


def device(home: Path) -> Finding:
    """What the world model runs on."""
    del home
    import torch

    from moderation.pipeline import DEVICE_VARIABLE

    asked = os.environ.get(DEVICE_VARIABLE) or "cpu"
    if not torch.cuda.is_available():
        if asked != "cpu":
            return Finding("device", "broken", f"{DEVICE_VARIABLE} is {asked}: no GPU is there", "unset it")
        return Finding("device", "ok", f"no GPU: the world model runs on the CPU ({os.cpu_count()} cores)")
    told = [
        f"{gpu.name}, {gpu.utilisation:.0%} in use, "
        f"{(gpu.memory - gpu.memory_used) / 1024**3:.0f} of {gpu.memory / 1024**3:.0f} GB free"
        for gpu in gpus()
    ]
    detail = "; ".join(told) or torch.cuda.get_device_name()
    if asked == "cpu":
        remedy = f"set {DEVICE_VARIABLE}=cuda, or start workers with --device cuda"
        return Finding("device", "warning", f"{detail}: not used", remedy)
    return Finding("device", "ok", f"{detail}: workers use {asked}")


def _dead_jobs(home: Path) -> Finding:
    store = open_store(home)
    dead = store.queue.listed("dead", limit=None)
    store.close()
    if not dead:
        return Finding("jobs", "ok", "none is dead")
    return Finding(
        "jobs",
        "warning",
        f"{len(dead)} dead, the first: {(dead[0].error or '').strip()[:80]}",
        "look with `firstplay jobs`, then requeue them",
    )
