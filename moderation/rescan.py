"""Looking again after an upgrade: new detectors look at stored play, a new world model is explored anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from moderation import pipeline
from moderation.scan import load_detectors
from moderation.states import REVIEWABLE
from moderation.store import ExplorationRow, Store, Version
from moderation.store.replaying import played_before


class Step(StrEnum):
    """What a version needs."""

    NOTHING = "up to date"
    RESCAN = "scan what was played"
    EXPLORE = "explore again"
    PEOPLE = "left to people"
    """Its state is not one that the pipeline may leave."""


@dataclass(frozen=True)
class Planned:
    """One version and what it needs."""

    version: Version
    step: Step
    why: str
    request: pipeline.Request | None
    steps: int
    """Frames that were played: to be replayed, or about to be played again."""


def plan(store: Store, worlds: Sequence[str] = ()) -> list[Planned]:
    """What every explored version needs, or those of some worlds (slugs).

    Raises FileNotFoundError where weights of a world model are missing.
    """
    detectors = load_detectors(pipeline.policy_bundle(store)).sha256
    versions = [one for one in store.versions() if not worlds or one.world in worlds]
    explored = [(one, store.exploration(one.exploration)) for one in versions if one.exploration]
    return [_planned(store, one, row, detectors) for one, row in explored]


def queue(store: Store, planned: Sequence[Planned]) -> list[str]:
    """Queue what is planned; returns the versions that have work to do."""
    policy = pipeline.policy_bundle(store).sha256
    asked = [one for one in planned if one.request is not None]
    for one in asked:
        assert one.request is not None
        pipeline.ask(store, one.version.id, one.request, policy)
    return [one.version.id for one in asked]


def _planned(store: Store, version: Version, row: ExplorationRow, detectors: str) -> Planned:
    model = pipeline.world_model(row.model).card.sha256
    request = pipeline.Request(row.seed, row.model, model, row.budget, detectors)
    name = request.exploration(version.id)
    frames = sum(len(one.playthrough.actions) for one in store.playthroughs(row.id))
    if name == row.id:
        return Planned(version, Step.NOTHING, "same model, same detectors", None, frames)
    if version.state not in REVIEWABLE:
        return Planned(version, Step.PEOPLE, f"it is {version.state}", None, frames)
    with store.reading() as connection:
        donor = played_before(connection, version.id, request.play(version.id), name)
    if donor is not None:
        return Planned(version, Step.RESCAN, "other detectors", request, frames)
    why = "other world model" if model != row.model_sha256 else "other compiler or way to explore"
    if row.play == request.play(version.id):
        why = "its recordings are no longer kept"
    return Planned(version, Step.EXPLORE, why, request, frames)
