"""How fast a moderator gets from a decision to the next clip, and by how many keys, in headless Chromium.

python benchmarks/moderators.py [--cases 20] [--json FILE]

Each case is opened, its shortest clip is watched to the end with the space bar held, a rule is marked, and
the world is rejected: then the next case is there. Time is from the last key to the animation frame after
the one in which the next clip's first frame is on screen. The baseline, in the same run, has the pages load
one after the other, as they would if nothing were fetched ahead. Bars: three keys, 150 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.sync_api import BrowserContext, Error, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from feedapi import bounds
from moderation.accounts import create_account, create_key
from moderation.pipeline import POLICY_VARIABLE
from moderation.store import Store
from tests.case_worlds import small_bundle
from tests.feed_home import Running, running
from tests.played_cases import played_case

KEYS_BAR, TIME_BAR = 3, 150.0
ANY = "1000000/minute"
"""Requests: what is measured is the console, not its limits."""
WATCH = """
(() => {
  const now = () => performance.timeOrigin + performance.now();
  const kept = (name, value) => sessionStorage.setItem(name, JSON.stringify(value));
  const known = (name, other) => JSON.parse(sessionStorage.getItem(name) ?? JSON.stringify(other));
  addEventListener("keydown", (event) => {
    if (event.repeat) return;
    kept("keys", known("keys", 0) + 1);
    kept("pressed", performance.timeOrigin + event.timeStamp);
  }, true);
  const bright = (video) => {
    const context = new OffscreenCanvas(8, 8).getContext("2d");
    context.drawImage(video, 0, 0, 8, 8);
    return context.getImageData(0, 0, 8, 8).data.some((value, at) => at % 4 < 3 && value > 0);
  };
  const look = () => {
    const shown = document.querySelector("main .case");
    const video = shown?.querySelector("video");
    const next = shown && shown.dataset.case !== known("case", null);
    if (next && video?.readyState >= 2 && bright(video)) {
      const times = known("times", []);
      kept("case", shown.dataset.case);
      requestAnimationFrame(() => kept("times", [...times, now() - known("pressed", now())]));
    }
    requestAnimationFrame(look);
  };
  look();
})();
"""

TIMES = "JSON.parse(sessionStorage.times ?? '[]')"
WATCHED = "(one => one.currentTime > 0.9 * one.duration)(document.querySelector('main .case video'))"


@dataclass(frozen=True)
class Measured:
    """One way to go on; milliseconds."""

    way: str
    decisions: int
    keys: float
    """Pressed for each decision, watching included."""
    p50_ms: float
    p95_ms: float
    most_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=20, help="for each way")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=wanted.chromium, args=["--no-sandbox"])
        rows = []
        for ahead in (False, True):
            home = Path(scratch) / str(ahead)
            screen = browser.new_context(viewport={"width": 1440, "height": 900})
            with served(home, wanted.cases + 1) as server, screen as context:
                rows.append(measured(context, server, wanted.cases, ahead=ahead))
        browser.close()
    show(rows)
    if wanted.json:
        told = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "rows": [asdict(row) for row in rows]}
        wanted.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


@contextmanager
def served(home: Path, cases: int) -> Iterator[Running]:
    """A server whose queue has so many cases of worlds that were played."""
    home.mkdir()
    bundle = small_bundle(home)
    os.environ[POLICY_VARIABLE] = str(home / "small.yaml")
    bounds.USUAL = dict.fromkeys(bounds.USUAL, ANY)
    with running(home) as server:
        create_account(server.services.store, "anna", ["moderator"])
        for number in range(cases):
            played_case(server.services.store, bundle, f"Meadow {number}", steps=24)
        yield server


def measured(context: BrowserContext, server: Running, cases: int, *, ahead: bool) -> Measured:
    """Decide so many cases; without ``ahead`` the browser may fetch nothing before it is needed."""
    page = context.new_page()
    sign_in(page, server, server.services.store)
    if not ahead:
        page.route("**/console/cases/*?ahead=true", lambda route: route.abort())
    page.add_init_script(WATCH)
    page.goto(f"{server.url}/console")
    page.keyboard.press("n")
    page.wait_for_url("**/console/cases/*")
    until(page, TIMES + ".length === 1")
    page.evaluate("sessionStorage.keys = 0")
    for number in range(cases):
        decide(page, number + 2, ahead=ahead)
    times: list[float] = sorted(page.evaluate(TIMES)[1:])
    keys: int = page.evaluate("JSON.parse(sessionStorage.keys)")
    return Measured(
        "fetched ahead" if ahead else "page after page",
        cases,
        keys / cases,
        statistics.median(times),
        times[min(len(times) - 1, int(len(times) * 0.95))],
        times[-1],
    )


def sign_in(page: Page, server: Running, store: Store) -> None:
    page.goto(f"{server.url}/sign-in?next=/console")
    page.get_by_label("API key").fill(create_key(store, "anna"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server.url}/console")


def decide(page: Page, seen: int, *, ahead: bool) -> None:
    """Watch the clip once, mark the first rule, reject; until clip number ``seen`` is there."""
    page.wait_for_selector("main .case[data-mine=true]")
    if ahead:
        following = page.locator("main .case").get_attribute("data-following")
        page.wait_for_selector(f"html[data-ahead='{following}']")
    page.keyboard.down(" ")
    until(page, WATCHED)
    page.keyboard.up(" ")
    page.keyboard.press("1")
    page.keyboard.press("r")
    until(page, f"{TIMES}.length === {seen}")


def until(page: Page, true: str, seconds: float = 30) -> None:
    """Ask the page until an expression holds: its content policy lets no script wait for it there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if page.evaluate(true):
                return
        except Error as error:
            if "context was destroyed" not in str(error):  # by the next page, which takes this one's place
                raise
        page.wait_for_timeout(10)
    raise TimeoutError(f"{true} does not come true")


def show(rows: list[Measured]) -> None:
    table = Table(title=f"From the decision to the next clip; load on this machine {os.getloadavg()[0]:.1f}")
    for heading in ("way", "decisions", "keys each", "p50 ms", "p95 ms", "most ms"):
        table.add_column(heading, justify="right")
    for row in rows:
        times = (f"{row.p50_ms:.0f}", f"{row.p95_ms:.0f}", f"{row.most_ms:.0f}")
        table.add_row(row.way, str(row.decisions), f"{row.keys:.1f}", *times)
    console = Console()
    console.print(table)
    last = rows[-1]
    met = last.keys <= KEYS_BAR and last.p50_ms <= TIME_BAR
    console.print(f"bars of {KEYS_BAR} keys and {TIME_BAR:.0f} ms (median) are {'met' if met else 'missed'}")


if __name__ == "__main__":
    main()
