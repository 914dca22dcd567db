"""The policy's cheap detectors as the bots' probe, and a planted symbol that seekers find by them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bots.exploration import Budget
from bots.explore import explore
from moderation.detectors.symbols import Symbols
from moderation.probe import SURE, DetectorProbe, probe_of
from moderation.scan import load_detectors
from moderation.scan.cascade import CHEAP_MS
from moderation.symbols.emblems import EMBLEMS
from moderation.symbols.strokes import draw
from policies.bundle import load_bundle
from tests.bot_worlds import bot_world
from tests.test_symbols import framed
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import TILE, Tile
from worldmodel.simulator import Simulator


@pytest.fixture(scope="module")
def probe() -> DetectorProbe:
    return DetectorProbe([Symbols()], load_bundle())


def emblem(side: int = 110) -> np.ndarray:
    """(128, 128, 3) uint8."""
    return framed(draw(EMBLEMS["sonnenrad"].draw(np.random.default_rng(0))), side, (8, 8))


def with_emblem() -> CompiledWorld:
    """A plain world with a symbol of six by six tiles on the wall behind the door."""
    world = bot_world(key="emblem")
    picture = np.full_like(world.picture, 225)
    side = 6 * TILE
    picture[2 * TILE : 2 * TILE + side, 20 * TILE : 20 * TILE + side] = emblem(80)[:side, :side]
    atlas = world.atlas.copy()
    atlas[[int(Tile.EMPTY), int(Tile.SOLID)], :, :, 3] = 0
    return replace(world, picture=picture, atlas=atlas)


def test_it_scores_each_label_and_says_from_where_on_a_rule_asks_for_it(probe: DetectorProbe) -> None:
    plain = np.full((128, 128, 3), 120, np.uint8)
    frames = np.stack([plain, emblem()]).transpose(0, 3, 1, 2)

    seen = probe(frames)

    assert probe.labels == ("symbols: hate_symbol", "symbols: ambiguous_symbol")
    assert probe.sure == (0.772, 0.95)
    assert seen.scores[0].max() < 0.3
    assert seen.scores[1, 0] >= 0.772
    assert np.linalg.norm(seen.embeddings, axis=1) == pytest.approx([1, 1], abs=1e-4)
    assert seen.embeddings[0] @ seen.embeddings[1] < 0.8, "nothing alike"


def test_only_cheap_detectors_that_a_rule_on_play_asks_are_shown_frames() -> None:
    bundle = load_bundle()
    detectors = load_detectors(bundle)
    chosen = probe_of(detectors, bundle)
    cheap = {card.name for card in detectors.cards if card.cost_ms <= CHEAP_MS}

    assert chosen is not None
    assert {label.partition(":")[0] for label in chosen.labels} <= cheap
    assert chosen.cost > 0
    assert all(0 < score <= 1 for score in chosen.sure)
    assert probe_of(detectors, replace(bundle, rules=())) is None
    assert SURE == 0.5


def test_the_name_changes_with_what_decides_the_scores(probe: DetectorProbe) -> None:
    assert probe.name == DetectorProbe([Symbols()], load_bundle()).name
    assert probe.name != DetectorProbe([], load_bundle()).name


def test_seekers_find_and_confirm_a_planted_symbol_by_a_real_detector(probe: DetectorProbe) -> None:
    budget = Budget(search_steps=20_000, sample_episodes=1, episode_steps=20, batch=64, floor=0.0)

    found = explore(Simulator(), with_emblem(), budget, seed=4, probe=probe)

    confirmed = [one for one in found.finds if one.confirmed]
    assert {one.label for one in confirmed} == {"symbols: hate_symbol"}
    assert {one.playthrough for one in confirmed} <= {p.id for p in found.search}
