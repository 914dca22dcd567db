"""After an upgrade stored play is looked at again, not played again; another policy decides it again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner

from moderation import cli, pipeline
from moderation.policy_changes.backtest import backtest, keep_backtest
from moderation.policy_changes.bundles import keep
from moderation.policy_changes.promotion import live, promote, shadow
from moderation.policy_changes.redecide import NOT_PLAYED, condemned, redecide
from moderation.rescan import Step, plan
from moderation.states import WorldState
from moderation.store import Store, open_store
from moderation.store.bundles import count_shadows, find_bundle, shadow_turns
from moderation.store.deciding import Decided
from policies.bundle import load_bundle
from policies.types import Context, Coverage, Finding, Source, Verdict
from tests.changing_worlds import runs
from tests.test_pipeline import copy, package, request, reviewed, submit, work
from worldmodel.package import WorldPackage

__all__ = ["copy", "reviewed"]
NEWER = replace(request(), detectors="newer detectors")
OTHER = """
extends: default
bundle: other
version: "1"
status: draft
coverage: {min_sample_episodes: 1, min_search_steps: 1, max_discovery_rate: 100000}
rules:
  - rule: bright
    title: Bright picture
    category: sexual_content
    severity: S2
    scope: [playthrough]
    detectors: [{name: nsfw-open}]
    thresholds: {any: 0.01}
    when: max("nsfw") >= threshold.any
    explanation: "{label} in {where}."
    guideline: Nothing is bright.
"""


def ask(store: Store, asked: pipeline.Request) -> str:
    version = store.versions()[0].id
    pipeline.ask(store, version, asked, pipeline.policy_bundle(store).sha256)
    return version


def ready(store: Store) -> list[str]:
    return [job.kind for job in store.queue.jobs() if job.state == "ready"]


def test_new_detectors_scan_what_was_played_without_playing(copy: Store) -> None:
    before = copy.playthroughs(copy.versions()[0].exploration or "")

    version = ask(copy, NEWER)
    assert ready(copy) == ["scan"]
    work(copy)

    after = copy.playthroughs(NEWER.exploration(version))
    assert [one.playthrough.id for one in after] == [one.playthrough.id for one in before]
    assert all(one.shown is not None for one in after)
    assert copy.version(version).exploration == NEWER.exploration(version)
    assert copy.version(version).state is WorldState.INCONCLUSIVE
    assert [job.kind for job in copy.queue.jobs()].count("explore") == 1
    kept = copy.exploration(NEWER.exploration(version))
    assert kept.coverage == copy.exploration(request().exploration(version)).coverage


def test_new_detectors_look_at_the_media_again_and_what_they_say_replaces_the_old(copy: Store) -> None:
    with copy.writing() as tx:
        tx.connection.execute(
            text("UPDATE detector_runs SET detector_version = 'old' WHERE exploration = ''")
        )

    version = ask(copy, NEWER)
    work(copy)

    runs = copy.detector_runs(version, NEWER.exploration(version))
    assert {run.source for run in runs} == {"media", "playthrough"}
    assert "old" not in {run.version for run in runs}


def test_another_world_model_explores_again(copy: Store) -> None:
    ask(copy, replace(NEWER, model_sha256="0" * 64))

    assert ready(copy) == ["explore"]


def test_erased_recordings_are_explored_again(copy: Store) -> None:
    with copy.writing() as tx:
        tx.connection.execute(text("DELETE FROM playthroughs"))

    ask(copy, NEWER)

    assert ready(copy) == ["explore"]


def test_the_plan_says_what_each_world_needs(copy: Store) -> None:
    (planned,) = plan(copy)
    assert planned.step is Step.RESCAN
    assert planned.steps == sum(
        len(one.playthrough.actions) for one in copy.playthroughs(planned.version.exploration or "")
    )

    with copy.writing() as tx:
        tx.connection.execute(text("UPDATE explorations SET model_sha256 = 'old', play = 'old'"))
    (planned,) = plan(copy)
    assert (planned.step, planned.why) == (Step.EXPLORE, "other world model")

    with copy.writing() as tx:
        tx.transition(planned.version.id, WorldState.NEEDS_REVIEW, "policy", "on")
        tx.transition(planned.version.id, WorldState.IN_REVIEW, "grace", "on")
    assert [one.step for one in plan(copy)] == [Step.PEOPLE]
    assert plan(copy, ["nonesuch"]) == []


def test_the_command_only_says_so_when_it_is_dry(copy: Store) -> None:
    app = typer.Typer()
    cli.register(app)

    ran = CliRunner().invoke(app, ["rescan", "--dry-run", "--home", str(copy.home)])

    assert ran.exit_code == 0, ran.output
    assert "meadow" in ran.output
    assert "scan what was played: other detectors" in ran.output
    assert ready(copy) == []


def propose(store: Store, folder: Path, more: str = "") -> str:
    path = folder / "other.yaml"
    path.write_text(OTHER + more)
    bundle = load_bundle(path)
    with store.writing() as tx:
        keep(tx, bundle, path)
    return bundle.sha256


def test_a_shadow_decides_beside_every_new_decision(copy: Store, tmp_path: Path) -> None:
    sha256 = propose(copy, tmp_path)
    shadow(copy, sha256, "ada")

    version = ask(copy, NEWER)
    work(copy)

    with copy.reading() as connection:
        (turned,) = shadow_turns(connection, sha256)
        assert count_shadows(connection, sha256) == 1
    assert turned.version == version
    assert turned.turn["before"] == "inconclusive"
    assert turned.turn["after"] != "inconclusive"
    assert copy.decisions(version)[0].decision.policy_hash != sha256, "it has no effect"


def test_a_promoted_bundle_decides_stored_worlds_again(copy: Store, tmp_path: Path) -> None:
    sha256 = propose(copy, tmp_path)
    shadow(copy, sha256, "ada")
    with copy.reading() as connection:
        stored = find_bundle(connection, sha256)
    foretold = backtest(copy, stored, live(copy), processes=1)
    keep_backtest(copy, foretold)

    promote(copy, sha256, "grace")
    work(copy)

    version = copy.versions()[0]
    newest = copy.decisions(version.id)[0].decision
    assert newest.policy_hash == sha256
    assert newest.verdict is foretold.turns[0].after
    (shown,) = copy.decisions(version.id)[0].evidence
    assert shown.rule == "bright"
    assert shown.clip is not None
    assert shown.reproduced
    assert [event.to_state for event in copy.history(version.id)].count("exploring") == 1
    assert "decided again, by another policy" in {event.reason for event in copy.history(version.id)}


def condemned_by_media(store: Store, world: WorldPackage) -> str:
    """A world whose video flashes, as intake leaves it."""
    version = submit(store, world)
    flash = Finding("f1", "flash", "999", "general_flash", 1.0, Source.MEDIA, 0.0, 2.0, media="style.video")
    looked = [run for run in runs(load_bundle()) if run.source is Source.MEDIA]
    evidence = Decided(version, "", Context(), NOT_PLAYED, [flash], looked)
    decision = redecide(load_bundle(), evidence)
    assert condemned(decision)
    with store.writing() as tx:
        tx.cancel_jobs(version)
        tx.add_findings(version, None, [flash])
        for run in looked:
            tx.add_run(version, None, "media", run)
        tx.add_decision(version, None, decision, Coverage(), ())
        tx.transition(version, WorldState.REJECTED, "policy", "it flashes")
    return version


@pytest.mark.parametrize("looser", [False, True])
def test_what_the_media_alone_condemned_is_condemned_again_or_played(tmp_path: Path, *, looser: bool) -> None:
    store = open_store(tmp_path / "store")
    version = condemned_by_media(store, package(tmp_path / "w"))
    sha256 = propose(store, tmp_path, "disable: [flashing]" if looser else "")
    shadow(store, sha256, "ada")
    with store.reading() as connection:
        stored = find_bundle(connection, sha256)
    foretold = backtest(store, stored, live(store), processes=1)
    keep_backtest(store, foretold)

    promote(store, sha256, "grace")
    work(store, limit=1)

    assert [one.after for one in foretold.newly(Verdict.INCONCLUSIVE)] == ["inconclusive"] * looser
    assert ready(store) == ["explore"] * looser
    assert store.version(version).state is (WorldState.EXPLORING if looser else WorldState.REJECTED)
    assert (store.decision(version, None, sha256) is None) is looser


def test_people_who_have_a_world_in_hand_are_not_overruled(copy: Store, tmp_path: Path) -> None:
    version = copy.versions()[0]
    assert version.exploration is not None
    with copy.writing() as tx:
        pipeline.requeue_decision(tx, version.id, version.exploration, "once")
        tx.transition(version.id, WorldState.NEEDS_REVIEW, "policy", "on")
        tx.transition(version.id, WorldState.IN_REVIEW, "grace", "on")

    work(copy)

    assert copy.version(version.id).state is WorldState.IN_REVIEW
    assert ready(copy) == []


def test_a_decision_does_not_wait_for_clips_of_a_world_that_can_no_longer_be_played_so(
    copy: Store, tmp_path: Path
) -> None:
    sha256 = propose(copy, tmp_path)
    shadow(copy, sha256, "ada")
    with copy.reading() as connection:
        stored = find_bundle(connection, sha256)
    keep_backtest(copy, backtest(copy, stored, live(copy), processes=1))
    promote(copy, sha256, "grace")
    with copy.writing() as tx:
        tx.connection.execute(text("UPDATE explorations SET model_sha256 = 'old'"))

    work(copy)

    newest = copy.decisions(copy.versions()[0].id)[0]
    assert newest.decision.policy_hash == sha256
    assert [(one.rule, one.clip, one.reproduced) for one in newest.evidence] == [("bright", None, False)]
