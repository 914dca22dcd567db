"""Which detectors there are: entry points of the group ``firstplay.detectors``, of any installed package.

A package adds a detector in its ``pyproject.toml``; the entry's name is the name on the detector's card::

    [project.entry-points."firstplay.detectors"]
    gore = "my_package.gore:Gore"

The object is a :class:`~moderation.detectors.base.Detector` class that needs no arguments, or a function
that takes a :class:`Setup` and gives a detector. :mod:`moderation.detectors.conformance` tests it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, distributions
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from moderation.detectors.base import Detector, Modality, Resources

if TYPE_CHECKING:
    from policies.bundle import Bundle
    from policies.schema import Phrases

GROUP = "firstplay.detectors"

AnyDetector: TypeAlias = Detector[Any]


class RegistryError(Exception):
    """A detector cannot be had; the message names the entry point and says what to do."""


class NoDetectors(RegistryError):
    """No package offers any: firstplay itself is not installed as it should be."""

    def __init__(self) -> None:
        super().__init__(f"no installed package has entry points in the group {GROUP}: reinstall firstplay")


class UnknownDetector(RegistryError):
    """Nothing of that name is registered."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"no detector is named {name!r}; there are {', '.join(sorted(known))}")


class DuplicateDetector(RegistryError):
    """Two packages offer the same name, so that a finding would not say which of them it is from."""

    def __init__(self, name: str, entries: Sequence[EntryPoint]) -> None:
        rivals = " and ".join(_shown(entry) for entry in entries)
        super().__init__(f"the detector {name!r} is offered twice, by {rivals}: uninstall one")


class BadEntryPoint(RegistryError):
    """An entry point that gives no detector."""

    def __init__(self, entry: EntryPoint, problem: str) -> None:
        super().__init__(f"entry point {_shown(entry)} {problem}: repair that package or uninstall it")


@dataclass(frozen=True)
class Setup:
    """What a detector is made from."""

    resources: Resources = field(default_factory=Resources)
    phrases: Mapping[str, Mapping[str, Phrases]] = field(default_factory=dict)
    """What the policy lets each zero-shot detector look for: detector, then label."""
    phrase_keys: Mapping[str, str] = field(default_factory=dict)
    """For each of those detectors the SHA-256 of its phrases: what to keep their embeddings under."""

    @classmethod
    def of(cls, bundle: Bundle, resources: Resources | None = None) -> Self:
        """As a policy asks for it."""
        told = [name for name in bundle.header.detectors if bundle.phrases(name)]
        return cls(
            resources or Resources(),
            {name: bundle.phrases(name) for name in told},
            {name: bundle.phrases_sha256(name) for name in told},
        )


def registered() -> dict[str, EntryPoint]:
    """The entry points by name, in alphabetical order. Raises NoDetectors or DuplicateDetector."""
    found: dict[str, dict[str, EntryPoint]] = {}
    # Not importlib.metadata.entry_points(): it looks only at the first of two distributions of one name, and
    # a checkout may hold old metadata of an installed package.
    for package in distributions():
        for entry in package.entry_points.select(group=GROUP):
            found.setdefault(entry.name, {}).setdefault(package.name, entry)
    if not found:
        raise NoDetectors
    for name, offers in found.items():
        if len(offers) > 1:
            raise DuplicateDetector(name, list(offers.values()))
    return {name: next(iter(found[name].values())) for name in sorted(found)}


def load(name: str, setup: Setup | None = None, *, calibrate: bool = True) -> AnyDetector:
    """The detector of that name, its weights not yet loaded; without ``calibrate`` with its plain scores.

    Raises:
        RegistryError: there is none, or its entry point gives no detector.
    """
    entries = registered()
    if name not in entries:
        raise UnknownDetector(name, entries)
    made = _make(entries[name], setup or Setup())
    return _calibrated(made, entries[name]) if calibrate else made


def load_all(setup: Setup | None = None) -> list[AnyDetector]:
    """Every registered detector in alphabetical order, calibrated, their weights not yet loaded.

    Raises:
        RegistryError: an entry point gives no detector, or two give the same.
    """
    return [_calibrated(_make(entry, setup or Setup()), entry) for entry in registered().values()]


def by_modality(detectors: Iterable[AnyDetector]) -> dict[Modality, list[AnyDetector]]:
    """Those that look at the same kind of item, in their order."""
    groups: dict[Modality, list[AnyDetector]] = {}
    for detector in detectors:
        groups.setdefault(detector.card.modality, []).append(detector)
    return groups


def _make(entry: EntryPoint, setup: Setup) -> AnyDetector:
    try:
        offered = entry.load()
        made = offered() if isinstance(offered, type) else offered(setup)
    except Exception as error:
        raise BadEntryPoint(entry, f"failed with {type(error).__name__}: {error}") from error
    if not isinstance(made, Detector):
        raise BadEntryPoint(entry, f"gives a {type(made).__name__} instead of a Detector")
    if made.card.name != entry.name:
        raise BadEntryPoint(entry, f"gives a detector whose card is named {made.card.name!r}")
    made.resources = setup.resources
    return made


def _calibrated(detector: AnyDetector, entry: EntryPoint) -> AnyDetector:
    from moderation.evaluation.calibration import CalibrationError, calibrated

    try:
        return calibrated(detector)
    except CalibrationError as error:
        raise BadEntryPoint(entry, f"has a calibration that does not fit: {error}") from error


def _shown(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist is not None else "an unknown package"
    return f"{entry.name} = {entry.value} of {package}"
