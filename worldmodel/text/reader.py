"""Reads a prompt by the lexicon, with negation ("no ghosts"), intensity ("very low gravity") and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from worldmodel.text import lexicon
from worldmodel.text.colours import RGB, read_colours
from worldmodel.text.lexicon import BOOSTS, ENEMY_KINDS, LEVEL, NEGATORS, NUMBERS, SETTINGS, WORD_OF

_COLLECTING = frozenset(
    "collect collecting gather gathering find finding need needs needed require requires bring must until "
    "before "
    "opens open unlock unlocks win finish grab pick".split()
)
_COINS = frozenset("coin coins gem gems treasures jewels pearls".split())
MOST_COINS = 9
_LEFT, _RIGHT = (
    frozenset("left leftward leftwards west westward".split()),
    frozenset("right rightward rightwards east eastward".split()),
)


@dataclass
class Reading:
    """Numbers found so far and the words they came from."""

    words: list[str]
    clauses: list[int]
    """The number of the clause that each word is in."""
    values: dict[str, float] = field(default_factory=dict)
    """By the concepts of ``lexicon.DEFAULTS``."""
    kinds: dict[str, float | None] = field(default_factory=dict)
    """Amount of each kind of enemy, None where it is named without one."""
    enemies: float | None = None
    """Amount of enemies of whatever kind."""
    enemy_speed: float = 1.0
    theme: str = ""
    tags: tuple[str, ...] = ()
    colours: dict[str, RGB] = field(default_factory=dict)
    understood: list[str] = field(default_factory=list)
    used: set[int] = field(default_factory=set)

    def take(self, indices: Iterable[int], meaning: str) -> None:
        """Note that these words were understood."""
        fresh = sorted(set(indices))
        self.used.update(fresh)
        self.understood.append(f"{' '.join(self.words[i] for i in fresh)}: {meaning}")

    def left(self, clause: int) -> list[str]:
        """Words of a clause that nothing was made of."""
        numbered = enumerate(zip(self.words, self.clauses, strict=True))
        return [w for i, (w, c) in numbered if c == clause and i not in self.used and w not in lexicon.FILLER]

    def before(self, i: int, reach: int = 3) -> list[int]:
        """Up to ``reach`` indices before ``i`` in its clause, nearest first, up to the thing before."""
        found: list[int] = []
        for j in range(i - 1, max(-1, i - 1 - reach), -1):
            if self.clauses[j] != self.clauses[i] or self.words[j] in WORD_OF:
                break
            found.append(j)
        return found

    def after(self, i: int) -> str:
        """The next word of the same clause, or nothing."""
        same = i + 1 < len(self.words) and self.clauses[i + 1] == self.clauses[i]
        return self.words[i + 1] if same else ""


def read(prompt: str) -> Reading:
    """What the plain words of a prompt say."""
    reading = Reading(*_words(prompt))
    _read_colours(reading)
    _read_needed_coins(reading)
    _read_phrases(reading)
    _read_amounts(reading)
    _read_settings(reading)
    _read_looks(reading)
    return reading


_NAMES = {"platforms": "moving platforms"}


def say(concept: str, value: float) -> str:
    """A setting in words."""
    amount = f"{round(abs(value), 2):g}"
    switches = {
        "top": ("view from the side", "view from above"),
        "double_jump": ("no double jump", "double jump"),
        "day_length": ("no change of day and night", f"a day and a night in {amount} s"),
        "wind": ("no wind", f"wind to the {'left' if value < 0 else 'right'} {amount}"),
    }
    if concept in switches:
        return switches[concept][bool(value)]
    return {"coins_needed": f"{amount} coins needed"}.get(concept, f"{_NAMES.get(concept, concept)} {amount}")


def _words(prompt: str) -> tuple[list[str], list[int]]:
    words, clauses = [], []
    for number, clause in enumerate(re.split(r"[,.;:!?\n()]+|\bbut\b", prompt.lower())):
        for word in re.findall(r"[^\W_]+(?:['’][^\W_]+)?", clause):
            words.append(word.replace("’", "'"))
            clauses.append(number)
    return words, clauses


def _read_colours(reading: Reading) -> None:
    reading.colours, said = read_colours(reading.words, reading.clauses)
    for indices, role in said:
        reading.take(indices, "colour of everything" if role == "all" else f"colour of the {role}")
        # The noun may say more than what is coloured: "purple ghosts".
        if reading.words[indices[-1]] in SETTINGS or reading.words[indices[-1]] in WORD_OF:
            reading.used.discard(indices[-1])


def _read_needed_coins(reading: Reading) -> None:
    """ "Collect five coins": a number, or all, right before coins that something is to be done with."""
    for i, word in enumerate(reading.words):
        if word not in _COINS:
            continue
        clause = reading.clauses[i]
        verbs = [j for j, w in enumerate(reading.words) if reading.clauses[j] == clause and w in _COLLECTING]
        near = [j for j in range(max(0, i - 3), i) if reading.clauses[j] == clause]
        numbers = [j for j in near if reading.words[j] in NUMBERS or reading.words[j] in ("all", "every")]
        numbers += [j for j in near if reading.words[j].isdecimal() and len(reading.words[j]) < 4]
        if verbs and numbers:
            said = reading.words[numbers[-1]]
            count = int(said) if said.isdecimal() else NUMBERS.get(said, MOST_COINS)
            reading.values["coins_needed"] = float(min(MOST_COINS, count))
            reading.take([verbs[0], numbers[-1], i], say("coins_needed", reading.values["coins_needed"]))


def _read_phrases(reading: Reading) -> None:
    words = reading.words
    for phrase in sorted(lexicon.PHRASES, key=lambda p: (-len(p.split()), p)):
        parts = phrase.split()
        for i in range(len(words) - len(parts) + 1):
            span = range(i, i + len(parts))
            if words[i : i + len(parts)] == parts and reading.used.isdisjoint(span):
                _set(reading, lexicon.PHRASES[phrase], [*span], _negators(reading, i))


def _negators(reading: Reading, i: int, reach: int = 2) -> list[int]:
    return [j for j in reading.before(i, reach) if reading.words[j] in NEGATORS]


def _set(reading: Reading, settings: dict[str, float], indices: list[int], negated: list[int]) -> None:
    said = []
    for concept, value in settings.items():
        if negated and concept in lexicon.OFF:
            reading.values[concept] = 0.0
        elif not negated:
            reading.values.setdefault(concept, value)
        said.append(
            say(concept, reading.values[concept]) if concept in reading.values else f"{concept} as usual"
        )
    reading.take([*negated, *indices], ", ".join(said))


def _level(reading: Reading, i: int) -> tuple[float | None, list[int]]:
    """How much of a thing its neighbours ask for: None where they do not say, and the words that do."""
    words, before = reading.words, reading.before(i)
    for j in before:
        if words[j] in NEGATORS:
            return 0.0, [j]
    if reading.after(i) == "free":
        return 0.0, [i + 1]
    for j in before:
        if (level := LEVEL.get(words[j])) is not None and j not in reading.used:
            boosts = [k for k in before if k < j and words[k] in BOOSTS]
            return max(0.0, 1 + (level - 1) * (1.4 if boosts else 1.0)), [*boosts, j]
    if reading.after(i) == "everywhere":
        return 1.6, [i + 1]
    return None, []


def _read_amounts(reading: Reading) -> None:
    for i, word in enumerate(reading.words):
        concept = WORD_OF.get(word)
        if concept is None or i in reading.used:
            continue
        level, used = _level(reading, i)
        if concept == "enemies" or concept in ENEMY_KINDS:
            _read_enemy(reading, i, concept, level, used)
        elif concept == "wind":
            _read_wind(reading, i, level, used)
        else:
            scaled = lexicon.SCALE[concept] * (1.0 if level is None else level)
            # A bare "water" after "a little water" does not make it more.
            if level is not None or concept not in reading.values:
                reading.values[concept] = min(lexicon.TOP.get(concept, 1.0), scaled)
            reading.take([*used, i], say(concept, reading.values[concept]))


def _read_wind(reading: Reading, i: int, level: float | None, used: list[int]) -> None:
    """Its strength by the word, its side by the clause: "to the left" and "from the right" are the same."""
    word, clause = reading.words[i], reading.clauses[i]
    strength = 0.9 if word in lexicon.STORMS else 0.35 if word in lexicon.BREEZES else 0.5
    strength = min(1.0, strength * (1.0 if level is None else level))
    sides = [j for j, w in enumerate(reading.words) if reading.clauses[j] == clause and w in _LEFT | _RIGHT]
    to_left = bool(sides) and reading.words[sides[0]] in _LEFT
    if sides and "from" in reading.words[max(0, sides[0] - 2) : sides[0]]:
        to_left = not to_left
    strongest = max(strength, abs(reading.values.get("wind", 0.0))) if strength else 0.0
    reading.values["wind"] = -strongest if to_left and strongest else strongest
    reading.take([*used, i, *sides[:1]], say("wind", reading.values["wind"]))


def _read_enemy(reading: Reading, i: int, concept: str, level: float | None, used: list[int]) -> None:
    before, speed = reading.before(i), ""
    for j in before:
        value = SETTINGS.get(reading.words[j], {}).get("speed")
        if value is not None:
            reading.enemy_speed = value
            used = [*used, *(k for k in before if k < j and reading.words[k] in BOOSTS), j]
            speed = ", slow" if value < 1 else ", fast"
    if concept == "enemies":
        reading.enemies = 1.0 if level is None else level
    else:
        reading.kinds[concept] = level if level is not None else reading.kinds.get(concept)
    reading.take([*used, i], (concept if level != 0 else f"no {concept}") + speed)


def _read_settings(reading: Reading) -> None:
    for i, word in enumerate(reading.words):
        if word not in SETTINGS or i in reading.used:
            continue
        if negated := _negators(reading, i):
            _set(reading, SETTINGS[word], [i], negated)
            continue
        boosts = [j for j in reading.before(i, 2) if reading.words[j] in BOOSTS]
        said = [_apply(reading, concept, value, bool(boosts)) for concept, value in SETTINGS[word].items()]
        reading.take([*boosts, i], ", ".join(said))


def _apply(reading: Reading, concept: str, value: float, boosted: bool) -> str:
    if concept == "enemies":
        if reading.enemies is None:
            reading.enemies = value
        return "few enemies or none"
    normal, held = lexicon.DEFAULTS[concept], reading.values.get(concept)
    middle = normal if concept in ("speed", "gravity", "jump", "size") else value
    value = max(0.0, middle + (value - middle) * (1.4 if boosted else 1.0))
    if held is None or boosted or 0 < held - normal < value - normal:  # "run fast" is faster than "run"
        reading.values[concept] = value
    return say(concept, reading.values[concept])


def _read_looks(reading: Reading) -> None:
    for name, listed in lexicon.THEMES.items():
        if hits := [i for i, word in enumerate(reading.words) if word in listed.split()]:
            reading.theme = reading.theme or name
            reading.take(hits, f"looks like {name}")
    for name, listed in lexicon.TAGS.items():
        if hits := [i for i, word in enumerate(reading.words) if word in listed.split()]:
            reading.tags += (name,)
            reading.take(hits, f"decoration: {name}")
