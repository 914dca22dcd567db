"""Steps per second of an exported world in headless Chromium, with WebAssembly on one and two threads.

python benchmarks/browser_fps.py [FOLDER] [--weights FILE] [--frames 300] [--json FILE]

FOLDER is what ``firstplay worldmodel export --int8`` wrote; without one, a generated world is exported first.
A frame is a step and drawing it, as fast as they go one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.table import Table

from worldmodel.browser import server

WARM_UP = 20
PLAY = """
async ({ wish, frames }) => {
  const { Model } = await import("./model.js");
  const began = performance.now();
  const model = await Model.load(new URL(".", location.href), wish);
  const loaded = performance.now() - began;
  const size = model.world.about.frame_size;
  const context = new OffscreenCanvas(size, size).getContext("2d");
  const image = context.createImageData(size, size);
  image.data.fill(255);
  const times = [];
  for (let i = 0; i < frames; i += 1) {
    const start = performance.now();
    const { frame } = await model.step((i >> 3) % 8);
    for (let at = 0; at < size * size; at += 1)
      for (let c = 0; c < 3; c += 1) image.data[4 * at + c] = frame[c * size * size + at];
    context.putImageData(image, 0, 0);
    times.push(performance.now() - start);
  }
  return { times, loaded, way: model.way };
}
"""


@dataclass(frozen=True)
class Measured:
    """One way to run a graph; milliseconds."""

    graph: str
    provider: str
    threads: int
    load_ms: float
    p50_ms: float
    p95_ms: float
    fps: float
    """Frames per second over the whole run, warm-up apart."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--weights", type=Path, help="of a generated world; default: the package's")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = wanted.folder or _exported(Path(scratch), wanted.weights)
        rows = _measure(folder, wanted.chromium, wanted.frames)
    _print(rows, wanted.frames)
    if wanted.json:
        told = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "rows": [asdict(row) for row in rows]}
        wanted.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _exported(folder: Path, weights: Path | None) -> Path:
    from worldmodel.export_cli import write_export

    write_export(None, folder, weights, int8=True)
    return folder


def _measure(folder: Path, chromium: str, frames: int) -> list[Measured]:
    running = server(folder)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{running.server_address[1]}/noise.js"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        return [
            _run(browser, address, graph, threads, frames)
            for graph in ("step.onnx", "step.int8.onnx")
            if (folder / graph).is_file()
            for threads in (1, 2)
        ]


def _run(browser: Browser, address: str, graph: str, threads: int, frames: int) -> Measured:
    page = browser.new_page()
    page.goto(address)
    wish = {"threads": threads, "graph": graph}
    told = page.evaluate(PLAY, {"wish": wish, "frames": frames + WARM_UP})
    page.close()
    times = sorted(told["times"][WARM_UP:])
    return Measured(
        graph=graph,
        provider=told["way"]["provider"],
        threads=told["way"]["threads"],
        load_ms=told["loaded"],
        p50_ms=times[len(times) // 2],
        p95_ms=times[int(len(times) * 0.95)],
        fps=1000 * len(times) / sum(times),
    )


def _print(rows: list[Measured], frames: int) -> None:
    table = Table(title=f"Chromium, {frames} frames; load on this machine {os.getloadavg()[0]:.1f}")
    for heading in ("graph", "provider", "threads", "load ms", "p50 ms", "p95 ms", "fps"):
        table.add_column(heading, justify="right")
    for row in rows:
        numbers = (f"{row.load_ms:.0f}", f"{row.p50_ms:.1f}", f"{row.p95_ms:.1f}", f"{row.fps:.1f}")
        table.add_row(row.graph, row.provider, str(row.threads), *numbers)
    Console().print(table)


if __name__ == "__main__":
    main()
