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

from feedapi.session import Session
from feedapi.wire import Key
from moderation.accounts import create_account, create_key
from tests.feed_home import Running, fill, move, running
from tests.test_feed_browser import PHONE, keep, pixels, until, watched
from tests.test_feed_creators import decided
from tests.test_feed_http import png

expect.set_options(timeout=30_000)  # a map is made anew while other work goes on


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("studio") / "home"
    fill(home, {"Sunny Meadow": "published"})
    with running(home) as here:
        create_account(here.services.store, "anna", ["creator"])
        yield here


@pytest.fixture
def page(browser: Browser, server: Running) -> Iterator[Page]:
    with watched(browser, viewport={"width": 1440, "height": 900}) as opened:
        sign_in(opened, server)
        yield opened


def sign_in(page: Page, server: Running) -> None:
    page.context.add_cookies([server.cookie("anna")])
    page.goto(f"{server.url}/studio")


def test_whoever_is_not_signed_in_is_led_to_where_they_can_be_and_back(
    browser: Browser, server: Running
) -> None:
    with watched(browser, viewport={"width": 1440, "height": 900}) as page:
        page.goto(f"{server.url}/sign-in?next=//evil.example")
        assert page.locator("#sign-in").get_attribute("data-next") == "/studio"
        page.goto(f"{server.url}/studio/new")
        keep(page, "sign-in")
        assert page.url.endswith("/sign-in?next=/studio/new")
        page.get_by_label("API key").fill(create_key(server.services.store, "anna"))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{server.url}/studio/new")


def test_a_world_is_made_seen_and_sent(page: Page, server: Running, tmp_path: Path) -> None:
    page.get_by_role("link", name="Make a world").click()
    page.get_by_label("Title").fill("Browser Cave")
    page.get_by_label("What is it like?").fill("a dark cave with glowing lanterns, low gravity, slow ghosts")
    expect(page.locator("#map")).to_be_visible(timeout=60_000)
    expect(page.locator("#understood")).to_contain_text("low gravity")
    expect(page.locator("[data-name=gravity] output")).to_have_text("0.45, from the prompt")
    expect(page.locator("[data-name=friction] output")).to_have_text("0.8, as usual")
    before = map_of(page)

    page.get_by_text("What is in it").click()
    page.get_by_role("slider", name="Water").fill("1")
    until(lambda: map_of(page) != before, page, seconds=60)
    expect(page.locator("[data-name=water] output")).to_have_text("1, set by hand")
    (tmp_path / "my look.png").write_bytes(png())
    page.get_by_text("Looks: pictures and video").click()
    page.get_by_label("Reference picture").set_input_files(tmp_path / "my look.png")
    page.get_by_text("Signs, characters").click()
    page.get_by_role("button", name="Add a sign").click()
    page.get_by_label("It says").fill("exit this way")
    expect(page.locator(".pin")).to_have_count(1, timeout=60_000)
    keep(page, "create")
    page.get_by_role("button", name="Send it to the bots").click()
    page.wait_for_url(re.compile("/studio/[0-9a-f]{64}"))

    sent = [server.services.store.spec(one.id) for one in server.services.store.find_versions("browser-cave")]
    assert [(spec["mechanics"], spec["style"]) for spec in sent] == [
        ({"water": 1.0}, {"reference": "my-look.png"})
    ]
    expect(page.get_by_role("heading", name="Browser Cave")).to_be_visible()
    expect(page.locator(".road [data-how=now]")).to_have_text("Received")
    expect(page.locator("#ahead")).to_have_text("It is next in the queue.")
    expect(page.locator("#left")).to_contain_text("going by other reviews here")


def map_of(page: Page) -> str | None:
    return page.locator("#map image").get_attribute("href")


def test_the_world_is_played_by_the_model_while_it_is_edited(page: Page, server: Running) -> None:
    arena = server.services.drafts.arena
    page.goto(f"{server.url}/studio/new")
    page.get_by_label("What is it like?").fill("a calm green meadow in the sun")
    page.wait_for_selector("#canvas[data-tick]", timeout=60_000)
    first = pixels(page)
    until(lambda: pixels(page) != first, page, seconds=60)  # nobody presses a key: it walks by itself

    page.get_by_label("What is it like?").fill("a dark cave")
    until(
        lambda: any("cave" in str(one.world.notes["understood"]) for one in arena.members()), page, seconds=60
    )
    page.locator("#canvas").focus()
    page.keyboard.down("ArrowLeft")
    until(lambda: any(action_held(one) for one in arena.members()), page, seconds=60)
    page.keyboard.up("ArrowLeft")

    page.get_by_role("button", name="Pause").click()
    until(lambda: arena.players == 0, page, seconds=60)
    page.get_by_role("button", name="Play it").click()
    until(lambda: arena.players == 1, page, seconds=60)
    page.get_by_label("Title").fill("I type wasd here, and it is text")
    expect(page.get_by_label("Title")).to_have_value("I type wasd here, and it is text")


def action_held(session: Session) -> bool:
    return Key.LEFT in session._held


def test_a_world_does_not_play_by_itself_for_who_wants_less_motion(browser: Browser, server: Running) -> None:
    with watched(browser, viewport={"width": 1440, "height": 900}, reduced_motion="reduce") as page:
        sign_in(page, server)
        page.goto(f"{server.url}/studio/new")
        page.get_by_label("What is it like?").fill("a calm green meadow in the sun")
        expect(page.locator("#map")).to_be_visible(timeout=60_000)
        expect(page.locator("#notice")).to_have_text("Paused")
        assert server.services.drafts.arena.players == 0
        page.get_by_role("button", name="Play it").click()
        page.wait_for_selector("#canvas[data-tick]", timeout=60_000)


def test_a_sign_is_put_where_the_map_is_clicked(page: Page, server: Running) -> None:
    page.goto(f"{server.url}/studio/new")
    page.get_by_label("What is it like?").fill("a calm green meadow in the sun")
    page.get_by_text("Signs, characters").click()
    page.get_by_role("button", name="Add a sign").click()
    page.get_by_label("It says").fill("half way")
    expect(page.locator(".pin")).to_have_count(1, timeout=60_000)
    before = page.locator(".pin circle").get_attribute("cx")

    page.get_by_role("button", name="On the map").click()
    keep(page, "placing")
    page.locator(".zone-f").last.click()

    expect(page.get_by_label("Where")).to_have_value("f")
    expect(page.get_by_role("button", name="On the map")).to_have_attribute("aria-pressed", "false")
    until(lambda: page.locator(".pin circle").get_attribute("cx") != before, page, seconds=60)


def test_a_rejected_world_is_changed_and_sent_again_with_all_that_it_had(
    page: Page, server: Running, tmp_path: Path
) -> None:
    store = server.services.store
    (tmp_path / "poster.png").write_bytes(png())
    page.goto(f"{server.url}/studio/new")
    page.get_by_label("Title").fill("Sent Again")
    page.get_by_label("What is it like?").fill("a calm green meadow in the sun")
    page.get_by_role("slider", name="Gravity").fill("0.5")
    page.get_by_text("Signs, characters").click()
    page.get_by_role("button", name="Add a sign").click()
    page.get_by_label("or shows a picture").set_input_files(tmp_path / "poster.png")
    page.get_by_label("Where").select_option("far")
    page.get_by_role("button", name="Add a lever").click()
    page.get_by_role("button", name="Send it to the bots").click()
    page.wait_for_url(re.compile("/studio/[0-9a-f]{64}"))
    decided(store, page.url.rpartition("/")[2])
    page.reload()

    page.get_by_role("link", name="Change it, send it again").click()
    expect(page.get_by_text("poster.png")).to_be_visible()
    expect(page.get_by_label("Where").first).to_have_value("f")
    page.get_by_role("slider", name="Gravity").fill("0.8")
    expect(page.locator("#changes")).to_contain_text("gravity 0.5 0.8", timeout=60_000)
    keep(page, "again")
    page.get_by_role("button", name="Send it again").click()
    page.wait_for_url(lambda url: "from=" not in url)

    first, second = (store.spec(one.id) for one in store.find_versions("sent-again"))
    assert second == first | {"mechanics": {"gravity": 0.8}}
    expect(page.get_by_text("Changed against the version before")).to_be_visible()


def test_a_remix_shows_its_lineage_and_what_it_changed(page: Page, server: Running) -> None:
    page.goto(f"{server.url}/studio/new?remix=sunny-meadow")
    expect(page.locator(".lineage")).to_contain_text("Sunny Meadow")
    page.get_by_role("slider", name="Darkness").fill("0.9")
    expect(page.locator("#changes")).to_contain_text("darkness 0 0.9", timeout=60_000)
    keep(page, "remix")
    page.get_by_label("Title").fill("Dark Remix")
    page.get_by_role("button", name="Send the remix to the bots").click()
    page.wait_for_url(re.compile("/studio/[0-9a-f]{64}"))

    expect(page.locator(".lineage")).to_contain_text("Sunny Meadow")
    expect(page.locator(".changes")).to_contain_text("darkness")
    assert page.locator(".changes li").count() == 2  # the title and the darkness

    page.get_by_role("link", name="Change it, send it again").click()
    expect(page.get_by_label("Title")).to_have_value("Dark Remix")
    page.get_by_role("slider", name="Gravity").fill("0.5")
    page.get_by_role("button", name="Send it again").click()
    page.wait_for_url(lambda url: "from=" not in url)
    parents = [one.remix_of for one in server.services.store.find_versions("dark-remix")]
    assert parents == ["sunny-meadow", "sunny-meadow"]


def test_what_is_wrong_is_said_where_one_is(page: Page, server: Running) -> None:
    page.goto(f"{server.url}/studio/new")
    page.get_by_label("Title").fill("Broken")
    page.get_by_label("What is it like?").fill("a cave")
    page.get_by_text("Signs, characters").click()
    page.get_by_role("button", name="Add a sign").click()
    page.get_by_label("It says").fill("x" * 60)
    page.evaluate("document.querySelector('.text').value = 'y'.repeat(90)")
    page.get_by_role("button", name="Send it to the bots").click()

    expect(page.get_by_role("alert")).to_contain_text("objects")


def test_a_review_is_followed_and_its_decision_is_shown(page: Page, server: Running) -> None:
    store = server.services.store
    page.goto(f"{server.url}/studio/new?remix=sunny-meadow")
    expect(page.get_by_label("What is it like?")).to_have_value("a calm green meadow in the sun")
    page.get_by_label("Title").fill("Followed In Browser")
    page.get_by_role("button", name="Send the remix to the bots").click()
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
    with watched(browser, **phone, color_scheme="dark") as page:
        sign_in(page, server)
        for path in ("/studio", "/studio/new"):
            page.goto(server.url + path)
            page.wait_for_timeout(300)
            keep(page, f"phone{path.replace('/', '-')}")
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, path


def test_sample_worlds_are_one_click_away(page: Page, server: Running) -> None:
    page.get_by_role("link", name="Sample worlds").click()
    expect(page.get_by_text("Content warning.")).to_have_count(3)
    keep(page, "samples")
    page.get_by_role("button", name="Send it to the bots: Top Garden").click()
    page.wait_for_url(f"{server.url}/studio")

    expect(page.get_by_role("link", name="Top Garden")).to_be_visible()
    assert [one.creator for one in server.services.store.find_versions("top-garden")] == ["anna"]
