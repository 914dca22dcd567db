"""From a submission to a decision: four stages, each one job, each committed with the job that follows it.

``intake`` looks at the media, ``explore`` lets bots play, ``scan`` shows what they recorded to the
detectors, ``decide`` asks the policy and publishes what it clears. A stage's rows and the next stage's job
are one transaction, fenced by the job's token; long stages keep their pieces (a checkpoint of the search,
a row per scanned playthrough), so that an interrupted one goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bots import storage
from bots.coverage import open_tiles
from moderation import scan
from moderation.cases import breakers
from moderation.cases.concluding import POLICY, conclude, condemn
from moderation.detectors.base import Spent, unload_idle
from moderation.evaluation import measured
from moderation.evidence import gather, of_media, png
from moderation.jobs import Ended, Handler, Hopeless, Work, check_room
from moderation.likeness import Signature, signature
from moderation.lineage import hold
from moderation.listening import Heard
from moderation.observing.logs import about, logger
from moderation.observing.traces import span
from moderation.packages import pack, unpack
from moderation.policy_changes import shadow
from moderation.policy_changes.bundles import live_bundle, shadow_bundles
from moderation.policy_changes.redecide import NOT_PLAYED, condemned, redecide
from moderation.spending import with_stored
from moderation.states import DECIDED, REVIEWABLE, WorldState
from moderation.store import (
    DistinctFrame,
    Evidence,
    ExplorationRow,
    Job,
    Store,
    StoredPlaythrough,
    Transaction,
    Version,
    live,
)
from moderation.store.charges import Charge, add_charge
from moderation.store.deciding import Decided, contexts
from moderation.store.figures import Cost, add_cost
from moderation.store.reads import MEDIA
from moderation.store.replaying import WAYS, first_exploration, take_over_play
from moderation.store.transaction import LOCAL
from moderation.store.webhooks import NOTIFY
from moderation.submitting import address
from moderation.webhooks import notify
from policies.types import Context, Coverage, Decision

if TYPE_CHECKING:
    from bots.exploration import Budget, Exploration
    from bots.legacy import Legacy
    from bots.players import Player
    from bots.recording import Playthrough, Recording
    from bots.rollout import Play
    from bots.together import Seat
    from moderation.detectors.base import Detector, Picture
    from moderation.probe import DetectorProbe
    from policies.bundle import Bundle
    from policies.schema import BreakerLimits
    from policies.types import DetectorRun, Finding
    from worldmodel.compiled import CompiledWorld
    from worldmodel.package import WorldPackage
    from worldmodel.protocol import WorldModel

log = logger(__name__)

STAGES = ("intake", "explore", "scan", "decide")
QUEUE_OF: Mapping[str, str] = {"intake": "cpu", "explore": "gpu", "scan": "gpu", "decide": "cpu"}
"""Which workers do which stage."""
EXPLORER = "4"
"""Version of how a review explores and scans: another one explores again."""
IDLE = 20.0
"""Seconds after which a detector that nobody asks is let go of, before frames are looked at."""
SIGNED = 256
"""Distinct frames at most from which a world's signature is taken."""
_PLAYER = "player"
"""Piece of an exploration that holds the numbers of its fitted player."""


@dataclass(frozen=True)
class Request:
    """What is asked of a review, besides the world."""

    seed: int
    model: str
    """``neural`` or ``simulator``."""
    model_sha256: str
    budget: dict[str, Any]
    """Fields of ``bots.explore.Budget``."""
    detectors: str
    """SHA-256 of the detectors that look at what was played."""
    player: dict[str, Any] | None = None
    """Numbers of the fitted player of the sample arm (``bots.playermodel.Parameters``); None for the usual
    one. They are part of the exploration's name, as all of this is."""

    def exploration(self, version: str) -> str:
        """Name of the exploration: the same request for the same content is the same exploration.

        A world that another version of the compiler made plays otherwise, so that counts as another one.
        """
        from worldmodel.compiler import COMPILER_VERSION

        return _hash([EXPLORER, COMPILER_VERSION, version, asdict(self)])

    def play(self, version: str) -> str:
        """Name of what is played: the same, whatever detectors look at it."""
        from worldmodel.compiler import COMPILER_VERSION

        played = {name: value for name, value in asdict(self).items() if name != "detectors"}
        return _hash(["play", EXPLORER, COMPILER_VERSION, version, played])


def _hash(told: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def budgets() -> dict[str, Budget]:
    """The budgets that ``firstplay review --budget`` knows."""
    from bots.exploration import Budget

    return {
        "small": Budget(search_steps=4_000, sample_episodes=8, episode_steps=60, batch=32, window=2_000),
        "default": Budget(search_steps=60_000, sample_episodes=60, episode_steps=200),
        "large": Budget(search_steps=400_000, sample_episodes=300, episode_steps=300),
    }


def make_request(
    seed: int = 0, model: str = "neural", budget: str = "default", store: Store | None = None
) -> Request:
    """With the model's hash and the budget's numbers. Raises FileNotFoundError without the weights."""
    detectors = scan.load_detectors(policy_bundle(store)).sha256
    return Request(seed, model, world_model(model).card.sha256, asdict(budgets()[budget]), detectors)


# -- asking for a review ------------------------------------------------------------------------------


def submit(store: Store, package: WorldPackage, request: Request, policy_hash: str) -> str:
    """Take in a world and queue whatever its review still needs; returns the version's id.

    Known content with a decision for this request and policy queues nothing. Raises QueueFull, with nothing
    stored.
    """
    check_room(store)
    blob = store.blobs.put(pack(package))
    spec = package.spec
    with store.writing() as tx:
        tx.submit(
            version=package.sha256,
            slug=address(tx, spec.slug, LOCAL),
            title=spec.title,
            prompt=spec.prompt,
            spec=spec.canonical(),
            package=blob,
            remix_of=spec.remix_of,
        )
    ask(store, package.sha256, request, policy_hash)
    return package.sha256


def ask(store: Store, version: str, request: Request, policy_hash: str) -> None:
    """Queue what a review of a known version still needs; nothing while people have it in hand.

    Whoever asks for the same version at the same time waits, and then finds it asked for.
    """
    with store.writing() as tx:
        if not _ask(tx, version, request, policy_hash):
            return
    dead = [job for job in store.queue.jobs(version) if job.state == "dead"]
    if dead:
        store.queue.revive(*dead)


def _ask(tx: Transaction, version: str, request: Request, policy_hash: str) -> bool:
    """Whether there is anything to review."""
    row = tx.version(version, hold=True)
    exploration = request.exploration(version)
    if row.state in DECIDED - REVIEWABLE or tx.is_decided(version, (exploration, None), policy_hash):
        return False
    looks = (request.play(version), request.detectors)
    tx.add_exploration(
        exploration, version, request.seed, request.model, request.model_sha256, request.budget, looks
    )
    if request.player is not None:
        tx.add_piece(exploration, _PLAYER, 0, request.player, again=True)
    tx.set_exploration(version, exploration)
    if row.state in (WorldState.SUBMITTED, WorldState.SCREENING):
        _screen(tx, row)
    elif row.exploration != exploration or row.state in REVIEWABLE:
        _again(tx, row, exploration, request, policy_hash)
    return True


def _screen(tx: Transaction, version: Version) -> None:
    if version.state is WorldState.SUBMITTED:
        tx.transition(
            version.id, WorldState.SCREENING, POLICY, "looking at the media", expected=version.revision
        )
    tx.enqueue("intake", version.id, f"intake:{version.id}", queue=QUEUE_OF["intake"])


def _again(tx: Transaction, version: Version, exploration: str, request: Request, policy_hash: str) -> None:
    """Another seed, model, budget or policy: go on from what this exploration already has."""
    tx.cancel_jobs(version.id)
    why = f"reviewed again: seed {request.seed}, model {request.model}"
    tx.transition(version.id, WorldState.EXPLORING, POLICY, why, expected=version.revision)
    stored = tx.exploration(exploration)
    replayed = stored.coverage is None and take_over_play(tx.connection, exploration)
    if stored.coverage is None and not replayed:
        _queue(tx, "explore", version.id, exploration)
        return
    tx.transition(version.id, WorldState.SCANNING, POLICY, "explored before")
    if not stored.scanned:
        _queue(tx, "scan", version.id, exploration)
        return
    tx.transition(version.id, WorldState.DECIDING, POLICY, "scanned before")
    _queue(tx, "decide", version.id, exploration, policy_hash)


def explore_next(tx: Transaction, version: str, why: str) -> None:
    """Let bots play a version whose media has been judged."""
    tx.transition(version, WorldState.EXPLORING, POLICY, why)
    _queue(tx, "explore", version, tx.current_exploration(version))


def _condemn(
    tx: Transaction,
    world: Decided,
    decision: Decision,
    said: Sequence[shadow.Shadowed],
    limits: BreakerLimits,
) -> bool:
    """As ``condemn``, with what the shadows say."""
    rejected = condemn(tx, world.version, decision, of_media(decision, world.findings), limits)
    if rejected:
        shadow.record(tx, world, decision, said)
    return rejected


def requeue_decision(tx: Transaction, version: str, exploration: str, occasion: str, urgent: int = 0) -> bool:
    """Queue that another policy decides what was scanned, once for each ``occasion``.

    The version stays where it is until that is done, so that no feed is empty meanwhile. False, and nothing
    is queued, where that exploration was neither scanned to its end nor made needless by the media.
    """
    row = tx.exploration(exploration)
    if not row.scanned and not (row.coverage is None and tx.state(version) is WorldState.REJECTED):
        return False
    key = f"decide:{exploration}:{occasion}"
    tx.enqueue("decide", version, key, {"exploration": exploration}, STAGES.index("decide") + urgent)
    return True


def _queue(tx: Transaction, kind: str, version: str, exploration: str, *more: str) -> None:
    key = ":".join([kind, exploration, *more])
    tx.enqueue(kind, version, key, {"exploration": exploration}, STAGES.index(kind), queue=QUEUE_OF[kind])


def _device_of(job: Job) -> str:
    """``gpu`` or ``cpu``: which of them a job keeps busy here."""
    import torch

    return "gpu" if job.queue == "gpu" and torch.cuda.is_available() else "cpu"


# -- the stages ---------------------------------------------------------------------------------------


def handlers(store: Store) -> Mapping[str, Handler]:
    """What a worker process does with each kind of job."""
    import cv2
    import torch

    torch.set_num_threads(1)  # detectors too: two threads on shared cores were five times slower than one
    cv2.setNumThreads(1)
    return Stages(store, scan.load_detectors(policy_bundle(store))).handlers


class Stages:
    """The four stages over one store; keeps models and detectors loaded between jobs."""

    def __init__(self, store: Store, detectors: scan.Detectors) -> None:
        self.store = store
        self.detectors = detectors

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By kind of job."""
        stages = {
            "receive": self.receive,
            "intake": self.intake,
            "scan": self.show,
            "decide": self.decide,
        }
        alone = {kind: partial(self.observe, stage) for kind, stage in stages.items()}
        return alone | {"explore": Exploring(self), NOTIFY: notify}

    def observe(
        self, stage: Handler, work: Work, spent: Callable[[], Mapping[str, Spent]] | None = None
    ) -> None:
        """Do a stage inside its trace, log it, and keep what it cost, with what detectors have ``spent``."""
        job = work.job
        began = work.clock()
        with about(job=job.id, world=job.subject), span(job.kind, job.trace, world=job.subject):
            log.info("begun", stage=job.kind, failures=job.failures)
            stage(work)
            taken = work.clock() - began
            log.info("done", stage=job.kind, seconds=round(taken, 3))
        self._keep_costs(job, taken, (spent or self.detectors.take_spent)())

    def _keep_costs(self, job: Job, seconds: float, spent: Mapping[str, Spent]) -> None:
        charge = with_stored(self.store, job.subject, Charge(job.kind, _device_of(job), 1, seconds))
        with self.store.writing() as tx:
            add_cost(tx.connection, job.subject, Cost(job.kind, "", 1, seconds))
            add_charge(tx.connection, job.subject, charge, time.time())
            for name, one in spent.items():
                add_cost(tx.connection, job.subject, Cost(job.kind, name, one.items, one.seconds))

    def receive(self, work: Work) -> None:
        """Ask for the usual review of what a creator sent: only a worker knows model and detectors."""
        policy = policy_bundle(self.store).sha256
        ask(self.store, work.job.subject, make_request(store=self.store), policy)
        with work.commit(done=True):
            pass

    def intake(self, work: Work) -> None:
        """Look at the uploaded media; what the media alone condemns is not played."""
        version = self.store.version(work.job.subject)
        work.progress(0, 1, "worlds")
        looked = look_at_media(self.store, version.id, self.detectors)
        findings = [one for report in looked.values() for one in report.findings]
        runs = [run for report in looked.values() for run in report.runs]
        world = self._unplayed(version, findings, runs)
        decision, limits = self._decide(world)
        said = shadow.beside(shadow_bundles(self.store), world, decision) if condemned(decision) else []
        with work.commit(done=True) as tx:
            keep_media(tx, version.id, None, looked)
            if not (condemned(decision) and _condemn(tx, world, decision, said, limits)):
                explore_next(tx, version.id, "the media may be played")
        work.progress(1, 1, "worlds")

    def explore(self, work: Work, playing: Play | None = None) -> None:
        """Let bots play, going on from the checkpoint of an interrupted try; ``playing`` plays the search."""
        from bots.explore import explore
        from bots.rollout import play

        row = self.store.exploration(work.job.payload["exploration"])
        with _checkpoint(self.store, row, self._probe) as path:
            played = explore(
                self._model(row),
                self.store.compile_version(row.version),
                _budget(row),
                row.seed,
                lambda p: work.progress(p.done, p.total, "steps" if p.arm == "search" else "episodes"),
                replay_first=self._parents_violations(row.version) + self._players_ways(row),
                inherit=self._parents_ways(row.version),
                player=self._player(row),
                probe=self._probe,
                checkpoint=path,
                playing=playing or play,
            )
            ways = self.store.blobs.put(played.legacy.to_bytes()) if played.legacy else None
            with work.commit(done=True) as tx:
                if ways is not None:
                    tx.add_piece(row.id, WAYS, 0, None, ways)
                tx.explored(row.id, Coverage(**asdict(played.coverage)), chart(played), played.playthroughs)
                tx.transition(row.version, WorldState.SCANNING, POLICY, played.coverage.stop_reason)
                _queue(tx, "scan", row.version, row.id)

    def show(self, work: Work) -> None:
        """Show the recordings to the detectors, piece by piece."""
        row = self.store.exploration(work.job.payload["exploration"])
        if self._outdated(row) and not self.store.pieces(row.id, MEDIA):
            looked = look_at_media(self.store, row.version, self.detectors)
            with work.commit() as tx:
                keep_media(tx, row.version, row.id, looked)
                tx.add_piece(row.id, MEDIA, 0)
        Scan(self.store, self.detectors, row, work, self._model(row)).run()

    def _outdated(self, row: ExplorationRow) -> bool:
        """Whether other detectors than these looked at the media, at intake."""
        with self.store.reading() as connection:
            first = first_exploration(connection, row.version)
        return first.id != row.id and first.detectors != row.detectors

    def decide(self, work: Work) -> None:
        """Ask the policy, make the evidence, and publish what is clear."""
        row = self.store.exploration(work.job.payload["exploration"])
        version = self.store.version(row.version)
        if version.exploration != row.id or version.state not in REVIEWABLE | {WorldState.DECIDING}:
            with work.commit(done=True):
                return  # it is explored anew, or people have it in hand
        if row.coverage is None:
            self._decide_by_media(work, version)
            return
        audits = map(scan.tallies_from, self.store.results("audit"))
        coverage = replace(
            row.coverage,
            kept=scan.recalls(audits, self.detectors),
            recall=measured.recalls(self.detectors.links),
        )
        findings = self.store.findings(version.id, row.id)
        runs = self.store.detector_runs(version.id, row.id)
        world = Decided(version.id, row.id, self._context(version.id), coverage, findings, runs)
        decision, limits = self._decide(world)
        said = shadow.beside(shadow_bundles(self.store), world, decision)
        evidence = self._evidence(row, decision, work)
        with work.commit(done=True) as tx:
            hold(tx, version.id)
            tx.add_decision(version.id, row.id, decision, coverage, evidence)
            shadow.record(tx, world, decision, said)
            if version.state is not WorldState.DECIDING:
                why = "decided again, by another policy"
                tx.transition(version.id, WorldState.DECIDING, POLICY, why, expected=version.revision)
            conclude(tx, version.id, row.id, decision, limits)

    def _unplayed(self, version: Version, findings: list[Finding], runs: list[DetectorRun]) -> Decided:
        """A version of which nothing but its media is known."""
        return Decided(version.id, "", self._context(version.id), NOT_PLAYED, findings, runs)

    def _decide_by_media(self, work: Work, version: Version) -> None:
        """What the media alone had condemned is condemned by this policy too, or played after all."""
        findings = self.store.findings(version.id)
        world = self._unplayed(version, findings, self.store.detector_runs(version.id))
        decision, _ = self._decide(world)
        said = shadow.beside(shadow_bundles(self.store), world, decision)
        with work.commit(done=True) as tx:
            if condemned(decision):
                tx.add_decision(version.id, None, decision, Coverage(), of_media(decision, findings))
                shadow.record(tx, world, decision, said)
            else:
                explore_next(tx, version.id, "by another policy the media may be played")

    def _evidence(self, row: ExplorationRow, decision: Decision, work: Work) -> list[Evidence]:
        """What shows why: kept from an earlier decision on the same exploration where it still does."""
        earlier = [one for one in self.store.decisions(row.version) if one.exploration == row.id]
        known = {(one.rule, one.finding): one for past in earlier for one in past.evidence}
        shown = {f.rule: known[f.rule, n] for f in decision.fired for n in f.findings if (f.rule, n) in known}
        new = replace(decision, fired=tuple(f for f in decision.fired if f.rule not in shown))
        if new.fired:
            shown |= {one.rule: one for one in self._gather(row, new, work)}
        return [shown[f.rule] for f in decision.fired if f.rule in shown]

    def _gather(self, row: ExplorationRow, decision: Decision, work: Work) -> list[Evidence]:
        """With clips where the world can still be played as it was; a decision does not wait for them."""
        from bots.recorder import WrongWorld

        try:
            return gather(self.store, self._model(row), row, decision, work.progress)
        except (Hopeless, WrongWorld):
            found = of_media(decision, self.store.findings(row.version, row.id))
            return [replace(one, reproduced=False) for one in found]

    def _decide(self, world: Decided) -> tuple[Decision, BreakerLimits]:
        """The decision, and what its policy lets circuit breakers bear."""
        bundle = policy_bundle(self.store)
        return redecide(bundle, world, breakers.tripped(self.store)), breakers.limits_of(bundle)

    def _context(self, version: str) -> Context:
        with self.store.reading() as connection:
            return contexts(connection, [version])[version]

    @cached_property
    def _probe(self) -> DetectorProbe | None:
        """By which seekers look."""
        from moderation.probe import probe_of

        return probe_of(self.detectors, policy_bundle(self.store))

    def _player(self, row: ExplorationRow) -> Player:
        """Who plays the sample arm: the fitted player that was asked for, else the usual one."""
        from bots.playermodel import player_of
        from bots.players import HUMAN

        kept = self.store.pieces(row.id, _PLAYER)
        return player_of(kept[0][0]) if kept else HUMAN

    def _model(self, row: ExplorationRow) -> WorldModel:
        model = world_model(row.model)
        if model.card.sha256 != row.model_sha256:
            raise Hopeless(
                f"this review began with another version of the {row.model} world model: review again"
            )
        return model

    def _parents_ways(self, version: str) -> Legacy | None:
        """How the parent was explored, where the store knows that: a remix goes on from there."""
        from bots.legacy import Legacy

        parent = self.store.version(version).remix_of
        explored = [one.exploration for one in self.store.find_versions(parent or "") if one.exploration]
        kept = [blob for one in explored for _, blob in self.store.pieces(one, WAYS).values() if blob]
        return Legacy.from_bytes(self.store.blobs.read(kept[-1])) if kept else None

    def _parents_violations(self, version: str) -> list[Playthrough]:
        """The parent's playthroughs that led to its violations, where the store knows the parent."""
        parent = self.store.version(version).remix_of
        decisions = [
            stored
            for one in self.store.find_versions(parent or "")
            for stored in self.store.decisions(one.id)
        ]
        names = {e.playthrough for d in decisions for e in d.evidence if e.playthrough is not None}
        return [self.store.find_playthrough(name).playthrough for name in sorted(names)]

    def _players_ways(self, row: ExplorationRow) -> list[Playthrough]:
        """What people who played this version or its parent came upon."""
        parents = self.store.find_versions(self.store.version(row.version).remix_of or "")
        return live.seeds(self.store, [row.version, *(one.id for one in parents)], row.id)


class Exploring:
    """The handler of explorations: of one world, or of several in one batch of the world model."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    def __call__(self, work: Work) -> None:
        self._stages.observe(self._stages.explore, work)

    def together(self, works: Sequence[Work], ended: Ended) -> None:
        """Each has its own checkpoint, result and costs; see :mod:`bots.together`."""
        from bots.together import together

        together([partial(self._at, work=work, ended=ended) for work in works])

    def _at(self, seat: Seat, work: Work, ended: Ended) -> None:
        from bots.together import Interrupted

        purse = _Purse(self._stages.detectors)
        seat.pausing = purse.collect
        work.measure(seat.seconds)
        try:
            self._stages.observe(partial(self._stages.explore, playing=seat.play), work, purse.empty)
        except Interrupted:
            raise  # for what ended all of them
        except Exception as error:  # noqa: BLE001 - kept with the job, as whatever a job raises
            ended(work, error)
        else:
            ended(work, None)


class _Purse:
    """What detectors have looked at for one of several worlds that take turns."""

    def __init__(self, detectors: scan.Detectors) -> None:
        self._detectors = detectors
        self._spent: dict[str, Spent] = {}

    def collect(self) -> None:
        """Called before another world has its turn."""
        for name, more in self._detectors.take_spent().items():
            before = self._spent.get(name, Spent())
            self._spent[name] = Spent(before.items + more.items, before.seconds + more.seconds)

    def empty(self) -> Mapping[str, Spent]:
        """All of it."""
        self.collect()
        spent, self._spent = self._spent, {}
        return spent


POLICY_VARIABLE = "FIRSTPLAY_POLICY"
"""Environment variable that names the bundle to decide by; worker processes inherit it."""
DEVICE_VARIABLE = "FIRSTPLAY_DEVICE"
"""Environment variable: where workers run the world model, as PyTorch names it (``cuda``, ``cuda:1``); on the
CPU unless it is set."""


def policy_bundle(store: Store | None = None) -> Bundle:
    """The policy that decides: the named bundle, else the live one of the store, else the default one.

    Raises ``policies.BundleError``, ``moderation.policy_changes.bundles.BundleLost``.
    """
    named = os.environ.get(POLICY_VARIABLE)
    live = live_bundle(store) if store is not None and not named else None
    return live or _bundle(named)


def look_at_media(store: Store, version: str, detectors: scan.Detectors) -> dict[str, scan.Report]:
    """What the detectors see in what was submitted, by piece of the look."""
    media = scan.scan_media(unpack(store.package(version)), detectors)
    return {MEDIA: media, "map": scan.scan_map(store.compile_version(version), detectors)}


def keep_media(
    tx: Transaction, version: str, exploration: str | None, looked: Mapping[str, scan.Report]
) -> None:
    """Keep a look at what was submitted; of an exploration, where it replaces what intake saw."""
    for piece, report in looked.items():
        tx.add_findings(version, exploration, report.findings)
        for run in report.runs:
            tx.add_run(version, exploration, piece, run)


@lru_cache(maxsize=2)
def _bundle(named: str | None) -> Bundle:
    from policies.bundle import load_bundle

    return load_bundle(Path(named) if named else None)


@lru_cache(maxsize=2)
def world_model(name: str) -> WorldModel:
    """The world model that bots play in, on one thread: another number of threads draws other last bits."""
    import torch

    from worldmodel.models import load_model

    torch.set_num_threads(1)
    return load_model(name, os.environ.get(DEVICE_VARIABLE) or "cpu")


def _budget(row: ExplorationRow) -> Budget:
    from bots.exploration import Budget

    return Budget(**row.budget)


@contextmanager
def _checkpoint(store: Store, row: ExplorationRow, probe: DetectorProbe | None) -> Iterator[Path]:
    """Where a search by this probe keeps itself; removed once its result is in the store."""
    folder = store.home / "checkpoints"
    folder.mkdir(exist_ok=True)
    yield folder / f"{row.id}.{probe.name if probe else 'no-probe'}.npz"
    for path in folder.glob(f"{row.id}.*"):  # those of another policy's thresholds among them
        path.unlink(missing_ok=True)


def chart(played: Exploration) -> dict[str, Any]:
    """What the report draws: discovery curves, the map of visits, what happened and what was seen."""
    return {
        "curves": {arm: _thinned(curve).tolist() for arm, curve in played.curves.items()},
        "visited": {arm: grid.tolist() for arm, grid in played.visited.items()},
        "happenings": [asdict(one) for one in played.happenings],
        "sights": [asdict(one) for one in played.sights],
        "scenes": list(played.scenes),
        "finds": [asdict(one) for one in played.finds],
    }


def _thinned(curve: NDArray[np.int64], points: int = 200) -> NDArray[np.int64]:
    keep = np.unique(np.linspace(0, max(0, len(curve) - 1), points).astype(int))
    return curve[keep] if len(curve) else curve


# -- scanning in pieces -------------------------------------------------------------------------------


class Scan:
    """One exploration's scan: every playthrough, then the distinct frames, then what it all comes to."""

    def __init__(
        self, store: Store, detectors: scan.Detectors, row: ExplorationRow, work: Work, model: WorldModel
    ) -> None:
        self.store = store
        self.detectors = detectors
        self.row = row
        self.work = work
        self.model = model

    @cached_property
    def world(self) -> CompiledWorld:
        """The world that was played."""
        return self.store.compile_version(self.row.version)

    def run(self) -> None:
        """Do what is not done yet."""
        self._look_at_playthroughs()
        unload_idle(self.detectors, IDLE)
        self._look_at_frames()
        self._look_at_moments()
        self._conclude()

    def _look_at_playthroughs(self) -> None:
        from bots.recorder import regenerate_many

        stored = self.store.playthroughs(self.row.id)
        done = self.store.pieces(self.row.id, "play")
        scanner = scan.PlayScanner(self.world, self.detectors)
        scanner.remember(self.store.frames(self.row.id), [scan.heard_from(r) for r, _ in done.values()])
        total = sum(len(one.playthrough.actions) for one in stored)
        steps = sum(len(one.playthrough.actions) for one in stored if one.ordinal in done)
        left = [one for one in stored if one.ordinal not in done]
        recordings = regenerate_many(self.model, self.world, [one.playthrough for one in left])
        for one, recording in zip(left, recordings, strict=True):
            self._keep(one, recording, scanner)
            steps += len(one.playthrough.actions)
            self.work.progress(steps, total, "frames")

    def _keep(self, one: StoredPlaythrough, recording: Recording, scanner: scan.PlayScanner) -> None:
        play = recording.playthrough
        looked = scanner.look(
            play.id, one.ordinal, recording.frames, recording.sound, play.clips, play.events, recording.views
        )
        pixels = [new.pixels for new in looked.new_frames]
        blob = self.store.blobs.put(_packed(pixels)) if pixels else None
        moments = [recording.frames[step] for step in looked.audited]
        drawn = self.store.blobs.put(_packed(moments)) if moments else None
        with self.work.commit() as tx:
            tx.looked_at(self.row.id, one.ordinal, play, looked.shown)
            tx.add_frames(self.row.id, [new.row for new in looked.new_frames])
            tx.add_findings(self.row.version, self.row.id, looked.findings)
            for run in looked.runs:
                tx.add_run(self.row.version, self.row.id, f"play {one.ordinal}", run)
            tx.add_piece(self.row.id, "play", one.ordinal, scan.heard_json(looked.heard), blob)
            tx.add_piece(self.row.id, "drawn", one.ordinal, _drawn(play.id, looked), drawn)

    def _look_at_frames(self) -> None:
        frames = self.store.frames(self.row.id)
        chosen = scan.choose_frames(frames, scan.CHEAP_LOOKS)
        self._look("cheap", chosen, self._pixels, scan.cheap(self.detectors))
        self._look("moderate", chosen, self._pixels, scan.moderate(self.detectors))
        self._look_again(frames)
        events = {one.ordinal: one.playthrough.events for one in self.store.playthroughs(self.row.id)}
        asked = scan.asked_for(frames, self._seen("cheap", "lasting"), events)
        chosen = scan.choose_frames(frames, first=asked)
        self._look("costly", chosen, self._pixels, scan.costly(self.detectors))

    def _look_again(self, frames: Sequence[DistinctFrame]) -> None:
        """Whether what one frame alone seemed to show lasts in the playthrough that it is of."""
        from bots.recorder import regenerate_many

        seen = self._seen("cheap")
        doubted = scan.doubtful(frames, seen)
        if not doubted or self.store.pieces(self.row.id, "lasting"):
            return
        plays = [one for one in self.store.playthroughs(self.row.id) if one.ordinal in doubted]
        recordings = regenerate_many(self.model, self.world, [one.playthrough for one in plays])
        lasting = {
            str(frame.ordinal): scan.seen_json(
                scan.again(frame.step, recording.frames, seen[frame.ordinal], scan.cheap(self.detectors))
            )
            for one, recording in zip(plays, recordings, strict=True)
            for frame in doubted[one.ordinal]
        }
        with self.work.commit() as tx:
            tx.add_piece(self.row.id, "lasting", 0, lasting)

    def _look_at_moments(self) -> None:
        """The audit: every detector looks at frames that were drawn at random."""
        pixels = self._frames_of("drawn")
        self._look("audited", range(len(pixels)), pixels, scan.every(self.detectors))

    def _look(
        self,
        phase: str,
        chosen: Sequence[int],
        pixels: Sequence[NDArray[np.uint8]],
        detectors: Sequence[Detector[Picture]],
    ) -> None:
        """Show the chosen pictures to detectors, and keep what they saw, batch by batch."""
        done = self.store.pieces(self.row.id, phase)
        for number, first in enumerate(range(0, len(chosen), scan.BATCH)):
            batch = chosen[first : first + scan.BATCH]
            if number not in done:
                self._see(phase, number, batch, [pixels[index] for index in batch], detectors)
            self.work.progress(min(first + scan.BATCH, len(chosen)), len(chosen), f"frames ({phase})")

    def _see(
        self,
        phase: str,
        number: int,
        batch: Sequence[int],
        pixels: Sequence[NDArray[np.uint8]],
        detectors: Sequence[Detector[Picture]],
    ) -> None:
        seen, runs = scan.see(pixels, detectors)
        result = {str(o): scan.seen_json(one) for o, one in zip(batch, seen, strict=True)}
        with self.work.commit() as tx:
            for run in runs:
                tx.add_run(self.row.version, self.row.id, f"{phase} {number}", run)
            tx.add_piece(self.row.id, phase, number, result)

    def _seen(self, *phases: str) -> dict[int, scan.Seen]:
        """What was seen in phases, by the number of the picture; of one seen in several, in the last."""
        return {
            int(number): scan.seen_from(one)
            for phase in phases
            for result, _ in self.store.pieces(self.row.id, phase).values()
            for number, one in result.items()
        }

    @cached_property
    def _pixels(self) -> list[NDArray[np.uint8]]:
        """Distinct frames by ordinal."""
        return self._frames_of("play")

    def _frames_of(self, phase: str) -> list[NDArray[np.uint8]]:
        """The frames that the pieces of a phase kept, in the order of the playthroughs."""
        pieces = sorted(self.store.pieces(self.row.id, phase).items())
        blobs = [blob for _, (_, blob) in pieces if blob is not None]
        return [f for blob in blobs for f in storage.from_bytes(self.store.blobs.read(blob))["frames"]]

    def _conclude(self) -> None:
        frames = self.store.frames(self.row.id)
        phases = (("cheap", "lasting"), ("moderate",), ("costly",))
        looked = [scan.Looked.of(frames, self._seen(*some)) for some in phases]
        heard: dict[str, Heard] = {}
        for result, _ in self.store.pieces(self.row.id, "play").values():
            heard.update(scan.heard_from(result))
        plays = list(self._plays())
        report = scan.conclude(plays, looked, heard, self.detectors)
        tallies = self._audit(report.findings)
        thumbnail = self.store.blobs.put(png(self._pixels[0])) if frames else None
        atlas = self.store.blobs.put(_packed([self.world.picture]))
        signed = self.store.blobs.put(self._signature().to_bytes()) if frames else None
        policy = policy_bundle(self.store).sha256
        with self.work.commit(done=True) as tx:
            tx.add_piece(self.row.id, "atlas", 0, _atlas(self.world), atlas)
            tx.add_piece(self.row.id, "audit", 0, scan.tallies_json(tallies))
            if signed is not None:
                tx.add_piece(self.row.id, "signature", 0, None, signed)
            tx.add_findings(self.row.version, self.row.id, report.findings)
            for run in report.runs:
                tx.add_run(self.row.version, self.row.id, "words", run)
            tx.scanned(self.row.id)
            if thumbnail is not None:
                tx.set_thumbnail(self.row.version, thumbnail)
            tx.transition(self.row.version, WorldState.DECIDING, POLICY, _counted(plays, looked[-1]))
            _queue(tx, "decide", self.row.version, self.row.id, policy)

    def _signature(self) -> Signature:
        """What the world looks like and is called, to tell worlds that are much alike."""
        version = self.store.version(self.row.version)
        apart = -(-len(self._pixels) // SIGNED)
        return signature(np.stack(self._pixels[::apart]), words=f"{version.title}. {version.prompt}")

    def _audit(self, findings: Sequence[Finding]) -> dict[str, scan.Tally]:
        """What of the drawn moments the scan's findings (and those of every frame) tell."""
        drawn = [result for _, (result, _) in sorted(self.store.pieces(self.row.id, "drawn").items())]
        names = [(one["playthrough"], step) for one in drawn for step in one["steps"]]
        seen = self._seen("audited")
        moments = [scan.Moment(name, step, seen[number]) for number, (name, step) in enumerate(names)]
        heard = {
            one["playthrough"]: [scan.detection_from(d) for d in one["overheard"]]
            for one in drawn
            if one["overheard"] is not None
        }
        return scan.audit(moments, heard, findings, self.detectors)

    def _plays(self) -> Iterator[scan.Shown]:
        for one in self.store.playthroughs(self.row.id):
            assert one.shown is not None
            play = one.playthrough
            present = tuple(scan.situations_of(self.world, play.clips, play.events))
            yield scan.Shown(play.id, one.shown, present)


def _atlas(world: CompiledWorld) -> dict[str, Any]:
    """What the report's map says, besides the picture."""
    marks = [((one.box[0] + one.box[2]) / 2, (one.box[1] + one.box[3]) / 2, one.kind) for one in world.placed]
    return {"notes": world.notes, "marks": marks, "open": open_tiles(world).astype(int).tolist()}


def _counted(plays: Sequence[scan.Shown], looked: scan.Looked) -> str:
    """How much was looked at by every detector, in words."""
    total = sum(len(play.shown) for play in plays)
    known = sum(int(np.isin(play.shown, list(looked.stands_for)).sum()) for play in plays)
    return (
        f"{total} frames of {len(plays)} playthroughs measured for flashing, {len(looked.seen)} looked at, "
        f"which {known / max(total, 1):.0%} of all resemble"
    )


def _drawn(playthrough: str, looked: scan.PlayLook) -> dict[str, Any]:
    """What of a playthrough the audit looks at."""
    overheard = looked.overheard
    return {
        "playthrough": playthrough,
        "steps": list(looked.audited),
        "overheard": None if overheard is None else [scan.detection_json(one) for one in overheard],
    }


def _packed(frames: Sequence[NDArray[np.uint8]]) -> bytes:
    return storage.to_bytes({"frames": np.stack(frames)})
