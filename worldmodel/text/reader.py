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
_PURSES = _COINS | frozenset("gold treasure loot money diamonds rubies".split())
_ENDS = frozenset("win finish leave exit goal pass end gate door open opens unlock unlocks out home".split())
ENOUGH = 5.0
"""Coins that are needed where no number is said."""
_DAYS = frozenset("day days daytime daylight morning mornings dawn sunrise".split())
_NIGHTS = frozenset("night nights nighttime evening evenings dusk sunset".split())
_LEFT, _RIGHT = (
    frozenset(
        "left leftward leftwards west westward against backwards backward pushes pushing face ahead".split()
    ),
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
    counts: dict[str, int] = field(default_factory=dict)
    """Exact numbers of enemies, by kind or ``enemies``, where they are said: "three bats"."""
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
    mute = _idioms(reading)
    reading.used |= mute
    _read_needed_coins(reading)
    _read_enough_coins(reading)
    _read_phrases(reading)
    _read_days(reading)
    _read_amounts(reading)
    _read_settings(reading)
    _read_looks(reading, mute)
    reading.used -= mute  # their meaning may still be guessed
    return reading


def _idioms(reading: Reading) -> set[int]:
    """Indices of words that do not say here what they say alone: "wind-up toys", "the statue of a wolf"."""
    words, found = reading.words, set[int]()
    for idiom in lexicon.IDIOMS:
        parts = idiom.split()
        for i in range(len(words) - len(parts) + 1):
            last = i + len(parts) - 1
            if words[i : last + 1] == parts and reading.clauses[i] == reading.clauses[last]:
                found |= set(range(i, i + len(parts)))
    for i, word in enumerate(words):
        if reading.after(i) in lexicon.COMPOUNDS:
            found.add(i)
        elif word in lexicon.DEPICTED and reading.after(i) in ("of", "about"):
            found |= {j for j in range(i, min(i + 5, len(words))) if reading.clauses[j] == reading.clauses[i]}
        elif _of_something_else(reading, i):
            found.add(i)
    return found


def _of_something_else(reading: Reading, i: int) -> bool:
    """Whether a size, a pace or a mood is that of a thing, not of the world or the player."""
    words, word, after = reading.words, reading.words[i], reading.after(i)
    if word in ("guard", "guards", "patrol", "patrols"):
        return after in ("the", "your", "a") and i > 0 and reading.clauses[i - 1] == reading.clauses[i]
    if word in lexicon.PACES:
        return bool({after, words[i - 1] if i else ""} & lexicon.OTHER_PACES)
    if word in lexicon.MOODS:
        return after in lexicon.OTHER_MOODS or (i > 0 and words[i - 1] == "child")
    if word not in lexicon.SIZES:
        return False
    near = range(i + 1, min(i + 4, len(words)))
    following = [words[j] for j in near if reading.clauses[j] == reading.clauses[i]]
    looks = {look for listed in lexicon.THEMES.values() for look in listed.split()}
    return bool(following) and not any(w in lexicon.SIZED or w in looks or w in WORD_OF for w in following)


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
    for number, clause in enumerate(re.split(r"[,.;:!?\n()]+|(?<!nothing )\bbut\b", prompt.lower())):
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


def _read_enough_coins(reading: Reading) -> None:
    """ "You need coins to finish", "no exit without enough loot": coins needed, however many."""
    for i, word in enumerate(reading.words):
        if word not in _PURSES or i in reading.used or "coins_needed" in reading.values:
            continue
        here = [j for j, clause in enumerate(reading.clauses) if clause == reading.clauses[i]]
        said = {reading.words[j] for j in here}
        wanted = said & {"enough", "need", "needs", "must", "require", "requires", "only", "pay", "until"}
        refused = "without" in said and said & {"can't", "cannot", "no", "won't", "not", "never"}
        if (wanted and said & _ENDS) or refused or ("enough" in said and said & _COLLECTING):
            reading.values["coins_needed"] = ENOUGH
            telling = [j for j in here if reading.words[j] in {"enough", "without", word}]
            reading.take(telling, say("coins_needed", ENOUGH))


def _read_days(reading: Reading) -> None:
    """ "Day becomes night", "by day bright, by night dark": both in one clause, or after "by" or "at"."""
    if "day_length" in reading.values:
        return
    free = [i for i in range(len(reading.words)) if i not in reading.used]
    days = [i for i in free if reading.words[i] in _DAYS]
    nights = [i for i in free if reading.words[i] in _NIGHTS]
    for i in days:
        for j in nights:
            timed = all(reading.words[k - 1] in ("by", "at", "during") for k in (i, j) if k)
            if reading.clauses[i] == reading.clauses[j] or (timed and i and j):
                reading.values["day_length"] = 60.0
                reading.take([i, j], say("day_length", 60.0))
                return


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
        if words[j] == "nothing" and "but" in words[j:i]:
            return 1.6, [j, j + 1]
        if words[j] in NEGATORS:
            much = [k for k in before if k > j and LEVEL.get(words[k], 0) > 1]
            return (0.45, [j, *much]) if words[j] == "not" and much else (0.0, [j])
        if words[j] == "free" and words[j + 1] == "of":
            return 0.0, [j]
    if reading.after(i) in ("free", "everywhere"):
        return (0.0 if reading.after(i) == "free" else 1.6), [i + 1]
    for j in before:
        if (level := LEVEL.get(words[j])) is not None and j not in reading.used:
            boosts = [k for k in before if k < j and words[k] in BOOSTS]
            return max(0.0, 1 + (level - 1) * (1.4 if boosts else 1.0)), [*boosts, j]
    return _predicate(reading, i)


def _predicate(reading: Reading, i: int) -> tuple[float | None, list[int]]:
    """A level that is said of a thing: "gravity is very weak"."""
    words, used = reading.words, [i + 1]
    if reading.after(i) not in {"is", "are", "was", "feels", "seems"}:
        return None, []
    for j in range(i + 2, min(i + 4, len(words))):
        if reading.clauses[j] != reading.clauses[i]:
            break
        used.append(j)
        if (level := LEVEL.get(words[j])) is not None:
            boosted = any(words[k] in BOOSTS for k in used)
            return max(0.0, 1 + (level - 1) * (1.4 if boosted else 1.0)), used
        if words[j] not in BOOSTS:
            break
    return None, []


def _read_amounts(reading: Reading) -> None:
    denied: dict[int, bool] = {}
    for i, word in enumerate(reading.words):
        concept = WORD_OF.get(word)
        if concept is None or i in reading.used:
            continue
        level, used = _level(reading, i)
        if level is None and _still_denied(reading, i, denied):
            level = 0.0
        if level == 0.0:
            denied[i] = "without" in (reading.words[j] for j in used)
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


def _still_denied(reading: Reading, i: int, denied: dict[int, bool]) -> bool:
    """ "No spikes or ghosts", "without enemies and traps": whether the "no" reaches the second thing."""
    for gap in (2, 3):
        j = i - gap
        if j in denied and reading.clauses[j] == reading.clauses[i]:
            joint = reading.words[j + 1]
            return joint in ("or", "nor") or (joint == "and" and denied[j])
    return False


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
    if level is None and (count := _count(reading, i)) is not None:
        reading.counts[concept], numbers = count
        used, level = [*used, *numbers], 1.0
    for j in [*before, *_said_after(reading, i)]:
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


_LINKS = frozenset(
    "are is that which who move moves moving run runs fly flies walk walks crawl go goes drift drifts "
    "float floats".split()
)


def _said_after(reading: Reading, i: int) -> list[int]:
    """Index of the pace that follows its enemy: "bats that fly very fast"."""
    for j in range(i + 1, min(i + 5, len(reading.words))):
        if reading.clauses[j] != reading.clauses[i]:
            break
        if "speed" in SETTINGS.get(reading.words[j], {}):
            return [j] if j > i + 1 else []
        if reading.words[j] not in _LINKS | BOOSTS:
            break
    return []


def _count(reading: Reading, i: int) -> tuple[int, list[int]] | None:
    """How many exactly, up to an adjective before the thing, and the words that say so."""
    near = reading.before(i)
    for j in near:
        word = reading.words[j]
        if word in ("couple", "pair"):
            return 2, [j]
        if word == "single":
            return 1, [j]
        if word in NUMBERS and NUMBERS[word] > 0:
            return NUMBERS[word], [j]
        if word.isdecimal() and len(word) < 3 and int(word) > 0:
            return int(word), [j]
    return None


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


def _read_looks(reading: Reading, mute: set[int]) -> None:
    heard = [(i, word) for i, word in enumerate(reading.words) if i not in mute]
    for name, listed in lexicon.THEMES.items():
        if hits := [i for i, word in heard if word in listed.split()]:
            reading.theme = reading.theme or name
            reading.take(hits, f"looks like {name}")
    for name, listed in lexicon.TAGS.items():
        if hits := [i for i, word in heard if word in listed.split()]:
            reading.tags += (name,)
            reading.take(hits, f"decoration: {name}")
