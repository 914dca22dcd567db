"""From a world package to the arrays that are played. The same package always compiles to the same world."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from worldmodel.board import Place, Plan, Wanted
from worldmodel.compiled import Clip, CompiledWorld, Mechanics, Placed
from worldmodel.constants import Event, LeverEffect
from worldmodel.layout import Layout, generate
from worldmodel.pace import apply_pace, pace_of
from worldmodel.package import WorldPackage
from worldmodel.painter import Look, paint
from worldmodel.palette import Palette, coloured, reference_palette, theme_palette
from worldmodel.pictures import figure
from worldmodel.prompt import Understanding, understand
from worldmodel.signs import Board
from worldmodel.sound import own_effect
from worldmodel.spec import AtDepth, BehindDoor, Character, Lever, Sign, Where, WorldObject, WorldSpec
from worldmodel.sprites import atlas, sprites

COMPILER_VERSION = "4"
"""Part of every world's key; raised whenever the same package compiles to something else."""
_EFFECTS = {"none": LeverEffect.NONE, "lights_flash": LeverEffect.FLASH, "open_door": LeverEffect.OPEN}


def compile_world(package: WorldPackage) -> CompiledWorld:
    """Everything that a world model needs of a package.

    Raises worldmodel.board.LayoutError naming the object that cannot be placed.
    """
    spec = package.spec
    meaning = _meaning(package)
    clips, clip_of = _clips(package)
    plan = _plan(spec, meaning, clip_of)
    layout = generate(plan, _seed(spec))
    palette = _palette(package, meaning)
    look = _look(package, meaning, palette)
    boards = [_board(package, placed) for placed in layout.placed if placed.kind == "sign"]
    return CompiledWorld(
        key=hashlib.sha256(f"{package.sha256}:{COMPILER_VERSION}:{meaning.digest}".encode()).hexdigest(),
        title=spec.title,
        mechanics=_attainable(meaning.mechanics, layout),
        tiles=layout.tiles,
        links=layout.links,
        effects=layout.effects,
        portals=layout.portals,
        spawns=layout.spawns,
        mover_kinds=layout.mover_kinds,
        mover_spawns=layout.mover_spawns,
        mover_headings=layout.mover_headings,
        picture=paint(layout.tiles, look, boards, _seed(spec)),
        atlas=atlas(palette, burning=meaning.theme == "lava", character=_figure(package, "character")),
        sprites=sprites(palette, _figure(package, "player"), _figure(package, "enemy")),
        clips=clips,
        music=Clip(spec.music, package.sounds[spec.music]) if spec.music is not None else None,
        effect_clips=_effect_clips(package),
        placed=layout.placed,
        notes=meaning.notes,
    )


def _seed(spec: WorldSpec) -> int:
    """Changes with the spec's seed and prompt only: a new text on a sign leaves the map as it was."""
    digest = hashlib.sha256(f"{spec.seed}:{spec.prompt}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def _clips(package: WorldPackage) -> tuple[tuple[Clip, ...], dict[str, int]]:
    """Each voice once, and its index by the name of its sound."""
    says = [thing.says for thing in package.spec.objects if isinstance(thing, Character)]
    names = list(dict.fromkeys(says))
    clips = tuple(Clip(name, package.sounds[name]) for name in names)
    return clips, {name: index for index, name in enumerate(names)}


def _meaning(package: WorldPackage) -> Understanding:
    """What the spec says, and where it says nothing what its video shows."""
    spec, meaning = package.spec, understand(package.spec)
    if spec.style.video is not None:
        meaning = apply_pace(meaning, spec, pace_of(package.videos[spec.style.video]))
    return replace(meaning, mechanics=_walkable(meaning.mechanics))


def _walkable(mechanics: Mechanics) -> Mechanics:
    """A wind against which one gets on: at most half as fast as the player."""
    most = mechanics.speed // 2
    return replace(mechanics, wind=max(-most, min(most, mechanics.wind)))


def _attainable(mechanics: Mechanics, layout: Layout) -> Mechanics:
    """A goal that asks for no more coins than there are."""
    return replace(mechanics, coins_needed=min(mechanics.coins_needed, layout.reachable_coins))


def _effect_clips(package: WorldPackage) -> dict[int, Clip]:
    """The creator's own effects by event, as they are played."""
    named = ((Event[what.upper()], name) for what, name in package.spec.effects if name is not None)
    return {event: Clip(name, own_effect(package.sounds[name])) for event, name in named}


def _plan(spec: WorldSpec, meaning: Understanding, clip_of: dict[str, int]) -> Plan:
    return Plan(
        mechanics=meaning.mechanics,
        objects=tuple(_wanted(i, thing, clip_of) for i, thing in enumerate(spec.objects)),
        hazards=meaning.hazards,
        coins=meaning.coins,
        enemies=meaning.enemies,
        cave=meaning.cave,
        size=meaning.size,
        density=meaning.density,
        rooms=meaning.rooms,
        verticality=meaning.verticality,
        branches=meaning.branches,
        secrets=meaning.secrets,
        water=meaning.water,
        ice=meaning.ice,
        platforms=meaning.platforms,
    )


def _wanted(index: int, thing: WorldObject, clip_of: dict[str, int]) -> Wanted:
    return Wanted(
        index=index,
        kind=thing.kind,
        where=_where(thing.where),
        effect=_EFFECTS[thing.effect] if isinstance(thing, Lever) else LeverEffect.NONE,
        clip=clip_of[thing.says] if isinstance(thing, Character) else -1,
    )


def _where(where: Where) -> Place:
    if isinstance(where, AtDepth):
        return where.depth
    return "door" if isinstance(where, BehindDoor) else "spawn"


def _palette(package: WorldPackage, meaning: Understanding) -> Palette:
    """The theme's colours, bent towards the reference picture, else the video, then named ones."""
    palette, style = theme_palette(meaning.theme), package.spec.style
    if style.reference is not None:
        palette = reference_palette(palette, package.images[style.reference])
    elif style.video is not None:
        frames = package.videos[style.video][:: max(1, len(package.videos[style.video]) // 4)]
        palette = reference_palette(palette, frames.reshape(-1, *frames.shape[2:]))
    return coloured(palette, meaning.colours)


def _look(package: WorldPackage, meaning: Understanding, palette: Palette) -> Look:
    style = package.spec.style
    return Look(
        meaning.theme,
        palette,
        meaning.tags,
        meaning.mechanics.top_view,
        reference=package.images[style.reference] if style.reference is not None else None,
        backdrop=package.images[style.backdrop] if style.backdrop is not None else None,
        named=frozenset(meaning.colours),
    )


def _figure(package: WorldPackage, who: Literal["player", "enemy", "character"]) -> NDArray[np.uint8] | None:
    """The creator's own picture of somebody, as a sprite."""
    name = getattr(package.spec.style.sprites, who)
    return None if name is None else figure(package.images[name])


def _board(package: WorldPackage, placed: Placed) -> Board:
    sign = package.spec.objects[placed.index]
    assert isinstance(sign, Sign)
    image = package.images[sign.image] if sign.image is not None else None
    return Board(placed.box, sign.text, image)
