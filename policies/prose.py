"""Rules in sentences, for people who do not read expressions."""

from __future__ import annotations

from collections.abc import Iterator

from policies.bundle import Bundle, Rule
from policies.types import Source

_SCOPE = {
    Source.MEDIA: "what was submitted",
    Source.PLAYTHROUGH: "what bots saw in play",
    Source.LIVE: "live play",
}
_ACTION = {"reject": "is rejected", "needs_review": "waits for a person", "ignore": "is judged without it"}


def rule_in_words(rule: Rule) -> Iterator[str]:
    """Sentences that say when a rule fires, and what follows."""
    spec = rule.spec
    yield f"Looks at {_listed([_SCOPE[s] for s in spec.scope])}, with {_listed(sorted(rule.detectors))}."
    if rule.when:
        action = (
            "waits for a person, who alone may reject it" if spec.requires_human else _ACTION[spec.action]
        )
        yield f"A world {action} if {rule.when.prose}."
    if rule.review:
        yield f"It waits for a person if {rule.review.prose}."
    if spec.on_missing != "ignore":
        yield f"If a detector failed or never ran, it {_ACTION[spec.on_missing]}."
    if not rule.monotone:
        yield "Careful: one more finding can make this rule more lenient."


def floor_in_words(bundle: Bundle) -> str:
    """What must have been looked at before anything is cleared."""
    floor = bundle.header.coverage
    return (
        f"A world is cleared only after {floor.min_sample_episodes} independent playthroughs and "
        f"{floor.min_search_steps:,} search steps, with at most {floor.max_discovery_rate:g} new cells per "
        "1,000 steps at the end of the search."
    )


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
