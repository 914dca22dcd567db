"""Carrying out what a model decided: writes into the spatial memory, counters, and jumps through it.

The simulator decides by rule and the neural model by its network; both hand their decision to
:func:`apply_contacts`. No rule of play is in here: what is touched, taken, opened or hurt comes in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.bank import FULL_HEALTH, WorldBank, mechanics_of, standing
from worldmodel.constants import EVENTS, Event, LeverEffect, Tile
from worldmodel.crops import crop, tile_of
from worldmodel.protocol import State

SAFE_STEPS = 20
FLASH_STEPS = 90
SPEECH_STEPS = 90
POINTS = {"coin": 10, "key": 25, "door": 50, "goal": 100}
LOOK_SPEED = 2
"""Pixels per step by which the camera's lead changes."""


@dataclass(frozen=True)
class Contacts:
    """What the player's surroundings say, before it is carried out. Tiles are (B, 3, 3) bool."""

    taken: Tensor
    """Coins and keys under the box: cleared from the canvas."""
    unlocked: Tensor
    """Closed doors that a key opens now."""
    pulled: Tensor
    """Levers that change position."""
    speakers: Tensor
    """Characters that begin to speak."""
    hurt: Tensor
    portal: Tensor
    goal: Tensor


def _link(links: Tensor, where: Tensor) -> Tensor:
    """(B,) greatest link id among the marked tiles, 0 for none."""
    return torch.where(where, links, torch.zeros_like(links)).flatten(1).amax(1).long()


def write_tiles(canvas: Tensor, tile: Tensor, where: Tensor, values: Tensor) -> Tensor:
    """A copy of the canvas with (B, 3, 3) values written at the marked tiles around ``tile``."""
    height, width = canvas.shape[1:]
    reach = torch.arange(-1, 2, device=canvas.device)
    rows = tile[:, 1, None, None] + reach[:, None]
    cols = tile[:, 0, None, None] + reach[None, :]
    inside = where & (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    # whatever is not written goes to a cell past the end, which is cut off again
    index = torch.where(inside, rows * width + cols, height * width)
    flat = torch.cat([canvas.flatten(1), canvas.new_zeros(len(canvas), 1)], 1)
    flat.scatter_(1, index.flatten(1).long(), values.flatten(1))
    return flat[:, :-1].reshape(canvas.shape)


def open_doors(canvas: Tensor, links: Tensor, group: Tensor) -> Tensor:
    """Open every door of the group (B,), 0 for none, by its link id."""
    doors = (canvas == Tile.DOOR) & (links == group[:, None, None]) & (group > 0)[:, None, None]
    return torch.where(doors, torch.full_like(canvas, Tile.DOOR_OPEN), canvas)


def apply_contacts(bank: WorldBank, state: State, found: Contacts) -> tuple[State, Tensor, Tensor]:
    """Write what was found into the memory: the state after it, (B, EVENTS) events, (B,) clips."""
    tile = tile_of(state.position)
    tiles = crop(state.canvas, tile)
    links = crop(bank.links[state.world], tile, outside=0)
    flipped = torch.where(tiles == Tile.LEVER, int(Tile.LEVER_ON), int(Tile.LEVER)).to(torch.uint8)
    values = torch.where(found.pulled, flipped, torch.zeros_like(tiles))
    canvas = write_tiles(state.canvas, tile, found.taken | found.pulled, values)
    coins = (found.taken & (tiles == Tile.COIN)).flatten(1).sum(1).int()
    keys = (found.taken & (tiles == Tile.KEY)).flatten(1).sum(1).int()
    unlocked, pulled = found.unlocked.flatten(1).any(1), found.pulled.flatten(1).any(1)
    effect = bank.effects[state.world, _link(links, found.pulled)]
    opened = torch.where(pulled & (effect == LeverEffect.OPEN), _link(links, found.pulled), 0)
    whole = bank.links[state.world]
    canvas = open_doors(
        open_doors(canvas, whole, torch.where(unlocked, _link(links, found.unlocked), 0)), whole, opened
    )

    speaks = found.speakers.flatten(1).any(1)
    clip = torch.where(speaks, _link(links, found.speakers) - 1, -1)
    health = state.health - found.hurt.int()
    died = health <= 0
    score = state.score + POINTS["coin"] * coins + POINTS["key"] * keys
    destination = bank.portals[state.world, _link(links, _centre(found.portal))]
    position = torch.where(found.portal[:, None], standing(destination), state.position)
    position = torch.where(died[:, None], standing(bank.spawns[state.world, 0]), position)
    moved = found.portal | died
    after = state.updated(
        canvas=canvas,
        position=position,
        velocity=torch.where(moved[:, None], 0, state.velocity),
        health=torch.where(died, FULL_HEALTH, health),
        safe=torch.where(found.hurt, SAFE_STEPS, (state.safe - 1).clamp(min=0)),
        keys=(state.keys + keys - unlocked.int()).clamp(0, 3),
        coins=state.coins + coins,
        flash=torch.where(
            pulled & (effect == LeverEffect.FLASH), FLASH_STEPS, (state.flash - 1).clamp(min=0)
        ),
        speech=torch.where(speaks, SPEECH_STEPS, (state.speech - 1).clamp(min=0)),
        riding=state.riding & ~moved,
        score=score + POINTS["door"] * unlocked.int() + POINTS["goal"] * found.goal.int(),
        done=state.done | found.goal,
    )
    events = torch.zeros(len(state), EVENTS, dtype=torch.bool, device=state.canvas.device)
    events[:, Event.COLLECT] = coins > 0
    events[:, Event.KEY] = keys > 0
    events[:, Event.DOOR] = unlocked | (opened > 0)
    events[:, Event.HURT] = found.hurt
    events[:, Event.PORTAL] = found.portal & ~died
    events[:, Event.LEVER] = pulled
    events[:, Event.SPEECH] = speaks
    events[:, Event.GOAL] = found.goal
    events[:, Event.DIED] = died
    return after, events, clip


def tick(bank: WorldBank, state: State) -> State:
    """The counters one step on: the step's number, and the camera's lead towards where the player faces."""
    lead = mechanics_of(bank, state)["look_ahead"]
    look = state.look + (state.facing * lead - state.look).clamp(-LOOK_SPEED, LOOK_SPEED)
    return state.updated(step=state.step + 1, look=look)


def _centre(flag: Tensor) -> Tensor:
    where = torch.zeros(len(flag), 3, 3, dtype=torch.bool, device=flag.device)
    where[:, 1, 1] = flag
    return where


def freeze(before: State, after: State) -> State:
    """Rows that were done stay as they were, but for the step count."""
    kept = after.where(~before.done, before)
    kept.step = after.step
    return kept
