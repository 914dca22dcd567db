"""How fast and how well known pictures are found again.

python benchmarks/known_pictures.py [--sizes 1000 100000 1000000] [--json FILE]

First, how long a picture takes against banks of many random hashes, on one thread, beside comparing all
hashes in full in the same run. Then, for each way to alter a picture, which share of altered copies still
matches, and how many pairs of different pictures match: for pictures with the spectrum of photographs (noise
of 1 / f), and for drawings of six kinds and views of play in the example worlds. All have 256 x 256 pixels.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from moderation.banks import Banks, Entry
from moderation.detectors.known import Index, hashes_of
from moderation.pdq import MATCH, QUALITY, Hash, from_hex, pdq, to_hex
from worldmodel.compiler import compile_world
from worldmodel.constants import ACTIONS
from worldmodel.gallery import drawing
from worldmodel.models import load_model
from worldmodel.package import load_package

EXAMPLES = Path(__file__).parent.parent / "examples"
SIDE = 256
FAMILIES, EACH = 6, 20

Picture = NDArray[np.uint8]


def _jpeg(picture: Picture) -> Picture:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 20])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _resized(picture: Picture, factor: float) -> Picture:
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)


def _shaded(picture: Picture, gain: float, lift: float) -> Picture:
    return np.clip(picture * gain + lift, 0, 255).astype(np.uint8)


def _cropped(picture: Picture, share: float) -> Picture:
    edge = round(SIDE * share / 2)
    return picture[edge:-edge, edge:-edge].copy()


def _captioned(picture: Picture) -> Picture:
    altered = picture.copy()
    altered[-SIDE // 10 :] = 255
    cv2.putText(altered, "look at this", (20, SIDE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 2)
    return altered


def _rotated(picture: Picture, degrees: float) -> Picture:
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(picture, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT), np.uint8)


ALTERED: dict[str, Callable[[Picture], Picture]] = {
    "JPEG, quality 20": _jpeg,
    "a third of the size": lambda p: _resized(p, 1 / 3),
    "twice the size": lambda p: _resized(p, 2),
    "brighter": lambda p: _shaded(p, 0.8, 50),
    "more contrast": lambda p: _shaded(p, 1.4, -50),
    "grey": lambda p: np.repeat(p.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2),
    "blurred": lambda p: np.asarray(cv2.GaussianBlur(p, (0, 0), 2), np.uint8),
    "mirrored": lambda p: p[:, ::-1].copy(),
    "turned by a quarter": lambda p: np.rot90(p).copy(),
    "a caption over a tenth": _captioned,
    "2 % cropped": lambda p: _cropped(p, 0.02),
    "5 % cropped": lambda p: _cropped(p, 0.05),
    "10 % cropped": lambda p: _cropped(p, 0.10),
    "rotated by 1 degree": lambda p: _rotated(p, 1),
    "rotated by 3 degrees": lambda p: _rotated(p, 3),
}


@torch.no_grad()
def views() -> list[Picture]:
    """Two moments of play in each example world."""
    model, rng = load_model("simulator"), np.random.default_rng(0)
    seen = []
    for path in sorted(EXAMPLES.glob("*/world.yaml")):
        world = compile_world(load_package(path.parent))
        state = model.spawn([world] * 2, [1, 2], [0, len(world.spawns) - 1])
        for _ in range(30):
            state, shown = model.step(state, torch.from_numpy(rng.integers(ACTIONS, size=2)))
        assert shown.frames is not None
        seen += [
            np.kron(frame.permute(1, 2, 0).numpy(), np.ones((2, 2, 1), np.uint8)) for frame in shown.frames
        ]
    return seen


def drawings() -> list[Picture]:
    """Patterns in three colours."""
    rng = np.random.default_rng(0)
    return [drawing(family, SIDE, rng)[..., :3].copy() for family in range(FAMILIES) for _ in range(EACH)]


def like_photographs(count: int = 100) -> list[Picture]:
    """Noise whose amplitude falls with frequency as that of photographs does (Field 1987)."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(count, 3, SIDE, SIDE))) / frequency, (SIDE, SIDE))
    noise = noise[:, :1] + 0.3 * noise  # colours of one scene go together
    planes = 128 + 50 * noise / noise.std(axis=(1, 2, 3), keepdims=True)
    return list(np.moveaxis(np.clip(planes, 0, 255), 1, 3).astype(np.uint8))


def index_of(hashes: list[str]) -> Index:
    """The index of a bank with these hashes."""
    with tempfile.TemporaryDirectory() as folder:
        banks = Banks(Path(folder))
        banks.add("bank", [Entry(digits) for digits in hashes])
        return Index(banks.compared())


def in_full(table: Hash, turned: Hash) -> int:
    """The baseline: every bit of every hash."""
    return sum(int((np.bitwise_count(table ^ hash_).sum(axis=1) <= MATCH).sum()) for hash_ in turned)


def timed(run: Callable[[], object], repeats: int = 5) -> float:
    """Milliseconds of processor time, median."""
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        run()
        taken.append(time.process_time() - begun)
    return float(np.median(taken)) * 1000


def speed(size: int, picture: Picture) -> dict[str, float]:
    """Against a bank of ``size`` random hashes: seconds to load it, and milliseconds to look it up."""
    digits = np.random.default_rng(size).bytes(32 * size).hex()
    hashes = [digits[64 * n : 64 * n + 64] for n in range(size)]
    begun = time.process_time()
    index = index_of(hashes)
    loaded = time.process_time() - begun
    table, turned = np.stack([from_hex(one) for one in hashes]), hashes_of(picture)[0]
    return {
        "load_s": loaded,
        "ms": timed(lambda: index.near(turned)),
        "in_full_ms": timed(lambda: in_full(table, turned)),
    }


def recall(pictures: list[Picture]) -> dict[str, float]:
    """For each alteration the share of pictures that still match, and of pairs that wrongly do."""
    own = [to_hex(pdq(picture)[0]) for picture in pictures]
    index = index_of(sorted(set(own)))
    told = {}
    for name, alter in ALTERED.items():
        near = [index.near(hashes_of(alter(picture))[0]) for picture in pictures]
        hits = [any(m.entry.hash == one for m in some) for one, some in zip(own, near, strict=True)]
        told[name] = float(np.mean(hits))
    apart = [(int(one, 16) ^ int(other, 16)).bit_count() for one, other in combinations(own, 2)]
    return told | {"different pictures": float(np.mean([bits <= MATCH for bits in apart]))}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--json", type=Path, help="write all numbers here")
    wanted = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    sets = {"like photographs": like_photographs(), "drawings": drawings(), "views of play": views()}
    # What has too little in it is never compared.
    sets = {name: [one for one in some if pdq(one)[1] > QUALITY] for name, some in sets.items()}
    speeds = {size: speed(size, sets["drawings"][0]) for size in wanted.sizes}
    table = Table("hashes", "load, s", "look up, ms", "in full, ms", title="One picture, turned in 8 ways")
    for size, row in speeds.items():
        table.add_row(f"{size:,}", *(f"{number:,.2f}" for number in row.values()))
    Console().print(table)
    recalls = {name: recall(some) for name, some in sets.items()}
    found = Table("share that matches", *(f"{len(some)} {name}" for name, some in sets.items()))
    for name in (*ALTERED, "different pictures"):
        found.add_row(name, *(f"{told[name]:.3f}" for told in recalls.values()))
    Console().print(found)
    if wanted.json:
        told = {"speed": speeds, "recall": recalls}
        wanted.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
