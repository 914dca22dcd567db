"""Two policy authors at a browser: one writes and proposes a bundle, the other looks at it and promotes it.

``FIRSTPLAY_SHOTS`` names a folder to keep the screenshots in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from moderation.accounts import create_account, create_key
from moderation.policy_changes.promotion import live
from moderation.states import WorldState
from moderation.store import Store
from moderation.store.bundles import add_shadow
from moderation.store.cases import cases_of
from tests.axe import violations_in_both_schemes
from tests.changing_worlds import LOOSER, STRICTER, decided, slur
from tests.feed_home import Running, running
from tests.test_console_browser import DESK
from tests.test_feed_browser import PHONE, keep, watched


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path / "home") as here:
        create_account(here.services.store, "ada", ["policy_author"])
        create_account(here.services.store, "grace", ["policy_author", "moderator"])
        create_account(here.services.store, "mia", ["moderator"])
        yield here


@pytest.fixture
def store(server: Running) -> Store:
    return server.services.store


@contextmanager
def signed_in(browser: Browser, server: Running, account: str, **options: object) -> Iterator[Page]:
    with watched(browser, **({"viewport": DESK} | options)) as page:
        page.goto(f"{server.url}/sign-in?next=/policies")
        page.get_by_label("API key").fill(create_key(server.services.store, account))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{server.url}/policies")
        yield page


@pytest.fixture
def page(browser: Browser, server: Running) -> Iterator[Page]:
    with signed_in(browser, server, "ada") as page:
        yield page


def worlds(store: Store) -> None:
    decided(store, "rude", slur(text="you idiot"), title="Rude Cave")
    decided(store, "doubtful", slur(0.25, text="darn"), title="Doubtful Cave")
    decided(store, "calm", title="Calm Cave")


def write(page: Page, text: str) -> None:
    page.get_by_role("link", name="Write a draft").click()
    page.get_by_label("Source of the file").fill(text)


def kept(page: Page, text: str) -> str:
    write(page, text)
    expect(page.locator("#verdict")).to_contain_text("is valid", timeout=30_000)
    page.keyboard.press("Control+s")
    page.wait_for_url(re.compile("/policies/[0-9a-f]{64}"))
    return page.url.rpartition("/")[2]


def test_a_draft_is_checked_while_it_is_written(page: Page, server: Running) -> None:
    write(page, LOOSER.replace("[slurs]", "[slurz]"))
    expect(page.locator("#verdict")).to_contain_text("1 fault", timeout=30_000)
    expect(page.locator("#faults")).to_contain_text("policy.yaml:6:")
    expect(page.locator("#faults")).to_contain_text("slurz")
    expect(page.locator(".gutter .wrong")).to_have_text("6\n", use_inner_text=False)
    expect(page.get_by_role("button", name="Keep as a draft")).to_be_disabled()
    keep(page, "draft-wrong")

    page.locator("#faults .spot").click()
    marked = page.evaluate(
        "(box => box.value.slice(box.selectionStart, box.selectionEnd))(document.getElementById('source'))"
    )
    assert marked.startswith("slurz")
    page.get_by_label("Source of the file").fill(LOOSER)

    expect(page.locator("#verdict")).to_contain_text("looser 1 is valid", timeout=30_000)
    expect(page.locator("#changes")).to_contain_text("- rule slurs")
    expect(page.locator("#words")).to_contain_text("A world is rejected if")
    expect(page.get_by_role("button", name="Keep as a draft")).to_be_enabled()
    keep(page, "draft")
    page.reload()
    expect(page.get_by_label("Source of the file")).to_have_value(LOOSER)


def test_one_proposes_and_another_promotes(
    page: Page, browser: Browser, server: Running, store: Store
) -> None:
    worlds(store)
    sha256 = kept(page, LOOSER)
    page.get_by_role("button", name="Backtest").click()
    expect(page.get_by_role("heading", name="What it would change")).to_be_visible(timeout=30_000)
    expect(page.locator("#backtest")).to_contain_text("Rude Cave")
    expect(page.locator("#backtest")).to_contain_text("you idiot")
    page.get_by_role("button", name="Propose it").click()
    expect(page.get_by_text("You proposed it: somebody else has to.")).to_be_visible()
    keep(page, "policy-proposed")

    with signed_in(browser, server, "grace") as other:
        other.goto(f"{server.url}/policies/{sha256}")
        other.get_by_role("button", name="Make it live").click()
        expect(other.locator(".intro .state")).to_have_text("live")
        other.goto(f"{server.url}/policies")
        keep(other, "policies")
        expect(other.locator("li").filter(has_text="looser 1")).to_contain_text("live")
    assert live(store).sha256 == sha256


def test_the_worlds_of_a_backtest_are_walked_by_rule_and_lead_to_their_cases(
    browser: Browser, server: Running, store: Store
) -> None:
    worlds(store)
    for number in range(45):
        decided(store, f"more-{number}", slur(0.25, name=f"m{number}"), title=f"More {number}")
    with store.writing() as tx:
        tx.transition("doubtful", WorldState.SUSPENDED, "guard", "a report")
        tx.transition("doubtful", WorldState.NEEDS_REVIEW, "guard", "a report")
    with store.reading() as connection:
        (case,) = cases_of(connection, "doubtful")

    with signed_in(browser, server, "grace") as page:
        kept(page, STRICTER)
        page.get_by_role("button", name="Backtest").click()
        expect(page.locator(".by-rule")).to_be_visible(timeout=30_000)
        expect(page.locator(".tile").filter(has_text="newly blocked")).to_contain_text("46")
        page.locator(".by-rule tbody tr").filter(has_text="slurs").get_by_role("link", name="46").click()
        expect(page.locator("#worlds")).to_have_text("46 worlds by slurs, now rejected")
        expect(page.locator(".turns li")).to_have_count(40)
        page.wait_for_timeout(200)
        keep(page, "backtest")
        page.get_by_role("link", name="Doubtful Cave").click()
        page.wait_for_url(f"**/console/cases/{case.id}")
        page.go_back()
        page.get_by_role("link", name="Next").click()
        expect(page.locator(".turns li")).to_have_count(6)


def test_what_a_shadow_says_otherwise_is_shown(page: Page, server: Running, store: Store) -> None:
    worlds(store)
    sha256 = kept(page, LOOSER)
    page.get_by_role("button", name="Propose it").click()
    expect(page.locator(".intro .state")).to_have_text("shadow")
    turned = {
        "version": "rude",
        "before": "rejected",
        "after": "cleared",
        "gained": {},
        "lost": {"slurs": ["f1"]},
    }
    in_force = live(store).sha256
    with store.writing() as tx:
        add_shadow(tx.connection, "rude", "e-rude", in_force, sha256, turned)
        add_shadow(tx.connection, "calm", "e-calm", in_force, sha256, None)
    page.reload()

    expect(page.get_by_text("2 decisions beside the live bundle, 1 otherwise.")).to_be_visible()
    expect(page.locator(".turns")).to_contain_text("Rude Cave")
    expect(page.locator(".turns")).to_contain_text("you idiot")
    page.get_by_role("button", name="Withdraw").click()
    expect(page.locator(".intro .state")).to_have_text("retired")


def test_every_page_of_policy_authors_is_accessible_in_light_and_dark(
    page: Page, server: Running, store: Store
) -> None:
    worlds(store)
    sha256 = kept(page, STRICTER)
    page.get_by_role("button", name="Backtest").click()
    expect(page.locator(".by-rule")).to_be_visible(timeout=30_000)
    for path in ("/policies", f"/policies/{sha256}", f"/policies/new?from={sha256}"):
        page.goto(server.url + path)
        page.wait_for_load_state("networkidle")
        assert violations_in_both_schemes(page) == [], path


def test_the_workbench_fits_on_a_small_phone(browser: Browser, server: Running, store: Store) -> None:
    worlds(store)
    phone = PHONE | {"viewport": {"width": 360, "height": 740}}
    with signed_in(browser, server, "ada", **phone, color_scheme="dark") as page:
        sha256 = kept(page, STRICTER)
        page.get_by_role("button", name="Backtest").click()
        expect(page.locator(".by-rule")).to_be_visible(timeout=30_000)
        for number, path in enumerate(("/policies", f"/policies/{sha256}", "/policies/new")):
            page.goto(server.url + path)
            page.wait_for_timeout(500)
            keep(page, f"phone-policies{number}")
            assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, path


def test_whoever_is_no_policy_author_is_kept_out(browser: Browser, server: Running) -> None:
    with watched(browser, viewport=DESK) as page:
        page.goto(f"{server.url}/sign-in?next=/console")
        page.get_by_label("API key").fill(create_key(server.services.store, "mia"))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{server.url}/console")
        assert page.request.get(f"{server.url}/policies").status == 403
        assert page.get_by_role("link", name="Policies").count() == 0
