"""Violation seekers: the search goes on from where a probe's scores rose, and confirms what it finds.

Few states are looked at, since drawing one costs about a hundred steps of play: one of each scene, first
those farthest from all that was looked at (Gonzalez, "Clustering to minimize the maximum intercluster
distance", Theoretical Computer Science 1985), in turn with those nearest to what was flagged.

The reward of a state is the rise of its scores over what was last looked at on its way, and, where it is
flagged, how new its embedding is among the flagged ones. Flagged embeddings are put together by leader
clustering (Hartigan, "Clustering Algorithms", 1975), and each cluster pays no more than a cap in all, so that
many different things are sought and not one many times.

A find counts once its way was played again from the start and its score held there over several frames in a
row (:mod:`bots.confirm`). The player behind the returns is no other than the explorers: what makes a seeker
is where it goes on from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bots import storage
from bots.archive import Archive, Moment
from bots.confirm import Confirmed, Suspect, confirm
from bots.exploration import Find
from bots.probe import Probe
from bots.recording import Playthrough
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import MAP_WIDTH
from worldmodel.protocol import WorldModel

SEEKER = "seeker/1"
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SeekerConfig:
    """What is left to choose."""

    share: float = 0.1
    """Most cost of looking, as a share of the steps played."""
    hint: float = 0.3
    """Score from which a state is flagged."""
    alike: float = 0.8
    """Cosine from which a flagged embedding belongs to a cluster."""
    cap: float = 3.0
    """Most reward that one cluster pays in all."""
    tries: int = 3
    """States of one cluster that are played again at most to confirm it."""
    near: int = 6
    """Tiles from something flagged within which scenes are looked at out of turn."""


@dataclass
class Cluster:
    """Flagged states that look alike."""

    label: int
    leader: Floats
    """(D,) the first one's embedding."""
    members: int = 0
    paid: float = 0.0
    tries: int = 0
    confirmed: bool = False


@dataclass
class Ledger:
    """What flagged states paid. A pure function of what was entered, in its order."""

    config: SeekerConfig = field(default_factory=SeekerConfig)
    clusters: list[Cluster] = field(default_factory=list)

    def enter(self, before: Floats, scores: Floats, embedding: Floats) -> tuple[float, int]:
        """The reward of a state, and the number of its cluster, -1 where it is not flagged.

        ``before`` (K,) are the scores last seen on its way, ``scores`` (K,) its own.
        """
        rise = float(np.maximum(scores - before, 0).max(initial=0.0))
        if scores.max(initial=0.0) < self.config.hint:
            return rise, -1
        number, novelty = self._place(int(scores.argmax()), embedding)
        cluster = self.clusters[number]
        reward = min(rise + novelty, self.config.cap - cluster.paid)
        cluster.paid += reward
        cluster.members += 1
        return reward, number

    def _place(self, label: int, embedding: Floats) -> tuple[int, float]:
        """The cluster of a flagged embedding, begun by it where none is alike, and its novelty 0..1."""
        likeness = [float(c.leader @ embedding) for c in self.clusters]
        own = [i for i, c in enumerate(self.clusters) if c.label == label]
        best = max(own, key=lambda i: likeness[i], default=-1)
        if best < 0 or likeness[best] < self.config.alike:
            self.clusters.append(Cluster(label, embedding))
            best = len(self.clusters) - 1
        return best, min(1.0, 1 - max(likeness, default=0.0)) if likeness else 1.0


class Seekers:
    """What has been looked at of one search, what it was worth, and what came of it."""

    def __init__(
        self, model: WorldModel, world: CompiledWorld, probe: Probe, config: SeekerConfig | None = None
    ) -> None:
        self.model, self.world, self.probe = model, world, probe
        self.ledger = Ledger(config or SeekerConfig())
        self.looks = 0
        """States that were drawn and looked at, those of confirmations among them."""
        self.finds: list[Find] = []
        self.playthroughs: list[Playthrough] = []
        """Of the confirmed finds."""
        self._scenes: set[int] = set()
        self._last: dict[int, list[tuple[int, Floats]]] = {}
        """By segment: after how many steps of it which scores were seen, in the order of steps."""

    @property
    def config(self) -> SeekerConfig:
        return self.ledger.config

    @property
    def cost(self) -> float:
        """Of all looks so far, in steps."""
        return self.looks * self.probe.cost

    def look(self, archive: Archive, steps: int) -> float:
        """Look at what is due after ``steps`` of search and confirm what was found; what it cost, in steps.

        The segments on which newly confirmed finds stand are :attr:`fresh`.
        """
        before, self.fresh = self.looks, []
        due = self._due(archive, int((self.config.share * steps - self.cost) / self.probe.cost))
        if len(due):
            self._enter(archive, due)
        replayed = self._confirm(archive)
        return (self.looks - before) * self.probe.cost + replayed

    fresh: list[int]

    def lure(self, archive: Archive) -> NDArray[np.float64]:
        """(N,) how much each entry draws seekers: its reward, less often the more they were there.

        Nothing where its cluster is confirmed, or has been tried as often as it may.
        """
        entries, clusters = archive.entries, self.ledger.clusters
        open_ = np.array([not c.confirmed and c.tries < self.config.tries for c in clusters] + [False])
        reward = np.maximum(entries.reward, 0) * open_[entries.cluster]
        lure: NDArray[np.float64] = reward / (1 + entries.sought)
        return lure

    # ---- what to look at ---------------------------------------------------------------------------------

    def _due(self, archive: Archive, most: int) -> NDArray[np.int64]:
        """Entries to look at now, at most ``most``: one for each scene that was not looked at."""
        entries = archive.entries
        unseen = ~np.isin(entries.scene, np.fromiter(self._scenes, np.int64, len(self._scenes)))
        ways = np.nonzero(unseen)[0]
        if most <= 0 or not len(ways):
            return np.zeros(0, np.int64)
        order = ways[np.lexsort((ways, entries.cost[ways], entries.scene[ways]))]
        waiting = order[np.unique(entries.scene[order], return_index=True)[1]]
        looked = entries.tile[entries.looked]
        flagged = entries.tile[(entries.cluster >= 0)]
        picked: list[int] = []
        far, near = _gaps(entries.tile[waiting], looked), _gaps(entries.tile[waiting], flagged)
        for turn in range(min(most, len(waiting))):
            hunting = turn % 2 == 1 and near.min() <= self.config.near
            best = int(near.argmin() if hunting else far.argmax())
            picked.append(int(waiting[best]))
            far = np.minimum(far, _gaps(entries.tile[waiting], entries.tile[waiting[best : best + 1]]))
            far[best], near[best] = -1, np.iinfo(np.int64).max
        return np.array(picked, np.int64)

    def _enter(self, archive: Archive, due: NDArray[np.int64]) -> None:
        entries, states = archive.entries, archive.states
        assert states is not None
        seen = self.probe(self.model.render(states[torch.from_numpy(due)]).cpu().numpy())
        self.looks += len(due)
        for entry, scores, embedding in zip(due.tolist(), seen.scores, seen.embeddings, strict=True):
            moment = Moment(int(entries.segment[entry]), int(entries.offset[entry]))
            reward, cluster = self.ledger.enter(self._before(archive, moment), scores, embedding)
            entries.scores[entry], entries.looked[entry] = scores, True
            entries.reward[entry], entries.cluster[entry] = reward, cluster
            self._scenes.add(int(entries.scene[entry]))
            self._last.setdefault(moment.segment, []).append((moment.offset, scores))

    def _before(self, archive: Archive, moment: Moment) -> Floats:
        """(K,) scores last seen on the way to a moment, 0 where nothing was looked at."""
        number, count = moment.segment, moment.offset
        while number >= 0:
            known = [(at, scores) for at, scores in self._last.get(number, []) if at <= count]
            if known:
                return max(known, key=lambda one: one[0])[1]
            segment = archive.tree.segments[number]
            number, count = segment.parent, segment.at
        return np.zeros(len(self.probe.labels), np.float32)

    # ---- what was found ----------------------------------------------------------------------------------

    def _confirm(self, archive: Archive) -> float:
        """Play the ways to the best state of each open cluster again; what that cost, in steps."""
        tried = [(n, e) for n in range(len(self.ledger.clusters)) if (e := self._suspect(archive, n)) >= 0]
        if not tried:
            return 0.0
        suspects = [self._way(archive, number, entry) for number, entry in tried]
        results, played = confirm(self.model, self.world, suspects, self.probe)
        for (number, entry), suspect, result in zip(tried, suspects, results, strict=True):
            self.looks += result.looks
            archive.entries.tried[entry] = True
            self._record(number, suspect, result)
            if result.confirmed:
                self.fresh.append(int(archive.entries.segment[entry]))
        return float(played)

    def _suspect(self, archive: Archive, number: int) -> int:
        """The untried entry of a cluster that scores best, and well enough to be a find; -1 for none."""
        cluster, entries = self.ledger.clusters[number], archive.entries
        if cluster.confirmed or cluster.tries >= self.config.tries:
            return -1
        scores = np.where((entries.cluster == number) & ~entries.tried, entries.scores[:, cluster.label], -1)
        best = int(scores.argmax())
        return best if scores[best] >= self.probe.sure[cluster.label] else -1

    def _way(self, archive: Archive, number: int, entry: int) -> Suspect:
        entries, cluster = archive.entries, self.ledger.clusters[number]
        moment = Moment(int(entries.segment[entry]), int(entries.offset[entry]))
        path = archive.tree.path(moment)
        way = Playthrough(
            self.world.key, self.model.card.sha256, "search", SEEKER, path.seed, path.spawn,
            path.actions, path.events, path.clips,
        )  # fmt: skip
        return Suspect(way, cluster.label, float(entries.scores[entry, cluster.label]))

    def _record(self, number: int, suspect: Suspect, result: Confirmed) -> None:
        cluster = self.ledger.clusters[number]
        cluster.tries += 1
        cluster.confirmed = result.confirmed
        self.finds = [f for f in self.finds if f.cluster != number]
        if result.confirmed:
            self.playthroughs.append(result.playthrough)
        self.finds.append(
            Find(
                label=self.probe.labels[cluster.label],
                score=suspect.score,
                cluster=number,
                step=len(suspect.way.actions),
                frames=result.frames,
                confirmed=result.confirmed,
                playthrough=result.playthrough.id if result.confirmed else None,
            )
        )

    # ---- stopping and going on ---------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Everything that :meth:`resume` needs, besides the archive."""
        arrays, heads = storage.pack(self.playthroughs, "finds")
        clusters = self.ledger.clusters
        last = [(n, at, scores) for n, seen in self._last.items() for at, scores in seen]
        arrays["seekers.leaders"] = np.array([c.leader for c in clusters], np.float32)
        arrays["seekers.scenes"] = np.array(sorted(self._scenes), np.int64)
        arrays["seekers.seen"] = np.array([(n, at) for n, at, _ in last], np.int64).reshape(-1, 2)
        arrays["seekers.scores"] = np.array([scores for *_, scores in last], np.float32)
        rows = [[c.label, c.members, c.paid, c.tries, c.confirmed] for c in clusters]
        finds = [vars(find) for find in self.finds]
        return arrays, {"looks": self.looks, "clusters": rows, "finds": finds, "playthroughs": heads}

    def resume(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> None:
        """Become what the snapshot was taken of."""
        self.looks = meta["looks"]
        self.ledger.clusters = [
            Cluster(row[0], leader, *row[1:])
            for row, leader in zip(meta["clusters"], arrays["seekers.leaders"], strict=True)
        ]
        self.finds = [Find(**find) for find in meta["finds"]]
        self.playthroughs = storage.unpack(arrays, meta["playthroughs"], "finds")
        self._scenes = set(arrays["seekers.scenes"].tolist())
        self._last = {}
        for (number, at), scores in zip(
            arrays["seekers.seen"].tolist(), arrays["seekers.scores"], strict=True
        ):
            self._last.setdefault(number, []).append((at, scores))


def _gaps(tiles: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) Chebyshev distance in tiles from each of ``tiles`` (N,) to the nearest of ``others`` (M,)."""
    if not len(others):
        return np.full(len(tiles), MAP_WIDTH, np.int64)
    across = np.abs(tiles[:, None] % MAP_WIDTH - others % MAP_WIDTH)
    down = np.abs(tiles[:, None] // MAP_WIDTH - others // MAP_WIDTH)
    gaps: NDArray[np.int64] = np.maximum(across, down).min(1)
    return gaps
