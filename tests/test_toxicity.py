"""The toxicity network says what its reference says, and its scores allow for the talk of games."""

from __future__ import annotations

import csv
import io
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.detectors.base import Text
from moderation.detectors.toxicity import (
    LABELS,
    Calibration,
    Network,
    Toxicity,
    is_game_talk,
    logit,
    readable,
)
from moderation.models import ModelMissing
from moderation.models.convert_keras import convert_network, convert_words, read_hdf5, read_tokenizer
from worldmodel.store.errors import ConversionFailed

DATA = Path(__file__).parent / "data" / "text"
REFERENCE = (
    0.9889402985572815,
    0.07256772369146347,
    0.620429277420044,
    0.01934845559298992,
    0.8664075136184692,
    0.04072948172688484,
)
"""Of "You are so dumb and stupid!", as the package's own README prints it (TensorFlow)."""
MEANS = {
    "I hate you so much!": 0.1395,
    "This is wonderful news.": 0.0013,
    "You're disgusting!": 0.3110,
    "Absolutely love your energy!": 0.0088,
    "You're the worst person ever!": 0.0937,
    "Have a nice day :)": 0.0115,
}
"""Means of the six scores, from there too."""


@pytest.fixture(scope="module")
def toxicity() -> Toxicity:
    return Toxicity()


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


def scores(toxicity: Toxicity, text: str) -> dict[str, float]:
    (found,) = toxicity([Text(text)])
    return {one.label: one.score for one in found}


def test_the_converted_network_equals_its_reference(network: Network) -> None:
    ((_, raw),) = network.parts("You are so dumb and stupid!")
    assert raw == pytest.approx(REFERENCE, abs=1e-5)
    for text, mean in MEANS.items():
        ((_, raw),) = network.parts(text)
        assert raw.mean() == pytest.approx(mean, abs=6e-5)


def held_out() -> list[tuple[set[str], str]]:
    with (DATA / "toxicity_heldout.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(set(row["label"].split(",")) - {"clean"}, row["text"]) for row in rows]


def test_held_out_abuse_is_told_from_the_talk_of_games(toxicity: Toxicity) -> None:
    rows = held_out()
    found = [scores(toxicity, text).get("toxic", 0.0) >= 0.7 for _, text in rows]
    toxic = [bool(wanted) for wanted, _ in rows]
    recall = sum(f and t for f, t in zip(found, toxic, strict=True)) / sum(toxic)
    alarms = sum(f and not t for f, t in zip(found, toxic, strict=True)) / (len(toxic) - sum(toxic))
    assert recall >= 0.4
    assert alarms <= 0.02


def test_scores_are_probabilities_on_held_out_texts(toxicity: Toxicity) -> None:
    """The Brier score beats that of always saying the share, for each label with ten examples or more."""
    rows = held_out()
    given_scores = [scores(toxicity, text) for _, text in rows]
    for label in LABELS:
        truth = np.array([label in wanted for wanted, _ in rows], dtype=float)
        if truth.sum() < 10:
            continue
        said = np.array([one.get(label, 0.0) for one in given_scores])
        assert ((said - truth) ** 2).mean() < truth.var()


def test_game_talk_is_discounted(toxicity: Toxicity) -> None:
    assert scores(toxicity, "kill all the goblins").get("toxic", 0.0) < 0.3
    assert is_game_talk("kill all the goblins")
    assert not is_game_talk("I will kill you tonight, knight")


def test_disguised_abuse_is_read(toxicity: Toxicity) -> None:
    plainly = scores(toxicity, "you fucking idiot")["toxic"]
    for disguised in (
        "you f*cking 1d10t",
        "you fuckiiiing idiot",
        "you fυcking idiot",
        "y0u fuck1ng i d i o t",
    ):
        assert scores(toxicity, disguised)["toxic"] == pytest.approx(plainly, abs=0.02), disguised


def test_unknown_words_and_nothing_say_nothing(toxicity: Toxicity) -> None:
    assert scores(toxicity, "") == {}
    assert scores(toxicity, "zxqwv") == {}


def test_a_long_text_is_read_to_its_end(toxicity: Toxicity) -> None:
    (found,) = toxicity([Text("the path goes on and on " * 100 + "you fucking idiot", 2.0, 3.0)])
    toxic = next(one for one in found if one.label == "toxic")
    assert toxic.score > 0.3
    assert toxic.text is not None
    assert toxic.text.endswith("idiot")
    assert (toxic.start, toxic.end) == (2.0, 3.0)


def test_missing_weights_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTPLAY_MODELS", str(tmp_path))
    monkeypatch.setenv("FIRSTPLAY_OFFLINE", "1")
    with pytest.raises(ModelMissing):
        Toxicity()([Text("hello")])


@given(one=st.floats(0, 1), other=st.floats(0, 1), game=st.booleans())
def test_calibration_keeps_the_order(one: float, other: float, game: bool) -> None:
    calibration = Calibration(slope=0.9, game=-1.4, bias=-1.2)
    low, high = sorted((one, other))
    assert 0 <= calibration(logit(low), game=game) <= calibration(logit(high), game=game) <= 1
    assert calibration(logit(one), game=True) <= calibration(logit(one), game=False)


def test_words_are_read_in_disguise() -> None:
    known = {"you", "idiot", "fuck", "cool"}
    assert readable(["Y0u", "1d10t!"], known) == ["you", "idiot"]
    assert readable(["f", "u", "c", "k"], known) == ["fuck"]
    assert readable(["coool", "f*ck"], known) == ["cool", "fuck"]


# -- the conversion -----------------------------------------------------------------------------------


class Tokenizer:
    """What a Keras tokenizer looks like to pickle."""


def pickled(monkeypatch: pytest.MonkeyPatch, numbers: dict[str, int]) -> bytes:
    name = "keras.src.legacy.preprocessing.text"
    module = types.ModuleType(name)
    made = type("Tokenizer", (Tokenizer,), {"__module__": name})
    module.Tokenizer = made  # type: ignore[attr-defined]
    parts = name.split(".")
    for depth in range(1, len(parts)):
        parent = ".".join(parts[:depth])
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    monkeypatch.setitem(sys.modules, name, module)
    tokenizer = made()
    tokenizer.word_index = numbers
    tokenizer.word_counts = OrderedDict(numbers)
    return pickle.dumps(tokenizer)


def test_a_tokenizer_is_read_without_running_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = pickled(monkeypatch, {"the": 1, "you": 2})
    monkeypatch.undo()
    assert read_tokenizer(data) == {"the": 1, "you": 2}
    (tmp_path / "tokenizer").write_bytes(data)
    convert_words([tmp_path / "tokenizer"], tmp_path / "words")
    assert (tmp_path / "words").read_text(encoding="utf-8") == "the\nyou\n"


class Touch:
    """A pickle that would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_a_pickle_that_does_more_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionFailed, match="refused"):
        read_tokenizer(pickle.dumps(Touch(tmp_path / "made")))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("data", [b"", b"\x80\x05.", pickle.dumps({"word_index": 1}), b"not a pickle"])
def test_a_broken_tokenizer_is_refused(data: bytes) -> None:
    with pytest.raises(ConversionFailed):
        read_tokenizer(data)


def test_words_with_gaps_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tokenizer").write_bytes(pickled(monkeypatch, {"the": 1, "you": 3}))
    with pytest.raises(ConversionFailed, match="gap"):
        convert_words([tmp_path / "tokenizer"], tmp_path / "words")


def hdf5(name: str, array: np.ndarray) -> bytes:
    """A file with one array in its root group."""
    with io.BytesIO() as buffer:
        with h5py.File(buffer, "w") as file:
            file[name] = array
        return buffer.getvalue()


def test_an_array_of_hdf5_is_read() -> None:
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    found = read_hdf5(hdf5("weights", array))
    assert list(found) == ["weights"]
    assert np.array_equal(found["weights"], array)


@given(cut=st.integers(0, 500))
def test_a_cut_file_is_refused_or_says_nothing_wrong(cut: int) -> None:
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    whole = hdf5("weights", array)
    try:
        found = read_hdf5(whole[:cut])
    except ConversionFailed:
        return
    assert all(np.array_equal(value, array) for value in found.values())


def test_another_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(hdf5("weights", np.zeros((2, 2), dtype="<f4")))
    with pytest.raises(ConversionFailed, match="not the expected network"):
        convert_network([tmp_path / "weights"], tmp_path / "network")
