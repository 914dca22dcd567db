"""Models that play from pixels, behind the protocol: exact states, replayable chance, checkpoints by file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bots.cells import SeenCells, cells_of
from bots.explore import Budget, explore
from bots.recorder import regenerate, regenerate_many, verify
from bots.recording import Playthrough
from feedapi.arena import Arena
from feedapi.session import Session
from feedapi.wire import Frame
from moderation.detectors.base import Motion
from moderation.detectors.flash import Flash
from tests.bot_worlds import bot_world
from worldmodel.adapters.common import ContextModel, enlarge, gauss, shrink, to_pixels, to_signal
from worldmodel.adapters.diffusion import (
    Denoiser,
    DiffusionConfig,
    DiffusionWorldModel,
    diamond_name,
    read_diamond,
    read_diffusion,
    save_diffusion,
)
from worldmodel.adapters.footage import Footage, film
from worldmodel.adapters.measure import measure
from worldmodel.adapters.training import AdapterTraining, Run
from worldmodel.adapters.transformer import (
    TransformerConfig,
    TransformerWorldModel,
    VideoTransformer,
    read_transformer,
    save_transformer,
)
from worldmodel.constants import ACTIONS, EVENTS, FRAME, Action
from worldmodel.models import load_model
from worldmodel.protocol import State, concatenate
from worldmodel.simulator import Simulator

SMALL = DiffusionConfig(
    size=16, frames=2, cond=8, channels=(8, 16), depths=(1, 1), attention=(False, True), steps=2
)
SHORT = TransformerConfig(
    size=16, patch=4, latent=4, width=16, heads=2, layers=2, codec_layers=1, window=4, keep=2, steps=2
)
WORLD = bot_world()


def scramble(module: nn.Module, seed: int, scale: float = 0.3) -> None:
    """Random weights: some layers begin at zero, and a network of zeros would pass any test of equality."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * scale)


def diffusion(seed: int = 0, config: DiffusionConfig = SMALL) -> DiffusionWorldModel:
    torch.manual_seed(seed)  # the frequencies of the noise level are drawn at once
    model = DiffusionWorldModel(config)
    scramble(model.denoiser, seed)
    return model


def transformer(seed: int = 0) -> TransformerWorldModel:
    model = TransformerWorldModel(SHORT)
    scramble(model.codec, seed)
    scramble(model.transformer, seed + 1)
    return model


MODELS: dict[str, Callable[[], ContextModel]] = {"diffusion": diffusion, "transformer": transformer}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> ContextModel:
    made: ContextModel = MODELS[request.param]()
    return made


def actions(*chosen: Action) -> Tensor:
    return torch.tensor([int(a) for a in chosen])


def play(model: ContextModel, state: State, steps: int, action: Action = Action.RIGHT) -> State:
    for _ in range(steps):
        state, _ = model.step(state, actions(*[action] * len(state)), render=False)
    return state


# ---- the protocol ----------------------------------------------------------------------------------------


def test_play_begins_with_what_the_world_shows(model: ContextModel) -> None:
    shown = Simulator()
    truth = shrink(shown.render(shown.spawn([WORLD], [1])), model.size)
    begun = model.spawn([WORLD], [1])
    if isinstance(model, DiffusionWorldModel):
        assert torch.equal(model.picture(begun.context), truth)
    assert torch.equal(begun.context, model.begin(truth))


def test_a_step_has_a_frame_and_claims_no_more_than_it_knows(model: ContextModel) -> None:
    state = model.spawn([WORLD] * 2, [1, 2])
    before = state.clone()
    after, seen = model.step(state, actions(Action.RIGHT, Action.UP))
    assert seen.frames is not None
    assert seen.frames.shape == (2, 3, FRAME, FRAME)
    assert torch.equal(seen.frames, model.render(after))
    assert not seen.events.any()
    assert seen.events.shape == (2, EVENTS)
    assert (seen.clip == -1).all()
    assert not seen.done.any()
    assert torch.equal(after.step, before.step + 1)
    assert torch.equal(after.position, before.position)
    assert torch.equal(state.context, before.context), "the given state was changed"


def test_play_depends_on_actions_and_on_the_seed(model: ContextModel) -> None:
    state = play(model, model.spawn([WORLD] * 2, [1, 2]), 1)
    assert not torch.equal(state.context[0], state.context[1])
    same = model.spawn([WORLD] * 2, [1, 1])
    after, _ = model.step(same, actions(Action.LEFT, Action.RIGHT))
    frames = model.render(after)
    assert not torch.equal(frames[0], frames[1])


def test_a_row_plays_the_same_in_every_batch(model: ContextModel) -> None:
    alone = play(model, model.spawn([WORLD], [3]), 6)
    many = model.spawn([WORLD] * 5, [8, 9, 3, 4, 5])
    mixed = play(model, concatenate([play(model, many[:2], 2), many[2:]]), 6)
    assert torch.equal(mixed[2:3].context, alone.context)
    assert torch.equal(model.render(mixed)[2:3], model.render(alone))


def test_a_restored_state_goes_on_to_the_same_bits(model: ContextModel) -> None:
    for steps in (0, 1, 3, 4, 7):
        state = play(model, model.spawn([WORLD] * 2, [1, 2]), steps)
        again = model.restore(model.save(state), [WORLD])
        assert torch.equal(play(model, again, 5).context, play(model, state, 5).context)


def test_another_process_goes_on_to_the_same_bits() -> None:
    """The cache of keys and values is no part of the truth: without it everything is computed again."""
    first, second = transformer(), transformer()
    state = first.spawn([WORLD], [1])
    for _ in range(2 * SHORT.window + 1):
        saved = first.save(state)
        state = play(first, state, 1)
        fresh = transformer()
        assert torch.equal(play(fresh, fresh.restore(saved, [WORLD]), 1).context, state.context)
    assert torch.equal(play(second, second.spawn([WORLD], [1]), 2 * SHORT.window + 1).context, state.context)


def test_a_memory_that_is_full_changes_nothing() -> None:
    roomy, cramped = transformer(), transformer()
    cramped.memo._limit = 1
    for model in (roomy, cramped):
        play(model, model.spawn([WORLD] * 3, [1, 2, 3]), 5)
    assert len(cramped.memo._held) == 1
    states = [play(m, m.spawn([WORLD] * 3, [1, 2, 3]), 9).context for m in (roomy, cramped)]
    assert torch.equal(*states)


def test_a_state_of_another_model_is_refused(model: ContextModel) -> None:
    other = diffusion(config=replace(SMALL, frames=4))
    with pytest.raises(ValueError, match="bytes of context"):
        model.restore(other.save(other.spawn([WORLD], [1])), [WORLD])


def test_watched_frames_are_what_it_goes_on_from(model: ContextModel) -> None:
    context = model.spawn([WORLD], [1]).context
    frame = torch.full((1, 3, model.size, model.size), 200, dtype=torch.uint8)
    watched = model.watch(context, frame, actions(Action.LEFT))
    if isinstance(model, DiffusionWorldModel):
        assert torch.equal(model.picture(watched), frame)
    other = model.watch(context, frame // 4, actions(Action.LEFT))
    one, two = (
        model.advance(c, actions(Action.LEFT), torch.tensor([1]), torch.tensor([0])) for c in (watched, other)
    )
    assert not torch.equal(model.picture(one), model.picture(two))


# ---- chance ----------------------------------------------------------------------------------------------


def test_noise_is_normal_and_a_function_of_seed_step_and_draw() -> None:
    seed, step = torch.tensor([1, 2]), torch.tensor([0, 0])
    noise = gauss(seed, step, 0, (200, 101))
    assert noise.shape == (2, 200, 101)
    assert torch.equal(noise, gauss(seed, step, 0, (200, 101)))
    assert torch.equal(noise[1:], gauss(seed[1:], step[1:], 0, (200, 101)))
    for other in (gauss(seed, step + 1, 0, (200, 101)), gauss(seed, step, 1, (200, 101)), noise.flip(0)):
        assert abs(float((noise * other).mean())) < 0.02
    assert abs(float(noise.mean())) < 0.01
    assert float(noise.std()) == pytest.approx(1, abs=0.01)
    assert float((noise.abs() < 1.96).float().mean()) == pytest.approx(0.95, abs=0.005)


def test_pixels_survive_being_signals() -> None:
    every = torch.arange(256).to(torch.uint8)
    assert torch.equal(to_pixels(to_signal(every)), every)


def test_pictures_are_made_small_by_means_and_large_without_shift() -> None:
    ramp = torch.arange(FRAME).expand(1, 3, FRAME, FRAME).to(torch.uint8)
    small = shrink(ramp, 32)
    assert small[0, 0, 0, 8] == 34  # the mean of 32, 33, 34 and 35, to even
    assert (enlarge(small).int() - ramp.int())[..., 4:-4].abs().max() <= 1


# ---- the denoiser ----------------------------------------------------------------------------------------


def test_preconditioning_keeps_inputs_and_targets_at_unit_variance() -> None:
    """Karras et al., appendix B.6: with data of deviation sigma_data the target of F has variance 1."""
    denoiser = Denoiser(replace(SMALL, sigma_offset=0.0))
    sigma = torch.tensor([0.01, 0.3, 4.0])
    skip, scale = (part.flatten() for part in denoiser.preconditioning(sigma))
    data = denoiser.config.sigma_data
    target = ((1 - skip) ** 2 * data**2 + skip**2 * sigma**2) / scale**2
    assert torch.allclose(target, torch.ones(3))


class Ideal(Denoiser):
    """Knows that every pixel is normal around ``mean`` with deviation ``spread``."""

    mean, spread = 0.2, 0.3

    def _held(self, x: Tensor, sigma: float, past: Tensor, actions: Tensor) -> Tensor:
        share = self.spread**2 / (self.spread**2 + sigma**2)
        return self.mean + share * (x - self.mean)


def test_heun_comes_nearer_to_the_exact_solution_than_euler() -> None:
    noise = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    errors = []
    for order, steps in ((1, 64), (2, 64), (1, 512)):
        config = replace(SMALL, order=order, steps=steps, start=SMALL.sigma_max)
        x = Ideal(config).sample(noise, noise, torch.zeros(1, 2))
        wide = math.sqrt(Ideal.spread**2 + config.sigma_max**2)
        exact = Ideal.mean + (noise * config.sigma_max - Ideal.mean) * Ideal.spread / wide
        errors.append(float((x - exact).abs().max()))
    euler, heun, fine = errors
    assert heun < euler / 5
    assert fine < euler / 5


def test_frames_of_any_side_go_through_the_levels() -> None:
    model = diffusion(config=replace(SMALL, size=18))
    state = play(model, model.spawn([WORLD], [1]), 1)
    assert model.picture(state.context).shape == (1, 3, 18, 18)


def test_configurations_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="action_map"):
        DiffusionConfig(actions=4)
    with pytest.raises(ValueError, match="one entry per level"):
        DiffusionConfig(depths=(1,))
    with pytest.raises(ValueError, match="keep and window"):
        TransformerConfig(window=4, keep=4)


# ---- checkpoints -----------------------------------------------------------------------------------------


def published(
    levels: int = 2, width: int = 8, cond: int = 8, frames: int = 4, moves: int = 18
) -> dict[str, Tensor]:
    """A state dict with the names and shapes of DIAMOND's checkpoints, written out by hand."""
    shapes: dict[str, tuple[int, ...]] = {
        "noise_emb.weight": (1, cond // 2),
        "act_emb.0.weight": (moves, cond // frames),
        "norm_out.norm.weight": (width,), "norm_out.norm.bias": (width,),
    }  # fmt: skip

    def linear(name: str, out: int, inside: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out, inside), (out,)

    def conv(name: str, out: int, inside: int, kernel: int = 3) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out, inside, kernel, kernel), (out,)

    def block(name: str, inside: int, *, attention: bool = False) -> None:
        if inside != width:
            conv(f"{name}.proj", width, inside, 1)
        linear(f"{name}.norm1.linear", 2 * inside, cond)
        conv(f"{name}.conv1", width, inside)
        linear(f"{name}.norm2.linear", 2 * width, cond)
        conv(f"{name}.conv2", width, width)
        if attention:
            shapes[f"{name}.attn.norm.norm.weight"] = shapes[f"{name}.attn.norm.norm.bias"] = (width,)
            conv(f"{name}.attn.qkv_proj", 3 * width, width, 1)
            conv(f"{name}.attn.out_proj", width, width, 1)

    linear("cond_proj.0", cond, cond)
    linear("cond_proj.2", cond, cond)
    conv("conv_in", width, 3 * (frames + 1))
    conv("conv_out", 3, width)
    for level in range(levels):
        block(f"unet.d_blocks.{level}.resblocks.0", width)
        block(f"unet.u_blocks.{level}.resblocks.0", 2 * width)
        block(f"unet.u_blocks.{level}.resblocks.1", 2 * width)
        if level:
            conv(f"unet.downsamples.{level}.conv", width, width)
            conv(f"unet.upsamples.{level}.conv", width, width)
    for number in range(2):
        block(f"unet.mid_blocks.resblocks.{number}", width, attention=True)
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}


def test_a_checkpoint_of_diamonds_layout_is_read_whole(tmp_path: Path) -> None:
    inner = published()
    path = tmp_path / "agent.pt"
    other = {"rew_end_model.encoder.weight": torch.zeros(2), "actor_critic.actor_linear.bias": torch.zeros(2)}
    torch.save({f"denoiser.inner_model.{n}": t for n, t in inner.items()} | other, path)
    model = read_diamond(path, size=16)
    assert model.config.channels == (8, 8)
    assert model.config.depths == (1, 1)
    assert (model.config.frames, model.config.actions, model.config.cond) == (4, 18, 8)
    ours = model.denoiser.state_dict()
    assert {diamond_name(name) for name in inner} == set(ours)
    assert all(torch.equal(ours[diamond_name(name)], tensor) for name, tensor in inner.items())
    assert torch.equal(ours["unet.halvings.0.weight"], inner["unet.downsamples.1.conv.weight"])
    assert model.step(model.spawn([WORLD], [1]), actions(Action.UP))[1].frames is not None
    assert load_model("diffusion", weights=path).card.sha256 != "untrained"


def test_a_checkpoint_with_fewer_actions_must_be_told_which(tmp_path: Path) -> None:
    path = tmp_path / "agent.pt"
    torch.save({f"denoiser.inner_model.{n}": t for n, t in published(moves=4).items()}, path)
    with pytest.raises(ValueError, match="knows 4 actions"):
        read_diamond(path)
    assert read_diamond(path, (0, 3, 2, 1, 0, 1, 1, 1), size=16).config.action_map[1] == 3


class Harm:
    """What a pickle could run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this must not run",)


def test_a_checkpoint_cannot_run_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.pt"
    torch.save({"denoiser.inner_model.conv_in.weight": Harm()}, path)
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        read_diffusion(path)
    assert "must not run" not in capsys.readouterr().out


def test_a_file_without_a_denoiser_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "else.pt"
    torch.save({"encoder.weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"no denoiser of DIAMOND's.*encoder\.weight"):
        read_diamond(path)


@pytest.mark.parametrize("name", MODELS)
def test_weights_are_read_by_name_and_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    model = MODELS[name]()
    if isinstance(model, DiffusionWorldModel):
        model.denoiser.half().float()  # the file holds half precision
        save_diffusion(model, path)
    elif isinstance(model, TransformerWorldModel):
        save_transformer(model, path)
    again = load_model(name, weights=path)
    assert again.card.name == name
    assert len(again.card.sha256) == 64
    one, two = (play(m, m.spawn([WORLD], [5]), 3) for m in (model, again))  # type: ignore[arg-type]
    assert torch.equal(one.context, two.context)


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_transformer(transformer(), path)
    with pytest.raises(ValueError, match="'transformer' model, not of a 'diffusion'"):
        read_diffusion(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="None model"):
        read_transformer(path)
    with pytest.raises(FileNotFoundError, match="train-adapter"):
        load_model("transformer", weights=tmp_path / "none")


# ---- the cache -------------------------------------------------------------------------------------------


def test_frames_one_by_one_with_the_cache_are_the_whole_sequence_at_once() -> None:
    net = VideoTransformer(SHORT).eval()
    scramble(net, 3)
    latents = torch.randn(2, 4, SHORT.side**2, SHORT.latent, generator=torch.Generator().manual_seed(1))
    levels, led = torch.rand(2, 4), torch.randint(ACTIONS, (2, 4))
    with torch.no_grad():
        whole, held = net(latents, levels, led)
        cache: list[tuple[Tensor, Tensor]] = []
        for frame in range(4):
            at = slice(frame, frame + 1)
            one, cache = net(latents[:, at], levels[:, at], led[:, at], cache)
            assert torch.allclose(one[:, 0], whole[:, frame], atol=1e-4)
    for (k, v), (k2, v2) in zip(held, cache, strict=True):
        assert torch.allclose(k, k2, atol=1e-4)
        assert torch.allclose(v, v2, atol=1e-4)


def test_the_future_does_not_change_the_past() -> None:
    net = VideoTransformer(SHORT).eval()
    scramble(net, 3)
    latents = torch.randn(1, 4, SHORT.side**2, SHORT.latent, generator=torch.Generator().manual_seed(1))
    changed = latents.clone()
    changed[:, 2:] += 1
    levels, led = torch.zeros(1, 4), torch.zeros(1, 4, dtype=torch.int64)
    with torch.no_grad():
        one, other = net(latents, levels, led)[0], net(changed, levels, led)[0]
    assert torch.allclose(one[:, :2], other[:, :2], atol=1e-5)
    assert not torch.allclose(one[:, 2], other[:, 2], atol=1e-2)


# ---- bots, recorder, detectors, live play ----------------------------------------------------------------


@pytest.fixture(scope="module", params=MODELS)
def explored(request: pytest.FixtureRequest) -> tuple[ContextModel, tuple[Playthrough, ...]]:
    model: ContextModel = MODELS[request.param]()
    budget = Budget(
        search_steps=160, sample_episodes=1, episode_steps=6, batch=8, round_steps=8, window=200,
        evidence_playthroughs=2, evidence_steps=40,
    )  # fmt: skip
    found = explore(model, WORLD, budget, seed=3)
    assert found.coverage.cells > 3
    return model, found.playthroughs


def test_what_was_explored_is_recorded_and_replays_bit_for_bit(
    explored: tuple[ContextModel, tuple[Playthrough, ...]],
) -> None:
    model, playthroughs = explored
    assert {p.arm for p in playthroughs} == {"search", "sample"}
    for recording in regenerate_many(model, WORLD, playthroughs[:2]):
        assert recording.first_difference is None
        assert len(recording.frames) == len(recording.playthrough.actions) + 1
        assert verify(model, WORLD, recording.playthrough).identical


def test_every_moment_is_worth_a_look(explored: tuple[ContextModel, tuple[Playthrough, ...]]) -> None:
    """The place of the camera is unknown, so no frame may stand for another."""
    model, playthroughs = explored
    longest = max(playthroughs, key=lambda p: len(p.actions))
    names = regenerate(model, WORLD, longest).views.tolist()
    assert len(set(names)) == len(names)


def test_cells_are_told_by_what_is_seen(model: ContextModel) -> None:
    cells = cells_of(model, WORLD)
    assert isinstance(cells, SeenCells)
    states = concatenate([play(model, model.spawn([WORLD] * 4, [1, 2, 3, 4]), n) for n in (1, 4)])
    assert torch.equal(cells.cells(states), cells.cells(model.restore(model.save(states), [WORLD])))
    assert len(set(cells.cells(states).tolist())) > 1
    assert len(set(cells.scenes(states).tolist())) <= len(set(cells.cells(states).tolist()))
    assert not cells.landmarks(states).any()


class Blinking(DiffusionWorldModel):
    """Shows white and black in turn."""

    def advance(self, context: Tensor, actions: Tensor, seed: Tensor, step: Tensor) -> Tensor:
        shape = (len(context), 3, self.size, self.size)
        shade = (255 * (step % 2)).to(torch.uint8)[:, None, None, None].expand(shape)
        return self.watch(context, shade, actions)


@pytest.mark.parametrize("blinking", [True, False])
def test_a_detector_sees_what_a_model_shows(blinking: bool) -> None:
    class Still(DiffusionWorldModel):
        def advance(self, context: Tensor, actions: Tensor, seed: Tensor, step: Tensor) -> Tensor:
            return context

    model = (Blinking if blinking else Still)(SMALL)
    steps = 20
    played = Playthrough(
        world=WORLD.key, model=model.card.sha256, arm="sample", player="test", seed=1, spawn=0,
        actions=np.zeros(steps, np.uint8), events=np.zeros((steps, EVENTS), np.bool_),
        clips=np.full(steps, -1, np.int16),
    )  # fmt: skip
    flash = Flash()
    flash.load()
    found = flash.predict([Motion(regenerate(model, WORLD, played).frames, 15.0)])[0]
    assert bool(found) == blinking


@pytest.fixture
def arena(model: ContextModel) -> Iterator[Arena]:
    here = Arena(lambda: model, capacity=2, fps=100)
    yield here
    here.close()


def test_players_play_it_live(arena: Arena) -> None:
    sessions = [Session("world", WORLD, seed, lambda: None) for seed in (1, 2)]
    for session in sessions:
        arena.join(session)
    seen: dict[Session, list[Frame]] = {session: [] for session in sessions}
    end = time.monotonic() + 30
    while min(len(frames) for frames in seen.values()) < 3:
        assert time.monotonic() < end, "no frames came"
        for session, frames in seen.items():
            if (frame := session.take()) is not None:
                frames.append(frame)
                session.drawn(frame.tick)
        time.sleep(0.005)
    for frames in seen.values():
        assert [f.tick for f in frames] == sorted({f.tick for f in frames})
        assert all(f.jpeg.startswith(b"\xff\xd8") for f in frames)
        assert all(f.events == 0 and not f.done for f in frames)


# ---- learning --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def footage() -> Footage:
    return film([WORLD], episodes=4, steps=12, size=16, seed=1)


def test_footage_repeats_and_pairs_each_frame_with_what_led_to_it(footage: Footage) -> None:
    assert footage.frames.shape == (4, 13, 3, 16, 16)
    assert footage.actions.shape == (4, 12)
    again = film([WORLD], episodes=4, steps=12, size=16, seed=1)
    assert torch.equal(footage.frames, again.frames)
    assert torch.equal(footage.actions, again.actions)
    counted = Footage(torch.arange(13).expand(4, 13), torch.arange(12).expand(4, 12))
    frames, led = counted.windows(8, 5, torch.Generator().manual_seed(0))
    assert torch.equal(frames[:, :-1], led)
    assert {int(f) for f in frames[:, 0]} <= set(range(9))


def test_a_short_training_lowers_the_loss(footage: Footage, tmp_path: Path) -> None:
    config = AdapterTraining(updates=60, minutes=5, batch=4, warm_up=5, learning_rate=3e-3, model=SMALL)
    run = Run(config, footage)
    window = footage.windows(16, SMALL.frames + config.unroll, torch.Generator().manual_seed(5))

    def loss() -> float:
        run.generator.manual_seed(9)
        with torch.no_grad():
            return float(run.loss(to_signal(window[0]), window[1]))

    before = loss()
    weights = run.train(tmp_path, lambda *_: None)
    assert run.updates == 60
    assert loss() < 0.7 * before
    assert read_diffusion(weights).config == SMALL


def test_measuring_counts_a_perfect_copy_as_such() -> None:
    """A model that repeats its last frame is exactly the baseline, but for its size."""

    class Still(DiffusionWorldModel):
        def advance(self, context: Tensor, actions: Tensor, seed: Tensor, step: Tensor) -> Tensor:
            return context

    found = measure(Still(replace(SMALL, size=FRAME)), [WORLD], episodes=2, horizons=(1, 3))
    assert found.episodes == 2
    for row in found.horizons.values():
        assert row.psnr == pytest.approx(row.copy_last, abs=1e-3)
        assert row.ceiling > 90
    assert found.steered == 0.5
