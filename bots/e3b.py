"""The elliptical episodic bonus: a state is new to an episode when its features point where none pointed yet.

Henaff, Raileanu, Jiang, Rocktäschel, "Exploration via Elliptical Episodic Bonuses" (NeurIPS 2022), written
from the paper. For features phi of a state the bonus is phi' C^-1 phi, where C is the ridge and the sum of
phi phi' over the episode so far. C^-1 is kept by Sherman and Morrison's formula (1950), one rank a step, for
all rows at once. The features are the frozen generalist's, in place of the paper's inverse-dynamics encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bots.generalist import Known, Policy, load_policy, sense
from bots.view import look, tile_of, top_views
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH
from worldmodel.protocol import Observation, State, WorldModel

Features = Callable[[State], Tensor]
"""(B, n) float32 of B states."""


@dataclass(frozen=True)
class E3bConfig:
    """What the paper leaves to choose."""

    ridge: float = 0.1
    """The paper's lambda."""
    dimensions: int = 64
    """Of the features, after a random projection: the cost of a step grows with their square."""
    coefficient: float = 1.0


class Ellipsoid:
    """The inverse covariances of B episodes."""

    def __init__(self, rows: int, dimensions: int, ridge: float, device: torch.device) -> None:
        self.fresh = torch.eye(dimensions, device=device) / ridge
        self.inverse = self.fresh.repeat(rows, 1, 1)

    def reset(self, rows: Tensor) -> None:
        """Episodes begin in ``rows`` (n,) int64."""
        self.inverse[rows] = self.fresh

    def take(self, features: Tensor, rows: Tensor) -> Tensor:
        """(n,) bonus of features (n, d) in ``rows`` (n,), which they then belong to."""
        inverse = self.inverse[rows]
        leaning = (inverse @ features[:, :, None])[:, :, 0]
        bonus = (features * leaning).sum(1)
        update = leaning[:, :, None] * leaning[:, None, :] / (1 + bonus)[:, None, None]
        self.inverse[rows] = inverse - update
        return bonus


class E3b:
    """A reward for :class:`bots.env.WorldVecEnv` and :class:`bots.returning.ReturnVecEnv`."""

    def __init__(
        self, model: WorldModel, rows: int, config: E3bConfig | None = None, features: Features | None = None
    ) -> None:
        """``features`` gives vectors of ``config.dimensions``; default: :func:`trunk_features`."""
        self.config = config or E3bConfig()
        self._features = features or trunk_features(model, self.config.dimensions)
        self._ellipsoid = Ellipsoid(rows, self.config.dimensions, self.config.ridge, model.device)
        self._rows = torch.arange(rows, device=model.device)

    def reset(self, state: State, rows: Tensor) -> None:
        """Episodes begin in ``rows``; the states that they begin in are nothing new."""
        self._ellipsoid.reset(rows)
        self._ellipsoid.take(self._features(state[rows]), rows)

    def __call__(self, state: State, seen: Observation) -> Tensor:  # noqa: ARG002
        """(B,) float32 for having come to ``state``."""
        return self.config.coefficient * self._ellipsoid.take(self._features(state), self._rows)


def trunk_features(
    model: WorldModel, dimensions: int, policy: Policy | None = None, seed: int = 0
) -> Features:
    """What the frozen generalist makes of a screen and of the place on the map, projected and of length 1.

    The place is a row of the same projection for each tile: the same sight elsewhere leans elsewhere.
    """
    trunk = (policy or load_policy(device=model.device)).trunk
    generator = torch.Generator().manual_seed(seed)
    shape = (trunk.WIDTH, dimensions)
    projection = torch.randn(shape, generator=generator).to(model.device)
    places = torch.randn(MAP_HEIGHT * MAP_WIDTH, dimensions, generator=generator).to(model.device)
    nothing = Known.nothing(model.device)

    @torch.no_grad()
    def features(state: State) -> Tensor:
        rows = torch.zeros(len(state), dtype=torch.int64, device=state.world.device)
        walked = torch.zeros(len(state), MAP_HEIGHT, MAP_WIDTH, dtype=torch.bool, device=rows.device)
        view = look(state, top_views(model, state))
        sight = trunk(sense(view, walked, rows, nothing, rows)) @ projection
        tile = tile_of(state.position)
        place = places[tile[:, 1] * MAP_WIDTH + tile[:, 0]]
        return torch.nn.functional.normalize(_unit(sight) + _unit(place), dim=1)

    return features


def _unit(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=1)
