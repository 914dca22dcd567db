"""Words to mechanics: what a prompt asks for, and what was made up where it says nothing.

A lexicon with negation ("no ghosts") and intensity ("very low gravity"). Numbers in the spec's ``mechanics``
come before words, words before what a theme suggests. A word that names nothing known is kept as style.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from worldmodel.compiled import Mechanics
from worldmodel.constants import MOVER_SLOTS, Mover
from worldmodel.spec import WorldSpec
from worldmodel.travel import jump_height

_NEGATIONS = frozenset("no without never not none zero non free lacking nothing any isn't aren't".split())
_NEGATORS = _NEGATIONS - {"any", "free"}
_BOOSTS = frozenset("very really extremely super so too ultra incredibly totally insanely quite".split())
_LEVELS = {
    0.25: "tiny hardly barely scarce",
    0.45: "low weak little light small few less reduced lower gentle soft some rare weaker",
    1.0: "normal medium usual regular average",
    1.6: "high strong many lots heavy big much more great plenty heavier higher stronger hard full countless "
    "numerous packed swarms hordes everywhere deadly",
}
_LEVEL = {word: level for level, words in _LEVELS.items() for word in words.split()}
_FILLER = frozenset(
    "a an the and or of on in at with by for to from into over under through is are be it its this "
    "that there where "
    "which who you your i we they them their his her as but then than up down out off while about "
    "around near like "
    "all each every one two three world game level place player some just very really so too can "
    "will must have has "
    "seen view only many lots any".split()
)

_AMOUNTS = {
    "gravity": "gravity weight weighty",
    "hazards": "hazard hazards spike spikes trap traps danger dangers dangerous thorn thorns pit "
    "pits deadly acid "
    "pitfalls lava magma fire flames",
    "collectibles": "coin coins gem gems treasure treasures gold collectible collectibles jewel "
    "jewels loot pearls",
    "enemies": "enemy enemies monster monsters foe foes creature creatures danger",
    "walkers": "walker walkers beetle beetles slime slimes crab crabs snail snails goblin goblins "
    "patrol patrols "
    "patrolling zombie zombies guard guards hedgehog hedgehogs soldier soldiers",
    "ghosts": "ghost ghosts spirit spirits phantom phantoms bat bats wisp wisps specter specters "
    "haunted floaters",
    "chasers": "chaser chasers hunter hunters hunting wolf wolves chasing dragon dragons stalker "
    "stalkers predator "
    "predators wasps bees hounds",
    "darkness": "dark darkness dim gloomy unlit shadowy night midnight black pitch",
    "friction": "grip friction traction grippy sticky",
}
"""Words that name something there can be more or less of."""
_SETTINGS: dict[str, tuple[str, float]] = {
    "fast": ("speed", 1.5), "quick": ("speed", 1.5), "speedy": ("speed", 1.6), "rush": ("speed", 1.6),
    "racing": ("speed", 1.7), "race": ("speed", 1.6), "slow": ("speed", 0.55), "sluggish": ("speed", 0.4),
    "floaty": ("gravity", 0.5), "weightless": ("gravity", 0.2), "heavy": ("gravity", 1.8),
    "jumpy": ("jump", 1.5), "bouncy": ("jump", 1.6), "springy": ("jump", 1.6), "leap": ("jump", 1.4),
    "slippery": ("friction", 0.1), "icy": ("friction", 0.15), "slick": ("friction", 0.15),
    "bright": ("darkness", 0.0), "sunny": ("darkness", 0.0), "daylight": ("darkness", 0.0),
    "lit": ("darkness", 0.0),
    "safe": ("hazards", 0.0), "harmless": ("hazards", 0.0), "peaceful": ("enemies", 0.0),
    "quiet": ("enemies", 0.0),
    "calm": ("enemies", 0.0), "friendly": ("enemies", 0.0), "relaxing": ("enemies", 0.0),
    "empty": ("enemies", 0.0),
    "huge": ("size", 1.35), "long": ("size", 1.25), "vast": ("size", 1.35), "endless": ("size", 1.35),
    "small": ("size", 0.75), "short": ("size", 0.7), "cosy": ("size", 0.75), "tiny": ("size", 0.65),
    "overhead": ("top", 1.0), "topdown": ("top", 1.0), "birdseye": ("top", 1.0), "maze": ("top", 1.0),
    "labyrinth": ("top", 1.0), "sideways": ("top", 0.0), "platformer": ("top", 0.0),
    "platforms": ("top", 0.0),
    "stairs": ("top", 0.0), "run": ("speed", 1.2), "sprint": ("speed", 1.5), "jump": ("jump", 1.1),
}  # fmt: skip
"""Words that set one number, on the spec's scale."""
_PHRASES = {
    "seen from above": ("top", 1.0), "from above": ("top", 1.0), "top down": ("top", 1.0),
    "bird's eye": ("top", 1.0), "birds eye": ("top", 1.0), "from the side": ("top", 0.0),
    "side view": ("top", 0.0), "top view": ("top", 1.0), "zero gravity": ("gravity", 0.1),
    "pitch black": ("darkness", 1.0), "pitch dark": ("darkness", 1.0),
}  # fmt: skip
_THEMES = {
    "market": "market bazaar stalls stall fair carnival shop shops",
    "lava": "lava magma volcano volcanic burning fire hell inferno molten ember",
    "ice": "ice icy frozen frost snow snowy winter glacier arctic polar cold blizzard",
    "moon": "moon lunar space asteroid planet alien mars crater cosmic stars orbit",
    "city": "city neon street streets skyscraper skyscrapers rooftop rooftops urban town cyberpunk downtown",
    "warehouse": "warehouse brick bricks factory crates cellar basement storage industrial dungeon "
    "castle prison",
    "garden": "garden gardens hedge hedges flower flowers park meadow lawn orchard yard",
    "desert": "desert sand sandy dune dunes pyramid oasis cactus canyon egypt",
    "coast": "coast coastal beach sea ocean shore island harbour harbor lighthouse cliff cliffs pier",
    "swamp": "swamp marsh bog mud muddy murky toxic slimy",
    "forest": "forest wood woods woodland jungle mossy moss tree trees leafy grove fern mushrooms green",
    "cave": "cave caves cavern caverns mine mines tunnel tunnels underground grotto crystal crystals cellars",
}
"""Families of looks, the more telling first."""
_SUGGESTS: dict[str, dict[str, float]] = {
    "cave": {"darkness": 0.45, "hazards": 0.3},
    "ice": {"friction": 0.2},
    "moon": {"gravity": 0.4},
    "lava": {"hazards": 0.55, "darkness": 0.2},
    "city": {"darkness": 0.1},
    "swamp": {"friction": 0.6, "hazards": 0.35},
    "garden": {"hazards": 0.1},
}
_TAGS = {
    "night": "night midnight evening dusk moonlit",
    "lanterns": "lantern lanterns lamp lamps lights candle candles torch torches",
    "crystals": "crystal crystals gem gems glowing",
    "flowers": "flower flowers blossom blossoms bloom roses petals",
    "stalls": "stall stalls market bazaar paper",
    "crates": "crate crates boxes barrels warehouse",
    "lighthouse": "lighthouse",
    "stars": "stars starry space moon",
    "snow": "snow snowy blizzard frozen falling",
    "mushrooms": "mushroom mushrooms",
    "neon": "neon cyberpunk",
}
_DEFAULTS = {
    "gravity": 1.0, "jump": 1.0, "speed": 1.0, "friction": 0.8, "hazards": 0.25, "collectibles": 0.5,
    "darkness": 0.0, "size": 1.0, "top": 0.0,
}  # fmt: skip
_CAVES = frozenset({"cave", "lava", "warehouse", "ice"})
_KINDS = {"walkers": Mover.WALKER, "ghosts": Mover.GHOST, "chasers": Mover.CHASER}
_NORMAL_ENEMIES = 4
_WORD_OF: dict[str, str] = {w: concept for concept, words in _AMOUNTS.items() for w in words.split()}


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
    """RGB 0..255 that the prompt names, by what they colour: ``ground``, ``backdrop``, ``accent`` (decorations,
    lights), ``player``, ``enemies``, ``water`` or ``all`` where it does not say."""

    @property
    def notes(self) -> dict[str, list[str]]:
        """To show to the creator."""
        return {
            "understood": list(self.understood),
            "inferred": list(self.inferred),
            "style": list(self.style),
        }


@dataclass
class _Reading:
    """Numbers found so far and the words they came from."""

    values: dict[str, float] = field(default_factory=dict)
    mover_kind: str | None = None
    enemy_amount: float | None = None
    enemy_speed: float = 1.0
    understood: list[str] = field(default_factory=list)
    used: set[int] = field(default_factory=set)

    def take(self, words: list[str], indices: Iterable[int], meaning: str) -> None:
        fresh = sorted(set(indices))
        self.used.update(fresh)
        self.understood.append(f"{' '.join(words[i] for i in fresh)}: {meaning}")


def understand(spec: WorldSpec) -> Understanding:
    """Read a spec. Pure: the same spec always comes to the same."""
    words, clauses = _words(spec.prompt)
    reading = _Reading()
    _read_phrases(words, reading)
    _read_amounts(words, clauses, reading)
    _read_settings(words, clauses, reading)
    theme, tags = _read_looks(words, reading)
    inferred: list[str] = []
    values = _fill(spec, reading, theme, inferred)
    enemies = _enemies(spec, reading, theme, inferred)
    style = [word for i, word in enumerate(words) if i not in reading.used and word not in _FILLER]
    return Understanding(
        mechanics=_integers(values, reading.enemy_speed),
        theme=theme or _default_theme(values, inferred),
        tags=tags,
        hazards=values["hazards"],
        coins=values["collectibles"],
        enemies=enemies,
        cave=theme in _CAVES,
        size=values["size"],
        understood=tuple(reading.understood),
        inferred=tuple(inferred),
        style=tuple(dict.fromkeys(style)),
    )


def _words(prompt: str) -> tuple[list[str], list[int]]:
    """Lower-case words, and the number of the clause that each is in."""
    words, clauses = [], []
    for number, clause in enumerate(re.split(r"[,.;:!?\n()]+|\bbut\b", prompt.lower())):
        for word in re.findall(r"[^\W_]+(?:['’][^\W_]+)?", clause):
            words.append(word.replace("’", "'"))
            clauses.append(number)
    return words, clauses


def _read_phrases(words: list[str], reading: _Reading) -> None:
    for phrase, (concept, value) in _PHRASES.items():
        parts = phrase.split()
        for i in range(len(words) - len(parts) + 1):
            if words[i : i + len(parts)] == parts and reading.used.isdisjoint(range(i, i + len(parts))):
                reading.values[concept] = value
                reading.take(words, range(i, i + len(parts)), _say(concept, value))


def _before(words: list[str], clauses: list[int], i: int, reach: int = 3) -> list[int]:
    """Indices of up to ``reach`` words before ``i`` in its clause, nearest first, up to the thing before."""
    found = []
    for j in range(i - 1, max(-1, i - 1 - reach), -1):
        if clauses[j] != clauses[i] or words[j] in _WORD_OF:
            break
        found.append(j)
    return found


def _level(words: list[str], before: list[int], after: int | None) -> tuple[float | None, list[int]]:
    """How much of a thing its neighbours ask for: None where they do not say, and the words that do."""
    for j in before:
        if words[j] in _NEGATORS:
            return 0.0, [j]
    if after is not None and words[after] == "free":
        return 0.0, [after]
    for j in before:
        if (level := _LEVEL.get(words[j])) is not None:
            boosts = [k for k in before if k < j and words[k] in _BOOSTS]
            return max(0.0, 1 + (level - 1) * (1.4 if boosts else 1.0)), [*boosts, j]
    if after is not None and words[after] == "everywhere":
        return 1.6, [after]
    return None, []


def _read_amounts(words: list[str], clauses: list[int], reading: _Reading) -> None:
    for i, word in enumerate(words):
        concept = _WORD_OF.get(word)
        if concept is None or i in reading.used:
            continue
        before = _before(words, clauses, i)
        after = i + 1 if i + 1 < len(words) and clauses[i + 1] == clauses[i] else None
        level, used = _level(words, before, after)
        if concept in _KINDS or concept == "enemies":
            _read_enemy(words, i, concept, level, [*used], before, reading)
            continue
        value = _amount(concept, level)
        reading.values[concept] = value
        reading.take(words, [*used, i], _say(concept, value))


def _amount(concept: str, level: float | None) -> float:
    """A level on the scale of the spec."""
    scale = {"gravity": 1.0, "hazards": 0.5, "collectibles": 0.6, "darkness": 0.7, "friction": 0.8}[concept]
    top = 3.0 if concept == "gravity" else 1.0
    return min(top, scale * (1.0 if level is None else level))


def _read_enemy(
    words: list[str],
    i: int,
    concept: str,
    level: float | None,
    used: list[int],
    before: list[int],
    reading: _Reading,
) -> None:
    amount = 1.0 if level is None else level
    for j in before:
        setting = _SETTINGS.get(words[j])
        if setting is not None and setting[0] == "speed":
            boosts = [k for k in before if k < j and words[k] in _BOOSTS]
            reading.enemy_speed = setting[1]
            used += [*boosts, j]
    if amount > 0 and concept != "enemies":
        reading.mover_kind = concept
    if concept == "enemies" or amount > 0 or reading.mover_kind in (None, concept):
        reading.enemy_amount = amount
    what = concept if amount > 0 else f"no {concept}"
    speed = {True: ", slow", False: ""}[reading.enemy_speed < 1] + (
        ", fast" if reading.enemy_speed > 1 else ""
    )
    reading.take(words, [*used, i], what + speed)


def _read_settings(words: list[str], clauses: list[int], reading: _Reading) -> None:
    for i, word in enumerate(words):
        if word not in _SETTINGS or i in reading.used:
            continue
        concept, value = _SETTINGS[word]
        before = _before(words, clauses, i, reach=2)
        negated = [j for j in before if words[j] in _NEGATORS]
        boosts = [j for j in before if words[j] in _BOOSTS]
        if negated:
            reading.take(words, [*negated, i], f"{concept} as usual")
            continue
        if concept == "enemies":
            reading.enemy_amount = reading.enemy_amount if reading.mover_kind else value
        elif concept not in reading.values or boosts:
            middle = 1.0 if concept in ("speed", "gravity", "jump", "size") else value
            reading.values[concept] = middle + (value - middle) * (1.4 if boosts else 1.0)
        reading.take(words, [*boosts, i], _say(concept, reading.values.get(concept, value)))


def _read_looks(words: list[str], reading: _Reading) -> tuple[str, tuple[str, ...]]:
    theme = ""
    for name, listed in _THEMES.items():
        hits = [i for i, word in enumerate(words) if word in listed.split()]
        if hits and not theme:
            theme = name
        if hits:
            reading.take(words, hits, f"looks like {name}")
    tags = []
    for name, listed in _TAGS.items():
        hits = [i for i, word in enumerate(words) if word in listed.split()]
        if hits:
            tags.append(name)
            reading.take(words, hits, f"decoration: {name}")
    return theme, tuple(tags)


def _default_theme(values: dict[str, float], inferred: list[str]) -> str:
    theme = "cave" if values["darkness"] > 0.5 else "forest"
    inferred.append(f"looks like {theme}")
    return theme


def _fill(spec: WorldSpec, reading: _Reading, theme: str, inferred: list[str]) -> dict[str, float]:
    """Every number: from the spec, else from words, else from the theme, else normal."""
    given = spec.mechanics
    values = {}
    for concept, normal in _DEFAULTS.items():
        explicit = _explicit(given.view, "top") if concept == "top" else getattr(given, concept, None)
        if explicit is not None:
            values[concept] = float(explicit)
        elif concept in reading.values:
            values[concept] = reading.values[concept]
        else:
            values[concept] = _SUGGESTS.get(theme, {}).get(concept, normal)
            inferred.append(_say(concept, values[concept]))
    return values


def _explicit(view: str | None, wanted: str) -> float | None:
    return None if view is None else float(view == wanted)


def _enemies(spec: WorldSpec, reading: _Reading, theme: str, inferred: list[str]) -> tuple[Mover, ...]:
    kind, amount = reading.mover_kind, reading.enemy_amount
    if spec.mechanics.enemies == "none":
        return ()
    if spec.mechanics.enemies is not None:
        if kind != spec.mechanics.enemies or not amount:
            amount = 1.0
        kind = spec.mechanics.enemies
    if amount is None:
        kind, amount = ("ghosts" if theme in ("cave", "swamp") else "walkers"), 0.6
        inferred.append(f"a few {kind}")
    elif kind is None and amount > 0:
        kind = "walkers"
        inferred.append("the enemies walk")
    count = round(_NORMAL_ENEMIES * amount)
    return (_KINDS[kind],) * min(MOVER_SLOTS, count) if kind else ()


def _say(concept: str, value: float) -> str:
    if concept == "top":
        return "view from above" if value else "view from the side"
    return f"{concept} {round(value, 2):g}"


def _integers(values: dict[str, float], enemy_speed: float) -> Mechanics:
    """The spec's scales in units and steps."""
    gravity = 1 if values["gravity"] < 0.75 else 2 if values["gravity"] < 1.6 else 3
    speed = values["speed"]
    return Mechanics(
        top_view=values["top"] > 0.5,
        gravity=gravity,
        jump=_jump(gravity, values["jump"]),
        speed=max(2, min(8, round(2 + 4 * speed if speed <= 1 else 6 + 2 * (speed - 1)))),
        accel=1 + round(3 * min(1.0, values["friction"])),
        darkness=round(3 * min(1.0, values["darkness"])),
        enemy_speed=1 if enemy_speed < 1 else 3 if enemy_speed > 1 else 2,
    )


def _jump(gravity: int, strength: float) -> int:
    """The take-off speed whose height is nearest to 1.9 (none) .. 2.55 (normal) .. 3.3 (double) tiles."""
    strength = min(2.0, strength)
    tiles = 1.9 + 0.65 * strength if strength <= 1 else 2.55 + 0.75 * (strength - 1)
    heights = {jump: jump_height(Mechanics(gravity=gravity, jump=jump)) for jump in range(8, 19)}
    return min(heights, key=lambda jump: abs(heights[jump] - tiles * 32))
