"""Cases of worlds that were really played: a package, a playthrough, its clip, and a finding in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bots import storage
from bots.coverage import open_tiles
from bots.recorder import regenerate
from bots.recording import Playthrough
from moderation import evidence
from moderation.packages import pack
from moderation.states import WorldState
from moderation.store import Store, cases
from moderation.store.cases import Case
from policies import Bundle
from policies.cases import sufficient_coverage
from policies.engine import decide
from policies.types import DetectorRun, Finding, Source
from tests.feed_home import package
from worldmodel.constants import FPS, Action
from worldmodel.models import load_model
from worldmodel.package import WorldPackage

ROAD = [WorldState.SCREENING, WorldState.EXPLORING, WorldState.SCANNING, WorldState.DECIDING]


@dataclass(frozen=True)
class Played:
    """A case that waits, and what its clip shows."""

    case: Case
    version: str
    play: Playthrough
    model: str


def played_case(
    store: Store,
    bundle: Bundle,
    title: str = "Sunny Meadow",
    *,
    label: str = "slur",
    model: str = "simulator",
    steps: int = 60,
    world: WorldPackage | None = None,
    remix_of: str | None = None,
    more: int = 0,
) -> Played:
    """A world that somebody walked through to the right, where a detector asks for a person half way.

    So it does in ``more`` other playthroughs, of which no clip is kept.
    """
    content = world or package(title)
    version, exploration = content.sha256, f"e-{content.sha256}"
    with store.writing() as tx:
        blob = store.blobs.put(pack(content))
        prompt = content.spec.prompt or ""
        tx.submit(version, content.spec.slug, title, prompt, {"title": title}, blob, remix_of, "kim")
    compiled, played = store.compile_version(version), load_model(model)
    actions = np.full(steps, int(Action.RIGHT), np.uint8)
    nothing = np.zeros((steps, 9), np.bool_), np.full(steps, -1, np.int16)
    walked = Playthrough(compiled.key, played.card.sha256, "search", "walker/1", 7, 0, actions, *nothing)
    recording = regenerate(played, compiled, walked)
    play = recording.playthrough
    at = steps / FPS / 2
    findings = [
        Finding(
            f"{version[:8]}{n}", "eye", "1", label, score, Source.PLAYTHROUGH, t, t + 0.4, play.id, text=text
        )
        for n, (score, t, text) in enumerate([(0.7, at, "a bad word"), (0.55, at + 0.6, None)])
    ]
    heard = Finding(
        f"{version[:8]}w",
        "speech",
        "1",
        "speech",
        0.9,
        Source.PLAYTHROUGH,
        0.5,
        1.6,
        play.id,
        text="hello there",
    )
    others = [regenerate(played, compiled, replace(walked, seed=8 + n)).playthrough for n in range(more)]
    also = [replace(findings[1], id=f"{version[:8]}o{n}", playthrough=one.id) for n, one in enumerate(others)]
    coverage = sufficient_coverage(bundle)
    runs = [DetectorRun("eye", "1", source, 5, ok=True) for source in Source]
    decision = decide(bundle, [*findings, *also, heard], runs, coverage)
    shown = [
        evidence.of_moment(
            store,
            fired.rule,
            findings[0],
            recording,
            frames=((at, store.blobs.put(evidence.png(recording.frames[int(at * FPS)]))),),
            route=evidence.route(played, compiled, play, at),
            reproduced=True,
        )
        for fired in decision.fired
    ]
    picture = storage.to_bytes({"frames": compiled.picture[None]})
    visited = np.zeros(compiled.tiles.shape, int)
    visited[:, :12] = 3
    ground = open_tiles(compiled)
    chart = {"curves": {"search": [], "sample": []}, "visited": {"search": visited.tolist()}}
    with store.writing() as tx:
        tx.add_exploration(exploration, version, 7, model, play.model, {"search_steps": steps})
        tx.set_exploration(version, exploration)
        tx.explored(exploration, coverage, chart, [play, *others])
        tx.add_piece(
            exploration,
            "atlas",
            0,
            {"marks": [], "open": ground.tolist(), "notes": {}},
            store.blobs.put(picture),
        )
        tx.add_findings(version, exploration, [*findings, *also, heard])
        tx.set_thumbnail(version, store.blobs.put(evidence.png(recording.frames[0])))
        tx.add_decision(version, exploration, decision, coverage, shown)
        for state in [*ROAD, WorldState.NEEDS_REVIEW]:
            tx.transition(version, state, "policy", "a person must look")
    with store.reading() as connection:
        (case,) = cases.cases_of(connection, version)
    return Played(case, version, play, model)
