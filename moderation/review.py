"""A review of some worlds from beginning to end, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moderation import pipeline
from moderation.jobs import Local
from moderation.scan import load_detectors
from moderation.states import DECIDED, WorldState
from moderation.store import Job, Store, StoredDecision, open_store

if TYPE_CHECKING:
    from worldmodel.package import WorldPackage

Watch = Callable[[list[Job]], None]


@dataclass(frozen=True)
class Outcome:
    """What a review came to for one world."""

    path: str
    """As given."""
    world: str
    """Slug."""
    title: str
    version: str
    exploration: str
    state: WorldState
    decided: StoredDecision | None
    """None where a stage failed for good."""
    seconds: dict[str, float]
    """Worked on, by stage, over all tries."""
    from_store: bool
    """Decided before this review began."""
    error: str | None = None

    @property
    def cleared(self) -> bool:
        """Whether players may see it now."""
        return self.state is WorldState.PUBLISHED

    def as_json(self) -> dict[str, Any]:
        """For machines: names and numbers only."""
        found: dict[str, Any] = {
            "path": self.path,
            "world": self.world,
            "title": self.title,
            "version": self.version,
            "exploration": self.exploration,
            "state": str(self.state),
            "seconds": {stage: round(taken, 2) for stage, taken in self.seconds.items()},
            "from_store": self.from_store,
            "error": self.error,
        }
        if self.decided is not None:
            decision = self.decided.decision
            found |= {
                "verdict": str(decision.verdict),
                "policy": decision.policy,
                "policy_hash": decision.policy_hash,
                "reasons": list(decision.reasons),
                "fired": [asdict(one) for one in decision.fired],
                "evidence": [asdict(one) for one in self.decided.evidence],
                "coverage": asdict(self.decided.coverage),
                "bounds": [asdict(one) for one in decision.bounds],
                "rating": None if decision.rating is None else asdict(decision.rating),
                "approvals": decision.approvals,
                "escalate": decision.escalate,
                "sampled": decision.sampled,
            }
        return found


@dataclass(frozen=True)
class Asked:
    """What ``firstplay review`` was asked to do with each world."""

    seed: int = 0
    model: str = "neural"
    budget: str = "default"
    """``small``, ``default`` or ``large``."""
    workers: int = 2
    player: Path | None = None
    """Who plays the sample arm: a file of ``firstplay bots fit-player``, else the usual player."""

    def request(self, store: Store | None = None) -> pipeline.Request:
        """With the model's hash and the budget's and the player's numbers.

        Raises FileNotFoundError without the weights, ``bots.playermodel.PlayerFileError`` for a bad player.
        """
        from bots.playermodel import load_player

        player = None if self.player is None else asdict(load_player(self.player).parameters)
        request = pipeline.make_request(self.seed, self.model, self.budget, store)
        return replace(request, player=player)


def review(
    home: Path,
    packages: Sequence[tuple[str, WorldPackage]],
    asked: Asked,
    watch: Watch | None = None,
) -> list[Outcome]:
    """Review packages (path as given, content), in their order.

    What is decided already is not done again. Raises ``moderation.models.ModelMissing`` before any work
    where weights of a detector are missing.
    """
    store = open_store(home)
    request = asked.request(store)
    policy = pipeline.policy_bundle(store).sha256
    known = {package.sha256: _decided(store, package.sha256, request, policy) for _, package in packages}
    if not all(known.values()):
        check_weights(store)
    for _, package in packages:
        pipeline.submit(store, package, request, policy)
    subjects = [package.sha256 for _, package in packages]
    open_jobs = [job for job in store.queue.jobs(*subjects) if job.state in ("ready", "running")]
    if open_jobs:
        Local(home, pipeline.handlers, subjects, asked.workers).run(watch)
    outcomes = [
        _outcome(store, path, package.sha256, request, policy, from_store=known[package.sha256] is not None)
        for path, package in packages
    ]
    store.close()
    return outcomes


def check_weights(store: Store | None = None) -> None:
    """Raise ``moderation.models.ModelMissing`` naming the first missing weights of a detector."""
    from moderation.models import model_path

    for card in load_detectors(pipeline.policy_bundle(store)).cards:
        for name in card.weights:
            model_path(name)


def _decided(store: Store, version: str, request: pipeline.Request, policy: str) -> StoredDecision | None:
    exploration = request.exploration(version)
    return store.decision(version, exploration, policy) or store.decision(version, None, policy)


def _outcome(
    store: Store, path: str, version: str, request: pipeline.Request, policy: str, *, from_store: bool
) -> Outcome:
    row = store.version(version)
    exploration = request.exploration(version)
    jobs = [
        job for job in store.queue.jobs(version) if job.payload.get("exploration", exploration) == exploration
    ]
    dead = next((job for job in jobs if job.state == "dead"), None)
    return Outcome(
        path=path,
        world=row.world,
        title=row.title,
        version=version,
        exploration=exploration,
        state=row.state,
        decided=_decided(store, version, request, policy),
        seconds={stage: _seconds(jobs, stage) for stage in pipeline.STAGES},
        from_store=from_store,
        error=None if dead is None else f"{dead.kind}: {(dead.error or '').strip()}",
    )


def _seconds(jobs: Sequence[Job], stage: str) -> float:
    return sum(job.seconds for job in jobs if job.kind == stage)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 all cleared, 1 some not, 3 a stage failed for good."""
    if any(outcome.error is not None or outcome.state not in DECIDED for outcome in outcomes):
        return 3
    return 0 if all(outcome.cleared for outcome in outcomes) else 1
