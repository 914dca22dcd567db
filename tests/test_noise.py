"""Chance without a generator."""

from __future__ import annotations

import torch

from worldmodel.noise import dice, mix


def test_the_same_counter_gives_the_same_dice_in_any_batch() -> None:
    seeds, steps = torch.arange(50), torch.arange(50) * 3
    together = dice(seeds, steps, 8)
    alone = torch.cat([dice(seeds[i : i + 1], steps[i : i + 1], 8) for i in range(50)])
    assert torch.equal(together, alone)


def test_dice_are_uniform_and_unrelated_between_neighbours() -> None:
    rolled = dice(torch.arange(20_000), torch.zeros(20_000, dtype=torch.long), 2) % 8
    counts = torch.bincount(rolled[:, 0], minlength=8).float() / 20_000
    assert (counts - 1 / 8).abs().max() < 0.01
    same = (rolled[:, 0] == rolled[:, 1]).float().mean()
    assert abs(float(same) - 1 / 8) < 0.01


def test_mixing_loses_nothing() -> None:
    values = torch.arange(-10_000, 10_000)
    assert len(mix(values).unique()) == len(values)
