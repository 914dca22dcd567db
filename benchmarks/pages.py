"""The players' pages in Chromium: how soon a world plays, how fast the next one does, and play on the device.

    OMP_NUM_THREADS=1 python -m benchmarks.pages [--rounds 20] [--frames 300] [--json pages.json]

A server process with the neural model and the example worlds, without a guard, and one headless Chromium on
the same machine. ``landing`` is from the start of the navigation to the first painted frame of the feed, with
the model loaded and scripts in the browser's cache; ``next, key`` from the key press, ``next, swipe`` from
the finger's lift, to the first painted frame of the next world. ``by link`` is the plain way to compare with:
the page of a world, loaded as a whole. ``device`` steps, hashes and draws frames as fast as it can; its
frames are compared with the server's model, same start and same actions. Bars: landing 400 ms, next 250 ms,
15 frames a second, 2 grey levels in the mean, layout shift 0.05, 300 kB of script before the model.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import cv2
import httpx
import numpy as np
import torch
from playwright.sync_api import Browser, Page, Response, sync_playwright
from rich.console import Console
from rich.table import Table

from moderation.packages import pack
from moderation.states import WorldState
from moderation.store import Store, open_store
from policies.types import Bound, Coverage, Decision, Verdict
from worldmodel.compiler import compile_world
from worldmodel.models import load_model
from worldmodel.neural import NeuralWorldModel
from worldmodel.package import load_package
from worldmodel.runtime import LIBRARY_VERSION

EXAMPLES = Path(__file__).parent.parent / "examples"
ROAD = ("screening", "exploring", "scanning", "deciding", "cleared", "published")
COVERAGE = Coverage(20_000, 7_000, 60, 812, 3.0, 0.02, 0.051, "nothing new was found")
BOUNDS = (Bound("flashing", 0.93, 60, 0.052),)
SESSIONS = 4
COMPARED = 64
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
WATCH = """
    window.lived = [];
    window.lifted = 0;
    window.pressed = 0;
    window.shifted = 0;
    addEventListener("touchend", (event) => { window.lifted = event.timeStamp; }, true);
    addEventListener("keydown", (event) => { window.pressed = event.timeStamp; }, true);
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
    let alive = false; // play.js says it with every frame
    const look = () => {
      const before = alive;
      alive = document.documentElement.dataset.live === "yes";
      if (alive && !before) {
        requestAnimationFrame(() => setTimeout(() => window.lived.push(performance.now())));
      }
    };
    const what = { subtree: true, attributes: true, attributeFilter: ["data-live"] };
    new MutationObserver(look).observe(document, what);
"""
DEVICE = """
async ({ world, key, runtime, actions, frames }) => {
  const { fetchBundle, fetchGraph } = await import("/static/bundle.js");
  const { Watch } = await import("/static/watch.js");
  const { Model, worldOf } = await import("/player/model.js");
  const { header, data } = await fetchBundle(world, key, () => {});
  const began = performance.now();
  const graph = await fetchGraph(header.graph);
  const library = new URL(runtime, location.href).href;
  const model = await Model.open(worldOf(header.about, data), { library, graph });
  const loaded = performance.now() - began;
  const size = header.about.frame_size;
  const seen = [];
  for (const action of actions) seen.push(Array.from((await model.step(action)).frame));
  const watch = new Watch(header.guard.same, [btoa("x".repeat(60))]);
  const context = new OffscreenCanvas(size, size).getContext("2d", { alpha: false });
  const image = context.createImageData(size, size);
  image.data.fill(255);
  const times = [];
  for (let i = 0; i < frames; i += 1) {
    const start = performance.now();
    const { frame } = await model.step((i >> 3) % 8);
    watch.sees(frame, size);
    for (let at = 0; at < size * size; at += 1)
      for (let c = 0; c < 3; c += 1) image.data[4 * at + c] = frame[c * size * size + at];
    context.putImageData(image, 0, 0);
    times.push(performance.now() - start);
  }
  return { seen, times, loaded, seed: header.about.seed, way: model.way };
}
"""


@dataclass(frozen=True)
class Times:
    """One thing that was measured several times, in milliseconds."""

    what: str
    rounds: int
    p50: float
    p95: float
    bar: float | None

    @classmethod
    def of(cls, what: str, times: list[float], bar: float | None = None) -> Times:
        ordered = sorted(times)
        return cls(what, len(times), median(times), ordered[int(0.95 * (len(ordered) - 1))], bar)


@dataclass(frozen=True)
class Sizes:
    """What a page weighs, and how still it stands."""

    page: str
    script_kb: float
    """Of modules, as sent, before any model."""
    shift: float
    """Cumulative layout shift."""


@dataclass(frozen=True)
class OnDevice:
    """Play on the device."""

    provider: str
    threads: int
    load_ms: float
    step_p50_ms: float
    fps: float
    mean_difference: float
    """Of pixels, in grey levels of 255, greatest of the compared frames."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model = load_model("neural")
    with TemporaryDirectory() as folder:
        home = Path(folder)
        worlds = fill(home, model)
        with serving(home) as url, sync_playwright() as playwright:
            warm_up(url, worlds)
            browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
            times = [
                Times.of("landing", landing(browser, url, given.rounds), 400),
                Times.of("next, key", following(browser, url, given.rounds, swipe=False), 250),
                Times.of("next, swipe", following(browser, url, given.rounds, swipe=True), 250),
                Times.of("by link", by_link(browser, url, worlds, given.rounds)),
            ]
            sizes = [size_of(browser, url, page) for page in ("/", f"/worlds/{worlds[0]}")]
            device = on_device(browser, url, home, worlds[0], model, given.frames)
            sizes.append(size_of(browser, url, f"/worlds/{worlds[0]}/device"))
    show(times, sizes, device)
    if given.json:
        told = {"load": os.getloadavg()[0], "cores": os.cpu_count(), "times": [asdict(one) for one in times]}
        told |= {"sizes": [asdict(one) for one in sizes], "device": asdict(device)}
        given.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


# -- the server ---------------------------------------------------------------------------------------


def fill(home: Path, model: NeuralWorldModel) -> list[str]:
    """Publish the example worlds, as if the model's bots had played them; returns their ids."""
    store = open_store(home)
    paths = sorted(path.parent for path in EXAMPLES.glob("*/world.yaml"))
    worlds = [_publish(store, path, model) for path in paths]
    store.close()
    return worlds


def _publish(store: Store, path: Path, model: NeuralWorldModel) -> str:
    package = load_package(path)
    still = model.render(model.spawn([compile_world(package)], [0]))[0].permute(1, 2, 0).numpy()
    version, exploration, spec = package.sha256, f"e-{package.sha256}", package.spec
    blob, picture = store.blobs.put(pack(package)), cv2.imencode(".png", still[..., ::-1])[1].tobytes()
    with store.writing() as tx:
        tx.submit(version, spec.slug, spec.title, spec.prompt or "", {"title": spec.title}, blob, None)
        tx.add_exploration(exploration, version, 7, "neural", model.card.sha256, {"search_steps": 10})
        tx.set_exploration(version, exploration)
        cleared = Decision(Verdict.CLEARED, "default@1", "p" * 64, (), ("No rule fired.",), BOUNDS)
        tx.add_decision(version, exploration, cleared, COVERAGE, ())
        tx.set_thumbnail(version, store.blobs.put(picture))
    for state in ROAD:
        with store.writing() as tx:
            tx.transition(version, WorldState(state), "policy", f"on to {state}")
    return spec.slug


def _serve(home: Path, told: Connection) -> None:
    from feedapi.app import create_app
    from feedapi.server import Server, address, listen

    def load() -> NeuralWorldModel:
        torch.set_num_threads(1)
        return load_model("neural")

    listener = listen("127.0.0.1", 0)
    url = address(listener)
    Server(create_app(home, load, SESSIONS), lambda: told.send(url)).serve_on(listener)


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """The application in a process of its own; its URL."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(home, there))
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def warm_up(url: str, worlds: list[str]) -> None:
    """Load the model and compile the worlds, and pack the one that is played on the device."""
    for world in worlds:
        httpx.post(f"{url}/v1/worlds/{world}/sessions", timeout=60).raise_for_status()
    while httpx.post(f"{url}/v1/worlds/{worlds[0]}/device", timeout=60).status_code == 503:
        time.sleep(1)


# -- what is measured ---------------------------------------------------------------------------------


@contextmanager
def opened(browser: Browser, *, phone: bool = False) -> Iterator[Page]:
    """A page that notes when worlds come alive."""
    with browser.new_context(
        viewport=PHONE if phone else DESKTOP, has_touch=phone, is_mobile=phone
    ) as context:
        page = context.new_page()
        page.add_init_script(WATCH)
        yield page


def alive(page: Page, since: int) -> float:
    """When the next world came alive, on the page's clock; ``since`` came alive before."""
    page.wait_for_function("(since) => window.lived.length > since", arg=since, timeout=60_000)
    return float(page.evaluate("(since) => window.lived[since]", since))


def landing(browser: Browser, url: str, rounds: int) -> list[float]:
    """From the start of the navigation to the first painted frame."""
    with opened(browser) as page:
        return [_load(page, url) for _ in range(rounds + 1)][1:]


def by_link(browser: Browser, url: str, worlds: list[str], rounds: int) -> list[float]:
    """The same with the page of one world, another one each time."""
    with opened(browser) as page:
        paths = [f"{url}/worlds/{worlds[i % len(worlds)]}" for i in range(rounds + 1)]
        return [_load(page, path) for path in paths][1:]


def _load(page: Page, url: str) -> float:
    page.goto(url)
    found = alive(page, 0)
    page.wait_for_timeout(300)
    return found


def following(browser: Browser, url: str, rounds: int, *, swipe: bool) -> list[float]:
    """From the key press, or the finger's lift, to the first painted frame of the next world."""
    times: list[float] = []
    with opened(browser, phone=swipe) as page:
        act: Callable[[], object] = _swiper(page) if swipe else lambda: page.keyboard.press("PageDown")
        while len(times) < rounds:
            page.goto(url)
            alive(page, 0)
            for turn in range(1, min(8, rounds - len(times) + 1)):
                page.wait_for_timeout(1200)  # somebody looks at it; meanwhile the next one is made ready
                act()
                began = "window.lifted" if swipe else "window.pressed"
                times.append(alive(page, turn) - float(page.evaluate(began)))
    return times


def _swiper(page: Page) -> Callable[[], object]:
    browser = page.context.new_cdp_session(page)

    def touch(kind: str, y: int | None) -> None:
        points = [] if y is None else [{"x": 195, "y": y}]
        browser.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def swipe() -> None:
        touch("touchStart", 560)
        for step in range(1, 11):
            touch("touchMove", 560 - 46 * step)
            page.wait_for_timeout(8)
        touch("touchEnd", None)

    return swipe


def size_of(browser: Browser, url: str, path: str) -> Sizes:
    """Scripts that a page loads before any model, and how much it moves by itself in three seconds."""
    sizes: list[int] = []
    with opened(browser) as page:

        def count(answer: Response) -> None:
            if "/static/" in answer.url and answer.url.endswith(".js"):
                sizes.append(len(answer.body()))

        page.on("response", count)
        page.goto(url + path)
        alive(page, 0)
        page.wait_for_timeout(3000)
        return Sizes(path, sum(sizes) / 1000, float(page.evaluate("window.shifted")))


def on_device(
    browser: Browser, url: str, home: Path, world: str, model: NeuralWorldModel, frames: int
) -> OnDevice:
    """Steps, hashes and draws as fast as it can; compares frames with the server's model."""
    actions = np.random.default_rng(4).integers(0, 8, COMPARED).tolist()
    with opened(browser) as page:
        page.goto(f"{url}/worlds/{world}/device")
        about: dict[str, str] = page.evaluate("({ ...document.querySelector('[data-world]').dataset })")
        page.goto(
            f"{url}/device/runtime/{LIBRARY_VERSION}/ort.wasm.min.mjs"
        )  # as isolated, and plays nothing
        told = page.evaluate(DEVICE, {**about, "world": world, "actions": actions, "frames": frames})
    times = sorted(told["times"])
    return OnDevice(
        told["way"]["provider"],
        told["way"]["threads"],
        told["loaded"],
        median(times),
        1000 * len(times) / sum(times),
        _difference(home, world, model, int(told["seed"]), actions, told["seen"]),
    )


def _difference(
    home: Path, world: str, model: NeuralWorldModel, seed: int, actions: list[int], seen: list[list[int]]
) -> float:
    store = open_store(home)
    state, worst = model.spawn([store.compiled(world)], [seed]), 0.0
    store.close()
    for action, frame in zip(actions, seen, strict=True):
        state, right = model.step(state, torch.tensor([action]))
        assert right.frames is not None
        found = np.array(frame, np.int16).reshape(right.frames.shape[1:])
        worst = max(worst, float(np.abs(found - right.frames[0].numpy().astype(np.int16)).mean()))
    return worst


def show(times: list[Times], sizes: list[Sizes], device: OnDevice) -> None:
    console = Console()
    table = Table("ms", "rounds", "p50", "p95", "bar for p50", title=f"load {os.getloadavg()[0]:.1f}")
    for one in times:
        bar = "" if one.bar is None else f"{one.bar:.0f}"
        table.add_row(one.what, str(one.rounds), f"{one.p50:.0f}", f"{one.p95:.0f}", bar)
    console.print(table)
    table = Table("page", "script kB (bar 300)", "layout shift (bar 0.05)")
    for size in sizes:
        table.add_row(size.page, f"{size.script_kb:.0f}", f"{size.shift:.3f}")
    console.print(table)
    table = Table("on the device", "load ms", "step ms", "frames/s (bar 15)", "difference (bar 2)")
    way = f"{device.provider}, {device.threads} thread(s)"
    table.add_row(
        way,
        f"{device.load_ms:.0f}",
        f"{device.step_p50_ms:.1f}",
        f"{device.fps:.1f}",
        f"{device.mean_difference:.3f}",
    )
    console.print(table)


if __name__ == "__main__":
    main()
