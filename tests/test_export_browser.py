"""An exported world in a browser: the same numbers as in Python, and a page that can be played.

``FIRSTPLAY_SHOTS`` names a folder to keep the screenshots in.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page

from feedapi.session import action_of
from feedapi.wire import Key
from tests.exported import exported, random_model, yards
from worldmodel.browser import server, write_site
from worldmodel.constants import MOVER_SLOTS
from worldmodel.export import STATE
from worldmodel.noise import dice

SEED, STEPS, WORLD = 2**62 + 12345, 30, 3
"""A seed that a number of JavaScript does not hold."""
PLAY = """
async ({ threads, actions }) => {
  const { Model } = await import("./model.js");
  const model = await Model.load(new URL(".", location.href), { threads });
  const seen = [];
  for (const action of actions) {
    const { frame, events, clip } = await model.step(action);
    const drawn = seen.length % 10 === 9 ? Array.from(frame) : null;
    seen.push({ frame: drawn, events: Array.from(events), clip });
  }
  const numbers = ([name, { data, dims }]) => [name, { data: Array.from(data, Number), dims }];
  return { seen, state: Object.fromEntries(Object.entries(model.state).map(numbers)), way: model.way };
}
"""


@contextmanager
def served(running: ThreadingHTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}/"
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    write_site(random_model(), yards()[WORLD], "step.onnx", folder, SEED)
    shutil.copy(exported(), folder / "step.onnx")
    return folder


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    with served(server(folder)) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which any error in a script fails the test."""
    errors: list[str] = []
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
    assert not errors


def expected(actions: list[int]) -> tuple[dict[str, torch.Tensor], list[Any]]:
    model = random_model()
    state, seen = model.spawn([yards()[WORLD]], [SEED]), []
    for action in actions:
        state, observation = model.step(state, torch.tensor([action]))
        seen.append(observation)
    return {name: getattr(state, name) for name in STATE}, seen


def test_dice_in_javascript_are_those_of_python(page: Page, site: str) -> None:
    rng = np.random.default_rng(0)
    seeds = [0, 1, -1, 2**63 - 1, -(2**63), *rng.integers(-(2**63), 2**63 - 1, 300).tolist()]
    steps = [0, 1, 2**40, *rng.integers(0, 10_000, len(seeds) - 3).tolist()]
    page.goto(site + "noise.js")
    rolled = page.evaluate(
        """async ({ seeds, steps, slots }) => {
             const { dice } = await import("./noise.js");
             return seeds.map((seed, i) => Array.from(dice(seed, steps[i], slots), Number));
           }""",
        {"seeds": [str(seed) for seed in seeds], "steps": [str(s) for s in steps], "slots": MOVER_SLOTS},
    )
    assert rolled == dice(torch.tensor(seeds), torch.tensor(steps), MOVER_SLOTS).tolist()


@pytest.mark.parametrize("threads", [1, 2])
def test_thirty_steps_in_the_browser_are_those_of_python(page: Page, site: str, threads: int) -> None:
    actions = np.random.default_rng(1).integers(0, 8, STEPS).tolist()
    page.goto(site + "noise.js")
    played = page.evaluate(PLAY, {"threads": threads, "actions": actions})
    state, observations = expected(actions)
    assert played["way"]["threads"] == min(threads, os.cpu_count() or 1)
    assert int(state["step"]) == STEPS
    assert not bool(state["done"])
    for name, right in state.items():
        found = torch.tensor(played["state"][name]["data"]).view(played["state"][name]["dims"])
        assert torch.equal(found.long(), right.long()), name
    for seen, right in zip(played["seen"], observations, strict=True):
        assert seen["events"] == right.events[0].int().tolist()
        assert seen["clip"] == int(right.clip)
        if seen["frame"] is None:
            continue
        difference = torch.tensor(seen["frame"]).view(right.frames.shape) - right.frames.int()
        assert int(difference.abs().max()) <= 2


def test_held_keys_are_the_actions_that_the_server_takes_them_for(page: Page, site: str) -> None:
    page.goto(site + "noise.js")
    found = page.evaluate(
        """async (sets) => {
             const { actionOf } = await import("./keys.js");
             return sets.map((keys) => actionOf(new Set(keys)));
           }""",
        [[key.name.lower() for key in Key if key in Key(bits)] for bits in range(32)],
    )
    assert found == [int(action_of(Key(bits))) for bits in range(32)]


def test_the_page_plays(page: Page, site: str) -> None:
    page.goto(site)
    page.wait_for_selector("html[data-live=yes]", timeout=60_000)
    page.keyboard.down("ArrowRight")
    page.wait_for_function("Number(document.getElementById('canvas').dataset.step) >= 40", timeout=120_000)
    assert "WebAssembly" in page.inner_text("#way")
    assert float(page.inner_text("#rate")) > 0
    assert page.inner_text("#title") == yards()[WORLD].title
    colours = page.evaluate(
        """() => new Set(document.getElementById("canvas").getContext("2d")
             .getImageData(0, 0, 128, 128).data).size"""
    )
    assert colours > 3, "there is a picture"
    if os.environ.get("FIRSTPLAY_SHOTS"):
        page.screenshot(path=Path(os.environ["FIRSTPLAY_SHOTS"]) / "browser.png")
    page.click("#again")
    page.wait_for_function("Number(document.getElementById('canvas').dataset.step) < 40", timeout=60_000)


def test_without_the_headers_one_thread_plays_and_the_page_says_so(page: Page, folder: Path) -> None:
    plain = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    with served(plain) as address:
        page.goto(address + "?threads=2")
        page.wait_for_selector("html[data-live=yes]", timeout=60_000)
        assert page.inner_text("#way") == "WebAssembly, 1 thread(s)"
        assert "One thread only" in page.inner_text("#note")


def test_without_webgpu_webassembly_plays_and_the_page_says_so(page: Page, site: str) -> None:
    page.goto(site + "?ep=webgpu")
    page.wait_for_selector("html[data-live=yes]", timeout=60_000)
    if page.inner_text("#way") != "WebGPU":
        assert "WebGPU is not to be had here" in page.inner_text("#note")
    page.wait_for_function("Number(document.getElementById('canvas').dataset.step) >= 3", timeout=60_000)


def test_a_graph_that_is_not_there_is_said_so(browser: Browser, site: str) -> None:
    page = browser.new_page()
    page.goto(site + "?graph=nothing.onnx")
    page.wait_for_selector("html[data-live=no]", timeout=60_000)
    assert "cannot be played here" in page.inner_text("#notice")
    page.close()
