"""The text rules beside each library that they are built from, and alone, on a labelled set.

python benchmarks/text_detectors.py [--set blind] [--naughty FOLDER] [--out FILE.json]

``--naughty`` is the unpacked npm package ``naughty-words`` (28 word lists); without it that row is left out.
The columns are the texts with the label that were found, those of them that are obfuscated, and the harmless
texts that were flagged, with Wilson's interval of 95 %.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from moderation.detectors.base import Detector, Text
from moderation.detectors.text import TextRules
from moderation.detectors.toxicity import LABELS, Network, Toxicity
from moderation.evaluation.metrics import wilson

TEXTS = Path(__file__).resolve().parent.parent / "tests" / "data" / "text"
DECIDED = 0.5
Says = Callable[[str], bool]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", default="blind", help="a file of tests/data/text, without .tsv")
    parser.add_argument("--naughty", type=Path, help="folder of the unpacked npm package naughty-words")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    rows = read(options.set)
    figures = [
        measure(label, name, says, rows)
        for label, deciders in compared(options.naughty).items()
        for name, says in deciders.items()
    ]
    for figure in figures:
        print(told(figure))
    if options.out:
        written = json.dumps({"set": options.set, "figures": figures}, indent=1)
        options.out.write_text(f"{written}\n", encoding="utf-8")


def read(part: str) -> list[dict[str, str]]:
    r"""Rows of a set; ``\n`` in a text stands for a line break."""
    path = TEXTS / f"{part}.tsv"
    if not path.is_file():
        sys.exit(f"{path} does not exist: --set names a file of {TEXTS} without its ending")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [{**row, "text": row["text"].replace("\\n", "\n")} for row in rows]


def compared(naughty: Path | None) -> dict[str, dict[str, Says]]:
    """For each label, the rules and what they could be replaced by."""
    rules, toxicity, shipped = TextRules(), Toxicity(), as_shipped(Network())
    chosen: dict[str, dict[str, Says]] = {
        label: {"text rules": says(rules, label)} for label in rules.card.labels
    }
    chosen["slur"] |= {
        "slurs.tsv, words": has_word(own_terms()),
        "toxicity": says(toxicity, "toxic"),
        "toxicity, identity_hate": says(toxicity, "identity_hate"),
        "toxicity, as shipped": shipped,
    }
    chosen["threat"] |= {
        "toxicity": says(toxicity, "toxic"),
        "toxicity, toxic_threat": says(toxicity, "toxic_threat"),
        "toxicity, as shipped": shipped,
    }
    chosen["personal_data"]["phonenumbers"] = has_phone
    if naughty is not None:
        words = has_word(naughty_terms(naughty))
        chosen["slur"]["naughty-words"] = words
        chosen["threat"]["naughty-words"] = words
    return chosen


def says(detector: Detector[Text], label: str) -> Says:
    def decide(text: str) -> bool:
        (found,) = detector([Text(text)])
        return any(one.label == label and one.score >= DECIDED for one in found)

    return decide


def as_shipped(network: Network) -> Says:
    """The network's own ``toxic``, not calibrated."""
    toxic = LABELS.index("toxic")
    return lambda text: any(scores[toxic] >= DECIDED for _, scores in network.parts(text))


def has_word(terms: Sequence[str]) -> Says:
    """Whether a text holds a term as words of its own, in any case: what a plain word list does."""
    longest_first = sorted(map(re.escape, terms), key=len, reverse=True)
    regex = re.compile(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)", re.IGNORECASE)
    return lambda text: regex.search(text) is not None


def own_terms() -> list[str]:
    with (files("moderation.detectors") / "data" / "slurs.tsv").open(encoding="utf-8") as file:
        return [
            row["term"] for row in csv.DictReader(file, delimiter="\t") if float(row["weight"]) >= DECIDED
        ]


def naughty_terms(folder: Path) -> list[str]:
    lists = sorted(folder.glob("??.json"))
    if not lists:
        sys.exit(f"{folder} holds no word lists: unpack the npm package naughty-words and name its folder")
    return sorted({term for path in lists for term in json.loads(path.read_text(encoding="utf-8"))})


def has_phone(text: str) -> bool:
    from phonenumbers import PhoneNumberMatcher

    return any(PhoneNumberMatcher(text, region).has_next() for region in ("US", "GB", "DE", "ES", "FR"))


def measure(label: str, name: str, decide: Says, rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Counts and intervals of one decider for one label."""
    violating = [row for row in rows if label in row["label"].split(",")]
    harmless = [row for row in rows if row["label"] == "clean"]
    found = [decide(row["text"]) for row in violating]
    disguised = [hit for hit, row in zip(found, violating, strict=True) if row["kind"] == "obfuscated"]
    alarms = sum(decide(row["text"]) for row in harmless)
    return {
        "label": label,
        "detector": name,
        "found": share(sum(found), len(found)),
        "found_obfuscated": share(sum(disguised), len(disguised)),
        "false_alarms": share(alarms, len(harmless)),
    }


def share(part: int, whole: int) -> dict[str, Any]:
    low, high = wilson(part, whole)
    return {"part": part, "of": whole, "low": round(low, 3), "high": round(high, 3)}


def told(figure: Mapping[str, Any]) -> str:
    shares = [figure[key] for key in ("found", "found_obfuscated", "false_alarms")]
    columns = [f"{one['part']:3}/{one['of']:<3} [{one['low']:.2f}, {one['high']:.2f}]" for one in shares]
    return f"{figure['label']:14} {figure['detector']:24} " + "   ".join(columns)


if __name__ == "__main__":
    main()
