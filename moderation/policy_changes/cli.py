"""The ``firstplay policy`` commands that need the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moderation.options import Actor, AsJson, Home, home_store, refuse

if TYPE_CHECKING:
    from moderation.policy_changes.backtest import Backtest
    from moderation.policy_changes.quality import RuleQuality
    from moderation.store import Store
    from policies.bundle import Bundle

REFUSED = 1

Hash = Annotated[str, typer.Argument(help="Hash of a bundle, or how it begins.", show_default=False)]
Draft = Annotated[
    Path, typer.Argument(help="The new bundle: a .yaml file or a folder of them.", show_default=False)
]
_SHOWN = 5
"""Findings that are shown of one world."""


def register_policy_changes(policy: typer.Typer) -> None:
    """Add the commands to ``firstplay policy``."""
    policy.command("backtest")(backtest_command)
    policy.command("shadow")(shadow_command)
    policy.command("differences")(differences_command)
    policy.command("promote")(promote_command)
    policy.command("withdraw")(withdraw_command)
    policy.command("bundles")(bundles_command)
    policy.command("quality")(quality_command)


def backtest_command(
    new: Draft,
    sample: Annotated[int, typer.Option(help="Worlds that are shown for each rule.", min=0)] = 3,
    processes: Annotated[int, typer.Option(help="Processes that decide.", min=1)] = 2,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Decide every stored world again by a new bundle, and say who would newly be blocked or cleared.

    No model runs: findings, coverage and runs are stored. The difference from the live bundle is stored too,
    which `firstplay policy promote` asks for.

    Exit codes: 0 nothing changes; 1 something does; 2 the bundle is wrong.
    """
    from moderation.policy_changes.backtest import as_json as told
    from moderation.policy_changes.backtest import backtest, keep_backtest
    from moderation.policy_changes.promotion import live
    from moderation.store.bundles import find_bundle

    store = home_store(home)
    bundle = _kept(store, new)
    against = live(store)
    with store.reading() as connection:
        stored = find_bundle(connection, bundle.sha256)
    found = backtest(store, stored, against, processes)
    number = keep_backtest(store, found)
    if as_json:
        names = {one.id: one.world for one in store.versions()}
        typer.echo(json.dumps(told(found, names) | {"backtest": number}, indent=2))
    else:
        typer.secho(f"{stored.name} ({stored.sha256[:12]}) against {against.name}", bold=True)
        for line in _backtest_lines(store, found, sample):
            typer.echo(line)
        typer.echo(f"stored as backtest {number}")
    raise typer.Exit(1 if found.turns else 0)


def _backtest_lines(store: Store, found: Backtest, sample: int) -> Iterator[str]:
    from policies.types import Verdict

    newly = {verdict: len(found.newly(verdict)) for verdict in Verdict}
    yield (
        f"{found.worlds} worlds: {newly[Verdict.REJECTED]} newly blocked, "
        f"{newly[Verdict.NEEDS_REVIEW]} newly sent to review, {newly[Verdict.CLEARED]} newly cleared, "
        f"{newly[Verdict.INCONCLUSIVE]} to explore more"
    )
    turns = {one.version: one for one in found.turns}
    for rule in found.by_rule():
        counts = ", ".join(f"{len(worlds)} {verdict}" for verdict, worlds in sorted(rule.worlds.items()))
        same = f"{rule.same} with the same verdict" if rule.same else ""
        yield f"\n{rule.rule}: {'; '.join(filter(None, [counts, same]))}"
        shown = [version for _, worlds in sorted(rule.worlds.items()) for version in worlds][:sample]
        for version in shown:
            one = turns[version]
            yield f"  {store.version(version).world}: {one.before} -> {one.after}"
            yield from _findings(store, version, {**one.lost, **one.gained}.get(rule.rule, ()))


def _findings(store: Store, version: str, ids: tuple[str, ...]) -> Iterator[str]:
    from moderation.evidence import caption

    decided = store.newest_decision(version)
    exploration = None if decided is None else decided.exploration
    found = {one.id: one for one in store.findings(version, exploration)} if ids else {}
    for name in [name for name in ids if name in found][:_SHOWN]:
        yield f"    {caption(found[name])}"
    if len(ids) > _SHOWN:
        yield f"    and {len(ids) - _SHOWN} more"


def shadow_command(bundle: Draft, person: Actor, home: Home = None) -> None:
    """Let a bundle decide beside the live one from now on, without effect, and keep where they differ.

    Exit codes: 0 done; 1 it may not be a shadow now; 2 the bundle is wrong.
    """
    from moderation.policy_changes.promotion import NotYet, shadow

    store = home_store(home)
    try:
        stored = shadow(store, _kept(store, bundle).sha256, person)
    except NotYet as error:
        refuse(error, REFUSED)
    typer.echo(f"{stored.name} decides in the shadow: {stored.sha256}")


def differences_command(bundle: Hash, home: Home = None, as_json: AsJson = False) -> None:
    """Say what a shadow decided otherwise than the live bundle.

    Exit codes: 0 said; 2 there is no such bundle.
    """
    from moderation.store import NotFound
    from moderation.store.bundles import count_shadows, find_bundle, shadow_turns

    store = home_store(home)
    with store.reading() as connection:
        try:
            stored = find_bundle(connection, bundle)
        except NotFound as error:
            refuse(error)
        made, turns = count_shadows(connection, stored.sha256), shadow_turns(connection, stored.sha256)
    if as_json:
        typer.echo(json.dumps({"decisions": made, "turned": [one.turn for one in turns]}, indent=2))
        return
    typer.echo(f"{stored.name}: {made} decisions beside the live bundle, {len(turns)} otherwise")
    for one in turns:
        rules = ", ".join(sorted({*one.turn["gained"], *one.turn["lost"]})) or "coverage or a quota"
        world = store.version(one.version).world
        typer.echo(f"{world}: {one.turn['before']} -> {one.turn['after']} ({rules})")


def promote_command(bundle: Hash, person: Actor, home: Home = None) -> None:
    """Make a shadow the live bundle; every world is decided again by it, and the old one is retired.

    It needs a stored backtest against the live bundle, and somebody else than who proposed it. Workers, or
    `firstplay review` of a world, do what is queued.

    Exit codes: 0 done; 1 it may not be promoted now; 2 there is no such bundle.
    """
    from moderation.policy_changes.bundles import BundleLost
    from moderation.policy_changes.promotion import NotYet, promote
    from moderation.store import NotFound

    try:
        stored, queued = promote(home_store(home), bundle, person)
    except NotFound as error:
        refuse(error)
    except (NotYet, BundleLost) as error:
        refuse(error, REFUSED)
    typer.echo(f"{stored.name} is live ({stored.sha256}); {queued} worlds are decided again")


def withdraw_command(bundle: Hash, person: Actor, home: Home = None) -> None:
    """End a shadow without promoting it.

    Exit codes: 0 done; 1 it is no shadow; 2 there is no such bundle.
    """
    from moderation.policy_changes.promotion import NotYet, withdraw
    from moderation.store import NotFound

    try:
        stored = withdraw(home_store(home), bundle, person)
    except NotFound as error:
        refuse(error)
    except NotYet as error:
        refuse(error, REFUSED)
    typer.echo(f"{stored.name} is retired")


def bundles_command(home: Home = None, as_json: AsJson = False) -> None:
    """List the bundles that were proposed, with where they stand and by whom they were proposed."""
    from moderation.store.bundles import find_bundles, last_backtest

    store = home_store(home)
    with store.reading() as connection:
        found = [(one, last_backtest(connection, one.sha256)) for one in find_bundles(connection)]
    rows = [
        {
            "sha256": one.sha256,
            "name": one.name,
            "status": one.status,
            "proposer": one.proposer,
            "backtest": None if tested is None else tested.id,
        }
        for one, tested in found
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        by = f", proposed by {row['proposer']}" if row["proposer"] else ""
        tested = f", backtest {row['backtest']}" if row["backtest"] else ""
        typer.echo(f"{str(row['sha256'])[:12]}  {row['status']:8} {row['name']}{by}{tested}")


def quality_command(
    bundle: Annotated[
        Path | None, typer.Option(help="Bundle to hold against them; default: the live one.")
    ] = None,
    golden: Annotated[
        Path | None, typer.Option(help="Folder with golden.yaml: worlds whose verdict and rules are known.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say how often each rule is right: against what people decided, and against a golden set.

    Stored evidence is decided again, no model runs; worlds of the set must have been reviewed. Intervals are
    Wilson's at 95 %. Exit codes: 0 said; 2 a bundle or the set is wrong.
    """
    from moderation.pipeline import policy_bundle
    from moderation.policy_changes.golden import GoldenError
    from moderation.policy_changes.quality import human_rows, judged, quality, said_of

    store = home_store(home)
    held = policy_bundle(store) if bundle is None else _load(bundle)
    people = judged(human_rows(store))
    said = said_of(store, held, {one.version for one in people})
    told: dict[str, object] = {"bundle": held.sha256, "people": quality(people, said)}
    if golden is not None:
        try:
            told |= _golden(store, held, golden)
        except GoldenError as error:
            refuse(error)
    _show_quality(held, told, as_json)


def _golden(store: Store, bundle: Bundle, folder: Path) -> dict[str, object]:
    from moderation.evaluation.metrics import Share
    from moderation.policy_changes.golden import judgements, read_golden, verdicts
    from moderation.policy_changes.quality import quality, said_of

    worlds = read_golden(folder, bundle)
    said = said_of(store, bundle, {one.version for one in worlds})
    return {
        "golden": quality(judgements(worlds, bundle), said),
        "verdicts": Share(*verdicts(worlds, said)),
        "not_reviewed": [str(one.path) for one in worlds if one.version not in said],
    }


def _show_quality(bundle: Bundle, told: dict[str, object], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(told, indent=2, default=_plain))
        return
    from rich.console import Console
    from rich.table import Table

    for name, title in (("people", "against people"), ("golden", "against the golden set")):
        rules: list[RuleQuality] = told.get(name, [])  # type: ignore[assignment]
        if not rules:
            continue
        table = Table("rule", "precision", "recall", "agreement", title=f"{bundle.name}, {title}")
        for one in rules:
            table.add_row(one.rule, str(one.precision), str(one.recall), str(one.agreement))
        Console().print(table)
    if not told["people"]:
        typer.echo("people have not decided on any world that was decided by a policy")
    if "verdicts" in told:
        typer.echo(f"verdicts of the golden set as expected: {told['verdicts']}")
    for path in told.get("not_reviewed", []):  # type: ignore[attr-defined]
        typer.echo(f"not reviewed, so not counted: firstplay review {path}")


def _plain(value: object) -> object:
    return value.as_json()  # type: ignore[attr-defined]


def _kept(store: Store, path: Path) -> Bundle:
    """Load a bundle and keep its text, or end with what is wrong with it."""
    from moderation.policy_changes.bundles import keep

    bundle = _load(path)
    with store.writing() as tx:
        keep(tx, bundle, path)
    return bundle


def _load(path: Path) -> Bundle:
    from policies.bundle import load_bundle
    from policies.errors import BundleError

    try:
        return load_bundle(path)
    except BundleError as error:
        refuse(error)
