"""A moderator at a browser: takes a case, looks, plays on, decides by keys, undoes, and goes on to the next.

``FIRSTPLAY_SHOTS`` names a folder to keep the screenshots in.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from bots.recorder import verify
from moderation.accounts import create_account, create_key
from moderation.cases.appeals import appeal
from moderation.pipeline import POLICY_VARIABLE
from moderation.states import WorldState
from moderation.store import Store, cases
from moderation.store.cases import Case, Status
from moderation.store.sightings import sightings
from policies import Bundle
from tests.axe import violations_in_both_schemes
from tests.case_worlds import cases_of, found, judge, machine, small_bundle, submit
from tests.feed_home import Running, running
from tests.played_cases import Played, played_case
from tests.test_feed_browser import LIVE, PHONE, keep, pixels, until, watched
from tests.test_studio_browser import sign_in
from worldmodel.models import load_model

DESK = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    folder = tmp_path_factory.mktemp("policy")
    made = small_bundle(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(POLICY_VARIABLE, str(folder / "small.yaml"))
        yield made


@pytest.fixture
def server(tmp_path: Path, bundle: Bundle) -> Iterator[Running]:
    with running(tmp_path / "home") as here:
        for account, roles in (
            ("anna", ["moderator"]),
            ("ben", ["moderator", "senior"]),
            ("kim", ["creator"]),
        ):
            create_account(here.services.store, account, roles)
        yield here


@pytest.fixture
def page(browser: Browser, server: Running) -> Iterator[Page]:
    with watched(browser, viewport=DESK) as opened:
        sign_in(opened, server)
        yield opened


@pytest.fixture
def first(server: Running, bundle: Bundle) -> Played:
    return played_case(server.services.store, bundle, "Lantern Meadow")


@pytest.fixture
def second(first: Played, server: Running, bundle: Bundle) -> Played:
    return played_case(server.services.store, bundle, "Windy Meadow")


def status(store: Store, case: Case) -> Status:
    with store.reading() as connection:
        return cases.find_case(connection, case.id).status


def until_state(store: Store, version: str, state: WorldState, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while store.version(version).state is not state:
        assert time.monotonic() < end, f"{version} is {store.version(version).state}"
        time.sleep(0.1)


def opened(page: Page, server: Running, case: Case) -> None:
    """Open a case and wait until it is one's own."""
    page.goto(f"{server.url}/console/cases/{case.id}")
    expect(page.locator(".case")).to_have_attribute("data-mine", "true")


def test_the_queue_is_walked_and_opened_by_keys(
    page: Page, server: Running, first: Played, second: Played
) -> None:
    page.goto(f"{server.url}/console")
    keep(page, "console")

    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("[data-case]").nth(1)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/cases/*")
    expect(page.get_by_role("heading", name="Lantern Meadow")).to_be_visible()


def test_a_case_is_seen_blurred_until_somebody_holds_to_see(
    page: Page, server: Running, first: Played
) -> None:
    opened(page, server, first.case)
    blurred = "getComputedStyle(document.querySelector('.clip video')).filter"

    assert "blur" in page.evaluate(blurred)
    assert "grayscale" in page.evaluate(blurred)
    assert page.evaluate("document.querySelector('.clip video').muted")
    page.wait_for_timeout(600)
    keep(page, "case")
    page.keyboard.down(" ")
    expect(page.locator(".clip").first).to_have_class("clip guarded seen")
    page.wait_for_timeout(400)
    assert page.evaluate(blurred) == "none"
    keep(page, "case-seen")
    page.keyboard.up(" ")
    expect(page.locator("#exposure")).to_contain_text("1 clip in full")
    page.wait_for_timeout(300)
    assert "blur" in page.evaluate(blurred)


def test_a_button_shows_as_long_as_it_is_pressed(page: Page, server: Running, first: Played) -> None:
    opened(page, server, first.case)
    page.locator(".reveal").hover()
    page.mouse.down()
    expect(page.locator(".clip")).to_have_class("clip guarded seen")
    page.mouse.up()
    expect(page.locator(".clip")).to_have_class("clip guarded")


def test_a_timeline_shows_findings_scores_and_words_and_follows_the_clip(
    page: Page, server: Running, first: Played
) -> None:
    opened(page, server, first.case)
    timeline = page.locator(".timeline")

    expect(timeline.locator(".lane").filter(has_text="eye: slur").locator(".mark")).to_have_count(2)
    expect(timeline.locator(".lane").filter(has_text="eye: slur").locator(".score")).to_have_count(1)
    expect(timeline.locator(".transcript")).to_contain_text("hello there")
    expect(page.locator(".map .way")).to_have_count(1)
    until(lambda: page.evaluate("document.querySelector('.clip video').readyState >= 2"), page)
    page.keyboard.press(".")
    page.keyboard.press(".")
    until(lambda: float(timeline.locator(".playhead").first.get_attribute("x1") or -1) > 0, page)
    before = float(timeline.locator(".playhead").first.get_attribute("x1") or -1)
    page.keyboard.press(",")
    until(lambda: float(timeline.locator(".playhead").first.get_attribute("x1") or -1) < before, page)


def test_clips_of_one_rule_are_together_and_walked_by_keys(
    page: Page, server: Running, first: Played
) -> None:
    store = server.services.store
    file_one(page, server, first)
    page.goto(f"{server.url}/console/cases/{first.case.id}")

    expect(page.locator(".cluster")).to_have_count(1)
    expect(page.locator(".cluster .clip")).to_have_count(2)
    page.keyboard.press("j")
    expect(page.locator(".clip").nth(1)).to_have_attribute("data-chosen", "")
    page.keyboard.press("k")
    expect(page.locator(".clip").nth(0)).to_have_attribute("data-chosen", "")
    lengths = page.eval_on_selector_all(".clip figcaption .soft", "all => all.map(one => one.textContent)")
    assert len(lengths) == 2
    with store.reading() as connection:
        assert len(sightings(connection, first.version)) == 1


def test_a_case_is_decided_in_three_keys_and_the_next_is_there(
    page: Page, server: Running, first: Played, second: Played
) -> None:
    store = server.services.store
    opened(page, server, first.case)
    page.wait_for_selector(f"html[data-ahead='{second.case.id}']")

    page.keyboard.press("1")
    page.keyboard.press("r")
    page.wait_for_url(f"**/console/cases/{second.case.id}")
    expect(page.get_by_role("heading", name="Windy Meadow")).to_be_visible()
    expect(page.locator(".case")).to_have_attribute("data-mine", "true")
    expect(page.locator("#undo")).to_contain_text("Undo with u")
    assert store.version(first.version).state is WorldState.IN_REVIEW
    until_state(store, first.version, WorldState.REJECTED)
    assert status(store, second.case) is Status.CLAIMED


def test_the_next_case_comes_without_a_page_load_and_back_leads_back(
    page: Page, server: Running, first: Played, second: Played
) -> None:
    opened(page, server, first.case)
    page.wait_for_selector(f"html[data-ahead='{second.case.id}']")
    page.evaluate("window.same = true")

    page.keyboard.press("n")
    page.wait_for_url(f"**/console/cases/{second.case.id}")

    assert page.evaluate("window.same")
    assert "Windy Meadow" not in page.title()
    assert str(second.case.id) in page.title()
    page.go_back()
    expect(page.get_by_role("heading", name="Lantern Meadow")).to_be_visible()


def test_a_decision_is_undone_within_ten_seconds(
    page: Page, server: Running, first: Played, second: Played
) -> None:
    store = server.services.store
    opened(page, server, first.case)

    page.keyboard.press("a")
    page.wait_for_selector("#undo:not([hidden])")
    page.keyboard.press("u")
    page.wait_for_url(f"**/console/cases/{first.case.id}")
    page.wait_for_timeout(11_000)

    assert status(store, first.case) is Status.CLAIMED
    assert store.version(first.version).state is WorldState.IN_REVIEW


def test_keys_mean_nothing_while_somebody_writes(page: Page, server: Running, first: Played) -> None:
    opened(page, server, first.case)

    page.get_by_label("For the creator").fill("")
    page.get_by_label("For the creator").press_sequentially("area 1")
    page.keyboard.press("Control+a")

    assert page.get_by_label("For the creator").input_value() == "area 1"
    assert page.locator("[name=rule]:checked").count() == 0
    assert page.url.endswith(f"/console/cases/{first.case.id}")
    page.locator("h1").click()
    page.keyboard.press("Control+r")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("1")
    assert page.locator("[name=rule]:checked").count() == 0


def test_other_playthroughs_that_show_it_are_beside_the_clip_and_made_when_looked_at(
    page: Page, server: Running, bundle: Bundle
) -> None:
    case = played_case(server.services.store, bundle, "Busy Meadow", more=2)
    opened(page, server, case.case)
    expect(page.locator(".cluster .clip")).to_have_count(3)
    expect(page.locator(".cluster h2")).to_contain_text("3 clips")

    page.keyboard.press("j")
    page.keyboard.down(" ")
    until(lambda: page.evaluate("document.querySelectorAll('.clip video')[1].currentTime > 0"), page)
    keep(page, "case-many")
    page.keyboard.up(" ")


# -- playing on -----------------------------------------------------------------------------------------


def play_on(page: Page, server: Running, played: Played) -> None:
    """From the case into the model, by one key."""
    opened(page, server, played.case)
    until(lambda: page.evaluate("document.querySelector('.clip video').readyState >= 2"), page)
    page.keyboard.press("p")
    page.wait_for_url("**/take-over?*")
    page.wait_for_selector(LIVE, timeout=30_000)


def file_one(page: Page, server: Running, played: Played) -> int:
    """Walk right until the picture moves, and file it; the step."""
    play_on(page, server, played)
    before = int(page.locator("#canvas").get_attribute("data-step") or 0)
    still = pixels(page)
    page.keyboard.down("ArrowLeft")
    until(lambda: int(page.locator("#canvas").get_attribute("data-step") or 0) > before + 10, page)
    page.keyboard.up("ArrowLeft")
    until(lambda: pixels(page) != still, page)
    page.keyboard.press("f")
    page.get_by_label("Rule that it breaks").select_option("slurs")
    page.get_by_label("What there is to see or to hear").fill("a word behind the tree")
    keep(page, "filing")
    page.keyboard.press("Enter")
    expect(page.locator("#filed")).to_contain_text("the replay is bit-identical", timeout=30_000)
    return before


def test_one_plays_on_from_a_clip_and_what_one_files_is_in_the_case(
    page: Page, server: Running, first: Played
) -> None:
    store = server.services.store
    file_one(page, server, first)
    keep(page, "take-over")

    with store.reading() as connection:
        (sighting,) = sightings(connection, first.version)
    assert (sighting.by, sighting.evidence.rule, sighting.text) == ("anna", "slurs", "a word behind the tree")
    stored = store.find_playthrough(sighting.evidence.playthrough or "").playthrough
    world = store.compile_version(first.version)
    assert verify(load_model("simulator"), world, stored).identical
    page.get_by_role("link", name="Back to the case").click()
    expect(page.locator(".clip").filter(has_text="filed by anna")).to_contain_text("a word behind the tree")
    expect(page.locator(".history")).to_contain_text("anna took over")
    expect(page.locator(".history")).to_contain_text("anna filed")
    page.wait_for_timeout(500)
    keep(page, "case-filed")


def test_play_goes_on_from_the_frame_on_screen(page: Page, server: Running, first: Played) -> None:
    opened(page, server, first.case)
    until(lambda: page.evaluate("document.querySelector('.clip video').readyState >= 2"), page)
    start = float(page.locator(".clip").first.get_attribute("data-start") or 0)
    for _ in range(6):
        page.keyboard.press(".")
    page.keyboard.press("p")
    page.wait_for_url("**/take-over?*")

    assert f"step={round(start * 15) + 6}" in page.url


def test_one_goes_back_to_the_moment_and_sees_it_in_grey_until_one_asks(
    page: Page, server: Running, first: Played
) -> None:
    play_on(page, server, first)
    begun = int(page.url.rpartition("step=")[2])
    step = "Number(document.getElementById('canvas').dataset.step)"
    grey = "getComputedStyle(document.getElementById('canvas')).filter"
    until(lambda: page.evaluate(step) > begun + 20, page)
    page.keyboard.press("r")
    until(lambda: page.evaluate(step) < begun + 12, page)

    assert "grayscale" in page.evaluate(grey)
    page.keyboard.press("c")
    assert page.evaluate(grey) == "none"


# -- two people, appeals, figures --------------------------------------------------------------------------


def test_a_severe_decision_waits_for_a_second_person(
    page: Page, browser: Browser, server: Running, bundle: Bundle
) -> None:
    store = server.services.store
    case = played_case(store, bundle, "Red Meadow", label="blood")
    opened(page, server, case.case)
    page.keyboard.press("1")
    page.keyboard.press("r")
    until_state(store, case.version, WorldState.AWAITING_SECOND_APPROVAL)

    with watched(browser, viewport=DESK) as other:
        other.goto(f"{server.url}/sign-in?next=/console/cases/{case.case.id}")
        other.get_by_label("API key").fill(create_key(store, "ben"))
        other.get_by_role("button", name="Sign in").click()
        expect(other.get_by_role("heading", name="A second person must agree")).to_be_visible()
        other.wait_for_load_state("networkidle")
        keep(other, "second")
        other.keyboard.press("a")
        until_state(store, case.version, WorldState.REJECTED)


def test_an_appeal_is_judged_without_the_first_decision(page: Page, server: Running, bundle: Bundle) -> None:
    store = server.services.store
    submit(store, "v1")
    machine(store, bundle, judge(bundle, found("slur", 0.95, "the secret word")))
    case = appeal(store, "kim", "v1", "It is the name of a town.")
    page.goto(f"{server.url}/console/cases/{case.id}")

    expect(page.get_by_text("You judge this without seeing")).to_be_visible()
    expect(page.get_by_text("It is the name of a town.")).to_be_visible()
    assert "rejected" not in page.content()
    keep(page, "appeal")
    assert len(cases_of(store)) == 1


def test_a_remix_is_seen_beside_what_it_is_made_from(page: Page, server: Running, bundle: Bundle) -> None:
    store = server.services.store
    parent = played_case(store, bundle, "Parent Meadow")
    world = store.version(parent.version).world
    remix = played_case(store, bundle, "Child Meadow", remix_of=world)
    opened(page, server, remix.case)

    pair = page.locator(".pair figure")
    expect(pair).to_have_count(2)
    expect(pair.nth(0)).to_contain_text("Parent Meadow")
    expect(page.locator(".changed")).to_contain_text("Child Meadow")
    until(lambda: page.eval_on_selector_all(".pair img", "all => all.every(one => one.naturalWidth)"), page)
    keep(page, "remix")


def test_quality_says_how_people_and_rules_do(page: Page, server: Running, first: Played) -> None:
    store = server.services.store
    page.goto(f"{server.url}/console")
    page.get_by_role("link", name="Quality", exact=True).click()
    expect(page.get_by_role("heading", name="Quality")).to_be_visible()
    expect(page.get_by_text("No rule was judged by people yet")).to_be_visible()

    opened(page, server, first.case)
    page.keyboard.press("1")
    page.keyboard.press("r")
    until_state(store, first.version, WorldState.REJECTED)
    page.goto(f"{server.url}/console/quality")

    expect(page.locator("[data-rule=slurs]")).to_contain_text("100 %")
    keep(page, "quality")


def test_the_empty_queue_says_what_it_is_for(page: Page, server: Running) -> None:
    page.goto(f"{server.url}/console")
    expect(page.get_by_text("Nothing waits")).to_be_visible()


# -- for everybody -----------------------------------------------------------------------------------------


def paths(case: Case, played: Played) -> list[str]:
    here = f"/console/cases/{case.id}"
    return ["/console", here, f"{here}/take-over?playthrough={played.play.id}&step=20", "/console/quality"]


def test_every_page_of_moderators_is_accessible_in_light_and_dark(
    page: Page, server: Running, first: Played
) -> None:
    for path in paths(first.case, first):
        page.goto(server.url + path)
        page.wait_for_load_state("networkidle")
        assert violations_in_both_schemes(page) == [], path


def test_what_opens_over_a_page_is_accessible_too(page: Page, server: Running, bundle: Bundle) -> None:
    store = server.services.store
    parent = played_case(store, bundle, "Parent Meadow")
    remix = played_case(store, bundle, "Child Meadow", remix_of=store.version(parent.version).world, more=1)
    opened(page, server, remix.case)
    assert violations_in_both_schemes(page) == []
    page.keyboard.press("?")
    assert violations_in_both_schemes(page) == []
    page.keyboard.press("Escape")
    play_on(page, server, remix)
    page.keyboard.press("f")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations_in_both_schemes(page) == []


def test_nothing_jumps_while_a_page_loads(page: Page, server: Running, first: Played) -> None:
    page.add_init_script(
        """window.shifted = 0;
        new PerformanceObserver((list) => {
          for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifted += one.value;
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    for path in paths(first.case, first):
        page.goto(server.url + path)
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(500)
        assert page.evaluate("window.shifted") <= 0.05, path


def test_the_console_fits_on_a_small_phone(browser: Browser, server: Running, first: Played) -> None:
    phone = PHONE | {"viewport": {"width": 360, "height": 740}}
    with watched(browser, **phone, color_scheme="dark") as page:
        sign_in(page, server)
        for number, path in enumerate(paths(first.case, first)):
            page.goto(server.url + path)
            page.wait_for_timeout(300)
            keep(page, f"phone-console{number}")
            assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, path


def test_whoever_is_no_moderator_is_kept_out(browser: Browser, server: Running) -> None:
    with watched(browser, viewport=DESK) as page:
        page.goto(f"{server.url}/sign-in?next=/studio")
        page.get_by_label("API key").fill(create_key(server.services.store, "kim"))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{server.url}/studio")
        answer = page.request.get(f"{server.url}/console")
        assert answer.status == 403
