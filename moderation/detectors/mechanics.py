"""Rules on what a creator asks for as a whole: gambling in play, and worlds that are not made at all."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from moderation.detectors.base import Design, Detection, Detector, DetectorCard
from moderation.detectors.textrules import phrases
from moderation.detectors.textrules.fold import Clean, clean
from moderation.detectors.textrules.plain import LONG, Plain, plain_words
from worldmodel.spec import Character, Lever, Portal, Sign, WorldSpec

MEMORIAL = 0.4
"""Factor where a place of memory is described, not an attack."""
STORY = 0.6
"""Factor for a theme of gambling that is only looked at: closed, haunted, in ruins."""
THEME = 0.7
"""Phrases with a lower score name the theme alone."""
MACHINES = (0.55, 0.65, 0.75)
"""Score of a sign of chance beside one, two, more levers or portals."""
PAID = 0.15
"""What it adds that the sign, the goal or the world's coins make the player pay for it."""
MOST = 0.98
COINS = 0.5
"""Share of collectibles from which a world is about coins."""
_MEMORIAL = re.compile(
    r"\b(?:memorial|museum|remembrance|remember(?:ing|s)?|monument|mourn\w*|documentary|history lesson"
    r"|survivors?|gedenk\w*|memoria|memoire|memoriale|pomnik\w*|muzeum|herdenking\w*)\b"
)
_STORY = re.compile(
    r"\b(?:abandoned|ruin(?:s|ed)|closed|haunted|burnt|flooded|destroy\w*|shut down|verlassen\w*"
    r"|abandonad\w*|abandonn\w*|abbandonat\w*|opuszczon\w*|terk edilmis|verlaten)\b"
)


@dataclass(frozen=True)
class Blocked:
    """A kind of world that is not made."""

    reason: str
    guideline: str
    """What creators are told."""
    memorial: bool
    """Whether a place of memory is something else."""
    phrases: tuple[phrases.Phrase, ...]


@dataclass(frozen=True)
class Rules:
    """``data/mechanics.yaml``, compiled."""

    gambling: tuple[phrases.Phrase, ...]
    chance: tuple[re.Pattern[str], ...]
    payment: tuple[re.Pattern[str], ...]
    blocked: tuple[Blocked, ...]


@dataclass(frozen=True)
class Written:
    """Words of a spec and the field that they stand in."""

    field: str
    source: Clean
    plain: Plain

    def told(self, start: int, end: int) -> str:
        """``prompt: slot machine``: the field, and what it says there."""
        return f"{self.field}: {self.source.span(*self.plain.span(start, end))}"


class Mechanics(Detector[Design]):
    """``simulated_gambling`` and ``blocked_prompt``; ``text`` is the field and the words found in it.

    Scores are set by hand, so that .5 parts what a person should look at from what is not:

    * ``simulated_gambling``: .75 to .9 a wager, a paid draw of lots, or a machine for it, in any words of
      the spec; .55 to .6 its theme alone (a casino), x .6 where that is closed or in ruins. A sign with words
      of chance at the place of one lever or portal .55, of two .65, of more .75, and .15 more where coins pay
      for it. Words and machines together are one detection with the probability that either holds.
    * ``blocked_prompt``: how surely the words ask for a world that is not made; the text begins with the
      reason (``sexual_minors``, ``real_attacks`` ...), whose guideline is in ``data/mechanics.yaml``. x .4
      for a memorial or museum where that is something else.

    It reads the title, the prompt, signs and names, in the spelling that ``textrules`` undoes. What it cannot
    see: gambling that only pictures or sounds show, and chances that no word tells of.
    """

    card = DetectorCard(
        name="mechanics",
        version="1",
        modality="design",
        labels=("simulated_gambling", "blocked_prompt"),
        licence="Apache-2.0",
        recall=0.87,
        recall_source="41 of 47 prompts of tests/data/text/mechanics_heldout.tsv, by the author of the rules",
        cost_ms=1.0,
    )

    def __init__(self) -> None:
        super().__init__()
        self._rules: Rules

    def load(self) -> None:
        self._rules = read_rules()

    def predict(self, batch: Sequence[Design]) -> list[list[Detection]]:
        return [[*self._gambling(item.spec), *self._blocked(item.spec)] for item in batch]

    def _gambling(self, spec: WorldSpec) -> list[Detection]:
        """Words of a wager and a machine for it are independent evidence (noisy or)."""
        best = [max(found) for found in (list(self._wagers(spec)), list(self._machines(spec))) if found]
        if not best:
            return []
        missed = math.prod(1 - score for score, _ in best)
        return [Detection("simulated_gambling", min(MOST, 1 - missed), text=max(best)[1])]

    def _wagers(self, spec: WorldSpec) -> Iterator[tuple[float, str]]:
        for written in words_of(spec):
            story = _STORY.search(written.plain.text)
            for phrase in self._rules.gambling:
                for match in phrase.regex.finditer(written.plain.text):
                    only_theme = story and phrase.score < THEME
                    yield phrase.score * (STORY if only_theme else 1.0), written.told(*match.span())

    def _machines(self, spec: WorldSpec) -> Iterator[tuple[float, str]]:
        """Signs of chance at a place where levers or portals stand."""
        for index, sign in enumerate(spec.objects):
            if not isinstance(sign, Sign) or sign.text is None:
                continue
            beside = sum(
                isinstance(thing, Lever | Portal) and thing.where == sign.where for thing in spec.objects
            )
            written = _written(f"objects[{index}].text", sign.text)
            chance = _first(self._rules.chance, written.plain.text)
            if chance is None or not beside:
                continue
            coins = (spec.mechanics.coins_needed or 0) > 0 or (spec.mechanics.collectibles or 0) >= COINS
            paid = coins or _first(self._rules.payment, written.plain.text) is not None
            score = MACHINES[min(beside, len(MACHINES)) - 1] + PAID * paid
            yield score, f"{written.told(*chance.span())}, beside {beside} levers or portals"

    def _blocked(self, spec: WorldSpec) -> Iterator[Detection]:
        """The surest words of each reason."""
        written = list(words_of(spec))
        for blocked in self._rules.blocked:
            found = [
                (phrase.score * _memory(blocked, one), f"{blocked.reason}, {one.told(*match.span())}")
                for one in written
                for phrase in blocked.phrases
                for match in phrase.regex.finditer(one.plain.text)
            ]
            if found:
                score, told = max(found)
                yield Detection("blocked_prompt", score, text=told)


def words_of(spec: WorldSpec) -> Iterator[Written]:
    """All that a creator wrote: title, prompt, signs and names."""
    yield _written("title", spec.title)
    yield _written("prompt", spec.prompt)
    for index, thing in enumerate(spec.objects):
        if isinstance(thing, Sign) and thing.text is not None:
            yield _written(f"objects[{index}].text", thing.text)
        if isinstance(thing, Character) and thing.name is not None:
            yield _written(f"objects[{index}].name", thing.name)


@cache
def _data() -> Mapping[str, Any]:
    from ruamel.yaml import YAML

    data: Mapping[str, Any] = YAML(typ="safe").load(files("moderation.detectors") / "data" / "mechanics.yaml")
    return data


def read_rules() -> Rules:
    """``data/mechanics.yaml``, checked and compiled."""
    data = _data()
    return Rules(
        gambling=_phrases(data["gambling"]),
        chance=tuple(map(phrases.compiled, data["chance"])),
        payment=tuple(map(phrases.compiled, data["payment"])),
        blocked=tuple(
            Blocked(each["reason"], each["guideline"], each.get("memorial", False), _phrases(each["phrases"]))
            for each in data["blocked"]
        ),
    )


def _phrases(listed: Sequence[Mapping[str, Any]]) -> tuple[phrases.Phrase, ...]:
    return tuple(phrases.Phrase(phrases.compiled(each["phrase"]), float(each["score"])) for each in listed)


def _written(field: str, text: str) -> Written:
    source = clean(text)
    return Written(field, source, plain_words(source.text, _long_stems()))


@cache
def _long_stems() -> tuple[str, ...]:
    """Beginnings of long words that rules look for: no such word is read as several ("Spiel Automaten")."""
    data = _data()
    scored = [*data["gambling"], *(one for each in data["blocked"] for one in each["phrases"])]
    listed = [*(one["phrase"] for one in scored), *data["chance"], *data["payment"]]
    found = (stem for phrase in listed for stem in phrases.stems_of(phrase))
    return tuple(clean(stem).text for stem in found if len(stem) >= LONG)


def _first(patterns: Sequence[re.Pattern[str]], text: str) -> re.Match[str] | None:
    return next((match for pattern in patterns if (match := pattern.search(text))), None)


def _memory(blocked: Blocked, written: Written) -> float:
    return MEMORIAL if blocked.memorial and _MEMORIAL.search(written.plain.text) else 1.0
