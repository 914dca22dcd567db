"""A guard with a small policy and detectors that are quick to load: real ones, for what tests can draw."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from feedapi.guarding import Guarded, guarded
from moderation import scan
from moderation.detectors.base import Detection, Detector, DetectorCard, Picture, Sound
from moderation.detectors.flash import Flash
from moderation.live import Inspector
from moderation.policy_changes.bundles import keep, live_bundle
from moderation.store import Store, open_store
from moderation.store.bundles import find_bundles, set_bundle_status
from policies.bundle import Bundle, load_bundle
from policies.schema import LivePlay
from worldmodel.package import WorldPackage, load_package

POLICY = """\
bundle: guarded
version: "1"
status: live
summary: What the guard's tests forbid.
coverage: {min_sample_episodes: 1, min_search_steps: 1, max_discovery_rate: 9}
detectors:
  redness: {labels: [red]}
  ocr: {labels: [text]}
  speech: {labels: [speech]}
  flash: {labels: [general_flash, red_flash, extended_flash, stripes]}
categories:
  colours: {title: Colours, dsa: STATEMENT_CATEGORY_OTHER_VIOLATION_TC}
rules:
  - rule: red
    title: Too much red
    category: colours
    severity: S2
    scope: [playthrough, live]
    detectors: [{name: redness}]
    when: max("red") >= 0.1
    review: max("red") >= 0.06
    explanation: The picture is red ({score:.0%}) at {at}.
    guideline: Worlds are not too red for anybody.
  - rule: flashing
    title: Flashing
    category: colours
    severity: S3
    scope: [playthrough, live]
    detectors: [{name: flash}]
    when: max("general_flash") >= 1
    explanation: The picture flashes at {at}.
    guideline: Worlds do not flash dangerously.
"""
SIGNED = """\
title: {title}
prompt: a calm green meadow in the sun
mechanics: {{view: side, gravity: 1, speed: 1, hazards: 0, enemies: none, darkness: 0}}
objects:
  - {{kind: sign, image: poster.png, where: {{near: spawn}}}}
"""


def card(name: str, modality: str, *labels: str) -> DetectorCard:
    return DetectorCard(name, "1", modality, labels, "Apache-2.0", cost_ms=1.0)  # type: ignore[arg-type]


class Redness(Detector[Picture]):
    """Score: share of strongly red pixels."""

    card = card("redness", "picture", "red")

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        return [[Detection("red", red_share(item.pixels), item.at, item.at)] for item in batch]


class Stuck(Redness):
    """It began to look and does not come back, as a detector whose process was stopped."""

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        time.sleep(120)
        return super().predict(batch)


class Sluggish(Redness):
    """Slower than play brings new views, but it gets on: what a guard is on a machine that is too busy."""

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        time.sleep(1.2)
        return super().predict(batch)


class Broken(Redness):
    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        raise MemoryError("no room")


class Illiterate(Detector[Picture]):
    """Reads nothing: these tests have no writing."""

    card = card("ocr", "picture", "text")

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        return [[] for _ in batch]


class Deaf(Detector[Sound]):
    """Hears nothing: these tests have no speech."""

    card = card("speech", "sound", "speech")

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Sound]) -> list[list[Detection]]:
        return [[] for _ in batch]


def red_share(pixels: np.ndarray) -> float:
    red, green, blue = (pixels[..., channel].astype(int) for channel in range(3))
    return float(((red > 180) & (green < 90) & (blue < 90)).mean())


def bundle(text: str = POLICY) -> Bundle:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "policy.yaml"
        path.write_text(text)
        return load_bundle(path)


def inspector(redness: Callable[[], Detector[Picture]] = Redness) -> Inspector:
    """What the guard's process makes; the parameter is for those below."""
    return Inspector(scan.Detectors.of([redness(), Illiterate(), Deaf(), Flash()]), bundle())


def stuck_inspector() -> Inspector:
    return inspector(Stuck)


def sluggish_inspector() -> Inspector:
    return inspector(Sluggish)


def stored_inspector(home: Path) -> Inspector:
    """By the policy that is live in a store."""
    with closing(open_store(home)) as store:
        live = live_bundle(store)
    assert live is not None
    return Inspector(scan.Detectors.of([Redness(), Illiterate(), Deaf(), Flash()]), live)


def make_live(store: Store, folder: Path, text: str) -> None:
    """Let a policy be the live one of a store."""
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:8]}.yaml"
    path.write_text(text)
    made = load_bundle(path)
    with store.writing() as tx:
        keep(tx, made, path)
        for one in find_bundles(tx.connection, "live"):
            set_bundle_status(tx.connection, one.sha256, "retired", "ada", backtest=None)
        set_bundle_status(tx.connection, made.sha256, "live", "grace", backtest=None)


def broken_inspector() -> Inspector:
    return inspector(Broken)


def guards(make: Callable[[], Inspector] = inspector, **live: float) -> Callable[[Store], Guarded]:
    """What ``running`` takes: a guard with this inspector and these fields of the policy's ``live``."""
    return lambda store: guarded(store, make, lambda: LivePlay(**live))


def poster_world(title: str, colour: tuple[int, int, int]) -> WorldPackage:
    """A meadow with a poster of one colour (RGB) near the start."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "world.yaml").write_text(SIGNED.format(title=title))
        poster = np.full((96, 96, 3), colour[::-1], np.uint8)
        cv2.imwrite(str(Path(folder) / "poster.png"), poster)
        return load_package(Path(folder))
