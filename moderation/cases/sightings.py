"""What people find who play a world while they review it: filed with the replay that leads there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from moderation import scan
from moderation.cases.decide import BadRuling
from moderation.cases.queue import check_person
from moderation.evidence import of_moment, png, route
from moderation.store import Conflict, Store, cases, live
from moderation.store.cases import Status
from moderation.store.live import LiveReport, ReportKind
from moderation.store.sightings import Sighting, add_sighting, keep_hashes, sightings
from policies.types import Finding, Source
from worldmodel.constants import FPS

if TYPE_CHECKING:
    from bots.recording import Playthrough
    from moderation.accounts import Principal
    from policies.bundle import Bundle
    from worldmodel.protocol import WorldModel

DETECTOR = "person"
"""Stands for the detector in what a person found; their name is in the log of the case."""
FILED = "filed"
"""The action in that log."""


def file(
    store: Store,
    person: Principal,
    case: int,
    play: Playthrough,
    model: tuple[str, WorldModel],
    said: tuple[str, str],
    bundle: Bundle,
    *,
    key: str | None = None,
) -> Sighting:
    """Keep the last moment of ``play`` as a finding of the case, with a clip and the way to repeat it.

    ``model`` is the world model with its name, ``said`` the rule of the policy that is broken, and words. The
    playthrough is played again first: what is kept are the frames that every later replay shows. The next
    exploration of the world, or of a remix, begins with it. Raises BadRuling for an unknown rule, Conflict
    where the case is closed, MayNot, NotFound, ``bots.recorder.WrongWorld``.
    """
    rule, text = said[0], said[1].strip()
    known = {one.id: one.spec.title for one in bundle.rules}
    if rule not in known:
        raise BadRuling(f"the policy has no rule {rule!r}: it has {', '.join(sorted(known))}")
    with store.reading() as connection:
        found = cases.find_case(connection, case)
        check_person(connection, person, found)
        done = cases.was_done(connection, case, FILED, key) is not None
    if done:
        return _filed_before(store, found.version, case, play.id)
    seen = _look(store, found.version, case, person, play, model[1], (rule, text or known[rule]))
    finding, sighting, replayed, picture = seen
    report = LiveReport(
        version=found.version,
        kind=ReportKind.MODERATOR,
        session=f"case-{case}",
        playthrough=play.id,
        step=len(play.actions),
        rules=(rule,),
        reasons=(sighting.evidence.caption,),
        policy_hash=bundle.sha256,
        picture=picture,
    )
    with store.writing() as tx:
        now = cases.lock_case(tx.connection, case)
        check_person(tx.connection, person, now)
        if now.status is Status.CLOSED:
            raise Conflict(f"case {case} is closed: nothing can be filed with it any more")
        if cases.was_done(tx.connection, case, FILED, key) is not None:  # by another server, meanwhile
            return sighting
        exploration = live.add_play(tx, found.version, model[0], replayed)
        keep_hashes(tx, exploration, replayed)
        tx.add_findings(found.version, exploration, [finding])
        add_sighting(tx, exploration, sighting)
        live.add_report(tx, exploration, report)
        told = {"rule": rule, "text": text, "playthrough": play.id, "step": len(play.actions)}
        cases.add_action(tx.connection, case, person.account, FILED, key, finding=finding.id, **told)
    return sighting


def _look(
    store: Store,
    version: str,
    case: int,
    person: Principal,
    play: Playthrough,
    model: WorldModel,
    said: tuple[str, str],
) -> tuple[Finding, Sighting, Playthrough, str]:
    """Play it again: the finding, its evidence, the playthrough with its hashes, and the picture (blob)."""
    from bots.recorder import regenerate

    world = store.compile_version(version)
    recording = regenerate(model, world, play)
    at = len(play.actions) / FPS
    rule, text = said
    nameless = Finding("", DETECTOR, "1", rule, 1.0, Source.LIVE, at, at, play.id, text=text)
    finding = scan.moved(nameless)
    picture = store.blobs.put(png(recording.frames[-1]))
    shown = of_moment(
        store,
        rule,
        finding,
        recording,
        frames=((at, picture),),
        route=route(model, world, play, at),
        reproduced=recording.as_explored,
    )
    sighting = Sighting(case, person.account, time.time(), text, shown)
    return finding, sighting, recording.playthrough, picture


def _filed_before(store: Store, version: str, case: int, playthrough: str) -> Sighting:
    with store.reading() as connection:
        mine = [one for one in sightings(connection, version) if one.case == case]
    found = [one for one in mine if one.evidence.playthrough == playthrough]
    if not found:
        raise Conflict("this key was used to file another moment: use another")
    return found[-1]
