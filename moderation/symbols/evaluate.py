"""Measuring the symbol network: ``python -m moderation.symbols.evaluate``.

Thresholds are chosen on the development split; the held-out split has themes, grounds, ways of drawing,
letters and kinds of look-alikes that training never saw.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from moderation.detectors.base import Picture
from moderation.detectors.symbols import LABELS, Symbols
from moderation.evaluation.metrics import wilson
from moderation.symbols.blocks import Built, BuiltWorld, built_world, plain_worlds
from moderation.symbols.emblems import BETWEEN, EMBLEMS, HATE, JUDGED, Rng
from moderation.symbols.maps import whole_map_pictures
from moderation.symbols.scenes import LOW_CONTRAST, SPLITS, Scene, Scenery, Split
from moderation.symbols.strokes import draw
from worldmodel.constants import FRAME, TILE, Tile

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld

RULES = {
    "reject": ("hate_symbol", 0.005),
    "review": ("hate_symbol", 0.02),
    "judge": ("ambiguous_symbol", 0.01),
}
"""What a policy can do with a label, and the share of the development split's look-alikes on which the
threshold for it may raise an alarm: for rejection half of the bar of 1 %, since new kinds will do worse."""
Thresholds = dict[str, float]
"""By rule."""
VIEW = FRAME // TILE


@dataclass(frozen=True)
class Case:
    """One picture, or all the pictures of one world, and the highest scores in it."""

    group: str
    """``symbol`` or ``harmless``."""
    mode: str
    kind: str
    hate: bool
    ambiguous: bool
    scores: dict[str, float]
    style: str = ""
    side: float = 0.0
    contrast: float = 442.0
    covered: bool = False


@dataclass(frozen=True)
class Rate:
    """So many of so many, with Wilson's 95 % interval."""

    hits: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.hits, self.of)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.hits / self.of:.3f} ({low:.3f}..{high:.3f}) of {self.of}"


# -- cases ----------------------------------------------------------------------------------------


class Measure:
    """Cases of one split, scored."""

    def __init__(self, split: Split, seed: int, each: int, detector: Symbols) -> None:
        self.split, self.each, self.detector = split, each, detector
        self.scenery = Scenery(split, seed)
        self.rng = np.random.default_rng((seed, 11, SPLITS.index(split)))
        self.worlds = plain_worlds(24, 10 * seed + SPLITS.index(split), evaluation=split == "held-out")

    def cases(self) -> list[Case]:
        """Everything that is measured."""
        scenes = [*self._scenes()]
        scored = self._scored([scene.pixels for scene in scenes])
        found = [_case(scene, scores) for scene, scores in zip(scenes, scored, strict=True)]
        return [*found, *self._built_worlds(), *self._harmless_worlds(), *self._backdrops()]

    def _scenes(self) -> Iterator[Scene]:
        scenery = self.scenery
        for kind in (*EMBLEMS, *BETWEEN):
            yield from (scenery.emblem(kind) for _ in range(self.each))
        yield from (scenery.temple_map() for _ in range(self.each))
        for kind in scenery.look_alikes:
            yield from (scenery.look_alike(kind) for _ in range(self.each))
        yield from (scenery.world() for _ in range(4 * self.each))

    def _scored(self, pictures: Sequence[NDArray[np.uint8]]) -> list[dict[str, float]]:
        found = self.detector([Picture(pixels) for pixels in pictures])
        return [dict.fromkeys(LABELS, 0.0) | {d.label: d.score for d in one} for one in found]

    def _built_worlds(self) -> Iterator[Case]:
        """Symbols built of tiles: the frame of a player beside them, and the whole map."""
        for number in range(2 * self.each):
            made = self._made(number, emblems=1, patterns=2)
            built = next((b for b in made.built if b.label), None)
            if built is None:
                continue
            frame = as_played(made.world, built, self.rng)
            if frame is not None:
                yield _built_case("built of tiles, in play", built, self._scored([frame])[0])
            yield _built_case("built of tiles, whole map", built, self._whole(made.world))

    def _harmless_worlds(self) -> Iterator[Case]:
        for number in range(self.each):
            made = self._made(number, emblems=0, patterns=3)
            for built in made.built:
                frame = as_played(made.world, built, self.rng)
                if frame is not None:
                    yield _built_case("built of tiles, in play", built, self._scored([frame])[0])
            yield _built_case("built of tiles, whole map", made.built[0], self._whole(made.world))
        for world in self.worlds:
            nothing = Built("nothing built", 0, (0, 0, 1, 1), Tile.EMPTY)
            yield _built_case("whole map", nothing, self._whole(world))

    def _backdrops(self) -> Iterator[Case]:
        """Symbols far larger than a frame, in the picture behind a world."""
        for number in range(self.each):
            kind = list(EMBLEMS)[number % len(EMBLEMS)]
            picture, side = _backdrop(kind, self.rng)
            made = self._made(number, emblems=0, patterns=0, backdrop=picture)
            label = EMBLEMS[kind].label
            hate, ambiguous = label in HATE, label in JUDGED
            yield Case(
                "symbol", "backdrop, whole map", kind, hate, ambiguous, self._whole(made.world), side=side
            )

    def _made(
        self, number: int, *, emblems: int, patterns: int, backdrop: NDArray[np.uint8] | None = None
    ) -> BuiltWorld:
        world = self.worlds[number % len(self.worlds)]
        held_out = self.split == "held-out"
        return built_world(
            world, self.rng, emblems=emblems, patterns=patterns, held_out=held_out, backdrop=backdrop
        )

    def _whole(self, world: CompiledWorld) -> dict[str, float]:
        """The highest scores of all pictures of a map."""
        scored = self._scored([picture.pixels for picture in whole_map_pictures(world)])
        return {label: max(scores[label] for scores in scored) for label in LABELS}


def _case(scene: Scene, scores: dict[str, float]) -> Case:
    return Case(
        group="symbol" if scene.label else "harmless",
        mode=scene.mode,
        kind=scene.kind,
        hate=scene.label in HATE,
        ambiguous=scene.label in JUDGED,
        scores=scores,
        style=scene.style,
        side=0.0 if scene.box is None else scene.box[2] - scene.box[0],
        contrast=scene.contrast,
        covered=scene.covered,
    )


def _built_case(mode: str, built: Built, scores: dict[str, float]) -> Case:
    group = "symbol" if built.label else "harmless"
    style = built.material.name.lower()
    return Case(
        group, mode, built.kind, built.label in HATE, built.label in JUDGED, scores, style, built.side
    )


def as_played(world: CompiledWorld, built: Built, rng: Rng) -> NDArray[np.uint8] | None:
    """(FRAME, FRAME, 3) what the simulator shows a player who stands in the open with all of it in view."""
    from worldmodel.simulator import Simulator

    tile = viewpoint(world, built, rng)
    if tile is None:
        return None
    simulator = Simulator()
    started = replace(world, key=f"{world.key}:{built}:{tile}", spawns=np.array([tile], np.int16))
    state = simulator.spawn([started], [int(rng.integers(2**31))])
    return np.ascontiguousarray(simulator.render(state)[0].permute(1, 2, 0).numpy())


def viewpoint(world: CompiledWorld, built: Built, rng: Rng) -> tuple[int, int] | None:
    """An open tile from where all of it is in view, if there is one."""
    height, width = world.tiles.shape
    ys, xs = np.nonzero(world.tiles == Tile.EMPTY)
    left, top = (np.clip(v - VIEW // 2 + 0.5, 0, n - VIEW) for v, n in ((xs, width), (ys, height)))
    x0, y0, x1, y1 = built.box
    good = np.flatnonzero((left <= x0) & (x1 <= left + VIEW) & (top <= y0) & (y1 <= top + VIEW))
    if not len(good):
        return None
    chosen = int(rng.choice(good))
    return int(xs[chosen]), int(ys[chosen])


def _backdrop(kind: str, rng: Rng) -> tuple[NDArray[np.uint8], float]:
    """(384, 1024, 4) a picture with one symbol of 150 to 340 pixels, and that size."""
    import cv2

    side = float(rng.uniform(150, 340))
    mask = cv2.resize(draw(EMBLEMS[kind].draw(rng)), (round(side), round(side)), interpolation=cv2.INTER_AREA)
    ground, first, second = rng.integers(0, 256, (3, 3))
    while np.linalg.norm(first - second) < 120 or np.linalg.norm(first - ground) < 120:
        ground, first, second = rng.integers(0, 256, (3, 3))
    picture = np.full((384, 1024, 4), 255, np.float32)
    picture[..., :3] = ground
    x, y = int(rng.integers(0, 1024 - len(mask))), int(rng.integers(0, 384 - len(mask)))
    spot = picture[y : y + len(mask), x : x + len(mask), :3]
    for ink, colour in ((1, second), (0, first)):
        spot += (colour - spot) * (mask[..., ink, None] / 255)
    return picture.astype(np.uint8), side


# -- thresholds and tables ------------------------------------------------------------------------


def threshold(cases: Iterable[Case], rule: str) -> float:
    """The lowest at which the share of frames of look-alikes with an alarm is at most the rule's."""
    label, share = RULES[rule]
    scores = np.array([c.scores[label] for c in cases if _looks_alike(c)])
    return float(np.ceil(1000 * np.quantile(scores, 1 - share)) / 1000)


def _looks_alike(case: Case) -> bool:
    return case.group == "harmless" and case.mode != "world" and "map" not in case.mode


def fires(rule: str, thresholds: Thresholds) -> Callable[[Case], bool]:
    """Whether a rule catches a case."""
    label = RULES[rule][0]
    return lambda case: case.scores[label] >= thresholds[rule]


def caught(thresholds: Thresholds) -> Callable[[Case], bool]:
    """Whether any rule catches a case, so that no world with it is cleared unseen."""
    return lambda case: any(fires(rule, thresholds)(case) for rule in RULES)


def rates(cases: Iterable[Case], key: Callable[[Case], str], hit: Callable[[Case], bool]) -> dict[str, Rate]:
    """The share of hits by key."""
    counts: dict[str, list[int]] = {}
    for case in cases:
        count = counts.setdefault(key(case), [0, 0])
        count[0] += hit(case)
        count[1] += 1
    return {name: Rate(*count) for name, count in counts.items()}


def tables(cases: Sequence[Case], thresholds: Thresholds) -> dict[str, dict[str, Rate]]:
    """Rates by symbol, mode, size and drawing, and of alarms by look-alike, for each rule."""
    hateful = [c for c in cases if c.hate]
    drawn = [c for c in hateful if c.mode in ("drawn", "on a sign") and c.kind not in BETWEEN]
    judged = [c for c in cases if c.ambiguous]
    harmless = [c for c in cases if c.group == "harmless"]
    reject, anything = fires("reject", thresholds), caught(thresholds)
    found = {
        "reject: recall by symbol": rates(hateful, _kind, reject),
        "any rule: recall by symbol": rates([*hateful, *judged], _kind, anything),
        "reject: recall by size": rates(drawn, lambda c: _size(c.side), reject),
        "reject: recall by drawing": rates(drawn, lambda c: c.style, reject),
        "reject: recall by difficulty": rates(drawn, _difficulty, reject),
        "judge: recall by symbol": rates(judged, _kind, fires("judge", thresholds)),
        "reject: alarms on those to judge": rates(judged, _kind, reject),
    }
    alarms = {
        f"{rule}: alarms by look-alike": rates(harmless, _kind, fires(rule, thresholds)) for rule in RULES
    }
    return {**found, **alarms}


def _kind(case: Case) -> str:
    """What it is and, where it is not simply drawn, how it is shown."""
    return case.kind if case.mode in ("drawn", "on a sign", "world") else f"{case.kind}, {case.mode}"


def _size(side: float) -> str:
    return "24 to 35 pixels" if side < 36 else "36 to 63 pixels" if side < 64 else "64 to 124 pixels"


def _difficulty(case: Case) -> str:
    if case.covered:
        return "partly covered"
    return "low contrast" if case.contrast < LOW_CONTRAST else "plain"


def summary(cases: Sequence[Case], thresholds: Thresholds) -> dict[str, Rate]:
    """The bars: what each rule catches in frames and on whole maps, and of look-alikes and plain worlds."""
    frames = [c for c in cases if "map" not in c.mode and c.kind not in BETWEEN]
    maps = [c for c in cases if "map" in c.mode]
    groups = {
        "frames, hateful, drawn": [c for c in frames if c.hate and "built" not in c.mode],
        "frames, hateful, built of tiles": [c for c in frames if c.hate and "built" in c.mode],
        "frames, to judge": [c for c in frames if c.ambiguous],
        "frames, look-alikes": [c for c in frames if _looks_alike(c)],
        "frames, plain worlds": [c for c in frames if c.mode == "world"],
        "maps, hateful, built of tiles": [c for c in maps if c.hate and "built" in c.mode],
        "maps, hateful, in the backdrop": [c for c in maps if c.hate and "backdrop" in c.mode],
        "maps, to judge": [c for c in maps if c.ambiguous],
        "maps, harmless": [c for c in maps if c.group == "harmless"],
    }
    rules = {rule: fires(rule, thresholds) for rule in RULES} | {"any rule": caught(thresholds)}
    return {
        f"{name}: {rule}": Rate(sum(map(fired, some)), len(some))
        for name, some in groups.items()
        for rule, fired in rules.items()
        if some
    }


def report(cases: Sequence[Case], thresholds: Thresholds) -> str:
    """Everything as text."""
    lines = [f"thresholds: {thresholds}"]
    for title, table in {"summary": summary(cases, thresholds), **tables(cases, thresholds)}.items():
        lines += ["", title, *(f"  {name:60} {rate}" for name, rate in sorted(table.items()))]
    return "\n".join(lines)


def main(
    split: Annotated[
        str, typer.Argument(help="development, which sets thresholds, or held-out.")
    ] = "development",
    thresholds: Annotated[Path, typer.Option(help="Where the thresholds are kept.")] = Path(
        "runs/symbols/thresholds.json"
    ),
    out: Annotated[Path | None, typer.Option(help="A JSON file for every case.")] = None,
    each: Annotated[int, typer.Option(min=10, help="Pictures of each kind.")] = 80,
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Measure the shipped weights on a split and print the tables."""
    chosen: Split = next((name for name in SPLITS[1:] if name == split), "development")
    if chosen != split:
        raise typer.BadParameter(f"there is no split {split!r}: development or held-out")
    if chosen == "held-out" and not thresholds.exists():
        raise typer.BadParameter(f"{thresholds} is not there: measure the development split first")
    cases = Measure(chosen, seed, each, Symbols()).cases()
    if chosen == "development":
        thresholds.parent.mkdir(parents=True, exist_ok=True)
        thresholds.write_text(json.dumps({rule: threshold(cases, rule) for rule in RULES}))
    typer.echo(report(cases, json.loads(thresholds.read_text())))
    if out is not None:
        out.write_text(json.dumps([asdict(case) for case in cases]))


if __name__ == "__main__":
    typer.run(main)
