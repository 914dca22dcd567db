"""Fitting a player to recorded sessions by maximum likelihood.

A recorded session is replayed in its world, which gives back what its player saw. Every key but the first few
is then a choice with known reasons (:mod:`bots.playermodel`), so its likelihood is exact: the chance to stick
to the key before, else a softmax. The delay is a whole number and is profiled: every one is tried, and the
likeliest kept, all on the same keys.

A number that the sessions say nothing about (no portal was ever on a screen) stays what it was at first and
is named as such. A weak prior (``PRIOR`` log-odds about the first player) keeps numbers finite where a key
follows always.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bots import storage
from bots.exploration import Exploration
from bots.playermodel import DEFAULT, WEIGHTS, Parameters, PlayerModel, logits, reasons_for, with_keep
from bots.players import LONGEST_DELAY, fresh_memory, observe
from bots.recording import EVIDENCE_BATCH, Playthrough
from bots.rollout import padded_actions
from bots.view import look, top_views
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS, Action
from worldmodel.protocol import WorldModel

PRIOR = 10.0
HELD_OUT = 5
"""Every fifth session is not fitted to; it says how well the fit foretells."""
LEAST = 20
"""Keys to which a reason applied from which its weight is fitted."""
KEYS = tuple(action.name.lower() for action in Action if action != Action.NOOP)
NAMES = ("stick", *(f"side {key}" for key in KEYS), *(f"top {key}" for key in KEYS), *WEIGHTS)
_SIDE, _TOP, _WEIGHTS = slice(1, ACTIONS), slice(ACTIONS, 2 * ACTIONS - 1), slice(2 * ACTIONS - 1, None)
_KIND = "playthroughs"


class FitError(ValueError):
    """Sessions to which no player can be fitted; says why and what to do."""


# ---- sessions -------------------------------------------------------------------------------------------


def save_sessions(path: Path, sessions: Sequence[Playthrough]) -> None:
    """Keep playthroughs in one file, people's or bots'."""
    arrays, heads = storage.pack(sessions, _KIND)
    storage.write(path, arrays, {"kind": _KIND, "heads": heads})


def load_sessions(path: Path, arm: str | None = None) -> list[Playthrough]:
    """The playthroughs of a file of :func:`save_sessions`, or an exploration's; of one arm where named.

    Raises ``bots.storage.StorageError`` for any other file.
    """
    arrays, meta = storage.read(path)
    if meta.get("kind") == _KIND:
        found = storage.unpack(arrays, meta["heads"], _KIND)
    else:
        found = list(Exploration.load(path).playthroughs)
    return [one for one in found if arm is None or one.arm == arm]


@dataclass(frozen=True)
class Choices:
    """N keys of some sessions, each with what spoke for every key when it was decided on."""

    reasons: tuple[Tensor, ...]
    """By delay 0..LONGEST_DELAY: (N, ACTIONS, len(WEIGHTS)) float64, with ``keep``."""
    top_view: Tensor
    """(N,) bool."""
    key: Tensor
    """(N,) int64."""
    before: Tensor
    """(N,) int64: the key one step sooner, at the start NOOP."""
    session: Tensor
    """(N,) int64 number of its session."""

    def __len__(self) -> int:
        return len(self.key)

    def of(self, rows: Tensor) -> Choices:
        """Those of some rows (N,) bool."""
        return Choices(
            tuple(r[rows] for r in self.reasons),
            self.top_view[rows],
            self.key[rows],
            self.before[rows],
            self.session[rows],
        )


def choices(
    model: WorldModel, worlds: Mapping[str, CompiledWorld], sessions: Sequence[Playthrough]
) -> Choices:
    """Replay sessions, each in its world by ``Playthrough.world``.

    Raises FitError where a session was played in another world or model, or is too short to tell a delay.
    """
    for one in sessions:
        if one.world not in worlds:
            raise FitError(f"session {one.id} was played in the world {one.world[:12]}, which was not given")
        if one.model != model.card.sha256:
            raise FitError(f"session {one.id} was played in another world model than {model.card.name}")
    longer = [one for one in sessions if len(one.actions) > LONGEST_DELAY]
    if not longer:
        raise FitError(f"no session has more than {LONGEST_DELAY} steps, so nothing can be told from them")
    batches = [longer[i : i + EVIDENCE_BATCH] for i in range(0, len(longer), EVIDENCE_BATCH)]
    parts = []
    for number, batch in enumerate(batches):
        parts.append(_replayed(model, worlds, batch, number * EVIDENCE_BATCH))
    return Choices(
        tuple(torch.cat([p.reasons[delay] for p in parts]) for delay in range(LONGEST_DELAY + 1)),
        *(torch.cat([getattr(p, name) for p in parts]) for name in ("top_view", "key", "before", "session")),
    )


@torch.no_grad()
def _replayed(
    model: WorldModel, worlds: Mapping[str, CompiledWorld], batch: Sequence[Playthrough], first: int
) -> Choices:
    state = model.spawn([worlds[p.world] for p in batch], [p.seed for p in batch], [p.spawn for p in batch])
    top_view = top_views(model, state)
    memory = fresh_memory(len(batch), model.device)
    pressed = padded_actions(batch).to(model.device)  # (T, B)
    reasons = []
    for keys in pressed:
        view = look(state, top_view)
        observe(memory, view)
        reasons.append(reasons_for(memory, view))
        memory.last = keys
        state, _ = model.step(state, keys, render=False)
    seen = torch.stack(reasons).cpu()  # (T, B, ACTIONS, K)
    keys, top = pressed.cpu(), top_view.cpu()
    lengths = torch.tensor([len(p.actions) for p in batch])
    moments = torch.arange(LONGEST_DELAY, len(keys))
    steps, rows = (moments[:, None] < lengths).nonzero(as_tuple=True)
    steps = steps + LONGEST_DELAY
    before = keys[steps - 1, rows]
    return Choices(
        tuple(
            with_keep(seen[steps - delay, rows].double(), before, top[rows])
            for delay in range(LONGEST_DELAY + 1)
        ),
        top[rows],
        keys[steps, rows],
        before,
        rows + first,
    )


# ---- likelihood -----------------------------------------------------------------------------------------


def numbers_of(player: PlayerModel) -> Tensor:
    """(len(NAMES),) float64: all but the delay, the stick as log-odds."""
    own = player.parameters
    stick = torch.tensor([own.stick], dtype=torch.float64).logit(eps=1e-6)
    rest = torch.tensor([*own.side, *own.top, *own.weights], dtype=torch.float64)
    return torch.cat([stick, rest])


def player_of(numbers: Tensor, delay: int) -> PlayerModel:
    """The reverse of :func:`numbers_of`; numbers are rounded to what a file shows."""
    side, top, weights = (tuple(round(v, 6) for v in numbers[s].tolist()) for s in (_SIDE, _TOP, _WEIGHTS))
    return PlayerModel(Parameters(delay, round(float(numbers[0].sigmoid()), 6), side, top, weights))


def log_likelihood(numbers: Tensor, delay: int, given: Choices) -> Tensor:
    """(N,) of each key."""
    said = logits(given.reasons[delay], given.top_view, numbers[_SIDE], numbers[_TOP], numbers[_WEIGHTS])
    drawn = said.log_softmax(1).gather(1, given.key[:, None])[:, 0].exp()
    stick = numbers[0].sigmoid()
    return (stick * (given.key == given.before) + (1 - stick) * drawn).log()


@dataclass(frozen=True)
class Foretold:
    """Mean log-likelihood per key in sessions that were not fitted to."""

    fitted: float
    default: float
    keys: float
    """By nothing but how often each key was pressed."""
    gain: float
    """Of the fitted player over the default one."""
    gain_error: float
    """Standard error of the gain, over sessions."""


@dataclass(frozen=True)
class Fit:
    """A fitted player, and how sure its numbers are."""

    player: PlayerModel
    sessions: int
    keys: int
    sessions_sha256: str
    errors: dict[str, float]
    """Standard error of each number that was fitted (observed information), log-odds."""
    kept: tuple[str, ...]
    """Numbers of which the sessions say too little: they are still the default player's."""
    delays: dict[int, float]
    """Log-likelihood per key of the best player with each delay."""
    held_out: Foretold

    def source(self) -> dict[str, Any]:
        """For the player's file."""
        told = asdict(self)
        del told["player"]
        return told


def fit(
    model: WorldModel,
    worlds: Mapping[str, CompiledWorld],
    sessions: Sequence[Playthrough],
    start: PlayerModel = DEFAULT,
) -> Fit:
    """The likeliest player of recorded sessions; every fifth is held out to say how well it foretells.

    Raises FitError with fewer than five sessions, or for ones that cannot be replayed.
    """
    ordered = sorted({one.id: one for one in sessions}.values(), key=lambda one: one.id)
    if len(ordered) < HELD_OUT:
        raise FitError(f"{len(ordered)} sessions are too few: give {HELD_OUT} or more")
    told = choices(model, worlds, ordered)
    out = told.session % HELD_OUT == HELD_OUT - 1
    train, test = told.of(~out), told.of(out)
    if not (len(train) and len(test)):
        raise FitError("the sessions are too short to hold some of them out: give more or longer ones")
    first = numbers_of(start)
    free = _informed(train)
    fitted = {delay: _maximise(first, free, delay, train) for delay in range(LONGEST_DELAY + 1)}
    likelihoods = {d: float(log_likelihood(n, d, train).mean()) for d, n in fitted.items()}
    delay = max(likelihoods, key=likelihoods.__getitem__)
    player = player_of(fitted[delay], delay)
    return Fit(
        player=player,
        sessions=len(ordered),
        keys=len(train),
        sessions_sha256=hashlib.sha256("".join(one.id for one in ordered).encode()).hexdigest(),
        errors=_errors(fitted[delay], first, free, delay, train),
        kept=tuple(name for name, known in zip(NAMES, free.tolist(), strict=True) if not known),
        delays=likelihoods,
        held_out=_foretold(player, start, train, test),
    )


def _informed(given: Choices) -> Tensor:
    """(len(NAMES),) bool: numbers of which there is something to learn."""
    applies = (given.reasons[0].amax(1) > given.reasons[0].amin(1)).sum(0) >= LEAST
    views = [bool(((given.top_view == above).sum() >= LEAST).item()) for above in (False, True)]
    habits = torch.tensor([view for view in views for _ in KEYS])
    return torch.cat([torch.tensor([True]), habits, applies])


def _objective(numbers: Tensor, first: Tensor, delay: int, given: Choices) -> Tensor:
    """Negative log posterior: the likelihood under the weak prior."""
    return -log_likelihood(numbers, delay, given).sum() + ((numbers - first) / PRIOR).square().sum() / 2


def _maximise(first: Tensor, free: Tensor, delay: int, given: Choices) -> Tensor:
    change = torch.zeros(int(free.sum()), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([change], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        numbers = first.index_put((free.nonzero()[:, 0],), first[free] + change)
        value = _objective(numbers, first, delay, given) / len(given)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return first.index_put((free.nonzero()[:, 0],), first[free] + change.detach())


def _errors(numbers: Tensor, first: Tensor, free: Tensor, delay: int, given: Choices) -> dict[str, float]:
    """Square roots of the diagonal of the inverse of the observed information, of the fitted numbers."""
    where = free.nonzero()[:, 0]

    def loss(values: Tensor) -> Tensor:
        return _objective(numbers.index_put((where,), values), first, delay, given)

    information = torch.autograd.functional.hessian(loss, numbers[free])  # type: ignore[no-untyped-call]
    spread = torch.linalg.pinv(information).diagonal().clamp(min=0).sqrt()
    return {NAMES[i]: round(float(s), 6) for i, s in zip(where.tolist(), spread, strict=True)}


def _foretold(player: PlayerModel, default: PlayerModel, train: Choices, test: Choices) -> Foretold:
    ours, theirs = (log_likelihood(numbers_of(one), one.parameters.delay, test) for one in (player, default))
    shares = (torch.bincount(train.key, minlength=ACTIONS) + 1.0) / (len(train) + ACTIONS)
    sessions = torch.unique(test.session, return_inverse=True)[1]
    sums = torch.zeros(int(sessions.max()) + 1, dtype=torch.float64).index_add(0, sessions, ours - theirs)
    # The keys of one session depend on one another, so the error is that of a sum over sessions.
    error = float(sums.std() * len(sums) ** 0.5 / len(test)) if len(sums) > 1 else float("nan")
    return Foretold(
        fitted=float(ours.mean()),
        default=float(theirs.mean()),
        keys=float(shares[test.key].log().mean()),
        gain=float((ours - theirs).mean()),
        gain_error=error,
    )
