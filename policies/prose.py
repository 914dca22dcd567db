"""Rules in sentences, for people who do not read expressions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policies.bundle import Bundle
from policies.compiling import Rule
from policies.schema import Audience
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
    yield f"Looks at {listed([_SCOPE[s] for s in spec.scope])}, with {listed(sorted(rule.detectors))}."
    if rule.when:
        action = (
            "waits for a person, who alone may reject it" if spec.requires_human else _ACTION[spec.action]
        )
        yield f"A world {action} if {rule.when.prose}."
    if rule.review:
        yield f"It waits for a person if {rule.review.prose}."
    for rate, condition in zip(spec.rates, rule.base.rates, strict=True):
        yield f"It is rated {rate.age}+ ({rate.descriptor}) if {condition.prose}."
    for audience in spec.audiences:
        changed = [
            f"{value:g} instead of {spec.thresholds[name]:g} counts as {name.replace('_', ' ')}"
            for name, value in audience.thresholds.items()
        ]
        yield f"For {_players(audience)}, {listed(changed)}."
    if spec.four_eyes:
        yield "Two people must agree on what is decided about it."
    if spec.on_missing != "ignore":
        yield f"If a detector failed or never ran, it {_ACTION[spec.on_missing]}."
    if not rule.monotone:
        yield "Careful: one more finding can make this rule more lenient."


def bundle_in_words(bundle: Bundle) -> Iterator[str]:
    """What must have been looked at before anything is cleared, and when a person looks anyway."""
    header = bundle.header
    floor = header.coverage
    yield (
        f"A world is cleared only after {floor.min_sample_episodes} independent playthroughs and "
        f"{floor.min_search_steps:,} search steps, with at most {floor.max_discovery_rate:g} new cells per "
        "1,000 steps at the end of the search."
    )
    for quota in header.quotas:
        who = "a senior person" if quota.then == "escalate" else "a person"
        yield f"With more than {quota.limit} {quota.of.replace('_', ' ')}, {who} looks at what comes next."
    if (limits := header.breakers) is not None:
        others = [f"{daily} by {rule}" for rule, daily in sorted(limits.rules.items())]
        yield (
            f"A rule may reject {limits.daily} worlds a day without a person"
            f"{f' ({listed(others)})' if others else ''}; beyond that, or when it fires far more often than "
            f"in the {limits.history_days} days before, what it would reject goes to people."
        )
    live = header.live
    held = f"hides what is new for up to {live.hold_frames} frames" if live.hold_frames else "hides nothing"
    yield (
        f"In live play the guard {held} until it was looked at, ends play when the detectors are more than "
        f"{live.patience:g} seconds behind, and suspends a world after {live.suspend_after} sessions with a "
        "violation."
    )
    may = "may be played" if live.on_device == "allowed" else "are never played"
    yield f"Worlds on which no rule fired {may} on the player's own device, where no detector watches."
    if header.quality_sampling:
        yield (
            f"Of the worlds decided without a person, {header.quality_sampling:.2%} are drawn for a person "
            "to see as well."
        )


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _players(audience: Audience) -> str:
    ages = f"players of {listed(audience.age_bands)}" if audience.age_bands else "players"
    return f"{ages} in {listed(audience.regions)}" if audience.regions else ages
