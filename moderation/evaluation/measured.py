"""What was measured of each version of a detector, kept beside it: the recall that the bound may use.

``firstplay detectors evaluate --store`` writes ``data/measured/NAME-VERSION.json``. Figures are of the part
``heldout`` of labelled sets, on which nothing was tuned or fitted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from moderation import detectors
from moderation.detectors.base import DetectorCard
from moderation.evaluation.labelled import SourceName
from moderation.evaluation.runner import Measurement

FOLDER = Path(detectors.__file__).parent / "data" / "measured"
LEAST = 10
"""Positives from which a recall is used: under that its lower limit says more of the set than of the
detector."""

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class MeasuredError(ValueError):
    """Kept measurements cannot be read; the message names the file."""


class Measured(BaseModel):
    """Of one label on the items of one source in one set; the fields of :class:`Measurement`."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    fingerprint: str
    label: str
    source: SourceName
    set: str
    set_sha256: str
    threshold: Share
    positives: Annotated[int, Field(ge=0)]
    found: Annotated[int, Field(ge=0)]
    lookalikes: Annotated[int, Field(ge=0)]
    false_alarms: Annotated[int, Field(ge=0)]
    recall_limits: tuple[Share, Share]
    alarm_limits: tuple[Share, Share]


_ROWS = TypeAdapter(list[Measured])


def path_of(name: str, version: str, folder: Path | None = None) -> Path:
    """Where the measurements of a version are kept."""
    return (folder or FOLDER) / f"{name}-{version}.json"


def store(measured: Iterable[Measurement], folder: Path | None = None) -> list[Path]:
    """Keep measurements, by detector and version; those of other sets stay. The files written."""
    groups: dict[Path, list[Measurement]] = {}
    for one in measured:
        groups.setdefault(path_of(one.detector, one.version, folder), []).append(one)
    for path, group in groups.items():
        sets = {one.set_name for one in group}
        kept = [row for row in _rows(path) if row.set not in sets]
        rows = [*kept, *(Measured.model_validate(one.as_json()) for one in group)]
        rows.sort(key=lambda row: (row.label, row.source, row.set))
        path.parent.mkdir(parents=True, exist_ok=True)
        told = [row.model_dump() for row in rows]
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return list(groups)


def measured_of(card: DetectorCard, folder: Path | None = None) -> list[Measured]:
    """What was measured of this version with these weights. Raises MeasuredError for a damaged file."""
    rows = _rows(path_of(card.name, card.version, folder))
    return [row for row in rows if row.fingerprint == card.fingerprint]


def recall_of(card: DetectorCard, label: str, source: SourceName, folder: Path | None = None) -> float | None:
    """The lower 95 % limit (Wilson) of a label's recall on items of a source, for the bound.

    The least of all sets that have enough positives; None where none has: then nothing is known, and what
    the card or the policy assumes is all there is. For words in pictures or sound, ask with
    :func:`moderation.evaluation.chain.chained_card`.
    """
    return _least(measured_of(card, folder), label, source)


def _least(rows: Iterable[Measured], label: str, source: SourceName) -> float | None:
    return min(
        (
            row.recall_limits[0]
            for row in rows
            if row.label == label and row.source == source and row.positives >= LEAST
        ),
        default=None,
    )


def recalls(
    cards: Iterable[DetectorCard], source: SourceName = "rendered", folder: Path | None = None
) -> dict[str, dict[str, float]]:
    """By name and label, what :func:`recall_of` knows of each card; names and labels without are left out."""
    told: dict[str, dict[str, float]] = {}
    for card in cards:
        rows = measured_of(card, folder)
        known = {label: _least(rows, label, source) for label in card.labels}
        if limits := {label: limit for label, limit in known.items() if limit is not None}:
            told[card.name] = limits
    return told


def _rows(path: Path) -> list[Measured]:
    if not path.is_file():
        return []
    try:
        return _ROWS.validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise MeasuredError(f"{path} is damaged ({error.errors()[0]['msg']}): evaluate again") from error
