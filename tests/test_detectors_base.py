"""Detectors load once and late, let go of their weights when idle, and look in batches."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, get_ident
from typing import Any

import pytest

from moderation.detectors import base
from moderation.detectors.base import (
    Detection,
    Detector,
    DetectorCard,
    Resources,
    Text,
    current_resources,
    unload_idle,
)
from moderation.models import UnknownModel, find_entry


class Shouting(Detector[Text]):
    """Score: share of capitals."""

    card = DetectorCard("shouting", "1", "text", ("shout",), "Apache-2.0", cost_ms=0.1)
    batch_size = 4
    loads = 0

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.alphabet: str | None = None

    def load(self) -> None:
        self.loads += 1
        self.alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        self.weights = [1.0]

    def predict(self, batch: Sequence[Text]) -> list[list[Detection]]:
        self.batches.append(len(batch))
        assert self.alphabet is not None
        return [[Detection("shout", self.share(item.text), item.start, item.end)] for item in batch]

    def share(self, text: str) -> float:
        return sum(c in (self.alphabet or "") for c in text) * self.weights[0] / max(1, len(text))


def texts(*said: str) -> list[Text]:
    return [Text(one) for one in said]


def scores(found: list[list[Detection]]) -> list[float]:
    return [one.score for item in found for one in item]


def test_weights_are_loaded_at_the_first_look_and_once() -> None:
    shouting = Shouting()
    assert not shouting.loaded

    shouting(texts("A"))
    shouting(texts("b"))
    shouting.ensure_loaded()

    assert (shouting.loaded, shouting.loads) == (True, 1)


def test_threads_that_come_at_once_load_once() -> None:
    shouting = Shouting()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(shouting, [texts("Ab")] * 40))
    assert shouting.loads == 1
    assert {tuple(scores(one)) for one in found} == {(0.5,)}


def test_unloading_puts_back_all_that_loading_made_and_the_next_look_loads_again() -> None:
    shouting = Shouting()
    assert not shouting.unload()  # nothing to let go of
    before = scores(shouting(texts("Ab")))

    assert shouting.unload()
    assert not shouting.loaded
    assert shouting.alphabet is None
    assert not hasattr(shouting, "weights")
    assert scores(shouting(texts("Ab"))) == before
    assert shouting.loaded


def test_only_the_idle_are_unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(base, "monotonic", lambda: now[0])
    old, fresh, unused = Shouting(), Shouting(), Shouting()
    old(texts("A"))
    now[0] += 290
    fresh(texts("A"))
    now[0] += 20

    assert unload_idle([old, fresh, unused], seconds=300) == ["shouting"]
    assert (old.loaded, fresh.loaded) == (False, True)
    assert fresh.idle_seconds() == 20


class Slow(Shouting):
    """Waits in the middle of a look."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go_on = Event(), Event()

    def predict(self, batch: Sequence[Text]) -> list[list[Detection]]:
        self.entered.set()
        assert self.go_on.wait(30)
        return super().predict(batch)


def test_what_is_being_looked_at_is_not_unloaded_under_its_feet() -> None:
    slow = Slow()
    with ThreadPoolExecutor(1) as pool:
        look = pool.submit(slow, texts("AB"))
        assert slow.entered.wait(30)

        assert not slow.unload()
        assert slow.idle_seconds() == 0
        assert unload_idle([slow], seconds=0) == []

        slow.go_on.set()
        assert scores(look.result()) == [1.0]
    assert slow.unload()


def test_a_look_that_fails_frees_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    shouting = Shouting()
    with pytest.raises(AttributeError):
        shouting([None])  # type: ignore[list-item]
    assert shouting.unload()


class Unloadable(Shouting):
    def load(self) -> None:
        self.weights = [2.0]
        raise OSError("the file is gone")


def test_a_load_that_fails_is_tried_again_each_time() -> None:
    for _ in range(2):
        detector = Unloadable()
        with pytest.raises(OSError, match="the file is gone"):
            detector(texts("A"))
        assert not detector.loaded


class Frugal(Shouting):
    def load(self) -> None:
        super().load()
        self.given = (current_resources(), get_ident())


def test_load_knows_the_threads_and_the_device_that_it_may_use() -> None:
    frugal, other = Frugal(), Frugal()
    frugal.resources = Resources(threads=3, device="cuda")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(frugal.ensure_loaded).result()
    other.ensure_loaded()

    assert frugal.given[0] == Resources(3, "cuda")
    assert other.given[0] == Resources(1, "cpu")
    assert current_resources() == Resources()


def test_batches_are_cut_to_size() -> None:
    shouting = Shouting()
    assert len(shouting(texts(*"abcdefghij"))) == 10
    assert shouting.batches == [4, 4, 2]
    assert shouting([]) == []


def test_rescaled_scores_come_with_another_version() -> None:
    shouting, plain = Shouting(), Shouting()
    shouting.rescale("1+cal.12ab", lambda label, score: score / 2 if label == "shout" else score)

    assert scores(shouting(texts("AB", "Ab"))) == [0.5, 0.25]
    assert shouting.card.version == "1+cal.12ab"
    assert plain.card.version == Shouting.card.version == "1"
    assert scores(plain(texts("AB"))) == [1.0]


def card(**given: Any) -> DetectorCard:
    told = {"name": "n", "version": "1", "modality": "text", "labels": ("l",), "licence": "MIT", **given}
    return DetectorCard(**told)


def test_the_fingerprint_names_what_decides_the_scores() -> None:
    plain = card()
    same = card(licence="BSD-3-Clause", recall=0.5, cost_ms=3.0, labels=("l", "m"))
    others = [
        card(name="m"), card(version="2"), card(weights=("opennsfw",)), card(weights=("nsfwjs",)),
        card(shipped=(("own.onnx", "0" * 64),)), card(shipped=(("own.onnx", "1" * 64),)),
    ]  # fmt: skip

    assert same.fingerprint == plain.fingerprint
    assert len({plain.fingerprint, *(other.fingerprint for other in others)}) == 7


def test_the_card_tells_the_hashes_of_the_catalogue() -> None:
    both = card(weights=("opennsfw",), shipped=(("own.onnx", "0" * 64),))
    assert both.weights_sha256 == {"opennsfw": find_entry("opennsfw").sha256, "own.onnx": "0" * 64}
    with pytest.raises(UnknownModel, match="never-heard-of"):
        card(weights=("never-heard-of",)).fingerprint  # noqa: B018
