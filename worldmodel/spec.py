"""The schema of ``world.yaml``: what a creator can say about a world.

The same document is the API's JSON. Whatever is left out of ``mechanics`` is inferred from the prompt.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from worldmodel import limits

BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
"""They can make a text look different from what it is to the person who reviews it."""


def _readable(text: str) -> str:
    for character in text:
        hidden = unicodedata.category(character) in {"Cc", "Cs", "Co"} and character != "\n"
        if hidden or character in BIDI_CONTROLS:
            raise ValueError(f"must not contain the control character U+{ord(character):04X}")
    if text and not text.strip():
        raise ValueError("must not be blank")
    return text.strip()


def _one_line(text: str) -> str:
    if "\n" in text.strip():
        raise ValueError("must be a single line")
    return _readable(text)


def _media_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w .-]*(/\w[\w .-]*)*", name, re.ASCII) or name.endswith((".", " ")):
        raise ValueError(
            "must name a file of the package: letters, digits, '.', '-', '_', with '/' between folders"
        )
    return name


MediaName: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=limits.PATH_CHARACTERS), AfterValidator(_media_name)
]
"""Path of a media file inside the package, ``/`` between folders."""
Title: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=limits.TITLE_CHARACTERS), AfterValidator(_one_line)
]
Prompt: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=limits.PROMPT_CHARACTERS), AfterValidator(_readable)
]
SignText: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=limits.SIGN_CHARACTERS), AfterValidator(_one_line)
]
CharacterName: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=limits.NAME_CHARACTERS), AfterValidator(_one_line)
]
Slug: TypeAlias = Annotated[
    str, Field(max_length=limits.TITLE_CHARACTERS, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
]
"""Short name of a world: its title in lower case with ``-`` between words, such as ``lantern-caves``."""


class _Part(BaseModel):
    # A spec is a value: strict, so that "0.4" is not silently a number, and closed, so that no typo is lost.
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class AtDepth(_Part):
    """Somewhere along the way: ``near`` the start, in the middle or ``far`` from it."""

    depth: Literal["near", "mid", "far"]


class BehindDoor(_Part):
    """In a place that only an opened door leads to."""

    behind: Literal["door"]


class NearSpawn(_Part):
    """In sight of the start."""

    near: Literal["spawn"]


def _where_tag(value: object) -> str | None:
    keys = value.keys() if isinstance(value, dict) else getattr(value, "__dict__", {}).keys()
    # Tags that are no field names: an error's location names both.
    return next((f"at {key}" for key in ("depth", "behind", "near") if key in keys), None)


Where: TypeAlias = Annotated[
    Annotated[AtDepth, Tag("at depth")]
    | Annotated[BehindDoor, Tag("at behind")]
    | Annotated[NearSpawn, Tag("at near")],
    Discriminator(
        _where_tag,
        custom_error_type="where",
        custom_error_message="must be {depth: near | mid | far}, {behind: door} or {near: spawn}",
    ),
]
"""Where an object stands."""

MIDWAY = AtDepth(depth="mid")


class Sign(_Part):
    """A board, 6 x 3 tiles, that shows either a line of text or a picture."""

    kind: Literal["sign"]
    text: SignText | None = None
    image: MediaName | None = None
    where: Where = MIDWAY

    @model_validator(mode="after")
    def _text_or_image(self) -> Self:
        if (self.text is None) == (self.image is None):
            raise ValueError("must have either text or image")
        return self


class Character(_Part):
    """A figure that says something when the player comes close."""

    kind: Literal["character"]
    says: MediaName
    name: CharacterName | None = None
    where: Where = MIDWAY


class Lever(_Part):
    """A switch that the player can pull."""

    kind: Literal["lever"]
    effect: Literal["lights_flash", "open_door", "none"]
    where: Where = MIDWAY


class Door(_Part):
    """A closed door; a key or a lever opens it."""

    kind: Literal["door"]
    where: Where = MIDWAY


class Portal(_Part):
    """A gate that puts the player somewhere else in the world."""

    kind: Literal["portal"]
    where: Where = MIDWAY


WorldObject: TypeAlias = Annotated[Sign | Character | Lever | Door | Portal, Field(discriminator="kind")]


def _not_too_many_of_a_kind(objects: tuple[WorldObject, ...]) -> tuple[WorldObject, ...]:
    for kind, count in Counter(thing.kind for thing in objects).items():
        if count > limits.OBJECTS_OF_KIND[kind]:
            raise ValueError(f"must hold at most {limits.OBJECTS_OF_KIND[kind]} of kind {kind}, not {count}")
    return objects


class Mechanics(_Part):
    """How the world plays. Everything left out is inferred from the prompt."""

    view: Literal["side", "top"] | None = None
    gravity: Annotated[float | None, Field(ge=0, le=3)] = None
    """1 is normal, 0.4 the moon. Side view only."""
    jump: Annotated[float | None, Field(ge=0, le=2)] = None
    """1 is normal. Side view only."""
    speed: Annotated[float | None, Field(ge=0, le=2)] = None
    """1 is normal."""
    friction: Annotated[float | None, Field(ge=0, le=1)] = None
    """0 is ice, 1 full grip."""
    hazards: Annotated[float | None, Field(ge=0, le=1)] = None
    """0 none, 1 as many as stay fair."""
    collectibles: Annotated[float | None, Field(ge=0, le=1)] = None
    darkness: Annotated[float | None, Field(ge=0, le=1)] = None
    """0 daylight, 1 only the light around the player."""
    enemies: Literal["none", "walkers", "ghosts", "chasers", "flyers", "spiders"] | None = None
    double_jump: bool | None = None
    """A second jump in the air. Side view only."""
    wind: Annotated[float | None, Field(ge=-1, le=1)] = None
    """-1 a gale to the left, 0 none, 1 a gale to the right."""
    water: Annotated[float | None, Field(ge=0, le=1)] = None
    """Share of pools: 0 none, 1 as many as fit."""
    ice: Annotated[float | None, Field(ge=0, le=1)] = None
    """Share of the ground that is ice. Side view only."""
    platforms: Annotated[float | None, Field(ge=0, le=1)] = None
    """Moving platforms: 0 none, 1 as many as fit. Side view only."""
    day_length: Annotated[float | None, Field(ge=0, le=300)] = None
    """Seconds of a day and a night together; 0 for no change of light."""
    coins_needed: Annotated[int | None, Field(ge=0, le=9)] = None
    """Coins without which the goal does not count; never more than can be collected."""


class LayoutWishes(_Part):
    """The shape of the map. Everything left out is inferred from the prompt. 0.5 is normal."""

    size: Annotated[float | None, Field(ge=0, le=1)] = None
    """Length of the walk."""
    density: Annotated[float | None, Field(ge=0, le=1)] = None
    """How much stands in the way: 0 wide open, 1 crowded."""
    rooms: Annotated[float | None, Field(ge=0, le=1)] = None
    """0 one open stretch, 1 many rooms with walls between them."""
    verticality: Annotated[float | None, Field(ge=0, le=1)] = None
    """0 flat, 1 as much up and down as the map allows."""
    branches: Annotated[float | None, Field(ge=0, le=1)] = None
    """Ways that lead aside from the way to the goal."""
    secrets: Annotated[int | None, Field(ge=0, le=4)] = None
    """Hidden rewards: places with coins that the straight way does not pass."""


class Sprites(_Part):
    """Pictures for what moves; each is scaled to 16 x 16 pixels, its plain background cut away."""

    player: MediaName | None = None
    enemy: MediaName | None = None
    character: MediaName | None = None


class Effects(_Part):
    """Sounds for what happens, in place of the synthesised ones."""

    collect: MediaName | None = None
    key: MediaName | None = None
    door: MediaName | None = None
    hurt: MediaName | None = None
    portal: MediaName | None = None
    lever: MediaName | None = None
    goal: MediaName | None = None
    died: MediaName | None = None


class Style(_Part):
    """Media that colours, textures and pace are taken from."""

    reference: MediaName | None = None
    """A picture: colours and textures."""
    video: MediaName | None = None
    """Colours, pace, and how the camera leads."""
    backdrop: MediaName | None = None
    """A picture that is the world's background."""
    sprites: Sprites = Sprites()


class WorldSpec(_Part):
    """A whole ``world.yaml``."""

    title: Title
    prompt: Prompt
    """What the world is, in words."""
    mechanics: Mechanics = Mechanics()
    layout: LayoutWishes = LayoutWishes()
    style: Style = Style()
    objects: Annotated[
        tuple[WorldObject, ...],
        Field(strict=False, max_length=limits.OBJECTS),
        AfterValidator(_not_too_many_of_a_kind),
    ] = ()
    music: MediaName | None = None
    """A sound that plays in a loop."""
    effects: Effects = Effects()
    seed: Annotated[int, Field(ge=0, le=limits.SEED)] = 0
    """Another seed gives another layout of the same world."""
    remix_of: Slug | None = None
    """Slug of the world that this one was made from."""

    @property
    def slug(self) -> str:
        """Short name from the title, ``world`` where the title has no Latin letter or digit."""
        plain = unicodedata.normalize("NFKD", self.title).encode("ascii", "ignore").decode().lower()
        return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "world"

    @property
    def media(self) -> tuple[MediaUse, ...]:
        """Every place that names a medium, in the document's order; one file may be used many times."""
        return tuple(_media_uses(self))

    def canonical(self) -> dict[str, Any]:
        """JSON form without defaults, so that a field added later leaves older hashes alone."""
        return self.model_dump(mode="json", exclude_defaults=True)


MediaKind: TypeAlias = Literal["picture", "video", "sound"]


@dataclass(frozen=True)
class MediaUse:
    """One place of a spec that names a medium."""

    name: str
    kind: MediaKind
    field: tuple[str | int, ...]
    """``("objects", 1, "image")``."""


def _media_uses(spec: WorldSpec) -> Iterator[MediaUse]:
    style = spec.style
    pictures = {"reference": style.reference, "backdrop": style.backdrop}
    yield from _named(pictures.items(), "picture", "style")
    yield from _named([("video", style.video)], "video", "style")
    yield from _named(style.sprites, "picture", "style", "sprites")
    for index, thing in enumerate(spec.objects):
        if isinstance(thing, Sign):
            yield from _named([("image", thing.image)], "picture", "objects", index)
        if isinstance(thing, Character):
            yield from _named([("says", thing.says)], "sound", "objects", index)
    yield from _named([("music", spec.music)], "sound")
    yield from _named(spec.effects, "sound", "effects")


def _named(fields: Iterable[tuple[str, str | None]], kind: MediaKind, *path: str | int) -> Iterator[MediaUse]:
    """The fields under ``path`` that name a medium."""
    for field, name in fields:
        if name is not None:
            yield MediaUse(name, kind, (*path, field))


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of ``world.yaml``."""
    schema = WorldSpec.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
