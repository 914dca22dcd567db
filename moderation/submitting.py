"""What creators do with their own worlds: submit, remix, withdraw, and see how it goes.

Every function takes the creator's account and reaches only what is theirs: whatever else exists is
``moderation.store.NotFound``. This is the one place where a version is matched with its owner.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from moderation.states import WorldState
from moderation.store import (
    Conflict,
    NotFound,
    Store,
    StoredDecision,
    Transaction,
    Version,
    accounts,
    unknown_version,
)
from moderation.store import tables as t
from worldmodel.problems import PackageError, Problem

if TYPE_CHECKING:
    from worldmodel.package import WorldPackage


class KnownContent(Conflict):
    """Exactly this content was submitted before, by this creator or by another."""


@dataclass(frozen=True)
class Submission:
    """A checked package, on its way into the store."""

    package: WorldPackage
    blob: str
    """Of the clean package."""


def upload(store: Store, creator: str, data: bytes) -> str:
    """Keep some bytes for a submission to name; returns their SHA-256."""
    blob = store.blobs.put(data)
    with store.writing() as tx:
        accounts.add_upload(tx.connection, creator, blob, len(data))
    return blob


def package_of(store: Store, creator: str, spec: Mapping[str, Any], files: Mapping[str, str]) -> WorldPackage:
    """The package of a spec and of uploads, by the names that the spec uses.

    Raises ``worldmodel.package.PackageError`` with everything that is wrong.
    """
    from worldmodel.archive import DOCUMENT
    from worldmodel.package import make_package

    with store.reading() as connection:
        unknown = [name for name, blob in files.items() if not accounts.has_upload(connection, creator, blob)]
    if unknown:
        problems = [Problem(name, "names no upload of yours", remedy="upload it first") for name in unknown]
        raise PackageError(DOCUMENT, problems)
    contents = {name: store.blobs.read(blob) for name, blob in files.items()}
    contents[DOCUMENT] = json.dumps(spec, ensure_ascii=False).encode()  # JSON is YAML
    return make_package(contents)


def draft_of(store: Store, creator: str, version: Version) -> tuple[dict[str, Any], dict[str, str]]:
    """The spec of a version, and its media as this creator's uploads: what another version begins with.

    Whoever calls this has checked that the creator may have it. Raises ``moderation.store.Quarantined``, and
    NotFound where the media was erased.
    """
    from worldmodel.archive import DOCUMENT

    with zipfile.ZipFile(io.BytesIO(store.package(version.id))) as package:
        media = {name: package.read(name) for name in package.namelist() if name != DOCUMENT}
    return store.spec(version.id), {name: upload(store, creator, data) for name, data in media.items()}


def assemble(store: Store, creator: str, spec: Mapping[str, Any], files: Mapping[str, str]) -> Submission:
    """A submission of a spec and of uploads. Raises PackageError."""
    return packaged(store, package_of(store, creator, spec, files))


def zipped(store: Store, data: bytes) -> Submission:
    """A whole package as a zip. Raises PackageError."""
    from moderation.packages import unpack

    return packaged(store, unpack(data))


def packaged(store: Store, package: WorldPackage) -> Submission:
    """A package that was checked already."""
    from moderation.packages import pack

    return Submission(package, store.blobs.put(pack(package)))


def submit(tx: Transaction, creator: str, submission: Submission, world: str | None = None) -> Version:
    """Take a package in as a version of ``world``, by default of the one that its title names.

    A title that names somebody else's world makes another world, with a longer address. Queues the review.
    Raises KnownContent, NotFound where ``world`` is not this creator's, and where what it remixes is not
    published.
    """
    package, spec = submission.package, submission.package.spec
    if spec.remix_of is not None and not tx.is_published(spec.remix_of):
        raise NotFound(f"{spec.remix_of!r} is not published: only published worlds can be remixed")
    if world is None:
        world = address(tx, spec.slug, creator)
    elif tx.owner(world) != creator:
        raise NotFound(f"you have no world {world!r}")
    new = tx.submit(
        version=package.sha256,
        slug=world,
        title=spec.title,
        prompt=spec.prompt,
        spec=spec.canonical(),
        package=submission.blob,
        remix_of=spec.remix_of,
        creator=creator,
    )
    if not new:
        raise KnownContent("this content was submitted before: the same content is the same version")
    tx.enqueue("receive", package.sha256, f"receive:{package.sha256}")
    return tx.version(package.sha256)


def taken(store: Store, slugs: Iterable[str]) -> set[str]:
    """Which of these addresses stand for a world already, whoever's."""
    with store.reading() as connection:
        return {*connection.execute(select(t.worlds.c.id).where(t.worlds.c.id.in_([*slugs]))).scalars()}


def address(tx: Transaction, slug: str, creator: str) -> str:
    """The address that a creator's world of this title has: a longer one where the short one is taken."""
    if tx.owner(slug) in (None, creator):
        return slug
    return f"{slug}-{hashlib.sha256(creator.encode()).hexdigest()[:6]}"


def withdraw(tx: Transaction, version: Version, expected: int, reason: str) -> None:
    """Take a version back, for good: nobody plays it any more, and no work on it goes on.

    Raises ``moderation.states.IllegalTransition`` where a person has it in hand, Conflict where ``expected``
    is not its revision.
    """
    tx.transition(version.id, WorldState.WITHDRAWN, version.creator, reason, expected=expected)
    tx.cancel_jobs(version.id)


def owned(store: Store, creator: str, version: str) -> Version:
    """Raises NotFound, also where it is somebody else's."""
    found = store.version(version)
    if found.creator != creator:
        raise unknown_version(version)
    return found


def decision_of(store: Store, version: Version) -> StoredDecision | None:
    """The newest decision on it, if there is one."""
    return store.newest_decision(version.id)


def shown_to_creator(decision: StoredDecision, blob: str) -> bool:
    """Whether a blob is evidence of this decision, which its creator may see."""
    return any(blob in (one.clip, *(frame for _, frame in one.frames)) for one in decision.evidence)
