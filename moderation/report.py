"""The report of a review: a static folder that opens from disk, without a server or the network.

The pipeline fills a :class:`ReviewReport` and has written clips and frames into the folder already;
:func:`write_report` adds the pages and the maps.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from bots.coverage import CoverageStats, map_share
from bots.statement import Inspection, Statement, statement
from policies.types import Coverage, Decision, Finding, Fired, Verdict

if TYPE_CHECKING:
    from jinja2 import Environment

    from moderation.report_charts import DrawnMap


@dataclass(frozen=True)
class ClipShot:
    """A recorded clip that shows a violation."""

    file: str
    """MP4, relative to the report's folder."""
    playthrough: str
    rules: tuple[str, ...]
    """Ids of the fired rules that it shows."""
    flagged: tuple[tuple[float, float], ...] = ()
    """Spans in seconds of the clip during which the violation shows."""
    offset: float = 0.0
    """Seconds of the playthrough at which the clip starts."""
    seconds: float = 0.0
    player: str = ""
    arm: str = ""
    replay: str = ""
    """Command that regenerates the playthrough: ``firstplay replay ...``."""
    reproduced: bool | None = None
    """Whether it was regenerated bit for bit before the report was written; None if not tried."""


@dataclass(frozen=True)
class FrameShot:
    """One picture of the film strip."""

    file: str
    """PNG, relative to the report's folder."""
    at: float = 0.0
    """Seconds into its playthrough."""
    playthrough: str = ""
    flagged: bool = False
    """Shown blurred until it is revealed."""


@dataclass(frozen=True)
class Route:
    """Where a playthrough went."""

    points: NDArray[np.float32]
    """(N, 2) x, y in tiles."""
    playthrough: str
    flagged: bool = True


@dataclass(frozen=True)
class Mark:
    """Where a finding was made, or an object stands."""

    x: float
    y: float
    """In tiles."""
    text: str


@dataclass(frozen=True)
class WorldMap:
    """What was explored, on the world's own picture."""

    picture: NDArray[np.uint8]
    """(H, W, 3) RGB of the canvas; ``CompiledWorld.picture``."""
    visits: NDArray[np.integer]
    """(rows, columns) of steps that all players spent in each tile."""
    routes: tuple[Route, ...] = ()
    marks: tuple[Mark, ...] = ()
    open: NDArray[np.bool_] | None = None
    """(rows, columns): tiles without a wall, connected to the start when doors are open; where known."""


@dataclass(frozen=True)
class DetectorRow:
    """What one detector did."""

    name: str
    version: str
    source: str
    """``media`` or ``playthrough``."""
    items: int
    findings: int = 0
    ok: bool = True
    error: str | None = None
    seconds: float = 0.0
    licence: str = ""
    recall: str = ""
    """Recall and its source, in words."""


@dataclass(frozen=True)
class StageTime:
    """How long one stage of the pipeline took."""

    name: str
    seconds: float
    note: str = ""
    """What was done, with its rate: ``60,000 steps, 9,800 a second``."""


@dataclass(frozen=True)
class Alike:
    """Another world that resembles one."""

    title: str
    likeness: float
    """0..1, by :func:`moderation.likeness.likeness`."""
    state: str
    """Of its version, such as ``rejected``."""


@dataclass(frozen=True)
class WorldReport:
    """Everything that a moderator sees about one world version."""

    title: str
    sha256: str
    """Of the version's content."""
    decision: Decision
    coverage: Coverage
    state: str = ""
    """State of the version after the decision, such as ``published``."""
    findings: Sequence[Finding] = ()
    """At least those that fired a rule; others are listed below them."""
    clips: Sequence[ClipShot] = ()
    frames: Sequence[FrameShot] = ()
    map: WorldMap | None = None
    search_curve: Sequence[tuple[int, int]] = ()
    """(steps, distinct cells) of the search arm, rising."""
    sample_curve: Sequence[tuple[int, int]] = ()
    """(steps, distinct cells) of the sample arm, rising."""
    player: str = "one fixed player"
    """Of the sample arm, with its version."""
    detectors: Sequence[DetectorRow] = ()
    stages: Sequence[StageTime] = ()
    prompt: str = ""
    understood: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """``CompiledWorld.notes``: what the prompt was understood to mean, what was inferred, what is style."""
    remix_of: str | None = None
    model: str = ""
    """Name, version and hash of the world model."""
    seed: int = 0
    commands: Sequence[tuple[str, str]] = ()
    """(what it does, command) besides the clips' own replay commands."""
    path: str = ""
    """The package as it was given on the command line."""
    alike: Sequence[Alike] = ()
    """Other worlds that look and are called most like it, most alike first."""


@dataclass(frozen=True)
class ReviewReport:
    """One run of ``firstplay review``."""

    worlds: Sequence[WorldReport]
    created: datetime
    """With a time zone."""
    version: str = ""
    """Of firstplay."""
    device: str = ""
    command: str = ""


class ReportError(ValueError):
    """A report that cannot be written as it was filled; says which field and what to do."""


def write_report(review: ReviewReport, folder: Path) -> Path:
    """Write ``index.html``, a page for each world and their maps; returns the path of the index.

    Raises ReportError where a file name would leave the folder, or a file that is named is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = [_Page(world, folder, _page_name(world, i)) for i, world in enumerate(review.worlds)]
    for page in pages:
        _render("world.html", folder / page.name, review=review, page=page, world=page.world)
    ordered = sorted(pages, key=lambda page: _ORDER[page.world.decision.verdict])
    return _render("index.html", folder / "index.html", review=review, pages=ordered, tally=_tally(pages))


_ORDER = {
    v: i
    for i, v in enumerate([Verdict.REJECTED, Verdict.NEEDS_REVIEW, Verdict.INCONCLUSIVE, Verdict.CLEARED])
}
_FIGURES = 6
"""Findings of a rule that are shown at once; the rest is a count."""


@dataclass(frozen=True)
class _RuleBlock:
    """A fired rule with what shows it."""

    fired: Fired
    findings: tuple[Finding, ...]
    more: int
    clips: tuple[ClipShot, ...]


class _Page:
    """What the template of one world reads besides the world itself."""

    def __init__(self, world: WorldReport, folder: Path, name: str) -> None:
        self.world = world
        self.name = name
        self.rules = _blocks(world)
        shown = {clip.file for rule in self.rules for clip in rule.clips}
        self.other_clips = tuple(clip for clip in world.clips if clip.file not in shown)
        self.map, self.map_file = _draw(world, folder, name)
        self.curves = _curves(world)
        self.statement = _statement(world)
        self.cover = next((f for f in world.frames if not f.flagged), next(iter(world.frames), None))
        _check_files(world, folder)

    @property
    def sample_seconds(self) -> float:
        """Length of one sample playthrough."""
        from worldmodel.constants import FPS

        return self.world.coverage.sample_steps / max(1, self.world.coverage.sample_episodes) / FPS

    @property
    def total_seconds(self) -> float:
        return sum(stage.seconds for stage in self.world.stages)


def _statement(world: WorldReport) -> Statement:
    coverage = CoverageStats(**{f.name: getattr(world.coverage, f.name) for f in fields(CoverageStats)})
    grounds = None if world.map is None else world.map.open
    return statement(
        Inspection(
            coverage=coverage,
            curves={"search": world.search_curve, "sample": world.sample_curve},
            player=world.player,
            map_share=None if world.map is None or grounds is None else map_share(grounds, world.map.visits),
            recalls={bound.rule: bound.recall for bound in world.decision.bounds},
            found=len(world.decision.fired),
        )
    )


def _blocks(world: WorldReport) -> tuple[_RuleBlock, ...]:
    by_id = {finding.id: finding for finding in world.findings}
    blocks = []
    for fired in world.decision.fired:
        known = _distinct([by_id[i] for i in fired.findings if i in by_id])
        clips = tuple(clip for clip in world.clips if fired.rule in clip.rules)
        more = len(fired.findings) - len(known[:_FIGURES])
        blocks.append(_RuleBlock(fired, known[:_FIGURES], more, clips))
    return tuple(blocks)


def _distinct(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """One finding for each thing that was read, heard or seen, in the given order."""
    first: dict[tuple[str, str, str | None], Finding] = {}
    for finding in findings:
        thing = finding.text or finding.playthrough or finding.media
        first.setdefault((finding.detector, finding.label, thing), finding)
    return tuple(first.values())


def _curves(world: WorldReport) -> Any:
    from moderation.report_charts import draw_curves

    return draw_curves([("search", world.search_curve), ("sample", world.sample_curve)])


def _draw(world: WorldReport, folder: Path, page: str) -> tuple[DrawnMap | None, str]:
    from moderation.report_charts import draw_map

    if world.map is None:
        return None, ""
    drawn = draw_map(world.map)
    name = f"{page.removesuffix('.html')}-map.png"
    drawn.picture.save(folder / name, optimize=True)
    return drawn, name


def _check_files(world: WorldReport, folder: Path) -> None:
    for file in [*(clip.file for clip in world.clips), *(frame.file for frame in world.frames)]:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or ":" in file or "\\" in file:
            raise ReportError(f"{world.title}: {file!r} leaves the report's folder; give a path inside it")
        if not (folder / path).is_file():
            raise ReportError(f"{world.title}: {file} is not in {folder}; write it before the report")


def _page_name(world: WorldReport, index: int) -> str:
    plain = unicodedata.normalize("NFKD", world.title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "world"
    return f"{slug}-{re.sub(r'[^0-9a-f]', '', world.sha256)[:8] or index}.html"


def _tally(pages: Sequence[_Page]) -> list[tuple[Verdict, int]]:
    verdicts = [page.world.decision.verdict for page in pages]
    return [(verdict, verdicts.count(verdict)) for verdict in _ORDER if verdict in verdicts]


def _render(template: str, target: Path, **values: Any) -> Path:
    html = _environment().get_template(f"report/{template}").render(**values)
    target.write_text(html, encoding="utf-8")
    return target


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("moderation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    assets = Path(__file__).parent / "templates" / "report"
    style, script = ((assets / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    environment.globals |= {
        "style": Markup(style),  # noqa: S704  # our own files, not what anybody gave
        "script": Markup(script),  # noqa: S704
        "script_hash": _csp_hash(script),
        "verdict_words": _VERDICTS,
    }
    environment.filters |= {
        "clock": _clock,
        "span": _span,
        "url": quote,
        "share": _share,
        "utc": lambda moment: moment.astimezone(UTC).strftime("%-d %B %Y, %H:%M UTC"),
        "clean": _clean,
    }
    return environment


_VERDICTS = {
    Verdict.CLEARED: ("Cleared", "It may be published."),
    Verdict.NEEDS_REVIEW: ("Needs a person", "A moderator must look before it can be published."),
    Verdict.REJECTED: ("Rejected", "It is not published."),
    Verdict.INCONCLUSIVE: ("Inconclusive", "Too little was looked at to say; it is not published."),
}


def _csp_hash(script: str) -> str:
    from base64 import b64encode

    return f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _clock(seconds: float) -> str:
    """Minutes and seconds with tenths: 1:02.5."""
    tenths = round(max(0.0, seconds) * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _span(seconds: float) -> str:
    """A length of time in words: 0.4 s, 12 s, 3 min 20 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _share(upper: float) -> str:
    """An upper limit on a share, as a count that people can picture; rounded up, never down."""
    if upper >= 1:
        return "any number of"
    for whole in (100, 1_000, 10_000):
        count = int(np.ceil(upper * whole - 1e-9))
        if count >= 2:
            return f"{count} in {whole:,}"
    return "1 in 10,000"


def _clean(text: str) -> str:
    """Without control characters and direction overrides, which could reorder what stands around."""
    kept = ("Cc", "Cf")
    return "".join(" " if unicodedata.category(c) in kept and c not in "\n\u200d" else c for c in text)
