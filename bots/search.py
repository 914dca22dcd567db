"""The search arm: parents' playthroughs, personas from the start, then return and explore.

Who explores after a return is dealt out by one scheduler (:mod:`bots.scheduler`) over the explorers, the
seekers (:mod:`bots.seekers`) and the generalist once it was tuned on this world (:mod:`bots.tuned`); the rows
of all of them are one batch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bots import storage
from bots.archive import Archive, Entries, Moment, Origin, Segment
from bots.cells import SeenCells, cells_of, host
from bots.coverage import discovery_rate
from bots.dice import key_of
from bots.exploration import Budget
from bots.generalist import Generalist, Policy, restored_policy
from bots.players import (
    PERSONAS,
    Collector,
    Interactor,
    Mixture,
    Player,
    Spammer,
    SpeedRunner,
    StickyRandom,
    WallHugger,
)
from bots.probe import Probe
from bots.recording import EVIDENCE_BATCH, Playthrough
from bots.rollout import Play, Trajectory, padded_actions, play, replay
from bots.scheduler import Arm, Scheduler
from bots.seekers import SEEKER, Seekers
from worldmodel.bank import MAX_SPAWNS
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import EVENTS, MAP_HEIGHT, MAP_WIDTH
from worldmodel.protocol import State, WorldModel, concatenate

Explorers = Sequence[tuple[Player, float]]
"""Players, and how often each explores after a return."""


def mixed_in(explorers: Explorers, player: Player, share: float) -> Explorers:
    """``player`` with a share 0..1 of the returns, the others with what is left."""
    whole = sum(weight for _, weight in explorers)
    left = [(p, (1 - share) * weight / whole) for p, weight in explorers] if share < 1 else []
    return (*left, (player, share))


SCRIPTED: Explorers = (
    (StickyRandom(), 0.45),
    (Interactor(), 0.15),
    (Collector(), 0.12),
    (SpeedRunner(), 0.12),
    (WallHugger(), 0.10),
    (Spammer(), 0.06),
)
"""Those who go by rules."""
GENERALIST_SHARE = 0.5
"""Of the returns; measured, see ``bots/weights/README.md``."""
EXPLORERS = mixed_in(SCRIPTED, Generalist(), GENERALIST_SHARE)
"""Who explores after a return, and how often."""
TUNED = "generalist-tuned/1"
PERSONA_SHARE = 0.15
"""Share of the search's steps that personas play from the start, before anything is returned to."""
GENERALIST_PRICE = 2.2
"""Cost of a step that the generalist plays, in steps of a player that goes by rules: from the speeds of the
whole search and of sticky actions alone in docs/exploration-benchmark.md, rounded down."""
SEEKER_SHARE = 0.15
"""Of the returns, while something is flagged that is neither confirmed nor given up."""
TUNED_SHARE = 0.5
"""Of the returns, once a policy was tuned on this world: as many as the generalist's own."""
FIND_WORTH = 50.0
"""New cells that a confirmed find is worth to the scheduler."""
PLATEAU = 5.0
"""Times the floor: the rate of new cells under which fine-tuning begins, where steps enough are left."""
_SEEDS, _DICE, _CHOICE, _TUNING = 1, 2, 3, 4


class Search:
    """The search over one world, round by round. A round is a pure function of what came before."""

    def __init__(
        self,
        model: WorldModel,
        world: CompiledWorld,
        budget: Budget,
        seed: int,
        replay_first: Sequence[Playthrough] = (),
        explorers: Explorers | None = None,
        probe: Probe | None = None,
        playing: Play = play,
    ) -> None:
        """``explorers`` explore after a return, in place of EXPLORERS; ``probe`` is what seekers look by;
        ``playing`` plays the rounds of a search that has no limit of time.
        """
        self._playing = playing
        self.model, self.world, self.budget, self.seed = model, world, budget, seed
        self.archive = Archive(world, cells_of(model, world), len(probe.labels) if probe else 0)
        self.seekers = None if probe is None else Seekers(model, world, probe)
        # A model that plays from pixels has no state from which to tell what the screen shows.
        pixels = isinstance(self.archive.cells, SeenCells)
        usual = SCRIPTED if pixels else EXPLORERS
        self.explorers = [player for player, _ in explorers or usual]
        self.tuned: Policy | None = None
        """The generalist after fine-tuning on this world."""
        tuning = budget.tuning_steps > 0 and not pixels
        self.scheduler = Scheduler(arms_of(explorers or usual, seeking=probe is not None, tuning=tuning))
        self.steps = 0
        self.rounds = 0
        self.strategy = ""
        """Who plays the present round, or most of it."""
        self.curve: list[tuple[int, int]] = []
        self.replayed: list[Playthrough] = []
        self._parents = _batches(world, replay_first)
        self._seconds_before, self._began = 0.0, time.monotonic()
        self.spawns = min(len(world.spawns), MAX_SPAWNS)
        roots = [key_of(seed, _SEEDS, 0, spawn) for spawn in range(self.spawns)]
        self.archive.add_spawns(model.spawn([world] * self.spawns, roots, range(self.spawns)), roots)

    @property
    def rate(self) -> float:
        """New cells per 1,000 steps lately."""
        return discovery_rate(np.array(self.curve, np.int64), self.budget.window)

    @property
    def seconds(self) -> float:
        """Wall time so far, that before an interruption among it."""
        return self._seconds_before + time.monotonic() - self._began

    @property
    def late(self) -> bool:
        """Whether the budget has a limit of time, and it is over."""
        limit = self.budget.search_seconds
        return limit is not None and self.seconds >= limit

    @property
    def spent(self) -> float:
        """Share 0..1 of the budget that is spent, of its steps or its time, whichever is more."""
        limit = self.budget.search_seconds
        time_spent = 0.0 if limit is None else self.seconds / limit
        return min(1.0, max(self.steps / self.budget.search_steps, time_spent))

    @property
    def settled(self) -> bool:
        """The rate has been taken over a full window and is under the floor."""
        return self.steps >= self.budget.window and self.rate < self.budget.floor

    @property
    def finished(self) -> bool:
        """Parents replayed, personas played, and settled or out of steps; or out of time."""
        opening = self.rounds <= len(self._parents)
        return self.late or (not opening and (self.settled or self.steps >= self.budget.search_steps))

    def round(self) -> None:
        """Play one batch, take in what it reached, and look at some of what was new."""
        if self.rounds < len(self._parents):
            self.strategy = "parents"
            self._take_in(*self._replay_round(self._parents[self.rounds]))
        elif self.rounds == len(self._parents):
            self.strategy = "personas"
            self._take_in(*self._persona_round())
        elif self._wants_tuning():
            self.strategy = "tuning"
            self._tune()
        else:
            self._archive_round()
        self.rounds += 1
        self.curve.append((self.steps, len(self.archive)))

    def _take_in(self, played: Trajectory, origin: Origin) -> NDArray[np.float64]:
        """Add a round to the archive and look at what is due; what each row gained."""
        before = len(self.archive)
        numbers = self.archive.take_in(played, origin)
        self.steps += int(played.alive.sum())
        self._cost_of_looking = 0.0
        if self.seekers is not None:
            self._cost_of_looking = self.seekers.look(self.archive, self.steps)
        return _new_cells(self.archive.entries, before, numbers)

    def _archive_round(self) -> None:
        budget, arms = self.budget, self.scheduler.arms
        chance = np.random.default_rng(key_of(self.seed, _CHOICE, self.rounds))
        lure = None if self.seekers is None else self.seekers.lure(self.archive)
        allowed = self.archive.weights(budget.path_steps)
        able = np.array([self._able(arm.name, lure, allowed) for arm in arms])
        arm = self.scheduler.deal(budget.batch, chance, able)
        seeking = np.array([one.name == SEEKER for one in arms])[arm]
        picked = np.zeros(budget.batch, np.int64)
        picked[~seeking] = self.archive.choose(int((~seeking).sum()), budget.path_steps, chance)
        if seeking.any():
            picked[seeking] = self.archive.choose(int(seeking.sum()), budget.path_steps, chance, lure)
        self.strategy = _most(arms, arm)
        state, origin = self.archive.origin(picked, [arms[i].name for i in arm])
        players = [self._player(one.name) for one in arms]
        played = self._play(state, players, arm, budget.round_steps)
        gained = self._take_in(played, origin)
        self._teach(arm, host(played.alive.long()).sum(0), gained)

    def _able(self, arm: str, lure: NDArray[np.float64] | None, allowed: NDArray[np.float64]) -> bool:
        """Whether an arm has what it needs: something to seek, a tuned policy."""
        if arm == SEEKER:
            return lure is not None and bool((lure * allowed).any())
        return arm != TUNED or self.tuned is not None

    def _player(self, arm: str) -> Player:
        """Who plays for an arm, knowing what the search knows if it can make use of it."""
        if arm == SEEKER:
            return StickyRandom()
        if arm == TUNED:
            return Generalist(self.tuned, name=TUNED).informed(self.archive)
        player = next(one for one in self.explorers if one.name == arm)
        return player.informed(self.archive) if isinstance(player, Generalist) else player

    def _teach(self, arm: NDArray[np.int64], steps: NDArray[np.int64], gained: NDArray[np.float64]) -> None:
        """Tell the scheduler what the rows of each arm cost and gained."""
        count = len(self.scheduler.arms)
        names = [one.name for one in self.scheduler.arms]
        gains: NDArray[np.float64] = np.bincount(arm, gained, count).astype(np.float64)
        extra = np.zeros(count)
        if self.seekers is not None:
            extra[names.index(SEEKER)] = self._cost_of_looking
            for number in self.seekers.fresh:
                finder = self.archive.tree.segments[number].player
                gains[names.index(finder if finder in names else SEEKER)] += FIND_WORTH
        played: NDArray[np.float64] = np.bincount(arm, steps, count).astype(np.float64)
        self.scheduler.learn(played, gains, extra)

    def _wants_tuning(self) -> bool:
        """Whether finding has become slow enough, and the budget is large enough, to learn for this world."""
        budget = self.budget
        if self.tuned is not None or TUNED not in [arm.name for arm in self.scheduler.arms]:
            return False
        left = budget.search_steps - self.steps
        slow = self.steps >= budget.window and self.rate < PLATEAU * budget.floor
        return slow and left >= 2 * budget.tuning_steps

    def _tune(self) -> None:
        from bots.tuned import tune  # Stable-Baselines3 is slow to import, and seldom needed

        self.tuned, steps = tune(
            self.model,
            self.world,
            self.archive,
            self.budget,
            key_of(self.seed, _TUNING, self.rounds),
            lambda: self.late,
        )
        self.steps += steps

    def _persona_round(self) -> tuple[Trajectory, Origin]:
        rows = self.budget.batch
        choice = np.arange(rows) % len(PERSONAS)
        seeds = [key_of(self.seed, _SEEDS, 1, row) for row in range(rows)]
        # Every other set of personas plays from the true start, the rest from all spawn points in turn.
        turn = np.arange(rows) // len(PERSONAS)
        spawns = np.where(turn % 2 == 0, 0, (turn // 2 + 1) % self.spawns).tolist()
        state = self.model.spawn([self.world] * rows, seeds, spawns)
        origin = _at_spawn(seeds, spawns, [PERSONAS[i].name for i in choice])
        share = int(self.budget.search_steps * PERSONA_SHARE) // rows
        steps = min(self.budget.episode_steps, max(share, self.budget.round_steps))
        return self._play(state, PERSONAS, choice, steps), origin

    def _play(
        self, state: State, players: Sequence[Player], choice: NDArray[np.int64], steps: int
    ) -> Trajectory:
        device = self.model.device
        mixture = Mixture.of(players, torch.from_numpy(choice).to(device))
        keys = torch.arange(len(choice), device=device) + key_of(self.seed, _DICE, self.rounds)
        if self.budget.search_seconds is not None:
            return play(self.model, state, mixture, keys, steps, lambda: self.late)
        return self._playing(self.model, state, mixture, keys, steps)

    def _replay_round(self, batch: list[Playthrough]) -> tuple[Trajectory, Origin]:
        rows = [batch[i % len(batch)] for i in range(EVIDENCE_BATCH)]
        seeds, spawns = [p.seed for p in rows], [p.spawn for p in rows]
        state = self.model.spawn([self.world] * len(rows), seeds, spawns)
        played = replay(self.model, state, padded_actions(rows).to(self.model.device))
        self.replayed += [_again(self.model, p, played, row) for row, p in enumerate(batch)]
        return played, _at_spawn(seeds, spawns, ["parent-replay/1"] * len(rows))

    # ---- stopping and going on ---------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Everything that :meth:`resume` needs."""
        archive = self.archive
        arrays, heads = storage.pack(self.replayed, "replayed")
        arrays |= {f"entries.{name}": column for name, column in vars(archive.entries).items()}
        segments = archive.tree.segments
        arrays |= _pack_segments(segments)
        codes = sorted(archive.marks)
        if archive.states is not None:
            kept = concatenate([archive.states, *[archive.mark_states[code] for code in codes]])
            arrays["states"] = np.frombuffer(self.model.save(kept), np.uint8)
        arrays["visited"] = archive.visited
        meta = {
            "steps": self.steps,
            "rounds": self.rounds,
            "curve": self.curve,
            "replayed": heads,
            "segments": [[s.parent, s.at, s.seed, s.spawn, s.player, len(s.actions)] for s in segments],
            "marks": [[code, asdict(archive.marks[code][0]), archive.marks[code][1]] for code in codes],
            "seconds": self.seconds,
            "scheduler": [self.scheduler.costs, self.scheduler.gains],
            "tuned": self.tuned is not None,
            "seekers": None,
        }
        if self.seekers is not None:
            more, meta["seekers"] = self.seekers.snapshot()
            arrays |= more
        if self.tuned is not None:
            tuned = self.tuned.state_dict()
            arrays |= {f"tuned.{name}": value.cpu().numpy() for name, value in tuned.items()}
        return arrays, meta

    def resume(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> None:
        """Become what the snapshot was taken of."""
        archive = self.archive
        self.steps, self.rounds = meta["steps"], meta["rounds"]
        self.curve = [(steps, cells) for steps, cells in meta["curve"]]
        self.replayed = storage.unpack(arrays, meta["replayed"], "replayed")
        columns = {name: arrays[f"entries.{name}"].copy() for name in vars(archive.entries)}
        archive.entries = Entries(**columns)
        archive.index = {cell: i for i, cell in enumerate(archive.entries.cell.tolist())}
        archive.tree.segments = _unpack_segments(arrays, meta["segments"])
        states = self.model.restore(arrays["states"].tobytes(), [self.world])
        count = len(archive.entries)
        archive.states = states[:count]
        archive.visited = arrays["visited"].copy()
        for i, (code, moment, taken) in enumerate(meta["marks"]):
            archive.marks[code] = (Moment(**moment), taken)
            archive.mark_states[code] = states[count + i : count + i + 1]
        self._seconds_before, self._began = meta["seconds"], time.monotonic()
        self.scheduler.costs, self.scheduler.gains = meta["scheduler"]
        if self.seekers is not None:
            self.seekers.resume(arrays, meta["seekers"])
        if meta["tuned"]:
            self.tuned = restored_policy(arrays, "tuned.").to(self.model.device)


def arms_of(explorers: Explorers, *, seeking: bool, tuning: bool) -> list[Arm]:
    """The arms behind explorers with their shares: these, seekers, and the generalist once it is tuned."""
    whole = sum(share for _, share in explorers)
    arms = [
        Arm(player.name, share / whole, GENERALIST_PRICE if isinstance(player, Generalist) else 1.0)
        for player, share in explorers
    ]
    if seeking:
        arms.append(Arm(SEEKER, SEEKER_SHARE / (1 - SEEKER_SHARE)))
    if tuning:
        arms.append(Arm(TUNED, TUNED_SHARE, GENERALIST_PRICE))
    return arms


def _new_cells(entries: Entries, before: int, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """(B,) new cells by the row that found them, of which entries from ``before`` on are.

    Each counts 1 over the cells of its tile that were known and 1, so that what changes everywhere at once
    (a lever pulled, a key in hand) does not make the whole map worth as much again.
    """
    crowd = np.bincount(entries.tile[:before], minlength=MAP_WIDTH * MAP_HEIGHT)
    row_of = {int(number): row for row, number in enumerate(numbers) if number >= 0}
    rows = [row_of[number] for number in entries.segment[before:].tolist()]
    worth = 1 / (1.0 + crowd[entries.tile[before:]])
    by_row: NDArray[np.float64] = np.bincount(rows, worth, len(numbers)).astype(np.float64)
    return by_row


def _most(arms: Sequence[Arm], arm: NDArray[np.int64]) -> str:
    """The arm with most rows, and its share of them: ``generalist/1 52 %``."""
    counts = np.bincount(arm, minlength=len(arms))
    best = int(counts.argmax())
    return f"{arms[best].name} {counts[best] / len(arm):.0%}"


def _batches(world: CompiledWorld, playthroughs: Sequence[Playthrough]) -> list[list[Playthrough]]:
    """Parents' playthroughs by evidence batch. A spawn point that this world lacks becomes the true start."""
    spawns = min(len(world.spawns), MAX_SPAWNS)
    legal = [p if p.spawn < spawns else replace(p, spawn=0) for p in playthroughs if len(p.actions)]
    return [legal[i : i + EVIDENCE_BATCH] for i in range(0, len(legal), EVIDENCE_BATCH)]


def _again(model: WorldModel, parent: Playthrough, played: Trajectory, row: int) -> Playthrough:
    """The parent's playthrough as it went in this world, cut where the episode ended."""
    steps = min(len(parent.actions), int(played.alive[:, row].sum()))
    return Playthrough(
        world=model.world(int(played.start.world[row])).key,
        model=model.card.sha256,
        arm="search",
        player="parent-replay/1",
        seed=parent.seed,
        spawn=parent.spawn,
        actions=parent.actions[:steps],
        events=played.events[:steps, row].cpu().numpy(),
        clips=played.clips[:steps, row].cpu().numpy().astype(np.int16),
    )


def _at_spawn(seeds: Sequence[int], spawns: Sequence[int], players: Sequence[str]) -> Origin:
    return Origin(
        moments=[Moment(-1, 0)] * len(seeds),
        seeds=seeds,
        spawns=spawns,
        starts=np.zeros(len(seeds), np.int64),
        players=players,
    )


_COLUMNS: dict[str, NDArray[Any]] = {
    "actions": np.zeros(0, np.uint8),
    "events": np.zeros((0, EVENTS), np.bool_),
    "clips": np.zeros(0, np.int16),
    "scenes": np.zeros(0, np.int64),
}


def _pack_segments(segments: Sequence[Segment]) -> dict[str, NDArray[Any]]:
    return {
        f"segments.{name}": np.concatenate([empty, *[getattr(s, name) for s in segments]])
        for name, empty in _COLUMNS.items()
    }


def _unpack_segments(arrays: dict[str, NDArray[Any]], heads: Sequence[Sequence[Any]]) -> list[Segment]:
    ends = np.cumsum([head[5] for head in heads], dtype=np.int64)[:-1]
    columns = {name: np.split(arrays[f"segments.{name}"], ends) for name in _COLUMNS}
    return [
        Segment(
            parent=head[0],
            at=head[1],
            seed=head[2],
            spawn=head[3],
            player=head[4],
            **{name: column[i] for name, column in columns.items()},
        )
        for i, head in enumerate(heads)
    ]
