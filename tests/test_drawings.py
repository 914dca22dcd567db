"""Captioned drawings: their names, how they are put into pictures of worlds, and how batches are dealt."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.detectors.clip import load_clip
from moderation.drawings import concepts, families, train
from moderation.drawings.compose import BOARD, ComposeConfig, Composer
from moderation.drawings.concepts import LookAlikes, Split, look_alikes
from moderation.drawings.evaluate import auroc, nearest_limit
from moderation.drawings.export import export
from moderation.drawings.families import FAMILIES, Drawing, Family
from moderation.drawings.raster import SIDE, rasterise
from moderation.drawings.train import EMPTY, Deck, TrainConfig, captions, whitened
from worldmodel.store import CATALOGUE

DISC = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20">'
    '<circle cx="8" cy="8" r="5" fill="{}"/></svg>'
)
STILL = ComposeConfig(
    smallest=0.9,
    largest=0.9001,
    cut=0.0,
    board=0.0,
    tiled=0.0,
    turned=0.0,
    recoloured=0.0,
    grey=0.0,
    outlined=0.0,
    paled=0.0,
    dark=0.0,
    noise=0.0,
    covered=0.0,
    soft=0.0,
)
"""Nothing happens to a drawing but that it is put somewhere."""


def drawing(concept: str, family: str = "noto", colour: str = "red", **more: object) -> Drawing:
    made = Drawing(family, concept, concept, (), 7, coloured=True, svg=DISC.format(colour))
    return replace(made, **more)


# -- families ------------------------------------------------------------------------------------------


def test_training_families_may_be_trained_on_and_held_out_ones_are_others():
    used = {family.prefix: family for family in FAMILIES if family.use == "train"}
    assert {one.licence for one in used.values()} <= {
        "MIT",
        "ISC",
        "Apache-2.0",
        "CC0-1.0",
        "CC-BY-3.0",
        "CC-BY-4.0",
    }
    assert {"twemoji", "openmoji"}.isdisjoint(used)


def test_families_are_in_the_catalogue_by_hash():
    for family in FAMILIES:
        entry = CATALOGUE[family.entry]
        assert (entry.sha256, entry.licence) == (family.drawn[0], family.licence)


def test_members_of_an_archive_become_one_list(tmp_path):
    for name, told in (("icons.json", {"prefix": "x"}), ("chars.json", {"1f4a3": "bomb"})):
        (tmp_path / name).write_text(json.dumps(told))
    families._merge([tmp_path / "icons.json", tmp_path / "chars.json"], tmp_path / "both.json")
    assert json.loads((tmp_path / "both.json").read_text()) == [{"prefix": "x"}, {"1f4a3": "bomb"}]


def icons(*names: str) -> dict[str, object]:
    return {"width": 24, "height": 24, "icons": {name: {"body": "<path/>"} for name in names}}


def some_family(**more: object) -> Family:
    return replace(FAMILIES[0], emoji=False, coloured=False, **more)


def test_a_name_loses_what_tells_of_the_style_only():
    found = families._icons(
        some_family(), icons("bomb-filled", "dice-5", "wine-outline", "hand-gun", "key-duotone")
    )
    assert [one.concept for one in found] == ["bomb", "dice", "hand gun", "key"]


@pytest.mark.parametrize("name", ["arrow-left", "file-edit", "account-alert", "bomb-off", "wine-thin"])
def test_user_interface_and_copies_in_another_line_are_left_out(name):
    assert not list(families._icons(some_family(), icons(name)))


# -- look-alikes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("category", "concept", "side"),
    [
        ("weapons", "pistol gun", "drawn"),
        ("weapons", "water gun", "alike"),
        ("weapons", "fork and knife", None),
        ("weapons", "gunship", None),
        ("drugs", "syringe", "drawn"),
        ("gambling", "atm", "alike"),
        ("gore", "ketchup", "alike"),
        ("tobacco", "no smoking", None),
        ("alcohol", "cat", None),
    ],
)
def test_a_drawing_is_what_is_looked_for_or_looks_like_it_or_neither(category, concept, side):
    assert look_alikes()[category].side(concept) == side


def test_every_category_has_phrases_and_drawings_for_both_sides():
    for category in look_alikes().values():
        assert min(map(len, (category.show, category.against, category.drawn, category.alike))) >= 5
        assert set(category.drawn).isdisjoint(category.alike)


def test_exclusion_wins_over_what_is_drawn():
    category = LookAlikes((), (), drawn=("gun",), alike=(), exclude=("toy",), synonyms={})
    assert [category.side(name) for name in ("gun", "toy gun", "begun")] == ["drawn", None, None]


# -- pixels --------------------------------------------------------------------------------------------


def test_a_drawing_fills_its_square_in_its_own_colour():
    pixels = rasterise(drawing("disc"))
    assert pixels.shape == (SIDE, SIDE, 4)
    shown = pixels[..., 3] > 128
    assert 0.6 < shown.mean() < 0.8  # a disc in its square: pi/4, less the edge
    assert (np.abs(pixels[shown][:, :3].astype(int) - (255, 0, 0)) < 8).all()


def test_a_drawing_of_nothing_is_refused_by_name():
    with pytest.raises(ValueError, match="noto/ghost"):
        rasterise(drawing("ghost", svg='<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>'))


# -- composites ----------------------------------------------------------------------------------------


def composer(config: ComposeConfig, *, coloured: bool = True, side: int = 32, seed: int = 0) -> Composer:
    pixels = torch.from_numpy(rasterise(drawing("disc")).transpose(2, 0, 1).copy()).unsqueeze(0)
    scenes = torch.zeros(4, 3, side, side, dtype=torch.uint8)
    scenes[:, 2] = 200  # blue
    chance = torch.Generator().manual_seed(seed)
    return Composer(pixels, torch.tensor([coloured]), torch.full((1, 3), -1.0), scenes, chance, config)


def test_a_drawing_lies_on_the_scene_in_its_own_colour():
    pictures = composer(STILL)(torch.zeros(16, dtype=torch.long))
    assert pictures.shape == (16, 3, 32, 32)
    red, blue = pictures[:, 0].amax((1, 2)), pictures[:, 2].amax((1, 2))
    assert (red > 0.6).all()
    assert (blue > 0.6).all()
    share = (pictures[:, 0] > pictures[:, 2]).float().mean((1, 2))
    assert ((share > 0.3) & (share < 0.9)).all()


def test_no_drawing_leaves_the_scene_alone():
    pictures = composer(STILL)(torch.full((8,), -1))
    assert (pictures[:, 0] < 0.01).all()


def test_a_board_hides_the_scene_behind_the_drawing():
    pictures = composer(replace(STILL, board=1.0, paper=1.0))(torch.zeros(16, dtype=torch.long))
    paper = torch.tensor(BOARD).view(1, 3, 1, 1) / 255
    on_paper = ((pictures / pictures.amax((1, 2, 3), keepdim=True) - paper).abs() < 0.08).all(1)
    assert (on_paper.float().mean((1, 2)) > 0.05).all()


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.sampled_from([32, 64]), st.booleans())
def test_whatever_is_done_to_it_a_picture_stays_one_and_comes_out_the_same_again(seed, side, coloured):
    index = torch.tensor([0, -1, 0, 0])
    first, again = (
        composer(ComposeConfig(), coloured=coloured, side=side, seed=seed)(index) for _ in range(2)
    )
    assert torch.equal(first, again)
    assert first.shape == (4, 3, side, side)
    assert ((first >= 0) & (first <= 1)).all()


# -- batches -------------------------------------------------------------------------------------------

SOME = [drawing(f"thing {number}", family) for number in range(40) for family in ("noto", "emojione")]


def test_a_batch_has_every_concept_once_and_captions_that_name_it():
    deck = Deck(SOME, TrainConfig())
    rng = np.random.default_rng(0)
    for _ in range(5):
        drawings, texts, chosen = deck.deal(20, rng)
        named = [SOME[index].concept for index in drawings if index >= 0]
        assert len(named) == len(set(named)) == 20 - len(EMPTY)
        assert [deck.captions[deck.names[concept]] for concept in chosen] == named
        for concept, text in zip(named, texts[len(EMPTY) :], strict=True):
            assert concept in deck.captions[text]


def test_what_policies_look_for_is_dealt_more_often_than_an_icon():
    plain = [drawing(f"icon {number}", group=None) for number in range(200)]
    deck = Deck([*plain, drawing("pistol", group=None)], TrainConfig())
    rng = np.random.default_rng(0)
    seen = sum(200 in deck.deal(len(EMPTY) + 20, rng)[0] for _ in range(100))
    assert seen > 30  # one icon would come 10 times


def test_synonyms_are_captions_of_what_is_looked_for():
    assert "handgun" in captions(drawing("pistol"))
    assert "toy, red" in captions(drawing("toy", words=("red", "toy car")))


def test_the_text_side_begins_with_even_directions():
    phrases = torch.randn(500, 20, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.1, 3, 20)
    spread = ((phrases - phrases.mean(0)) @ whitened(phrases, 8).T).std(0)
    assert spread.max() / spread.min() < (3 / 0.1) / 4


# -- training ------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """A few steps of a tiny model; embeddings are kept apart from the user's own."""
    monkeypatch.setattr(concepts, "cache_dir", lambda: tmp_path)
    concepts._kept.cache_clear()
    model = TrainConfig().model | {"embed_dim": 8}
    return TrainConfig(steps=2, batch=16, warm=1, falling=2, worlds=1, photographs=False, model=model)


def test_training_goes_on_from_its_checkpoint_and_its_weights_load_as_a_model(small, tmp_path):
    data = Split(tuple(SOME), (), (), ())
    run, folder = tmp_path / "run", tmp_path / "weights"

    train.train(small, run, data)
    before = torch.load(run / "last.pt", weights_only=True)
    train.train(replace(small, steps=3), run, data)
    after = torch.load(run / "last.pt", weights_only=True)
    export(run, folder)
    model = load_clip(str(folder))

    assert (before["step"], after["step"]) == (2, 3)
    changed = "visual.head.proj.weight"
    assert not torch.equal(before["model"][changed], after["model"][changed])
    kept = "visual.trunk.conv_stem.weight"
    assert torch.equal(before["model"][kept], after["model"][kept])  # the first stages are frozen
    squares = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    trained = train.DrawnClip(small.model)
    trained.load_state_dict(after["model"])
    with torch.no_grad():
        inputs = torch.from_numpy(squares).permute(0, 3, 1, 2) / 255
        told = trained.eval()(inputs, torch.from_numpy(concepts.embeddings(["thing 1", "a pistol", "a pen"])))
    np.testing.assert_allclose(model.pictures(squares), told["image_features"], atol=0.01)  # 16-bit weights
    np.testing.assert_allclose(
        model.phrases(["thing 1", "a pistol", "a pen"]), told["text_features"], atol=1e-4
    )


# -- measures ------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_auroc_is_the_chance_that_a_positive_scores_higher(positive, negative):
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    assert auroc(positive, negative) == pytest.approx(np.mean(pairs))


def test_the_nearest_cosine_is_the_least_at_which_new_concepts_are_told_well():
    near = {f"{word} pistol": 0.99 for word in "a the big old new red blue large small hot cold one".split()}
    assert nearest_limit(near, ["pistol"]) < 0.8
    assert nearest_limit(dict.fromkeys(near, 0.5), ["pistol"]) == 0.8
