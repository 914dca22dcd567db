"""From a package to a world that plays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from worldmodel.compiled import CompiledWorld
from worldmodel.compiler import compile_world
from worldmodel.constants import MAX_LINKS, SAMPLE_RATE, Event, LeverEffect, Tile
from worldmodel.package import WorldPackage
from worldmodel.simulator import Simulator
from worldmodel.sound import own_effect
from worldmodel.spec import (
    AtDepth,
    BehindDoor,
    Character,
    Effects,
    Lever,
    Mechanics,
    NearSpawn,
    Sign,
    Style,
    WorldSpec,
)

VOICE = np.linspace(-0.5, 0.5, SAMPLE_RATE, dtype=np.float32)


def package(sha256: str = "aa", **changes: object) -> WorldPackage:
    fields: dict[str, object] = {
        "title": "Test",
        "prompt": "a green forest with beetles",
        "objects": (
            Sign(kind="sign", text="hello", where=AtDepth(depth="near")),
            Character(kind="character", says="a.wav", where=AtDepth(depth="mid")),
            Character(kind="character", says="b.wav", where=NearSpawn(near="spawn")),
            Character(kind="character", says="a.wav", where=AtDepth(depth="far")),
            Lever(kind="lever", effect="lights_flash", where=AtDepth(depth="mid")),
            Sign(kind="sign", image="red.png", where=BehindDoor(behind="door")),
        ),
        "music": "m.ogg",
    }
    spec = WorldSpec(**{**fields, **changes})
    red = np.zeros((48, 96, 4), dtype=np.uint8)
    red[..., 0], red[..., 3] = 250, 255
    sounds = {"a.wav": VOICE, "b.wav": VOICE[::-1].copy(), "m.ogg": VOICE * 0.1}
    return WorldPackage(spec, {"red.png": red}, sounds, {}, sha256, {})


@pytest.fixture(scope="module")
def world() -> CompiledWorld:
    return compile_world(package())


def test_the_same_package_compiles_to_the_same_world(world):
    again = compile_world(package())
    assert again.key == world.key
    for name in (
        "tiles",
        "links",
        "effects",
        "portals",
        "spawns",
        "mover_kinds",
        "mover_spawns",
        "picture",
        "atlas",
    ):
        assert np.array_equal(getattr(again, name), getattr(world, name)), name


def test_other_content_is_another_key(world):
    assert compile_world(replace(package(), sha256="bb")).key != world.key


def test_each_voice_is_one_clip_and_characters_point_to_it(world):
    assert [clip.name for clip in world.clips] == ["a.wav", "b.wav"]
    said = {}
    for placed in (p for p in world.placed if p.kind == "character"):
        x, y = placed.box[:2]
        assert world.tiles[y, x] == Tile.CHARACTER
        said[placed.index] = world.clips[world.links[y, x] - 1].name
    assert said == {1: "a.wav", 2: "b.wav", 3: "a.wav"}
    assert world.music is not None
    assert world.music.name == "m.ogg"


def test_a_flashing_lever_flashes(world):
    y, x = np.argwhere(world.tiles == Tile.LEVER)[0]
    assert world.effects[world.links[y, x]] == LeverEffect.FLASH


def test_a_sign_shows_its_picture(world):
    sign = next(p for p in world.placed if p.index == 5)
    x0, y0, x1, y1 = (16 * v for v in sign.box)
    assert (world.picture[y0:y1, x0:x1] == (250, 0, 0)).all()


def test_editing_a_sign_leaves_the_map_alone(world):
    objects = list(package().spec.objects)
    objects[0] = Sign(kind="sign", text="goodbye", where=AtDepth(depth="near"))
    other = compile_world(package(objects=tuple(objects)))
    assert np.array_equal(other.tiles, world.tiles)
    assert not np.array_equal(other.picture, world.picture)


def test_another_seed_is_another_map(world):
    assert not np.array_equal(compile_world(package(seed=1)).tiles, world.tiles)


def test_the_arrays_are_as_the_contract_says(world):
    assert world.tiles.dtype == world.links.dtype == world.effects.dtype == np.uint8
    assert world.portals.dtype == world.spawns.dtype == world.mover_spawns.dtype == np.int16
    assert world.links.max() < MAX_LINKS
    assert world.notes.keys() == {"understood", "inferred", "style"}


def test_a_reference_video_colours_the_world(world):
    video = np.zeros((8, 20, 20, 3), dtype=np.uint8)
    video[..., 2] = np.linspace(60, 230, 20, dtype=np.uint8)
    blue = package(style=Style(video="v.webm"), prompt="a forest with beetles")  # a named green would stay
    picture = compile_world(replace(blue, videos={"v.webm": video})).picture.reshape(-1, 3).mean(0)
    assert picture.argmax() == 2
    assert world.picture.reshape(-1, 3).mean(0).argmax() != 2


def test_it_plays(world):
    simulator = Simulator()
    state = simulator.spawn([world], [0])
    x = int(state.position[0, 0])
    for _ in range(12):
        state, seen = simulator.step(state, torch.tensor([2]))
    assert int(state.position[0, 0]) > x
    assert seen.frames is not None
    assert seen.frames.float().std() > 10, "there is something to see"


def test_the_creators_effects_are_the_worlds():
    own = compile_world(package(effects=Effects(collect="a.wav")))
    assert own.effect_clips.keys() == {Event.COLLECT}
    assert np.array_equal(own.effect_clips[Event.COLLECT].samples, own_effect(VOICE))


def test_a_panning_video_sets_the_pace_unless_the_spec_does():
    rows = np.random.default_rng(0).integers(0, 255, (20, 60, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    video = np.stack([rows[:, at : at + 160] for at in range(0, 160, 4)])  # 0.375 screens a second
    shown = replace(package(style=Style(video="v.webm")), videos={"v.webm": video})
    world = compile_world(shown)
    assert world.mechanics.speed == 6
    assert world.mechanics.look_ahead == 16
    assert "from the video: the camera leads by 16 pixels" in world.notes["inferred"]
    told = replace(shown, spec=shown.spec.model_copy(update={"mechanics": Mechanics(speed=0.0)}))
    assert compile_world(told).mechanics.speed == 2
