"""Labelled sets: items that are known to hold something, and look-alikes that are known not to.

A set on disk is a folder with ``set.yaml``::

    name: words
    made: written by hand for this project
    licence: Apache-2.0
    source: upload                  # upload, rendered or live: where such items are met
    detectors:                      # which detectors it is for: label, and the score that counts as found
      text: {slur: 0.5, threat: 0.5}
    items:
      - {file: development.tsv, part: development}
      - {file: blind.tsv, part: heldout}

and tables of tab-separated values with the columns ``label`` (what the item holds, several with commas
between; ``clean`` for a look-alike), ``kind`` (how it is disguised, or what it looks like), and either
``text`` or ``file`` (a PNG, WAV or FLAC file, or an NPZ with ``frames`` and ``fps``). A column ``words``
tells what a picture or sound says, ``source`` where this item is met. Other columns are for people.

Rules are tuned and calibrations fitted on the part ``development`` only; what is reported as measured is
the part ``heldout``. Sets that are made by a script are built by :mod:`moderation.labelled`.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO, StringIO
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moderation.detectors.base import MODALITIES, Design, Modality, Motion, Picture, Sound, Text

SourceName: TypeAlias = Literal["upload", "rendered", "live"]
"""Where such items are met: what a creator uploads or writes, frames and sound that a world model
rendered for bots, and what players see in live play."""
SOURCES: tuple[SourceName, ...] = get_args(SourceName)
Part: TypeAlias = Literal["development", "heldout"]
Content: TypeAlias = Picture | Motion | Sound | Text | Design
CLEAN = "clean"
READINGS = frozenset({"text", "speech"})
"""Labels under which readers give what they read or heard, to be compared with an item's words."""


class LabelledSetError(ValueError):
    """A labelled set cannot be used; the message names the file and what to do."""


@dataclass(frozen=True)
class LabelledItem:
    """One thing to look at, and the truth about it."""

    content: Content
    labels: frozenset[str]
    """What it holds; none for a look-alike of everything."""
    kind: str
    """How it is disguised, or what it looks like."""
    source: SourceName
    part: Part = "heldout"
    words: str | None = None
    """What a picture or sound says, where it does."""

    @property
    def modality(self) -> Modality:
        return MODALITIES[type(self.content)]


@dataclass(frozen=True)
class LabelledSet:
    """Items with their labels, and the detectors that they are for."""

    name: str
    made: str
    """How it was made and where it is from."""
    licence: str
    detectors: Mapping[str, Mapping[str, float]]
    """Detector (``reader+reader of words`` for two in a row), label, and the score that counts as found."""
    items: tuple[LabelledItem, ...]

    @cached_property
    def sha256(self) -> str:
        """Of all items and labels: what a measurement was made on."""
        digest = hashlib.sha256()
        for item in self.items:
            told = (sorted(item.labels), item.kind, item.source, item.part, item.words)
            digest.update(repr(told).encode() + _bytes_of(item.content))
        return digest.hexdigest()

    def part(self, part: Part) -> LabelledSet:
        """The same set with the items of one part only."""
        kept = tuple(item for item in self.items if item.part == part)
        return LabelledSet(self.name, self.made, self.licence, self.detectors, kept)


def _bytes_of(content: Content) -> bytes:
    if isinstance(content, Picture):
        return _array(content.pixels)
    if isinstance(content, Motion):
        return _array(content.frames) + str(content.fps).encode()
    if isinstance(content, Sound):
        return _array(content.samples) + str(content.rate).encode()
    if isinstance(content, Text):
        return content.text.encode()
    return content.spec.model_dump_json().encode()


def _array(array: NDArray[Any]) -> bytes:
    return str(array.shape).encode() + array.tobytes()


# -- a set on disk ------------------------------------------------------------------------------------


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str
    part: Part = "heldout"


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    made: Annotated[str, Field(min_length=10)]
    licence: Annotated[str, Field(min_length=3)]
    source: SourceName
    detectors: Annotated[dict[str, dict[str, Annotated[float, Field(gt=0, le=1)]]], Field(min_length=1)]
    items: Annotated[tuple[_Table, ...], Field(min_length=1)]


def read_set(folder: Path) -> LabelledSet:
    """The labelled set of a folder. Raises LabelledSetError naming the file, the row and the remedy."""
    header = _header(folder / "set.yaml")
    items = [item for table in header.items for item in _items(folder, table, header.source)]
    return LabelledSet(header.name, header.made, header.licence, header.detectors, tuple(items))


def _header(path: Path) -> _Header:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not path.is_file():
        raise LabelledSetError(f"{path} is missing: a labelled set is a folder with a set.yaml")
    try:
        return _Header.model_validate(YAML(typ="safe").load(_text(path)))
    except YAMLError as error:
        raise LabelledSetError(f"{path} is no valid YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise LabelledSetError(f"{path}: {place}: {first['msg']}") from error


def _items(folder: Path, table: _Table, source: SourceName) -> Iterator[LabelledItem]:
    path = _inside(folder, table.file, folder / "set.yaml")
    reader = csv.DictReader(StringIO(_text(path), newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    columns = set(reader.fieldnames or ())
    if not {"label", "kind"} <= columns or len({"text", "file"} & columns) != 1:
        raise LabelledSetError(f"{path}: its columns must be label, kind and one of text and file")
    for number, row in enumerate(reader, 2):
        where = f"{path}, line {number}"
        yield LabelledItem(
            content=_content(folder, row, where),
            labels=_labels(row["label"], where),
            kind=row["kind"] or "plain",
            source=_source(row.get("source") or source, where),
            part=table.part,
            words=row.get("words") or None,
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LabelledSetError(f"{path} is not UTF-8 ({error.reason} at byte {error.start})") from None


def _labels(told: str | None, where: str) -> frozenset[str]:
    labels = frozenset(filter(None, (label.strip() for label in (told or "").split(","))))
    if not labels or (CLEAN in labels and len(labels) > 1):
        raise LabelledSetError(f"{where}: label must be {CLEAN}, or one or more labels, not {told!r}")
    return labels - {CLEAN}


def _source(told: str, where: str) -> SourceName:
    for source in SOURCES:
        if told == source:
            return source
    raise LabelledSetError(f"{where}: source must be one of {', '.join(SOURCES)}, not {told!r}")


def _content(folder: Path, row: Mapping[str, str | None], where: str) -> Content:
    if "text" in row:
        if not row["text"]:
            raise LabelledSetError(f"{where}: has no text; tabs must stand between all columns")
        return Text(row["text"])
    path = _inside(folder, row["file"] or "", where)
    try:
        return _decoded(path)
    except (ValueError, KeyError, OSError) as error:
        raise LabelledSetError(f"{where}: {path.name} cannot be used: {error}") from error


def _decoded(path: Path) -> Content:
    from worldmodel.constants import SAMPLE_RATE
    from worldmodel.media import decode_picture, decode_sound

    data = path.read_bytes()
    if path.suffix == ".npz":
        with np.load(BytesIO(data), allow_pickle=False) as arrays:
            return Motion(_frames(arrays["frames"]), float(arrays["fps"]))
    if path.suffix in {".wav", ".flac"}:
        return Sound(decode_sound(data), SAMPLE_RATE)
    if path.suffix == ".png":
        return Picture(decode_picture(data)[..., :3])
    raise ValueError("it must end in .png, .wav, .flac or .npz")


def _frames(frames: NDArray[Any]) -> NDArray[np.uint8]:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames must be (T, H, W, 3) uint8, not {frames.shape} {frames.dtype}")
    return frames


def _inside(folder: Path, name: str, where: object) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise LabelledSetError(f"{where}: {name!r} is no file of the set's folder")
    return path


def of_modality(items: Sequence[LabelledItem], modality: Modality) -> list[LabelledItem]:
    """Those that a detector of ``modality`` can look at."""
    return [item for item in items if item.modality == modality]
