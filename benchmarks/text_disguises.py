"""How many texts the text rules still find when they are disguised, disguise by disguise.

python benchmarks/text_disguises.py [--set blind] [--out FILE.json]

Every plainly written slur, threat and injection of the set that is found as it stands is written in each
disguise and looked at again; intervals are Wilson's, 95 %. A disguise that changes nothing is left out.
Harmless texts of the set in which nothing is found are disguised as well: what is found then is an alarm.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from text_detectors import read, says

from moderation.detectors.text import TextRules
from moderation.detectors.textrules.disguise import UPSIDE_DOWN
from moderation.evaluation.metrics import wilson

LABELS = ("slur", "threat", "injection")
LEET = str.maketrans("aeiostAEIOST", "431057431057")
LOOK_ALIKE = str.maketrans("aeopcxyiABEKMHOPCTX", "аеорсхуіАВЕКМНОРСТХ")
TURNED = {plain: turned for turned, plain in UPSIDE_DOWN.items() if plain.isalpha()}
ZERO_WIDTH = "\u200b"


def between(mark: str) -> Callable[[str], str]:
    """Letters of a word with a mark between them; words keep their space."""
    return lambda text: " ".join(mark.join(word) for word in text.split())


def shifted(first: int) -> Callable[[str], str]:
    """Latin letters from another alphabet of Unicode, whose small ``a`` is ``first``."""
    return lambda text: "".join(
        chr(first + ord(c) - ord("a")) if "a" <= c <= "z" else c for c in text.lower()
    )


DISGUISES: dict[str, Callable[[str], str]] = {
    "leetspeak": lambda text: text.translate(LEET),
    "look-alikes": lambda text: text.translate(LOOK_ALIKE),
    "spaced": lambda text: "  ".join(" ".join(word) for word in text.split()),
    "dotted": between("."),
    "hyphened": between("-"),
    "zero-width": between(ZERO_WIDTH),
    "stretched": lambda text: "".join(c * 3 if c in "aeiou" else c for c in text),
    "full width": shifted(0xFF41),
    "mathematical": shifted(0x1D41A),
    "circled": shifted(0x24D0),
    "mirrored": lambda text: text[::-1],
    "upside down": lambda text: "".join(TURNED.get(c, c) for c in reversed(text.lower())),
    "vertical": "\n".join,
    "no spaces": lambda text: text.replace(" ", ""),
    "capitals": str.upper,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", default="blind", help="a file of tests/data/text, without .tsv")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    rules, rows = TextRules(), read(options.set)
    shown, found = measure(rules, rows)
    harmless, alarms = false_alarms(rules, rows)
    for name in [*DISGUISES, "all"]:
        low, high = wilson(found[name], shown[name])
        share = found[name] / max(1, shown[name])
        told = f"{name:14} {found[name]:4}/{shown[name]:<4} {share:.2f} [{low:.2f}, {high:.2f}]"
        print(f"{told}   alarms {len(alarms[name])}/{harmless[name]}")
    if options.out:
        figures = {
            name: {"found": [found[name], shown[name]], "alarms": [len(alarms[name]), harmless[name]]}
            for name in shown
        }
        options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measure(rules: TextRules, rows: Sequence[Mapping[str, str]]) -> tuple[Counter[str], Counter[str]]:
    """Texts shown and texts found, by disguise."""
    shown: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for row in rows:
        for label in set(row["label"].split(",")).intersection(LABELS):
            decide = says(rules, label)
            if row["kind"] != "plain" or not decide(row["text"]):
                continue
            for name, disguise in DISGUISES.items():
                disguised = disguise(row["text"])
                if disguised == row["text"]:
                    continue
                hit = decide(disguised)
                shown.update([name, "all"])
                found.update([name, "all"] if hit else [])
    return shown, found


def false_alarms(
    rules: TextRules, rows: Sequence[Mapping[str, str]]
) -> tuple[Counter[str], dict[str, list[str]]]:
    """Harmless texts shown, and those of them that were flagged, by disguise."""
    shown: Counter[str] = Counter()
    alarms: dict[str, list[str]] = defaultdict(list)
    deciders = [says(rules, label) for label in LABELS]
    for row in rows:
        if row["label"] != "clean" or any(decide(row["text"]) for decide in deciders):
            continue
        for name, disguise in DISGUISES.items():
            disguised = disguise(row["text"])
            if disguised != row["text"]:
                shown.update([name, "all"])
                if any(decide(disguised) for decide in deciders):
                    alarms[name].append(row["text"])
                    alarms["all"].append(row["text"])
    return shown, alarms


if __name__ == "__main__":
    main()
