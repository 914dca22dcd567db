"""Threats of any wording are told from game talk, as well as the card says; and the network is kept whole."""

from __future__ import annotations

import csv
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moderation.detectors.base import Text
from moderation.detectors.menace import FEWEST, LONGEST, Menace, parts_of
from moderation.menace.network import (
    FOLDER,
    TOKENS,
    Pieces,
    Size,
    from_bytes,
    to_bytes,
)
from moderation.menace.network import Menace as Network
from moderation.menace.train import Config, Phrase, fine_tune, logits, measure, phrases
from moderation.menace.words import bare, plain

STRANGERS = Path(__file__).parent / "data" / "menace" / "strangers.tsv"
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "i",
    "will",
    "hurt",
    "help",
    "you",
    "now",
    "and",
    "then",
    "##s",
    "s",
]


@pytest.fixture(scope="module")
def menace() -> Menace:
    detector = Menace()
    detector.ensure_loaded()
    return detector


def score(menace: Menace, text: str) -> float:
    (found,) = menace([Text(text)])
    return max((one.score for one in found), default=0.0)


def strangers() -> list[tuple[str, bool]]:
    with STRANGERS.open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["text"], row["label"] != "clean") for row in rows]


# -- the detector -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Tell anyone about this and your little sister is the one who gets it.",
        "i saw which window is yours, sleep well tonight",
        "Nobody would care if you just stopped breathing, so do it.",
    ],
)
def test_threats_in_words_that_no_pattern_knows_are_found(menace: Menace, text: str) -> None:
    assert score(menace, text) > 0.5


@pytest.mark.parametrize(
    "text",
    [
        "The dragon will burn your castle, brave knight!",
        "Careful, you will die if you touch the lava.",
        "I know where you live, so I can bring the cake over.",
        "exit this way",
    ],
)
def test_game_talk_is_no_menace(menace: Menace, text: str) -> None:
    assert score(menace, text) < 0.5


def test_a_menace_is_found_among_other_sentences_and_told_alone(menace: Menace) -> None:
    threat = "I am going to break your legs when you come home"
    long = f"Welcome to the moon market. Please take a lantern. {threat}! Mind the gap."
    (found,) = menace([Text(long, 3.0, 9.0)])
    assert found[0].score > 0.5
    assert "break your legs" in (found[0].text or "")
    assert (found[0].start, found[0].end) == (3.0, 9.0)


def test_punctuation_changes_nothing(menace: Menace) -> None:
    threat = "I am going to break your legs when you come home"
    assert score(menace, threat + "!!") == pytest.approx(score(menace, threat))
    assert score(menace, threat.replace(" when", ", when") + ".") == pytest.approx(score(menace, threat))


def test_letters_that_only_look_alike_change_little(menace: Menace) -> None:
    assert score(menace, "1 w1ll k1ll y0ur m0ther tonight") > 0.5


def test_who_stands_beside_a_text_in_a_batch_does_not_change_its_score(menace: Menace) -> None:
    texts = [Text("I will find your house and burn it"), Text("one " * 30), Text("exit"), Text("")]
    together = menace(texts)
    for text, found in zip(texts, together, strict=True):
        (alone,) = menace([text])
        assert [one.score for one in alone] == pytest.approx([one.score for one in found], abs=1e-4)
    assert together[2] == together[3] == []


def test_the_card_names_the_weights_that_are_there() -> None:
    for name, sha256 in Menace.card.shipped:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == sha256


@given(st.text(alphabet="ab .!?\n", max_size=400))
def test_every_part_is_short_enough_and_out_of_the_text(text: str) -> None:
    words = re.findall("[ab]+", text)
    for part in parts_of(text):
        assert FEWEST <= len(part.split()) <= LONGEST
        assert set(re.findall("[ab]+", part)) <= set(words)


# -- the network --------------------------------------------------------------------------------------


@given(st.integers(1, 5), st.integers(1, 7), st.integers(0, 2**31))
def test_weights_in_bytes_are_off_by_half_a_step_at_most(rows: int, columns: int, seed: int) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    kept = to_bytes({"matrix": matrix, "bias": matrix[0]})
    assert kept["matrix"].dtype == torch.int8
    back = from_bytes(kept)
    assert (back["bias"] == matrix[0]).all()
    step = matrix.abs().amax(1, keepdim=True) / 127
    assert ((back["matrix"] - matrix).abs() <= step * 0.501 + 1e-9).all()


def test_texts_become_pieces_with_an_end_and_are_cut_at_the_longest() -> None:
    pieces = Pieces(WORDS)(["I will hurt you", "helps", "you " * 200])
    assert pieces.shape == (3, TOKENS)
    assert pieces[0, :7].tolist() == [2, 4, 5, 6, 8, 3, 0]
    assert pieces[1, :4].tolist() == [2, 7, 12, 3]
    assert pieces[2, -1] == 3


def test_fine_tuning_tells_what_it_was_shown() -> None:
    torch.manual_seed(0)
    network, pieces = Network(len(WORDS), Size(32, 4, 64, 1, dropout=0.0)), Pieces(WORDS)
    shown = [
        Phrase(f"{first} i will {verb} you {last}".strip(), verb == "hurt")
        for verb in ("hurt", "help")
        for first in ("", "now", "then", "and")
        for last in ("", "now", "then", "and then")
    ]
    fine_tune(network, pieces, shown, Config(epochs=12, batch=8, rate=3e-3, joined=0.0, dropped=0.0))
    told = logits(network, pieces, ["i will hurt you now", "and i will help you now"])
    assert told[0] > 1 > -1 > told[1]


# -- what it learned from, and how well it does -------------------------------------------------------


def test_strangers_phrases_were_not_learned_from() -> None:
    learned = {bare(plain(one.text)) for one in phrases()}
    unseen = [bare(plain(text)) for text, _ in strangers()]
    assert not learned & set(unseen)
    assert len(learned) > 3_000


def test_a_fifth_is_kept_back_by_its_text_alone() -> None:
    every = phrases()
    share = sum(one.kept_back for one in every) / len(every)
    assert 0.17 < share < 0.23


def test_what_is_measured_is_what_a_hand_counts() -> None:
    scores, truth = np.array([0.9, 0.8, 0.3, 0.2, 0.1, 0.6]), np.array([1, 1, 0, 0, 0, 1], bool)
    assert measure(scores, truth)["auroc"] == 1.0
    assert measure(-scores, truth)["auroc"] == 0.0
