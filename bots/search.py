"""The search arm: parents' playthroughs, personas from the start, then return and explore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bots import storage
from bots.archive import Archive, Entries, Moment, Origin, Segment
from bots.cells import SeenCells, cells_of
from bots.coverage import discovery_rate
from bots.dice import key_of
from bots.exploration import Budget
from bots.generalist import Generalist
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
from bots.recording import EVIDENCE_BATCH, Playthrough
from bots.rollout import Trajectory, play, replay
from worldmodel.bank import MAX_SPAWNS
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import EVENTS, Action
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
PERSONA_SHARE = 0.15
"""Share of the search's steps that personas play from the start, before anything is returned to."""
_SEEDS, _DICE, _CHOICE = 1, 2, 3


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
    ) -> None:
        """``explorers``: who explores after a return, in place of EXPLORERS."""
        self.model, self.world, self.budget, self.seed = model, world, budget, seed
        self.archive = Archive(world, cells_of(model, world))
        # A model that plays from pixels has no state from which to tell what the screen shows.
        usual = SCRIPTED if isinstance(self.archive.cells, SeenCells) else EXPLORERS
        self.explorers = usual if explorers is None else explorers
        self.steps = 0
        self.rounds = 0
        self.curve: list[tuple[int, int]] = []
        self.replayed: list[Playthrough] = []
        self._parents = _batches(world, replay_first)
        self.spawns = min(len(world.spawns), MAX_SPAWNS)
        roots = [key_of(seed, _SEEDS, 0, spawn) for spawn in range(self.spawns)]
        self.archive.add_spawns(model.spawn([world] * self.spawns, roots, range(self.spawns)), roots)

    @property
    def rate(self) -> float:
        """New cells per 1,000 steps lately."""
        return discovery_rate(np.array(self.curve, np.int64), self.budget.window)

    @property
    def settled(self) -> bool:
        """The rate has been taken over a full window and is under the floor."""
        return self.steps >= self.budget.window and self.rate < self.budget.floor

    @property
    def finished(self) -> bool:
        """Nothing more to do: parents replayed, personas played, and settled or out of budget."""
        opening = self.rounds <= len(self._parents)
        return not opening and (self.settled or self.steps >= self.budget.search_steps)

    def round(self) -> None:
        """Play one batch and take in what it reached."""
        if self.rounds < len(self._parents):
            played, origin = self._replay_round(self._parents[self.rounds])
        elif self.rounds == len(self._parents):
            played, origin = self._persona_round()
        else:
            played, origin = self._archive_round()
        self.archive.take_in(played, origin)
        self.steps += int(played.alive.sum())
        self.rounds += 1
        self.curve.append((self.steps, len(self.archive)))

    def _archive_round(self) -> tuple[Trajectory, Origin]:
        budget = self.budget
        chance = np.random.default_rng(key_of(self.seed, _CHOICE, self.rounds))
        picked = self.archive.choose(budget.batch, budget.path_steps, chance)
        players = [_informed(player, self.archive) for player, _ in self.explorers]
        shares = [share for _, share in self.explorers]
        choice = chance.choice(len(players), size=budget.batch, p=np.array(shares) / sum(shares))
        state, origin = self.archive.origin(picked, [players[i].name for i in choice])
        return self._play(state, players, choice, budget.round_steps), origin

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
        return play(self.model, state, mixture, keys, steps)

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
        }
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


def _informed(player: Player, archive: Archive) -> Player:
    """The player, who knows what the search knows if it can make use of it."""
    return player.informed(archive) if isinstance(player, Generalist) else player


def _batches(world: CompiledWorld, playthroughs: Sequence[Playthrough]) -> list[list[Playthrough]]:
    """Parents' playthroughs by evidence batch. A spawn point that this world lacks becomes the true start."""
    spawns = min(len(world.spawns), MAX_SPAWNS)
    legal = [p if p.spawn < spawns else replace(p, spawn=0) for p in playthroughs if len(p.actions)]
    return [legal[i : i + EVIDENCE_BATCH] for i in range(0, len(legal), EVIDENCE_BATCH)]


def padded_actions(playthroughs: Sequence[Playthrough]) -> torch.Tensor:
    """(T, B) int64 actions of several playthroughs, NOOP after the end of each."""
    longest = max(len(p.actions) for p in playthroughs)
    actions = np.full((longest, len(playthroughs)), int(Action.NOOP), np.int64)
    for row, playthrough in enumerate(playthroughs):
        actions[: len(playthrough.actions), row] = playthrough.actions
    return torch.from_numpy(actions)


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
