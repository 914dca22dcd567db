"""How far a player can walk and jump on a map: fast enough to ask while a layout is being made.

In side view every standing tile is left in many ways at once (walking off, jumping, turning late) by the
real integer physics; what those arcs land on are the edges of a graph. An arc that touches a hazard is no
edge, so whatever is found can be reached unhurt. :mod:`worldmodel.reach` searches finer and slower.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from worldmodel.compiled import Mechanics
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, PLAYER_HALF, TERMINAL_SPEED, UNITS, WALLS, Tile

_HORIZON = 52
_OFFSETS = (4, 16, 28)
"""Where in a tile an arc begins, in units from its left edge."""
_CONTROLS = ((False, 0, 99), (True, 0, 99), (True, 0, 7), (True, 5, 99), (True, 8, 99))
"""Whether it jumps, and the steps in which the direction is held."""

Bools = NDArray[np.bool_]
Ints = NDArray[np.int32]


def jump_height(mechanics: Mechanics) -> int:
    """Units by which the feet rise in a jump: ``jump + (jump - gravity) + ...``."""
    return sum(range(mechanics.jump, 0, -mechanics.gravity))


def jump_rows(mechanics: Mechanics) -> int:
    """Height of the highest step, in tiles, that a jump takes with a little to spare."""
    return (jump_height(mechanics) - 2) // UNITS


@dataclass
class _Arcs:
    """N players in flight: coordinates and speeds in units."""

    x: Ints
    y: Ints
    vx: Ints
    vy: Ints


def _any(grid: Bools, x0: Ints, x1: Ints, y0: Ints, y1: Ints) -> Bools:
    """Whether a box, smaller than a tile, overlaps a set cell; all bounds inclusive units."""
    a, b, c, d = x0 // UNITS, x1 // UNITS, y0 // UNITS, y1 // UNITS
    found: Bools = grid[c, a] | grid[c, b] | grid[d, a] | grid[d, b]
    return found


def _move(arcs: _Arcs, solid: Bools) -> Bools:
    """One step of all arcs; returns which stand on the ground after it."""
    x, y = arcs.x + arcs.vx, arcs.y
    edge = np.where(arcs.vx > 0, x + PLAYER_HALF[0] - 1, x - PLAYER_HALF[0])
    hit = (arcs.vx != 0) & _any(solid, edge, edge, y - PLAYER_HALF[1], y + PLAYER_HALF[1] - 1)
    line = edge // UNITS
    flush = np.where(arcs.vx > 0, line * UNITS - PLAYER_HALF[0], (line + 1) * UNITS + PLAYER_HALF[0])
    arcs.x, arcs.vx = np.where(hit, flush, x), np.where(hit, 0, arcs.vx)
    x, y = arcs.x, y + arcs.vy
    edge = np.where(arcs.vy > 0, y + PLAYER_HALF[1] - 1, y - PLAYER_HALF[1])
    hit = (arcs.vy != 0) & _any(solid, x - PLAYER_HALF[0], x + PLAYER_HALF[0] - 1, edge, edge)
    line = edge // UNITS
    flush = np.where(arcs.vy > 0, line * UNITS - PLAYER_HALF[1], (line + 1) * UNITS + PLAYER_HALF[1])
    arcs.y, arcs.vy = np.where(hit, flush, y), np.where(hit, 0, arcs.vy)
    feet = arcs.y + PLAYER_HALF[1]
    below = _any(solid, x - PLAYER_HALF[0], x + PLAYER_HALF[0] - 1, feet, feet)
    grounded: Bools = below & (feet % UNITS == 0)
    return grounded


def _edges(
    tiles: NDArray[np.uint8], mechanics: Mechanics, solid: Bools
) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Every landing: tile from, tile to (flat indices) and steps from middle to middle."""
    danger, ice = tiles == Tile.HAZARD, tiles == Tile.ICE
    standing = ~solid & ~danger
    standing[:-1] &= solid[1:]
    rows, columns = np.nonzero(standing[:-1])
    starts = np.array([(d, o, *c) for d in (-1, 1) for o in _OFFSETS for c in _CONTROLS], dtype=np.int32)
    tile = np.repeat(np.arange(len(rows)), len(starts))
    way, offset, jumps, begin, end = np.tile(starts, (len(rows), 1)).T
    source = (rows * MAP_WIDTH + columns)[tile].astype(np.int32)
    still = np.zeros_like(way)
    arcs = _Arcs(
        columns[tile].astype(np.int32) * UNITS + offset,
        rows[tile].astype(np.int32) * UNITS + 18,
        still,
        still,
    )
    clear = ~_any(solid, arcs.x - PLAYER_HALF[0], arcs.x + PLAYER_HALF[0] - 1, arcs.y, arcs.y)
    sources, targets, costs = [], [], []
    limits = (mechanics.speed, mechanics.accel, mechanics.gravity)
    state = np.stack([arcs.x, arcs.y, still, still, way, jumps, begin, end, source, offset, still + 1])[
        :, clear
    ]
    for step in range(_HORIZON):
        if not state.shape[1]:
            break
        arcs = _Arcs(state[0], state[1], state[2], state[3])
        held = np.where((step >= state[6]) & (step < state[7]), state[4], 0)
        drift = np.where(state[10] > 0, 0, mechanics.wind)
        under = (arcs.y + PLAYER_HALF[1]) // UNITS
        grip = np.where(ice[under, arcs.x // UNITS], 1, limits[1])
        arcs.vx = arcs.vx + np.clip(held * limits[0] + drift - arcs.vx, -grip, grip)
        fallen = np.minimum(arcs.vy + limits[2], TERMINAL_SPEED)
        arcs.vy = np.where(state[5] > 0, -mechanics.jump, fallen) if step == 0 else fallen
        grounded = _move(arcs, solid)
        state[:4] = arcs.x, arcs.y, arcs.vx, arcs.vy
        state[10] = grounded
        hurt = _any(
            danger,
            arcs.x - PLAYER_HALF[0],
            arcs.x + PLAYER_HALF[0] - 1,
            arcs.y - PLAYER_HALF[1],
            arcs.y + PLAYER_HALF[1] - 1,
        )
        at = arcs.y // UNITS * MAP_WIDTH + arcs.x // UNITS
        landed = grounded & ~hurt & (at != state[8])
        sources.append(state[8, landed])
        targets.append(at[landed])
        ahead = (state[9] - arcs.x % UNITS)[landed] * state[4, landed]
        costs.append(np.maximum(step + 1 + ahead / limits[0], 1.0))
        # an arc ends where it lands; one that walks goes on until it has left its tile
        state = state[:, ~hurt & ~landed & ~(grounded & (step > 3) & (state[5] > 0))]
    return np.concatenate(sources), np.concatenate(targets), np.concatenate(costs)


def _side(tiles: NDArray[np.uint8], mechanics: Mechanics, start: tuple[int, int], solid: Bools) -> Ints:
    source, target, cost = _edges(tiles, mechanics, solid)
    count = MAP_HEIGHT * MAP_WIDTH
    cost = np.where(np.abs(source - target) == 1, np.minimum(cost, UNITS / mechanics.speed), cost)
    order = np.argsort(cost, kind="stable")
    code = source[order].astype(np.int64) * count + target[order]
    _, first = np.unique(code, return_index=True)
    pick = order[first]
    graph = csr_matrix((cost[pick], (source[pick], target[pick])), shape=(count, count))
    found = dijkstra(graph, indices=start[1] * MAP_WIDTH + start[0])
    return _grid(found)


def _top(tiles: NDArray[np.uint8], mechanics: Mechanics, start: tuple[int, int], solid: Bools) -> Ints:
    free = ~solid & (tiles != Tile.HAZARD)
    index = np.arange(MAP_HEIGHT * MAP_WIDTH).reshape(MAP_HEIGHT, MAP_WIDTH)
    across, down = free[:, :-1] & free[:, 1:], free[:-1] & free[1:]
    source = np.concatenate([index[:, :-1][across], index[:-1][down]])
    target = np.concatenate([index[:, 1:][across], index[1:][down]])
    wet = (tiles == Tile.WATER).flatten()
    swim = max(2, mechanics.speed // 2 + 1)
    cost = np.where(wet[source] | wet[target], UNITS / swim, UNITS / mechanics.speed)
    graph = csr_matrix((cost, (source, target)), shape=(index.size, index.size))
    return _grid(dijkstra(graph, directed=False, indices=index[start[1], start[0]]))


def _grid(found: NDArray[np.float64]) -> Ints:
    steps = np.where(np.isfinite(found), found, -1).astype(np.int32)
    return steps.reshape(MAP_HEIGHT, MAP_WIDTH)


def steps_from(tiles: NDArray[np.uint8], mechanics: Mechanics, start: tuple[int, int]) -> Ints:
    """(MAP_HEIGHT, MAP_WIDTH) int32 steps to stand on each tile without being hurt, -1 where there is no way.

    Closed doors block and portals are walked past. In side view water is crossed at its surface, as if it
    were ground: who swims up jumps out. Whole numbers of a near-fastest player's steps.
    """
    solid = np.isin(tiles, (*WALLS, Tile.DOOR))
    if not mechanics.top_view:
        solid |= tiles == Tile.WATER
    solid[[0, -1]] = True
    solid[:, [0, -1]] = True
    return (_top if mechanics.top_view else _side)(tiles, mechanics, start, solid)
