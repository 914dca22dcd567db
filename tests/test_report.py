"""The HTML report: what it says, that it stands alone, and that nothing given by users runs in it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from moderation.report import (
    Alike,
    ClipShot,
    DetectorRow,
    FrameShot,
    Mark,
    ReportError,
    ReviewReport,
    Route,
    StageTime,
    WorldMap,
    WorldReport,
    write_report,
)
from moderation.report_charts import draw_curves, draw_map
from policies import Coverage, DetectorRun, Finding, Source, decide, load_bundle
from policies.cases import sufficient_coverage

HOSTILE = (
    "<img src=x onerror=alert(1)>\"'`&{{7*7}}</script></style><script>alert(2)</script>\u202egnp\x07"
    + "W" * 90
)
BUNDLE = load_bundle()
COVERAGE = replace(
    sufficient_coverage(BUNDLE),
    sample_steps=9_000,
    cells=1_234,
    unseen_mass=0.013,
    unseen_mass_upper=0.08,
    stop_reason="the discovery rate fell under the floor",
)
RUNS = [
    DetectorRun(name, "1", source, 40, ok=True)
    for name in BUNDLE.header.detectors
    for source in (Source.MEDIA, Source.PLAYTHROUGH)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A report's folder with a frame and a clip in it."""
    Image.fromarray(np.full((128, 128, 3), 90, np.uint8)).save(tmp_path / "frame.png")
    write_video(tmp_path / "clip.mp4")
    return tmp_path


def write_video(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=15)
        stream.width = stream.height = 128
        stream.pix_fmt = "yuv420p"
        for i in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((128, 128, 3), 8 * i, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def slur(text: str = "KEEP OUT") -> Finding:
    return Finding(
        "f1", "text", "1", "slur", 0.97, Source.PLAYTHROUGH, 0.4, 1.2, playthrough="abc123", text=text
    )


def world(title: str = "Back Room", *findings: Finding, **more: Any) -> WorldReport:
    visits = np.zeros((24, 64), np.int64)
    visits[7, 1:20] = 30
    values: dict[str, Any] = {
        "title": title,
        "sha256": "3f2a9c01d4e5aabb" * 4,
        "decision": decide(BUNDLE, findings, RUNS, COVERAGE),
        "coverage": COVERAGE,
        "findings": findings,
        "frames": [FrameShot("frame.png", 0.0), FrameShot("frame.png", 1.5, "abc123", flagged=True)],
        "map": WorldMap(
            np.full((384, 1024, 3), 120, np.uint8),
            visits,
            (Route(np.array([[1, 7], [9, 7], [19, 7]], np.float32), "abc123"),),
            (Mark(18.5, 2.0, f"sign {title}"),),
        ),
        "search_curve": [(1000, 100), (2000, 180), (3000, 200)],
        "sample_curve": [(300, 40), (9000, 120)],
        "detectors": [DetectorRow("ocr", "1", "playthrough", 240, 3, licence="Apache-2.0", seconds=2.5)],
        "stages": [StageTime("exploring", 12.0, "60,000 steps"), StageTime("scanning", 95.0)],
        "prompt": f"a dark cave, {title}",
        "understood": {"understood": ["dark", "cave"], "style": [title]},
        "commands": [("Review it again", "firstplay review examples/back-room")],
        "model": "neural 1",
        "seed": 7,
    }
    return WorldReport(**{**values, **more})


def bad_world(title: str = "Back Room", text: str = "KEEP OUT") -> WorldReport:
    shot = ClipShot(
        "clip.mp4",
        "abc123",
        ("slurs",),
        ((0.4, 1.2),),
        3.0,
        2.0,
        "sticky/1",
        "search",
        "firstplay replay abc123",
        True,
    )
    return world(title, slur(text), clips=[shot])


def review(*worlds: WorldReport) -> ReviewReport:
    return ReviewReport(
        worlds, datetime(2026, 3, 1, 12, 30, tzinfo=UTC), "0.1.0", "CPU", "firstplay review examples"
    )


def page_of(folder: Path, *worlds: WorldReport) -> str:
    """The page of the first of these worlds."""
    write_report(review(*worlds), folder)
    pages = sorted(p for p in folder.glob("*.html") if p.name != "index.html")
    return pages[0].read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text that people read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


# -- what it says -------------------------------------------------------------------------------------


def test_the_index_lists_every_world_worst_first_with_its_reasons(folder: Path) -> None:
    index = write_report(review(world("Lantern Caves"), bad_world()), folder)
    text = Elements(index.read_text(encoding="utf-8")).text
    assert index == folder / "index.html"
    assert text.index("Back Room") < text.index("Lantern Caves")
    assert "2 worlds reviewed" in text
    assert "“KEEP OUT” contains a slur (97% sure)" in text


def test_every_link_of_the_index_leads_to_a_page_and_back(folder: Path) -> None:
    index = write_report(review(world("Lantern Caves", sha256="a" * 64), bad_world()), folder)
    links = [a["href"] for a in Elements(index.read_text(encoding="utf-8")).named("a")]
    pages = [link for link in links if link and link.endswith(".html") and link != "index.html"]
    assert len(set(pages)) == 2
    for page in pages:
        assert {"href": "index.html"} in Elements((folder / page).read_text(encoding="utf-8")).named("a")


def test_a_rejected_world_shows_rule_clip_and_replay_command(folder: Path) -> None:
    page = Elements(page_of(folder, bad_world()))
    assert "Rejected" in page.text
    assert "Worlds contain no slurs" in page.text
    assert "firstplay replay abc123" in page.text
    assert "Regenerated bit for bit." in page.text
    (video,) = page.named("video")
    assert video["src"] == "clip.mp4"
    assert "controls" in video
    assert "muted" in video
    assert "autoplay" not in video


def test_a_clip_that_did_not_reproduce_says_so(folder: Path) -> None:
    bad = bad_world()
    page = page_of(folder, replace(bad, clips=[replace(bad.clips[0], reproduced=False)]))
    assert "Did not regenerate bit for bit" in page


def test_the_bound_is_in_words_and_says_what_it_leaves_out(folder: Path) -> None:
    text = Elements(page_of(folder, world())).text
    assert "11 in 100 sessions" in text  # flashing: 1 - 0.05 ** (1 / 30) over a recall of 0.95, rounded up
    assert "What this does not cover" in text
    assert "20 s each" in text


def test_coverage_curves_timings_prompt_and_trace_are_there(folder: Path) -> None:
    page = Elements(page_of(folder, world()))
    for words in (
        "1,234",
        "1.3 %",
        "1 min 35 s",
        "a dark cave",
        "Every rule",
        "search arm",
        'max("slur") = 0',
    ):
        assert words in page.text or any(words in (svg.get("aria-label") or "") for svg in page.named("svg"))


def test_a_failed_detector_is_named_with_its_error(folder: Path) -> None:
    row = DetectorRow(
        "ocr", "1", "playthrough", 0, ok=False, error="ModelMissing: run 'firstplay models fetch'"
    )
    text = Elements(page_of(folder, world(detectors=[row]))).text
    assert "failed ModelMissing: run 'firstplay models fetch'" in text


def test_what_there_is_none_of_is_left_out(folder: Path) -> None:
    bare = WorldReport("Bare", "b" * 64, decide(BUNDLE, [], [], Coverage()), Coverage())
    text = Elements(page_of(folder, bare)).text
    assert "Needs a person" in text
    assert "Where players went" not in text
    assert "What was found" in text
    assert "nan" not in text.lower().split()


def test_worlds_that_resemble_it_are_named_with_what_became_of_them(folder: Path) -> None:
    near = [Alike(HOSTILE, 0.93, "rejected"), Alike("Moss", 0.4, "needs_review")]
    text = Elements(page_of(folder, world("Back Room", alike=near))).text
    assert "93 % alike, rejected" in text.replace("\xa0", " ")
    assert "40 % alike, needs review" in text.replace("\xa0", " ")
    assert "Worlds most like it" not in Elements(page_of(folder, world("Back Room"))).text


def test_findings_of_one_thing_are_counted_not_repeated(folder: Path) -> None:
    many = [replace(slur(), id=f"f{i}", start=i / 10) for i in range(40)]
    assert "And 39 more findings like this." in Elements(page_of(folder, world("Back Room", *many))).text


def test_a_review_without_worlds_is_a_page_too(folder: Path) -> None:
    assert "0 worlds reviewed" in write_report(review(), folder).read_text(encoding="utf-8")


# -- standing alone, and safe -------------------------------------------------------------------------


def test_pages_load_nothing_from_elsewhere(folder: Path) -> None:
    page_of(folder, bad_world())
    for file in folder.glob("*.html"):
        html = file.read_text(encoding="utf-8")
        assert not re.search(r"(https?:)?//\w", re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))
        for _, attributes in Elements(html).tags:
            for source in filter(None, (attributes.get("src"), attributes.get("href"))):
                assert source.startswith("#") or (folder / source).is_file()


def test_hostile_words_stay_words(folder: Path) -> None:
    page_of(folder, bad_world(HOSTILE, HOSTILE))
    for file in folder.glob("*.html"):
        html = file.read_text(encoding="utf-8")
        elements = Elements(html)
        assert len(elements.named("script")) == 1
        assert not any("onerror" in attributes for _, attributes in elements.tags)
        assert "alert(1)" in elements.text
        assert "{{7*7}}" in elements.text
        assert "\u202e" not in html
        assert "\x07" not in html
        assert re.fullmatch(r"[a-z0-9-]+\.html", file.name)


@pytest.mark.parametrize(
    "file", ["../secret.png", "/etc/passwd", "a/../../b.png", "javascript:alert(1)", "..\\b.png"]
)
def test_files_outside_the_folder_are_refused(folder: Path, file: str) -> None:
    with pytest.raises(ReportError, match="leaves the report's folder"):
        write_report(review(world(frames=[FrameShot(file)])), folder)


def test_a_file_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(ReportError, match="write it before the report"):
        write_report(review(world(frames=[FrameShot("missing.png")])), folder)


def test_two_worlds_of_one_title_get_two_pages(folder: Path) -> None:
    write_report(review(world("Twin", sha256="a" * 64), world("Twin", sha256="b" * 64)), folder)
    assert len(list(folder.glob("twin-*.html"))) == 2


def test_a_title_without_latin_letters_still_names_a_page(folder: Path) -> None:
    write_report(review(world("洞窟")), folder)
    assert (folder / "world-3f2a9c01.html").is_file()


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_its_ground_keep_wcag_aa_contrast(theme: int) -> None:
    style = (Path("moderation/templates/report") / "report.css").read_text(encoding="utf-8")
    root = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)[theme]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", root))
    grounds = {"paper", "card"}
    pairs = [(ink, ground) for ink in ("ink", "soft", "leaf", "clay") for ground in grounds]
    pairs += [(hue, f"{hue}-wash") for hue in ("leaf", "clay", "amber", "slate")]
    pairs += [("ink", f"{hue}-wash") for hue in ("leaf", "clay", "amber", "slate")]
    assert {
        pair: contrast(*(colours[c] for c in pair))
        for pair in pairs
        if contrast(*map(colours.get, pair)) < 4.5
    } == {}
    assert contrast(colours["sun"], colours["card"]) >= 3  # lines and focus rings


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


# -- drawings -----------------------------------------------------------------------------------------


def test_the_map_is_bright_only_where_players_were() -> None:
    visits = np.zeros((24, 64), np.int64)
    visits[5:9, 5:9] = 10
    drawn = draw_map(WorldMap(np.full((384, 1024, 3), 200, np.uint8), visits))
    pixels = np.asarray(drawn.picture)
    assert pixels[7 * 16, 7 * 16].mean() > 2 * pixels[20 * 16, 40 * 16].mean()
    assert drawn.seen == pytest.approx(16 / (24 * 64))


def test_the_map_shows_no_more_than_can_be_reached() -> None:
    open_tiles = np.zeros((24, 64), bool)
    open_tiles[4:10, 4:20] = True
    visits = np.where(open_tiles, 1, 0)
    visits[:, 12:] = 0
    world_map = WorldMap(
        np.zeros((384, 1024, 3), np.uint8), visits, open=open_tiles, marks=(Mark(4, 4, "x"),)
    )
    drawn = draw_map(world_map)
    assert drawn.picture.size == ((16 + 4) * 16, (6 + 4) * 16)
    assert drawn.seen == pytest.approx(0.5)
    assert drawn.marks == ((32, 32, "x"),)


def test_a_route_breaks_where_a_portal_jumps() -> None:
    points = np.array([[1, 1], [2, 1], [40, 10], [41, 10]], np.float32)
    drawn = draw_map(
        WorldMap(np.zeros((384, 1024, 3), np.uint8), np.ones((24, 64), int), (Route(points, "p"),))
    )
    assert drawn.routes == (("M16 16 L32 16 M640 160 L656 160", "p"),)


def test_axes_end_on_round_numbers() -> None:
    curves = draw_curves([("search", [(10, 1), (58_000, 913)])])
    assert curves is not None
    assert curves.x.ticks == (0, 20_000, 40_000, 60_000)
    assert curves.y.ticks == (0, 500, 1_000)
    assert draw_curves([("search", [(1, 1)]), ("sample", [])]) is None


# -- in a browser -------------------------------------------------------------------------------------


def test_in_chromium_nothing_runs_overflows_or_shows_before_it_is_revealed(
    folder: Path, browser: Any
) -> None:
    write_report(review(bad_world(HOSTILE, HOSTILE)), folder)
    page = browser.new_page(viewport={"width": 360, "height": 740})
    noise: list[str] = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("dialog", lambda dialog: (noise.append(dialog.message), dialog.dismiss()))
    for file in sorted(folder.glob("*.html"), reverse=True):
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    world_page = next(p for p in folder.glob("*.html") if p.name != "index.html")
    page.goto(world_page.as_uri())
    video = page.locator("video").first
    assert not video.is_visible()
    page.get_by_text("Show this clip").first.click()
    assert video.is_visible()
    assert video.evaluate("v => v.muted && v.paused")
    page.locator("[data-seek]").first.click()
    page.wait_for_function("document.querySelector('video').currentTime >= 0.4")
    assert noise == []
    page.close()
