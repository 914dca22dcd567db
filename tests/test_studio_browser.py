"""A creator at a browser: signs in, says what they want, sees the map, sends it, and reads the decision.

``FIRSTPLAY_SHOTS`` names a folder to keep the screenshots in.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from moderation.accounts import create_account, create_key
from tests.feed_home import Running, fill, move, running
from tests.test_feed_browser import PHONE, keep, watched
from tests.test_feed_creators import decided
from tests.test_feed_http import png


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("studio") / "home"
    fill(home, {"Sunny Meadow": "published"})
    with running(home) as here:
        create_account(here.services.store, "anna", ["creator"])
        yield here


@pytest.fixture
def page(browser: Browser, server: Running) -> Iterator[Page]:
    for opened in watched(browser, viewport={"width": 1440, "height": 900}):
        sign_in(opened, server)
        yield opened


def sign_in(page: Page, server: Running) -> None:
    page.goto(f"{server.url}/studio")
    page.get_by_label("API key").fill(create_key(server.services.store, "anna"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server.url}/studio")


def test_whoever_is_not_signed_in_is_led_to_where_they_can_be(browser: Browser, server: Running) -> None:
    for page in watched(browser, viewport={"width": 1440, "height": 900}):
        page.goto(f"{server.url}/studio/new")
        keep(page, "sign-in")
        assert page.url.endswith("/sign-in?next=/studio/new")
        page.goto(f"{server.url}/sign-in?next=//evil.example")
        assert page.locator("#sign-in").get_attribute("data-next") == "/studio"


def test_a_world_is_made_seen_and_sent(page: Page, server: Running, tmp_path: Path) -> None:
    page.get_by_role("link", name="Make a world").click()
    page.get_by_label("Title").fill("Browser Cave")
    page.get_by_label("What is it like?").fill("a dark cave with glowing lanterns, low gravity, slow ghosts")
    expect(page.locator("#map")).to_be_visible(timeout=20_000)
    expect(page.locator("#understood")).to_contain_text("low gravity")
    expect(page.locator("[data-name=gravity] output")).to_contain_text("from the prompt")
    before = page.locator("#map").get_attribute("src")

    page.get_by_label("Water").fill("1")
    page.wait_for_function("before => document.getElementById('map').src !== before", arg=before)
    expect(page.locator("[data-name=water] output")).to_have_text("1")
    (tmp_path / "my look.png").write_bytes(png())
    page.get_by_text("Pictures, sound and video").click()
    page.get_by_label("Reference picture").set_input_files(tmp_path / "my look.png")
    page.get_by_text("Signs and characters").click()
    page.get_by_role("button", name="Add a sign").click()
    page.get_by_label("It says").fill("exit this way")
    page.wait_for_timeout(1500)
    keep(page, "create")
    page.get_by_role("button", name="Send it to the bots").click()
    page.wait_for_url(re.compile("/studio/[0-9a-f]{64}"))

    spec = server.services.store.find_versions("browser-cave")
    assert len(spec) == 1
    expect(page.get_by_role("heading", name="Browser Cave")).to_be_visible()
    expect(page.locator(".road [data-how=now]")).to_have_text("Received")


def test_what_is_wrong_is_said_where_one_is(page: Page, server: Running) -> None:
    page.goto(f"{server.url}/studio/new")
    page.get_by_label("Title").fill("Broken")
    page.get_by_label("What is it like?").fill("a cave")
    page.get_by_text("Signs and characters").click()
    page.get_by_role("button", name="Add a sign").click()
    page.get_by_label("It says").fill("x" * 60)
    page.evaluate("document.querySelector('.text').value = 'y'.repeat(90)")
    page.get_by_role("button", name="Send it to the bots").click()

    expect(page.get_by_role("alert")).to_contain_text("objects")


def test_a_review_is_followed_and_its_decision_is_shown(page: Page, server: Running) -> None:
    store = server.services.store
    page.goto(f"{server.url}/studio/new?remix=sunny-meadow")
    page.get_by_label("Title").fill("Followed In Browser")
    page.get_by_role("button", name="Send it to the bots").click()
    page.wait_for_url(re.compile("/studio/[0-9a-f]{64}"))
    version = page.url.rpartition("/")[2]
    move(store, version, ["screening", "exploring"])
    expect(page.locator(".road [data-how=now]")).to_have_text("Bots are playing")
    keep(page, "following")

    def reject() -> None:
        clip = store.blobs.put(b"an mp4")
        assert clip
        move(store, version, ["scanning", "deciding", "rejected"])

    threading.Timer(0.2, reject).start()
    expect(page.locator(".state")).to_have_text("rejected", timeout=10_000)


def test_a_rejection_says_why_and_what_to_change(page: Page, server: Running) -> None:
    store = server.services.store
    page.goto(f"{server.url}/studio/new")
    page.get_by_label("Title").fill("Rejected In Browser")
    page.get_by_label("What is it like?").fill("a meadow")
    page.get_by_role("button", name="Send it to the bots").click()
    page.wait_for_url(re.compile("/studio/[0-9a-f]{64}"))
    version = page.url.rpartition("/")[2]
    decided(store, version)
    page.reload()

    expect(page.get_by_role("heading", name="Slurs")).to_be_visible()
    expect(page.get_by_text("What to change:")).to_be_visible()
    keep(page, "decision")

    page.get_by_label("What is wrong with it").fill("It is the name of a town.")
    page.get_by_role("button", name="Appeal").click()
    expect(page.locator(".state")).to_have_text("appealed")
    expect(page.get_by_text("looked at by another person")).to_be_visible()


def test_a_world_is_withdrawn_after_asking(page: Page, server: Running) -> None:
    page.goto(f"{server.url}/studio/new")
    page.get_by_label("Title").fill("Withdrawn In Browser")
    page.get_by_label("What is it like?").fill("a small meadow")
    page.get_by_role("button", name="Send it to the bots").click()
    page.wait_for_url(re.compile("/studio/[0-9a-f]{64}"))
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Withdraw it").click()

    expect(page.locator(".state")).to_have_text("withdrawn")


def test_everything_fits_on_a_small_phone(browser: Browser, server: Running) -> None:
    phone = PHONE | {"viewport": {"width": 360, "height": 740}}
    for page in watched(browser, **phone, color_scheme="dark"):
        sign_in(page, server)
        for path in ("/studio", "/studio/new"):
            page.goto(server.url + path)
            page.wait_for_timeout(300)
            keep(page, f"phone{path.replace('/', '-')}")
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, path
