"""Known-bad pictures: PDQ hashes as the reference computes them, banks, and what a match says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from moderation.banks import BankError, Banks, BankState, Entry, entry_of, read_hashes, write_hashes
from moderation.banks_cli import register_banks
from moderation.detectors.base import Detection, Picture
from moderation.detectors.known import Known
from moderation.pdq import from_hex, pdq, pdq_turned, to_hex

REFERENCE = json.loads((Path(__file__).parent / "data" / "pdq.json").read_text(encoding="utf-8"))


def drawn(height: int, width: int, seed: int, contrast: float = 1.0) -> np.ndarray:
    """A picture (H, W, 3) by formula, the same everywhere: waves of many lengths and directions."""
    rng = np.random.default_rng(seed)
    rows, columns = np.arange(height)[:, None] / height, np.arange(width) / width
    plane = np.zeros((height, width))
    for _ in range(16):
        down, across, phase = rng.uniform(-50, 50), rng.uniform(-50, 50), rng.uniform(0, 6)
        plane += rng.uniform(0.2, 1) * np.sin(down * rows + across * columns + phase)
    shade = 128 + 32 * contrast * plane[..., None] * np.array((1.0, 0.8, -0.3))
    return np.clip(np.round(shade), 0, 255).astype(np.uint8)


def bits_apart(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def hex_of(pixels: np.ndarray) -> str:
    return to_hex(pdq(pixels)[0])


# -- the hash -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REFERENCE, ids=lambda case: f"{case['width']}x{case['height']}")
def test_hash_and_quality_are_those_of_the_reference(case: dict) -> None:
    hash_, quality = pdq(drawn(case["height"], case["width"], case["seed"], case["contrast"]))
    assert bits_apart(to_hex(hash_), case["hash"]) <= 2  # a rounded grey level may differ on another machine
    assert abs(quality - case["quality"]) <= 1


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_turned_picture_has_one_of_the_eight_hashes(turns: int, mirrored: bool) -> None:
    picture = drawn(256, 256, 4)
    turned = np.rot90(picture[:, ::-1] if mirrored else picture, turns)
    hashes, _ = pdq_turned(picture)
    assert len({to_hex(one) for one in hashes}) == 8
    assert min(bits_apart(to_hex(one), hex_of(np.ascontiguousarray(turned))) for one in hashes) <= 2


def test_flat_pictures_have_no_quality() -> None:
    assert pdq(np.full((80, 120, 3), 200, np.uint8))[1] == 0
    assert pdq(drawn(300, 300, 1))[1] == 100


@given(st.integers(0, 2**256 - 1))
def test_hexadecimal_digits_and_back(number: int) -> None:
    digits = f"{number:064x}"
    assert to_hex(from_hex(digits)) == digits


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: from_hex("abc"), "64 hexadecimal digits"),
        (lambda: from_hex("x" * 64), "non-hexadecimal"),
        (lambda: pdq(np.zeros((4, 4), np.uint8)), "a picture must be"),
        (lambda: pdq(np.zeros((4, 4, 3), np.float32)), "a picture must be"),
    ],
)
def test_refuses_what_is_no_hash_and_no_picture(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


# -- the detector -------------------------------------------------------------------------------------


def bank_of(banks: Banks, name: str, pictures: list[np.ndarray], state: BankState) -> None:
    entries = [Entry(hex_of(one), f"{name}-{n}", "gore") for n, one in enumerate(pictures)]
    banks.add(name, entries, state)


def look(banks: Banks, pixels: np.ndarray) -> list[Detection]:
    return Known(banks.folder)([Picture(pixels, 1.5)])[0]


def jpeg(pixels: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)


@pytest.mark.parametrize(
    ("alter", "turned"),
    [
        (lambda p: p, False),
        (jpeg, False),
        (lambda p: cv2.resize(p, (120, 80), interpolation=cv2.INTER_AREA), False),
        (lambda p: cv2.resize(p, (100, 67), interpolation=cv2.INTER_AREA), False),
        (lambda p: np.clip(p * 0.7 + 40, 0, 255).astype(np.uint8), False),
        (lambda p: np.repeat(p.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2), False),
        (lambda p: p[:, ::-1].copy(), True),
        (lambda p: np.rot90(p).copy(), True),
    ],
    ids=["the same", "JPEG", "smaller", "much smaller", "brighter", "grey", "mirrored", "turned"],
)
def test_finds_altered_copies(
    tmp_path: Path, alter: Callable[[np.ndarray], np.ndarray], turned: bool
) -> None:
    banks = Banks(tmp_path)
    bank_of(banks, "shared", [drawn(200, 300, seed) for seed in range(5)], BankState.ACTIVE)

    (found,) = look(banks, alter(drawn(200, 300, 3)))

    assert found.label == "known_bad"
    assert 0.5 <= found.score <= 1
    assert found.start == found.end == 1.5
    assert found.text is not None
    assert found.text.startswith("bank shared, entry shared-3 (gore): ")
    assert ("turned" in found.text) == turned


def test_score_falls_from_one_to_a_half_at_the_last_bit_that_matches(tmp_path: Path) -> None:
    picture = drawn(300, 300, 9)
    number = int(hex_of(picture), 16)
    scores = []
    for bits in (0, 10, 31, 32):
        banks = Banks(tmp_path / str(bits))
        banks.add("one", [Entry(f"{number ^ ((1 << bits) - 1):064x}")])
        scores.append([round(found.score, 3) for found in look(banks, picture)])
    assert scores == [[1.0], [0.839], [0.5], []]


def test_unrelated_and_nearly_empty_pictures_are_not_known(tmp_path: Path) -> None:
    banks = Banks(tmp_path)
    plain = np.full((200, 200, 3), 90, np.uint8)
    banks.add("shared", [Entry(hex_of(drawn(200, 300, 1))), Entry(hex_of(plain))])
    assert look(banks, drawn(200, 300, 2)) == []
    assert look(banks, plain) == []


def test_the_state_of_a_bank_decides_what_a_match_is(tmp_path: Path) -> None:
    banks, picture = Banks(tmp_path), drawn(200, 300, 1)
    bank_of(banks, "shared", [picture], BankState.REVIEW_ONLY)
    detector = Known(tmp_path)

    def labels() -> list[str]:
        return [found.label for found in detector([Picture(picture)])[0]]

    assert labels() == ["known_review"]
    banks.set_state("shared", BankState.ACTIVE)
    assert labels() == ["known_bad"]
    bank_of(banks, "ours", [picture], BankState.REVIEW_ONLY)
    assert sorted(labels()) == ["known_bad", "known_review"]
    banks.set_state("shared", BankState.DISABLED)
    banks.remove("ours")
    assert labels() == []


def test_the_card_names_what_the_banks_hold_so_that_a_change_is_looked_at_again(tmp_path: Path) -> None:
    banks = Banks(tmp_path)
    assert Known(tmp_path).card == Known.card
    bank_of(banks, "shared", [drawn(200, 300, 1)], BankState.ACTIVE)
    first = Known(tmp_path).card.fingerprint
    assert first == Known(tmp_path).card.fingerprint != Known.card.fingerprint
    banks.set_state("shared", BankState.REVIEW_ONLY)
    assert Known(tmp_path).card.fingerprint not in {first, Known.card.fingerprint}
    banks.set_state("shared", BankState.DISABLED)
    assert Known(tmp_path).card == Known.card


def test_a_large_bank_is_searched_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.bytes(32 * 70_000).hex()
    entries = [Entry(numbers[64 * n : 64 * n + 64]) for n in range(70_000)]
    picture = drawn(200, 300, 1)
    entries[69_000] = Entry(hex_of(picture), "here")
    banks = Banks(tmp_path)
    banks.add("large", entries)
    (found,) = look(banks, picture)
    assert found.text == "bank large, entry here: 0 of 256 bits differ"


def test_a_broken_bank_is_an_error_and_no_silent_pass(tmp_path: Path) -> None:
    (tmp_path / "active").mkdir()
    (tmp_path / "active" / "hand.csv").write_text("not a hash\n", encoding="utf-8")
    with pytest.raises(BankError, match=r"hand\.csv, line 1"):
        look(Banks(tmp_path), drawn(100, 100, 0))


# -- banks --------------------------------------------------------------------------------------------

HASH = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{HASH}\n\n# a remark\n{OTHER}\n", [Entry(HASH), Entry(OTHER)]),
        (f"{HASH.upper()},7,gore,seen twice\n", [Entry(HASH, "7", "gore", "seen twice")]),
        (
            f'id,indicator,type,tags\n1,{HASH},HASH_PDQ,"gore, war"\n2,abc,HASH_MD5,\n',
            [Entry(HASH, "1", "gore, war")],
        ),
        (json.dumps([HASH, {"hash": OTHER, "id": 5}]), [Entry(HASH), Entry(OTHER, "5")]),
        (
            json.dumps({"data": [{"signal_type": "pdq", "signal_str": HASH, "tags": ["a", "b"]}]}),
            [Entry(HASH, "", "a, b")],
        ),
    ],
    ids=["lines", "upper case with fields", "CSV of an exchange", "JSON list", "JSON of an exchange"],
)
def test_reads_the_lists_of_others(tmp_path: Path, text: str, expected: list[Entry]) -> None:
    file = tmp_path / "list"
    file.write_text(text, encoding="utf-8")
    assert read_hashes(file) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no PDQ hashes"),
        ("abc\n", "entry|no PDQ"),
        (f"{HASH}\nabc\n", "entry 2"),
        ("[1, 2]", "entry 1"),
        ("{", "no JSON"),
    ],
)
def test_says_what_is_wrong_with_a_list(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "list.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BankError, match=words):
        read_hashes(file)
    with pytest.raises(BankError, match="cannot be read"):
        read_hashes(tmp_path / "absent")


printable = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30)


@settings(max_examples=80)
@given(st.integers(0, 2**256 - 1), printable, printable, printable)
def test_an_entry_survives_being_written(number: int, name: str, category: str, comment: str) -> None:
    entry = Entry(f"{number:064x}", *(" ".join(text.split()) for text in (name, category, comment)))
    (line,) = write_hashes([entry]).split("\n")[:-1]
    assert entry_of(line) == entry


def test_banks_are_named_replaced_and_moved(tmp_path: Path) -> None:
    banks = Banks(tmp_path)
    banks.add("a", [Entry(HASH), Entry(HASH), Entry(OTHER)])
    assert [(b.name, b.state, len(b.lines())) for b in banks.all()] == [("a", BankState.ACTIVE, 2)]
    with pytest.raises(BankError, match="already"):
        banks.add("a", [Entry(HASH)])
    banks.add("a", [Entry(HASH)], BankState.DISABLED, replace=True)
    assert [(b.name, b.state, len(b.lines())) for b in banks.all()] == [("a", BankState.DISABLED, 1)]
    for name, words in (("../x", "no name"), ("", "no name")):
        with pytest.raises(BankError, match=words):
            banks.add(name, [Entry(HASH)])
    with pytest.raises(BankError, match="empty"):
        banks.add("b", [])
    with pytest.raises(BankError, match="no bank 'b'"):
        banks.set_state("b", BankState.ACTIVE)
    (tmp_path / "active" / "a.csv").write_text(HASH, encoding="utf-8")
    with pytest.raises(BankError, match="more than one bank"):
        banks.all()


def test_the_commands(tmp_path: Path) -> None:
    app = typer.Typer()
    register_banks(app)
    pictures, home = tmp_path / "pictures", ["--home", str(tmp_path / "home")]
    pictures.mkdir()
    for seed in range(3):
        cv2.imwrite(str(pictures / f"{seed}.png"), drawn(200, 300, seed))
    cv2.imwrite(str(pictures / "plain.png"), np.full((64, 64, 3), 9, np.uint8))

    def run(*words: str, code: int = 0) -> str:
        answer = CliRunner().invoke(app, ["banks", *words])
        assert answer.exit_code == code, answer.output
        return answer.output

    listed = tmp_path / "hashes.csv"
    said = run("hash", str(pictures), "--category", "gore", "--out", str(listed), code=1)
    assert "plain.png has too little in it" in said
    assert "3 hashes, 1 files left out" in said
    one = str(pictures / "1.png")
    assert run("check", one, *home) == "not known\n"
    assert run("add", str(listed), "--name", "ours", *home) == "ours: 3 hashes, active\n"
    assert "known_bad 1.00: bank ours, entry " in run("check", one, *home, code=1)
    assert run("set-state", "ours", "review_only", *home) == "ours: review_only\n"
    assert json.loads(run("list", "--json", *home)) == [{"name": "ours", "state": "review_only", "hashes": 3}]
    assert json.loads(run("check", one, "--json", *home, code=1))[0]["label"] == "known_review"
    assert "already" in run("add", str(listed), "--name", "ours", *home, code=2)
    assert "cannot be read as a picture" in run("check", str(listed), *home, code=2)
    assert run("remove", "ours", *home) == "ours: removed\n"
    assert "no bank 'ours'" in run("remove", "ours", *home, code=2)
