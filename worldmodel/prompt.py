"""Words to mechanics: what a prompt asks for, and what was made up where it says nothing.

Numbers in the spec's ``mechanics`` and ``layout`` come before plain words, plain words before what the text
encoder guesses from the rest, guesses before what a theme suggests. What says nothing known is kept as style.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Literal

from worldmodel.compiled import Mechanics
from worldmodel.constants import FPS, MAX_ENEMIES, Mover
from worldmodel.spec import WorldSpec
from worldmodel.text.guessing import guess_rest
from worldmodel.text.heads import heads
from worldmodel.text.lexicon import ALWAYS_SAID, CAVES, DEFAULTS, ENEMY_KINDS, FILLER, SUGGESTS
from worldmodel.text.reader import Reading, read, say
from worldmodel.travel import jump_height

_NORMAL_ENEMIES = 4
_SHORTEST, _LONGER = 0.6, 0.8
"""Length of the walk for a wished size of 0, and what a size of 1 adds."""
_KINDS: dict[str, Mover] = dict(
    zip(ENEMY_KINDS, (Mover.WALKER, Mover.GHOST, Mover.CHASER, Mover.FLYER, Mover.SPIDER), strict=True)
)
_NOTES = frozenset({"understood", "inferred", "style"})
_SIDE_ONLY = ("ice", "platforms", "double_jump")


@dataclass(frozen=True)
class Understanding:
    """What a spec's words and numbers come to."""

    mechanics: Mechanics
    theme: str
    """Family of looks, such as ``cave`` or ``garden``."""
    tags: tuple[str, ...]
    """Decorations and moods: ``lanterns``, ``night`` ..."""
    hazards: float
    """0..1."""
    coins: float
    """0..1."""
    enemies: tuple[Mover, ...]
    cave: bool
    """Ceilings close to the ground."""
    size: float
    """Length of the walk, 1 is normal."""
    understood: tuple[str, ...]
    inferred: tuple[str, ...]
    style: tuple[str, ...]
    density: float = 0.5
    """The wishes for the layout, 0..1 as in the spec, 0.5 normal."""
    rooms: float = 0.5
    verticality: float = 0.5
    branches: float = 0.5
    secrets: int = 1
    water: float = 0.0
    """0..1, as in the spec."""
    ice: float = 0.0
    platforms: float = 0.0
    colours: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """RGB 0..255 that the prompt names, by what they colour: ``ground``, ``backdrop``, ``accent``
    (decorations, lights), ``player``, ``enemies``, ``water`` or ``all`` where it does not say."""

    @property
    def digest(self) -> str:
        """SHA-256 over all that shapes the world, not over the notes: equal digests play and look alike."""
        plays = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOTES}
        plays["mechanics"] = asdict(self.mechanics)
        text = json.dumps(plays, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def notes(self) -> dict[str, list[str]]:
        """To show to the creator."""
        return {
            "understood": list(self.understood),
            "inferred": list(self.inferred),
            "style": list(self.style),
        }


def understand(spec: WorldSpec) -> Understanding:
    """Read a spec. Pure: the same spec always comes to the same.

    Raises worldmodel.store.ModelMissing or ModelCorrupt when the text encoder is needed and not there.
    """
    reading = read(spec.prompt)
    inferred = guess_rest(reading, heads())
    values = _fill(spec, reading, inferred)
    theme = reading.theme or _default_theme(values, inferred)
    return Understanding(
        mechanics=_integers(values, reading.enemy_speed),
        theme=theme,
        tags=reading.tags,
        hazards=values["hazards"],
        coins=values["collectibles"],
        enemies=_enemies(spec, reading, inferred),
        cave=reading.theme in CAVES,
        size=values["size"],
        understood=tuple(reading.understood),
        inferred=tuple(inferred),
        style=_style(reading),
        density=values["density"],
        rooms=values["rooms"],
        verticality=values["verticality"],
        branches=values["branches"],
        secrets=round(values["secrets"]),
        water=values["water"],
        ice=values["ice"],
        platforms=values["platforms"],
        colours=reading.colours,
    )


@dataclass(frozen=True)
class Setting:
    """A number of a world, on the spec's scale, and where it comes from."""

    value: float
    origin: Literal["spec", "prompt", "guess", "theme", "usual"]
    """Set in the spec, said in the prompt, guessed from the rest of it, usual for its theme, or usual."""


def settings(spec: WorldSpec) -> dict[str, Setting]:
    """Every number of ``mechanics`` and ``layout`` as it comes out, by name. Raises as understand."""
    reading = read(spec.prompt)
    said = frozenset(reading.values)
    guess_rest(reading, heads())
    explicit, suggested = _explicit(spec), SUGGESTS.get(reading.theme, {})

    def origin(name: str) -> Literal["spec", "prompt", "guess", "theme", "usual"]:
        if name in explicit:
            return "spec"
        if name in reading.values:
            return "prompt" if name in said else "guess"
        return "theme" if name in suggested else "usual"

    values = _fill(spec, reading, [])
    values["size"] = (values["size"] - _SHORTEST) / _LONGER
    return {name: Setting(round(value, 3), origin(name)) for name, value in values.items()}


def _style(reading: Reading) -> tuple[str, ...]:
    left = [w for i, w in enumerate(reading.words) if i not in reading.used and w not in FILLER]
    return tuple(dict.fromkeys(left))


def _default_theme(values: dict[str, float], inferred: list[str]) -> str:
    theme = "cave" if values["darkness"] > 0.5 else "forest"
    inferred.append(f"looks like {theme}")
    return theme


def _fill(spec: WorldSpec, reading: Reading, inferred: list[str]) -> dict[str, float]:
    """Every number: from the spec, else from the prompt, else from the theme, else normal."""
    explicit = _explicit(spec)
    suggested = SUGGESTS.get(reading.theme, {})
    values = {}
    for concept, normal in DEFAULTS.items():
        if concept in explicit:
            values[concept] = explicit[concept]
        elif concept in reading.values:
            values[concept] = reading.values[concept]
        else:
            values[concept] = suggested.get(concept, normal)
            if concept in ALWAYS_SAID or concept in suggested:
                inferred.append(say(concept, values[concept]))
    if values["top"] > 0.5:  # neither falls nor slides there
        values.update(dict.fromkeys(_SIDE_ONLY, 0.0))
    return values


def _explicit(spec: WorldSpec) -> dict[str, float]:
    """The spec's own numbers by concept; ``enemies`` is no number."""
    given = {**dict(spec.layout), **dict(spec.mechanics)}
    found = {name: float(value) for name, value in given.items() if name in DEFAULTS and value is not None}
    if spec.layout.size is not None:
        found["size"] = _SHORTEST + _LONGER * spec.layout.size
    if spec.mechanics.view is not None:
        found["top"] = float(spec.mechanics.view == "top")
    return found


def _enemies(spec: WorldSpec, reading: Reading, inferred: list[str]) -> tuple[Mover, ...]:
    wanted = spec.mechanics.enemies
    if wanted == "none":
        return ()
    amounts: dict[str, float]
    named = {kind: amount for kind, amount in reading.kinds.items() if amount != 0}
    everywhere = reading.enemies
    if wanted is not None:
        amounts = {wanted: named.get(wanted) or everywhere or 1.0}
    elif named:
        amounts = {kind: amount or everywhere or 1.0 for kind, amount in named.items()}
    elif everywhere is None and not reading.kinds:
        kind = "ghosts" if reading.theme in ("cave", "swamp") else "walkers"
        inferred.append(f"a few {kind}")
        amounts = {kind: 0.6}
    elif everywhere:
        inferred.append("the enemies walk")
        amounts = {"walkers": everywhere}
    else:
        amounts = {}
    return _mixed(amounts, reading.counts)


def _mixed(amounts: dict[str, float], counts: dict[str, int]) -> tuple[Mover, ...]:
    """Enemies of each kind in turn, so that none is crowded out where the slots end."""
    normal = _NORMAL_ENEMIES if len(amounts) < 2 else _NORMAL_ENEMIES - 1
    alike = counts.get("enemies") if len(amounts) == 1 else None
    left = {
        kind: counts.get(kind) or alike or max(1, round(normal * amount)) for kind, amount in amounts.items()
    }
    found: list[Mover] = []
    while any(left.values()):
        for kind in [kind for kind, count in left.items() if count]:
            found.append(_KINDS[kind])
            left[kind] -= 1
    return tuple(found[:MAX_ENEMIES])


def _integers(values: dict[str, float], enemy_speed: float) -> Mechanics:
    """The spec's scales in units and steps."""
    gravity = 1 if values["gravity"] < 0.75 else 2 if values["gravity"] < 1.6 else 3
    speed, wind = values["speed"], values["wind"]
    return Mechanics(
        top_view=values["top"] > 0.5,
        gravity=gravity,
        jump=_jump(gravity, values["jump"]),
        speed=max(2, min(8, round(2 + 4 * speed if speed <= 1 else 6 + 2 * (speed - 1)))),
        accel=1 + round(3 * min(1.0, values["friction"])),
        darkness=round(3 * min(1.0, values["darkness"])),
        enemy_speed=1 if enemy_speed < 1 else 3 if enemy_speed > 1 else 2,
        air_jumps=int(values["double_jump"] > 0),
        wind=0 if not wind else (1 if wind > 0 else -1) * (1 + (abs(wind) > 0.6)),
        platform_speed=2 if values["platforms"] > 0.7 else 1,
        day_length=round(values["day_length"] * FPS),
        coins_needed=round(values["coins_needed"]),
    )


def _jump(gravity: int, strength: float) -> int:
    """The take-off speed whose height is nearest to 1.9 (none) .. 2.55 (normal) .. 3.3 (double) tiles."""
    strength = min(2.0, strength)
    tiles = 1.9 + 0.65 * strength if strength <= 1 else 2.55 + 0.75 * (strength - 1)
    heights = {jump: jump_height(Mechanics(gravity=gravity, jump=jump)) for jump in range(8, 19)}
    return min(heights, key=lambda jump: abs(heights[jump] - tiles * 32))
