"""A person at a browser: opens the list of worlds, clicks one, presses a key, and the world moves.

``FIRSTPLAY_SHOTS`` names a folder to keep the screenshots in.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from moderation.states import WorldState
from moderation.store import open_store
from tests.feed_home import Running, add_world, fill, move, running
from tests.feed_pages import LIVE, PHONE, keep, until, watched
from tests.guarded import guards, poster_world


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    fill(tmp_path / "home", {"Sunny Meadow": "published", "Hidden Meadow": "rejected"})
    with running(tmp_path / "home", capacity=1) as here:
        yield here


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with watched(browser, viewport={"width": 1280, "height": 800}) as page:
        yield page


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    with watched(browser, **PHONE, color_scheme="dark") as page:
        yield page


def pixels(page: Page) -> str:
    data: str = page.evaluate("document.getElementById('canvas').toDataURL()")
    return data


def x(server: Running) -> int:
    state = server.services.arena._state
    assert state is not None
    return int(state.position[0, 0])


def test_open_the_list_click_a_world_press_right(server: Running, page: Page) -> None:
    page.goto(f"{server.url}/worlds")
    assert page.locator(".card").count() == 1
    keep(page, "worlds")

    page.click("text=Sunny Meadow")
    page.wait_for_selector(LIVE, timeout=30_000)
    before, start = pixels(page), x(server)
    page.keyboard.down("ArrowRight")
    until(lambda: x(server) > start + 32, page)
    page.keyboard.up("ArrowRight")

    until(lambda: pixels(page) != before, page)
    until(lambda: page.locator("#latency").text_content() != "press a key", page)
    keep(page, "play")


def test_the_first_key_lets_sound_in_and_the_button_mutes(server: Running, page: Page) -> None:
    page.add_init_script(
        "const Real = AudioContext; window.contexts = [];"
        "window.AudioContext = class extends Real"
        "{ constructor(options) { super(options); window.contexts.push(this); } };"
    )
    page.goto(f"{server.url}/worlds/sunny-meadow")
    page.wait_for_selector(LIVE, timeout=30_000)
    assert page.evaluate("contexts.length") == 0

    page.keyboard.press("ArrowUp")
    until(lambda: page.evaluate("contexts.map(c => c.state + c.sampleRate)") == ["running24000"], page)
    page.click("#mute")

    assert page.locator("#mute").text_content() == "Sound off"
    assert page.locator("#mute").get_attribute("aria-pressed") == "true"


def test_a_phone_plays_by_touch(server: Running, phone: Page) -> None:
    phone.goto(f"{server.url}/worlds/sunny-meadow")
    phone.wait_for_selector(LIVE, timeout=30_000)
    start = x(server)
    assert phone.evaluate("document.documentElement.scrollWidth") == 390

    button = phone.locator(".cross .right")
    button.dispatch_event("pointerdown", {"pointerId": 1, "pointerType": "touch", "isPrimary": True})
    until(lambda: x(server) > start + 32, phone)
    button.dispatch_event("pointerup", {"pointerId": 1, "pointerType": "touch", "isPrimary": True})

    keep(phone, "phone")


def test_a_full_server_gives_a_place_in_the_queue_and_then_plays(server: Running, page: Page) -> None:
    page.goto(f"{server.url}/worlds/sunny-meadow")
    page.wait_for_selector(LIVE, timeout=30_000)
    with page.context.new_page() as second:
        second.goto(f"{server.url}/worlds/sunny-meadow")
        second.wait_for_selector("text=You are number 1 in the queue.")

        page.goto(f"{server.url}/worlds")

        second.wait_for_selector(LIVE, timeout=10_000)


def test_a_moment_is_reported_with_one_key(server: Running, page: Page) -> None:
    page.goto(f"{server.url}/worlds/sunny-meadow")
    page.wait_for_selector(LIVE, timeout=30_000)

    page.keyboard.press("r")

    page.wait_for_selector("text=Reported. Thank you")


def test_what_the_guard_sees_goes_dark_on_the_screen(tmp_path: Path, page: Page) -> None:
    store = open_store(tmp_path / "red")
    add_world(store, "Red Meadow", "published", world=poster_world("Red Meadow", (230, 20, 20)))
    store.close()
    with running(tmp_path / "red", guarded=guards()) as server:
        page.goto(f"{server.url}/worlds/red-meadow")
        page.wait_for_selector("text=this world showed something that is not allowed here", timeout=60_000)
        lit = page.evaluate(
            """() => {
                const canvas = document.getElementById("canvas");
                const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                return pixels.reduce((sum, value, index) => sum + (index % 4 === 3 ? 0 : value), 0);
            }"""
        )

    assert lit == 0


def test_a_withdrawn_world_stops_on_the_screen(server: Running, page: Page) -> None:
    page.goto(f"{server.url}/worlds/sunny-meadow")
    page.wait_for_selector(LIVE, timeout=30_000)
    store = server.services.store
    version = store.published_world("sunny-meadow").version

    move(store, version, [WorldState.DECIDING])

    page.wait_for_selector("text=This world was withdrawn.", timeout=10_000)


def test_a_world_that_is_not_published_has_no_page(server: Running, page: Page) -> None:
    answer = page.request.get(f"{server.url}/worlds/hidden-meadow")
    page.goto(f"{server.url}/worlds")

    assert answer.status == 404
    assert page.locator("text=Hidden Meadow").count() == 0
