"""The public guidelines, written from the rules, so that what is told is what is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policies.bundle import Bundle
from policies.compiling import Rule
from policies.prose import listed
from policies.types import Source


def guidelines(bundle: Bundle) -> str:
    """The guidelines of a bundle in Markdown; thresholds and what detectors look for stay out of it."""
    return "\n".join(_lines(bundle)) + "\n"


def _lines(bundle: Bundle) -> Iterator[str]:
    header = bundle.header
    yield "# Guidelines for worlds"
    yield ""
    yield header.summary
    for name, category in sorted(header.categories.items(), key=lambda item: item[1].title):
        rules = [rule for rule in bundle.rules if rule.spec.category == name and rule.blocks]
        if rules:
            yield ""
            yield f"## {category.title}"
            yield ""
            yield from (f"- {rule.spec.guideline} *{_consequence(rule)}*" for rule in _by_severity(rules))
    if rated := [rule for rule in bundle.rules if rule.spec.rates]:
        yield ""
        yield from _ratings(rated)
    yield ""
    yield from _procedure(bundle)
    yield ""
    yield f"Written from {bundle.name}, sha256 `{bundle.sha256}`."


def _by_severity(rules: Sequence[Rule]) -> list[Rule]:
    return sorted(rules, key=lambda rule: (-int(rule.spec.severity[1:]), rule.id))


def _consequence(rule: Rule) -> str:
    spec = rule.spec
    people = "two people decide" if spec.four_eyes else "a person decides"
    rejects = rule.when is not None and spec.action == "reject" and not spec.requires_human
    if rejects and rule.review is not None:
        told = f"Such a world is not published; in doubt {people}."
    elif rejects:
        told = "Such a world is not published."
    else:
        told = f"{people[0].upper()}{people[1:]} on such a world."
    if spec.audiences:
        told += f" Judged otherwise for {_players(rule)}."
    return told


def _players(rule: Rule) -> str:
    bands = dict.fromkeys(band for one in rule.spec.audiences for band in one.age_bands)
    regions = dict.fromkeys(region for one in rule.spec.audiences for region in one.regions)
    ages = [f"ages {listed(list(bands))}"] if bands else []
    places = [f"players in {listed(list(regions))}"] if regions else []
    return listed([*ages, *places])


def _ratings(rules: Sequence[Rule]) -> Iterator[str]:
    yield "## Age ratings"
    yield ""
    yield "A world is rated by the most mature content that play can reach, from 3+ up. What raises it:"
    yield ""
    rows = {(rate.age, rate.descriptor, rule.spec.title) for rule in rules for rate in rule.spec.rates}
    yield from (f"- **{age}+** ({descriptor}): {title}" for age, descriptor, title in sorted(rows))


def _procedure(bundle: Bundle) -> Iterator[str]:
    header = bundle.header
    floor = header.coverage
    looked = {source for rule in bundle.rules for source in rule.spec.scope}
    yield "## How worlds are checked"
    yield ""
    yield (
        f"- Bots play a world first: at least {floor.min_sample_episodes} times, and "
        f"{floor.min_search_steps:,} steps of search. With less, it is not published."
    )
    if Source.MEDIA in looked:
        yield "- What you submit (pictures, videos, sounds and words) is looked at as well, before play."
    if Source.LIVE in looked:
        yield "- The same rules hold while people play: a violation ends the session."
    yield "- A check that failed never clears a world: a person looks instead."
    yield from (f"- {quota.explanation}" for quota in header.quotas)
    if header.quality_sampling:
        yield f"- People look at {header.quality_sampling:.0%} of the automatic decisions, drawn by chance."
