"""Colour words, bound to what they colour: "purple cave with orange lanterns"."""

from __future__ import annotations

from collections.abc import Sequence

from worldmodel.text.lexicon import AMOUNTS, ENEMY_KINDS

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (204, 44, 40), "crimson": (176, 24, 52), "scarlet": (224, 48, 32), "maroon": (120, 28, 40),
    "ruby": (168, 20, 60), "orange": (240, 140, 36), "amber": (248, 176, 40),
    "yellow": (244, 216, 64), "golden": (232, 188, 60), "gold": (232, 188, 60), "cream": (244, 232, 200),
    "beige": (216, 200, 164), "ivory": (244, 240, 220), "brown": (124, 82, 50), "bronze": (164, 116, 60),
    "copper": (184, 112, 68), "green": (72, 160, 72), "emerald": (24, 152, 96), "lime": (156, 216, 56),
    "olive": (124, 128, 56), "mint": (160, 228, 188), "teal": (32, 136, 136), "turquoise": (64, 196, 188),
    "cyan": (64, 208, 228), "blue": (52, 100, 208), "azure": (72, 152, 232), "navy": (28, 40, 104),
    "indigo": (72, 52, 152), "purple": (132, 60, 176), "violet": (140, 84, 212), "lilac": (196, 164, 220),
    "lavender": (188, 172, 232), "magenta": (212, 52, 168), "pink": (240, 136, 180), "white": (244, 244, 240),
    "silver": (192, 196, 204), "grey": (132, 134, 138), "gray": (132, 134, 138), "black": (28, 28, 34),
}  # fmt: skip
_SHADES = {"dark": 0.55, "deep": 0.65, "pale": 1.6, "light": 1.5, "pastel": 1.6, "bright": 1.15, "neon": 1.2}
"""Under 1 towards black, over 1 towards white."""

_NOUNS = {
    "ground": "ground floor floors wall walls stone stones rock rocks brick bricks cave caves cavern "
    "caverns sand "
    "grass earth soil hill hills cliff cliffs platform platforms tile tiles stairs steps path paths dune "
    "dunes "
    "desert ice snow house houses building buildings tunnel tunnels temple castle mud moss bridge bridges "
    "tower towers rooms rooftops hedges ruins canyon warehouse factory dungeon cellar",
    "backdrop": "sky skies background backdrop horizon cloud clouds sunset sunrise fog mist air heavens "
    "night stars "
    "moon aurora",
    "accent": "lantern lanterns lamp lamps light lights crystal crystals flower flowers mushroom "
    "mushrooms candle "
    "candles torch torches sign signs glow leaf leaves tree trees blossom blossoms petals stalls windows "
    "banners "
    "flags roses glowing",
    "player": "player hero heroine knight me robot myself protagonist",
    "water": "water waters lake lakes pool pools pond ponds sea ocean river rivers waves lagoon waterfall",
    "enemies": " ".join(AMOUNTS[kind] for kind in (*ENEMY_KINDS, "enemies")),
    "all": "world everything forest jungle garden city planet level place land landscape town swamp "
    "island market "
    "maze colours colors palette field fields meadow meadows wheat",
}
ROLE = {noun: role for role, nouns in _NOUNS.items() for noun in nouns.split()}
_NOT_COLOURED = frozenset(AMOUNTS["collectibles"].split()) - {"gold"}
"""Coins have one look: a colour before them says nothing."""
_STOPS = frozenset(
    "with over under in on of at by from through where while above below behind between to".split()
)
_LINKS = frozenset("is are in all painted turns glows of looks shines wears wearing".split())
_REACH = 3
"""Words between a colour and its noun, at most."""


def read_colours(
    words: Sequence[str], clauses: Sequence[int]
) -> tuple[dict[str, RGB], list[tuple[list[int], str]]]:
    """RGB by what it colours, and the indices of the words that say so, each with the role.

    ``clauses`` numbers the clause of each word. The first colour of a role wins.
    """
    found: dict[str, RGB] = {}
    said: list[tuple[list[int], str]] = []
    for i, word in enumerate(words):
        if not _is_colour(words, clauses, i):
            continue
        noun = _noun(words, clauses, i)
        if words[noun] in _NOT_COLOURED if noun is not None else _before_a_thing(words, clauses, i):
            continue
        role = "all" if noun is None else ROLE[words[noun]]
        shade = i - 1 if i and clauses[i - 1] == clauses[i] and words[i - 1] in _SHADES else None
        found.setdefault(role, _shaded(COLOURS[word], 1.0 if shade is None else _SHADES[words[shade]]))
        said.append(([j for j in (shade, i, noun) if j is not None], role))
    return found, said


def _is_colour(words: Sequence[str], clauses: Sequence[int], i: int) -> bool:
    if words[i] not in COLOURS:
        return False
    if words[i] != "gold":
        return True
    return i + 1 < len(words) and clauses[i + 1] == clauses[i] and words[i + 1] in ROLE


def _before_a_thing(words: Sequence[str], clauses: Sequence[int], i: int) -> bool:
    """Whether the colour is that of something that worlds do not hold: "a red scarf"."""
    same = i + 1 < len(words) and clauses[i + 1] == clauses[i]
    return same and words[i + 1] not in _STOPS and words[i + 1] not in COLOURS and words[i + 1] != "and"


def _noun(words: Sequence[str], clauses: Sequence[int], i: int) -> int | None:
    """Index of what the colour at ``i`` colours: the noun after it, else the one that it is said of."""
    for j in range(i + 1, min(len(words), i + 2 + _REACH)):
        if clauses[j] != clauses[i] or words[j] in _STOPS:
            break
        if words[j] in ROLE or words[j] in _NOT_COLOURED:
            return j
    linked = i > 0 and clauses[i - 1] == clauses[i] and (words[i - 1] in _LINKS or words[i - 1] in _SHADES)
    for j in range(i - 1, max(-1, i - 2 - _REACH), -1) if linked else ():
        if clauses[j] != clauses[i]:
            break
        if words[j] in ROLE:
            return j
    return None


def _shaded(colour: RGB, shade: float) -> RGB:
    if shade <= 1:
        red, green, blue = (round(c * shade) for c in colour)
    else:
        red, green, blue = (round(c + (255 - c) * (shade - 1)) for c in colour)
    return red, green, blue
