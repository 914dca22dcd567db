"""The symbol network trains, stops and goes on, and is measured as the card says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moderation.detectors.sessions import open_session
from moderation.symbols.blocks import BUILT, Built, build_in, plain_worlds, upright_hooks
from moderation.symbols.emblems import CLASSES, EMBLEMS, HATE, MANJI
from moderation.symbols.evaluate import RULES, Case, Rate, as_played, summary, threshold, viewpoint
from moderation.symbols.looking import STEP, WINDOW
from moderation.symbols.network import SymbolNet
from moderation.symbols.scenes import Scenery
from moderation.symbols.train import STORED, TrainConfig, Training, cut, hard_windows
from worldmodel.constants import FRAME, TILE, Tile
from worldmodel.crops import camera
from worldmodel.simulator import Simulator

SMALL = TrainConfig(
    cycles=(3, 1), batch=16, pool=64, first=8, fresh=1, mine_every=2, mined=4, refresh_every=3, worlds=2,
    checkpoint_every=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def scenery() -> Scenery:
    return Scenery("training", 5, worlds=2)


def test_every_scene_shows_what_its_label_says(scenery: Scenery) -> None:
    for kind, emblem in EMBLEMS.items():
        scene = scenery.emblem(kind)
        assert (scene.kind, scene.label) == (kind, emblem.label)
        assert scene.pixels.shape == (FRAME, FRAME, 3)
        x0, y0, x1, y1 = scene.box
        assert 0 <= x0 < x1 <= FRAME
        assert 0 <= y0 < y1 <= FRAME
    for scene in (
        scenery.look_alike(),
        scenery.built_look_alike(),
        scenery.mask(emblem=False),
        scenery.world(),
    ):
        assert scene.label == 0
    assert scenery.temple_map().label == MANJI
    assert BUILT[scenery.mask(emblem=True).kind] > 0


def test_the_same_seed_gives_the_same_scenes() -> None:
    one, other = (Scenery("development", 3, worlds=1) for _ in range(2))
    for _ in range(5):
        np.testing.assert_array_equal(one.emblem().pixels, other.emblem().pixels)


def test_splits_share_no_worlds_styles_or_held_out_kinds(scenery: Scenery) -> None:
    held_out = Scenery("held-out", 5, worlds=1)
    assert set(held_out.styles) - set(scenery.styles) == {"glowing", "embossed", "mosaic"}
    assert len(set(held_out.look_alikes) - set(scenery.look_alikes)) == 8


def test_a_window_and_a_picture_score_alike(scenery: Scenery) -> None:
    """So that training on windows is training on what is looked at."""
    net = SymbolNet().eval()
    picture = torch.randn(1, 3, 87, 71)
    with torch.no_grad():
        whole = net(picture)
        y, x = 4, 2
        window = picture[:, :, STEP * y : STEP * y + WINDOW, STEP * x : STEP * x + WINDOW]
        np.testing.assert_allclose(net(window)[0, :, 0, 0], whole[0, :, y, x], atol=1e-5)
    assert whole.shape == (1, len(CLASSES), 7, 5)


def test_windows_hold_what_was_drawn(scenery: Scenery) -> None:
    rng = np.random.default_rng(0)
    windows = [cut(scenery.emblem("sonnenrad"), rng, loosely=False) for _ in range(4)]
    assert all(w.shape == (STORED, STORED, 3) and w.dtype == np.int8 for w in windows)
    assert all(w.astype(float).std() > 10 for w in windows)


def test_hard_windows_come_from_what_the_network_mistakes(scenery: Scenery) -> None:
    net = SymbolNet().eval()
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.fill_(0)
        net.head.bias[HATE[0]] = 9.0
        mistaken = hard_windows(net, scenery.look_alike())
        net.head.bias[0] = 30.0
        assert hard_windows(net, scenery.look_alike()) == []
    assert [label for _, label in mistaken] == [0, 0]


def test_a_stopped_run_goes_on_and_ends_in_onnx(tmp_path: Path) -> None:
    assert Training(SMALL, tmp_path).run(minutes=0) is None
    again = Training(SMALL, tmp_path)
    assert again.done == 1
    path = again.run()
    assert path == tmp_path / "symbols.onnx"
    assert again.done == SMALL.steps
    pixels = torch.randn(3, 3, 60, 50)
    net = SymbolNet().eval()
    net.load_state_dict(again.ema)
    with torch.no_grad():
        expected = net(pixels).softmax(1).numpy()
    (scores,) = open_session(path).run(None, {"pixels": pixels.numpy()})
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_a_player_sees_all_of_what_is_built() -> None:
    world = plain_worlds(2, 50, evaluation=False)[0]
    rng = np.random.default_rng(1)
    tiles = world.tiles.copy()
    box = build_in(tiles, upright_hooks(5), Tile.COIN, rng, [])
    assert box is not None
    built = Built("upright hooked cross", MANJI, box, Tile.COIN)
    marked = replace(world, key="marked", tiles=tiles)
    tile = viewpoint(marked, built, rng)
    assert tile is not None
    simulator = Simulator()
    state = simulator.spawn([replace(marked, spawns=np.array([tile], np.int16))], [1])
    left, top = camera(state)[0].tolist()
    x0, y0, x1, y1 = (TILE * v for v in built.box)
    assert left <= x0 < x1 <= left + FRAME
    assert top <= y0 < y1 <= top + FRAME
    frame = as_played(marked, built, rng)
    assert frame is not None
    assert frame.shape == (FRAME, FRAME, 3)


def test_what_no_frame_holds_has_no_viewpoint() -> None:
    world = plain_worlds(2, 50, evaluation=False)[0]
    wide = Built("upright hooked cross", MANJI, (10, 5, 21, 16), Tile.COIN)
    assert viewpoint(world, wide, np.random.default_rng(0)) is None
    assert as_played(world, wide, np.random.default_rng(0)) is None


def case(score: float, to_judge: float = 0.0, *, hate: bool = False, mode: str = "drawn") -> Case:
    scores = {"hate_symbol": score, "ambiguous_symbol": to_judge}
    return Case("symbol" if hate else "harmless", mode, "x", hate, ambiguous=False, scores=scores)


@given(st.lists(st.floats(0, 1), min_size=50, max_size=300), st.sampled_from(list(RULES)))
def test_a_threshold_keeps_its_share_of_alarms(values: list[float], rule: str) -> None:
    cases = [case(value, value) for value in values]
    least, share = threshold(cases, rule), RULES[rule][1]
    assert sum(value > least for value in values) <= share * len(values) + 1


def test_bars_are_counted_over_frames_and_maps_apart() -> None:
    cases = [
        *(case(0.9, hate=True), case(0.2, 0.7, hate=True)),
        *(case(0.1), case(0.95), case(0.3), case(0.97, mode="whole map")),
    ]
    lines = summary(cases, {"reject": 0.8, "review": 0.5, "judge": 0.5})
    assert lines["frames, hateful, drawn: reject"] == Rate(1, 2)
    assert lines["frames, hateful, drawn: any rule"] == Rate(2, 2)
    assert lines["frames, look-alikes: reject"] == Rate(1, 3)
    assert lines["maps, harmless: reject"] == Rate(1, 1)


def test_wilsons_interval_is_wilsons() -> None:
    """By hand for 8 of 10: (0.8 + 0.19207 +- 1.96 sqrt(0.016 + 0.0096)) / 1.38415."""
    low, high = Rate(8, 10).interval
    assert (low, high) == (pytest.approx(0.490, abs=1e-3), pytest.approx(0.943, abs=1e-3))
