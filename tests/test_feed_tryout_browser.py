"""A creator at a browser: plays the world, puts the simulator beside it, starts again elsewhere.

``FIRSTPLAY_SHOTS`` names a folder to keep the screenshots in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import Page

from feedapi.try_it import create_tryout
from tests.feed_home import serving
from tests.small_worlds import small_world
from tests.test_feed_browser import LIVE, keep, page, phone, pixels, until
from worldmodel.compiled import Mechanics
from worldmodel.simulator import Simulator

__all__ = ["page", "phone"]  # fixtures

FIELD = replace(
    small_world(
        """
        ########################
        #@..o....o.............#
        ########################
        """,
        Mechanics(coins_needed=2, day_length=150),
    ),
    title="Two Coins",
    notes={"understood": ["day and night: 10 s"], "inferred": ["speed 1"], "style": []},
    spawns=np.array([(1, 1), (14, 1)], dtype=np.int16),
)


class Forgetful(Simulator):
    """Right in all but one thing: its pictures are too dark."""

    def render(self, state):
        return super().render(state) // 2


@pytest.fixture
def url() -> Iterator[str]:
    with serving(create_tryout(FIELD, "two coins by day and night", Forgetful)) as address:
        yield address


def number(page: Page, name: str) -> int:
    return int(page.locator(f"#{name}").text_content() or 0)


def test_walk_collect_and_compare(url: str, page: Page) -> None:
    page.goto(url)
    page.wait_for_selector(LIVE, timeout=30_000)
    assert page.locator("canvas:visible").count() == 1
    before = pixels(page)

    page.keyboard.down("ArrowRight")
    until(lambda: number(page, "coins") == 1, page)
    assert pixels(page) != before
    assert page.locator(".log .chip.collect").count() == 1
    keep(page, "tryout")
    page.keyboard.press("b")
    until(lambda: (page.locator("#psnr").text_content() or "").endswith("dB"), page)
    page.keyboard.up("ArrowRight")
    steps = number(page, "steps")
    until(lambda: number(page, "steps") > steps + 10, page)

    assert page.locator("canvas:visible").count() == 3, "model, simulator, difference"
    assert page.locator("#beside").is_checked()
    assert page.locator("#place").text_content() == "same place"
    assert page.locator("#agreed").text_content().startswith("100.0 % of ")
    assert page.locator("#coins").locator("..").text_content().strip().endswith("of 2")
    truth = page.evaluate("document.getElementById('truth').toDataURL()")
    assert truth != pixels(page)
    keep(page, "tryout-beside")

    page.click("label.switch")
    assert page.locator("canvas:visible").count() == 1


def test_start_again_from_another_point_with_another_seed(url: str, page: Page) -> None:
    page.goto(url)
    page.wait_for_selector(LIVE, timeout=30_000)
    until(lambda: number(page, "steps") > 20, page)
    start = pixels(page)

    page.keyboard.press("r")
    until(lambda: number(page, "steps") < 15, page)
    page.select_option("#spawn", "1")
    page.locator("#seed").press_sequentially("5")
    page.locator("#seed").press("Enter")

    until(lambda: pixels(page) != start, page)
    until(page.locator("#notice").is_hidden, page)
    assert page.locator("#light").text_content() != ""


def test_what_was_understood_is_beside_the_world(url: str, page: Page) -> None:
    page.goto(url)

    assert page.locator(".about h1").text_content() == "Two Coins"
    assert page.locator(".words-list li").all_text_contents() == ["day and night: 10 s", "speed 1"]
    assert page.locator("text=Not looked at by anybody").is_visible()


def test_every_control_has_a_name_and_can_be_reached_by_the_tab_key(url: str, page: Page) -> None:
    page.goto(url)
    page.wait_for_selector(LIVE, timeout=30_000)
    page.locator(".brand").focus()
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))

    assert reached == ["beside", "spawn", "seed", "reset", "mute", "canvas"]
    for name in ["Simulator beside it", "Start at", "Seed"]:
        assert page.get_by_label(name, exact=True).count() == 1


def test_it_plays_by_touch_on_a_phone(url: str, phone: Page) -> None:
    phone.goto(url)
    phone.wait_for_selector(LIVE, timeout=30_000)
    phone.click("label.switch")
    button = phone.locator(".cross .right")
    button.dispatch_event("pointerdown", {"pointerId": 1, "pointerType": "touch", "isPrimary": True})
    until(lambda: number(phone, "coins") == 1, phone)
    button.dispatch_event("pointerup", {"pointerId": 1, "pointerType": "touch", "isPrimary": True})

    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    keep(phone, "tryout-phone")
