"""The feed at a browser: worlds play as they come into view, by key, wheel, swipe and gamepad.

``FIRSTPLAY_SHOTS`` names a folder to keep the screenshots in.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Request

from feedapi.pages import FIRST, STATIC, modules
from tests.axe import violations_in_both_schemes
from tests.feed_home import Running, fill, running
from tests.feed_pages import DESKTOP, LIVE, PHONE, keep, until, watched

TITLES = [f"Meadow {number}" for number in range(FIRST + 3)]
SMALLEST = {**PHONE, "viewport": {"width": 360, "height": 640}}
SHIFTS = """
    window.shifted = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
"""
GAMEPAD = """
    const buttons = Array.from({ length: 17 }, () => ({ pressed: false }));
    window.pad = { mapping: "standard", axes: [0, 0], buttons };
    navigator.getGamepads = () => [window.pad, null, null, null];
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    green = np.full((128, 128, 3), (60, 140, 90), np.uint8)
    fill(tmp_path / "home", dict.fromkeys(TITLES, "published"), cv2.imencode(".png", green)[1].tobytes())
    with running(tmp_path / "home", capacity=1) as here:
        yield here


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with watched(browser, **DESKTOP) as page:
        yield page


def opened(page: Page, server: Running) -> Page:
    page.goto(server.url)
    page.wait_for_selector(LIVE, timeout=30_000)
    return page


def title(page: Page) -> str:
    """Of the world in view."""
    return page.locator(".slide:not([inert]) h2").inner_text()


def swipe_up(phone: Page) -> None:
    """A finger's way over more than half the screen: a shorter one must be quick to count."""
    browser = phone.context.new_cdp_session(phone)
    touch = [{"type": "touchStart", "y": 560}]
    touch += [{"type": "touchMove", "y": 560 - 40 * step} for step in range(1, 13)]
    for one in touch:
        points = [{"x": 195, "y": one["y"]}]
        browser.send("Input.dispatchTouchEvent", {"type": one["type"], "touchPoints": points})
        phone.wait_for_timeout(12)
    browser.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def x(server: Running) -> int:
    state = server.services.arena._state
    assert state is not None
    return int(state.position[0, 0])


def test_the_first_world_plays_as_the_page_opens(server: Running, page: Page) -> None:
    opened(page, server)
    start = x(server)

    page.keyboard.down("ArrowRight")
    until(lambda: x(server) > start + 32, page)

    assert title(page) in TITLES
    keep(page, "feed")


@pytest.mark.parametrize(
    ("on", "back"), [("PageDown", "PageUp"), ("j", "k"), ("Shift+ArrowDown", "Shift+ArrowUp")]
)
def test_keys_bring_the_next_world_and_the_one_before(
    server: Running, page: Page, on: str, back: str
) -> None:
    """The only place of this server is free again as soon as a world is left."""
    first = title(opened(page, server))

    page.keyboard.press(on)
    page.wait_for_selector(LIVE, timeout=10_000)
    second = title(page)
    page.keyboard.press(back)
    page.wait_for_selector(LIVE, timeout=10_000)

    assert second != first
    assert title(page) == first
    assert [session.world_id for session in server.services.arena.members()] == [
        first.lower().replace(" ", "-")
    ]


def test_the_wheel_turns_one_world_at_a_time(server: Running, page: Page) -> None:
    first = title(opened(page, server))
    page.mouse.move(500, 400)

    for _ in range(3):  # one turn of a wheel is several events
        page.mouse.wheel(0, 60)
    page.wait_for_selector(LIVE, timeout=10_000)

    assert title(page) != first
    assert page.evaluate("document.querySelector('.feed').scrollTop / innerHeight") < 1


def test_a_swipe_on_the_picture_brings_the_next_world(server: Running, browser: Browser) -> None:
    with watched(browser, **PHONE) as phone:
        first = title(opened(phone, server))

        swipe_up(phone)

        until(lambda: title(phone) != first, phone)
        phone.wait_for_selector(LIVE, timeout=10_000)

        keep(phone, "feed-phone")


def test_the_ticket_of_the_next_world_is_there_before_it_is_wanted(server: Running, page: Page) -> None:
    with page.expect_request(lambda request: request.url.endswith("/sessions")):
        page.goto(server.url)
    with page.expect_request(lambda request: request.url.endswith("/sessions")) as ahead:
        page.wait_for_selector(LIVE, timeout=30_000)
    ready = ahead.value.url.split("/")[-2]
    ahead.value.response()

    with page.expect_websocket() as socket:
        page.keyboard.press("PageDown")

    assert f"/{ready}/play?ticket=" in socket.value.url


def test_a_gamepad_walks_and_its_shoulder_brings_the_next_world(server: Running, page: Page) -> None:
    page.add_init_script(GAMEPAD)
    first, start = title(opened(page, server)), x(server)
    page.evaluate("window.dispatchEvent(new Event('gamepadconnected'))")

    page.evaluate("pad.axes[0] = 1")
    until(lambda: x(server) > start + 32, page)
    page.evaluate("pad.axes[0] = 0; pad.buttons[5].pressed = true")

    until(lambda: title(page) != first, page)


def test_more_worlds_are_asked_for_on_the_way_and_the_end_says_so(server: Running, page: Page) -> None:
    seen = [title(opened(page, server))]
    for _ in TITLES[1:]:
        page.keyboard.press("PageDown")
        until(lambda: title(page) != seen[-1], page)
        seen.append(title(page))
    page.keyboard.press("PageDown")

    page.wait_for_selector("text=You have seen every world that is cleared.")
    assert sorted(seen) == TITLES
    until(lambda: not server.services.arena.members(), page)


def test_what_was_seen_and_played_is_told_to_the_ranking(server: Running, page: Page) -> None:
    told: list[dict[str, str]] = []

    def listen(request: Request) -> None:
        if request.url.endswith("/interactions"):
            told.extend(request.post_data_json["items"])

    page.on("request", listen)
    opened(page, server)
    page.keyboard.press("PageDown")
    page.wait_for_selector(LIVE, timeout=10_000)

    until(lambda: len(server.services.store.feed.impressions(0.0)) == 2, page)

    assert [one["kind"] for one in told] == ["seen", "played", "seen", "played"]
    assert all(one["session"] for one in told if one["kind"] == "played")


def test_a_report_is_said_and_told(server: Running, page: Page) -> None:
    opened(page, server)

    page.keyboard.press("r")

    page.wait_for_selector("text=Reported. Thank you")


def test_the_whole_label_opens_over_the_feed(server: Running, page: Page) -> None:
    opened(page, server)
    seal = page.locator(".slide:not([inert]) .seal").inner_text()
    assert "≤ 5.1 % unseen" in seal.replace("\N{NO-BREAK SPACE}", " ")

    page.locator(".slide:not([inert]) .seal").click()

    page.wait_for_selector("dialog[open] >> text=Not seen by them")
    page.wait_for_selector("dialog[open] >> text=Watched in full")


def test_a_link_is_copied_where_the_device_shares_nothing(server: Running, page: Page) -> None:
    page.add_init_script(
        "delete Navigator.prototype.share;"
        "navigator.clipboard.writeText = async (text) => { window.copied = text; };"
    )
    opened(page, server)

    page.locator(".slide:not([inert]) [data-do=share]").click()

    page.wait_for_selector("text=The link is copied.")
    assert page.evaluate("copied") == f"{server.url}/worlds/{title(page).lower().replace(' ', '-')}"


def test_who_wants_little_motion_begins_play_themselves(server: Running, browser: Browser) -> None:
    with watched(browser, **DESKTOP, reduced_motion="reduce") as page:
        page.goto(server.url)
        page.locator(".slide:not([inert]) .begin").wait_for()
        assert server.services.arena.players == 0

        page.locator(".slide:not([inert]) .begin").click()

        page.wait_for_selector(LIVE, timeout=30_000)


def test_without_script_there_is_the_list(server: Running, browser: Browser) -> None:
    with watched(browser, java_script_enabled=False) as page:
        page.goto(server.url)
        page.wait_for_url("**/worlds")

        assert page.locator(".card").count() == len(TITLES)


def test_an_empty_installation_says_what_to_do_next(tmp_path: Path, browser: Browser) -> None:
    with running(tmp_path / "empty") as server, watched(browser, **DESKTOP) as page:
        page.goto(server.url)

        assert "firstplay review" in page.inner_text("main")
        assert not violations_in_both_schemes(page)
        keep(page, "empty")


@pytest.mark.parametrize("screen", [DESKTOP, PHONE, SMALLEST], ids=["desktop", "phone", "smallest"])
def test_the_feed_fits_stands_still_and_is_accessible(
    server: Running, browser: Browser, screen: dict[str, object]
) -> None:
    with watched(browser, **screen) as page:
        page.add_init_script(SHIFTS)
        opened(page, server)
        page.keyboard.press("PageDown")
        page.wait_for_selector(LIVE, timeout=10_000)

        assert page.evaluate("shifted") <= 0.05
        assert page.evaluate("document.documentElement.scrollWidth") == screen["viewport"]["width"]  # type: ignore[index]
        assert not violations_in_both_schemes(page)


@pytest.mark.parametrize("path", ["/worlds", "/worlds/meadow-1"])
def test_the_list_and_a_world_are_accessible(server: Running, page: Page, path: str) -> None:
    page.goto(server.url + path)

    assert not violations_in_both_schemes(page)


def test_the_feeds_script_is_small() -> None:
    scripts = ["feed", *modules("feed")]

    assert sum((STATIC / f"{name}.js").stat().st_size for name in scripts) <= 300_000
    assert "session" in scripts
