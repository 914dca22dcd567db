"""What the heads can guess, and what each guess comes to."""

from __future__ import annotations

from worldmodel.text.lexicon import DEFAULTS, ENEMY_KINDS, THEMES
from worldmodel.text.reader import Reading

VALUES: dict[str, dict[str, float]] = {
    "low gravity": {"gravity": 0.4},
    "high gravity": {"gravity": 1.8},
    "fast player": {"speed": 1.5},
    "slow player": {"speed": 0.55},
    "high jumps": {"jump": 1.6},
    "double jump": {"double_jump": 1.0},
    "slippery ground": {"ice": 0.4, "friction": 0.15},
    "much water": {"water": 0.6},
    "wind": {"wind": 0.5},
    "headwind": {"wind": -0.5},
    "darkness": {"darkness": 0.8},
    "daylight": {"darkness": 0.0},
    "day and night": {"day_length": 60.0},
    "many hazards": {"hazards": 0.8},
    "no hazards": {"hazards": 0.0},
    "many coins": {"collectibles": 0.95},
    "no coins": {"collectibles": 0.0},
    "moving platforms": {"platforms": 0.6},
    "view from above": {"top": 1.0},
    "view from the side": {"top": 0.0},
    "large": {"size": 1.35},
    "small": {"size": 0.7},
    "crowded": {"density": 0.85},
    "open": {"density": 0.15},
    "rooms": {"rooms": 0.85},
    "tall": {"verticality": 0.9},
    "flat": {"verticality": 0.1},
    "branching": {"branches": 0.9},
    "straight": {"branches": 0.1},
    "secrets": {"secrets": 3.0},
    "coins needed": {"coins_needed": 5.0},
}
"""Labels that set numbers of ``lexicon.DEFAULTS``; the first number names the label's concept."""
AMOUNTS = {"many enemies": 1.6, "no enemies": 0.0}
LOOKS = {f"looks like {theme}": theme for theme in THEMES}
LABELS = (*VALUES, *AMOUNTS, *ENEMY_KINDS, *LOOKS)


def apply(label: str, reading: Reading) -> bool:
    """Make a guess part of a reading, unless its words said something about that already."""
    if label in LOOKS:
        free = not reading.theme
        reading.theme = reading.theme or LOOKS[label]
    elif label in AMOUNTS:
        free = reading.enemies is None and not reading.kinds
        reading.enemies = AMOUNTS[label] if free else reading.enemies
    elif label in ENEMY_KINDS:
        free = not reading.kinds and reading.enemies != 0
        if free:
            reading.kinds[label] = None
    else:
        free = next(iter(VALUES[label])) not in reading.values
        for concept, value in VALUES[label].items() if free else ():
            reading.values.setdefault(concept, value)
    return free


def labels_of(reading: Reading) -> frozenset[str]:
    """The labels that a reading agrees with: what the plain words say, in the heads' terms."""
    found = {label for label in VALUES if _agrees(reading, label)}
    if reading.enemies is not None:
        found |= (
            {"many enemies"} if reading.enemies > 1.2 else {"no enemies"} if reading.enemies == 0 else set()
        )
    kinds = {kind for kind, amount in reading.kinds.items() if amount != 0}
    if reading.kinds and not kinds:
        found.add("no enemies")
    if reading.values.get("platforms"):  # they need that view; nobody asked for it
        found.discard("view from the side")
    return frozenset(found | kinds | ({f"looks like {reading.theme}"} if reading.theme else set()))


def _agrees(reading: Reading, label: str) -> bool:
    concept, value = next(iter(VALUES[label].items()))
    said, usual = reading.values.get(concept), DEFAULTS[concept]
    if said is None:
        return False
    # "coins" alone are no "many coins": a third of the way at least.
    return said == value if value == usual else (said - usual) / (value - usual) > 1 / 3
