"""What holds for every page: it fits on a small phone, stands still, is light, and is there for everybody.

A new page is added to ``PAGES``; a test sees to it that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, Page, Response

from feedapi.app import create_app
from moderation.accounts import create_account, create_key, operator_key
from moderation.policy_changes.promotion import live
from tests.axe import violations_in_both_schemes
from tests.feed_home import Running, add_world, every_route, fill, running
from tests.test_feed_creators import decided
from tests.test_observing import busy
from worldmodel.models import load_model

SCRIPT = 300_000
"""Bytes of script that a page may load."""
SHIFT = 0.05
"""How much a page may move while it loads: https://web.dev/articles/cls, which calls 0.1 good."""
SMALL = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
SHIFTS = """
self.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) self.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
MARK = """() => {
  const all = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]");
  const shown = [...all].filter((one) =>
    one.tabIndex >= 0 && !one.disabled && one.type !== "radio" && !one.closest("[inert]") &&
    one.checkVisibility({ visibilityProperty: true }));
  shown.forEach((one, index) => { one.dataset.reach = index; });
  return shown.map((one) => one.outerHTML.slice(0, 90));
}"""
FOCUSED = """() => {
  const one = document.activeElement;
  const ringed = (element) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    return outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
  };
  const screen = one.closest(".screen, .editor");
  const beside = one.nextElementSibling;
  return [one.dataset.reach ?? null, [one, screen, beside].some((part) => part !== null && ringed(part))];
}"""

Who = Literal["", "anna", "operator"]


@dataclass(frozen=True)
class Shown:
    """A page as one kind of person sees it."""

    route: str
    """As the application has it."""
    path: str
    who: Who = ""
    """The account that is signed in, if any: a creator, or the operator, who may do all."""
    empty: bool = False
    """In an installation without worlds."""

    @property
    def name(self) -> str:
        return f"{self.path} {self.who} {'empty' if self.empty else ''}".strip()


PAGES = (
    Shown("/", "/"),
    Shown("/", "/", empty=True),
    Shown("/worlds", "/worlds"),
    Shown("/worlds/{world_id}", "/worlds/sunny-meadow"),
    Shown("/worlds/{world_id}", "/worlds/nowhere"),
    Shown("/worlds/{world_id}/device", "/worlds/sunny-meadow/device"),
    Shown("/sign-in", "/sign-in"),
    Shown("/studio", "/studio", "anna"),
    Shown("/studio", "/studio", "operator", empty=True),
    Shown("/studio/new", "/studio/new", "anna"),
    Shown("/studio/new", "/studio/new?remix=sunny-meadow", "anna"),
    Shown("/studio/new", "/studio/new?from={rejected}", "anna"),
    Shown("/studio/samples", "/studio/samples", "anna"),
    Shown("/studio/{version}", "/studio/{rejected}", "anna"),
    Shown("/studio/{version}", "/studio/{working}", "anna"),
    Shown("/console", "/console", "operator"),
    Shown("/console", "/console", "operator", empty=True),
    Shown("/console/quality", "/console/quality", "operator"),
    Shown("/console/cases/{case}", "/console/cases/1", "operator"),
    Shown("/policies", "/policies", "operator"),
    Shown("/policies/new", "/policies/new", "operator"),
    Shown("/policies/{sha256}", "/policies/{policy}", "operator"),
    Shown("/operate", "/operate", "operator"),
    Shown("/operate", "/operate", "operator", empty=True),
)
ELSEWHERE = {
    "/worlds/{world_id}/label",  # a part of the feed's page
    "/console/cases/{case}/take-over",  # needs a played clip: tests/test_console_browser.py
}
each_page = pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.name)


@dataclass(frozen=True)
class Site:
    """A server, and what its paths name."""

    server: Running
    names: dict[str, str]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Site]]:
    """By whether it is empty: an installation with something on every page, and one without anything."""
    with (
        installed(tmp_path_factory.mktemp("full") / "home", {"Sunny Meadow": "published"}) as full,
        installed(tmp_path_factory.mktemp("empty") / "home", {}) as empty,
    ):
        yield {False: Site(full, peopled(full)), True: Site(empty, {})}


@contextmanager
def installed(home: Path, worlds: dict[str, str]) -> Iterator[Running]:
    fill(home, worlds)
    with running(home) as server:
        operator_key(home, server.services.store)
        create_account(server.services.store, "anna", ["creator"])
        yield server


def peopled(server: Running) -> dict[str, str]:
    store = server.services.store
    key = {"Authorization": f"Bearer {create_key(store, 'anna')}"}

    def sent(title: str, **more: str) -> str:
        spec = {"title": title, "prompt": "a calm green meadow", **more}
        path = f"{server.url}/v1/worlds{'/sunny-meadow/remixes' if more else ''}"
        version: str = httpx.post(path, json={"spec": spec}, headers=key).raise_for_status().json()["id"]
        return version

    rejected, working = sent("Rejected Remix", remix_of="sunny-meadow"), sent("Working Meadow")
    decided(store, rejected)
    add_world(store, "Doubtful Meadow", "needs_review")
    busy(store)
    store.queue.heard("a-worker", ["cpu"])
    return {"rejected": rejected, "working": working, "policy": live(store).sha256}


@contextmanager
def opened(browser: Browser, sites: dict[bool, Site], shown: Shown, options: Any) -> Iterator[Page]:
    site = sites[shown.empty]
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.add_init_script(SHIFTS)
        if shown.who:
            context.add_cookies([site.server.cookie(shown.who)])
        page.goto(site.server.url + shown.path.format(**site.names))
        page.wait_for_timeout(500)
        yield page


def test_no_page_is_forgotten(tmp_path: Path) -> None:
    app = create_app(tmp_path, lambda: load_model("simulator"), 1)
    pages = {route.path for route in every_route(app.routes) if route.response_class is HTMLResponse}

    assert pages == {shown.route for shown in PAGES} | ELSEWHERE


@each_page
def test_it_fits_on_a_small_phone(browser: Browser, sites: dict[bool, Site], shown: Shown) -> None:
    with opened(browser, sites, shown, SMALL) as page:
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    assert wide <= 0


@each_page
def test_it_stands_still_and_is_light(browser: Browser, sites: dict[bool, Site], shown: Shown) -> None:
    for options in (SMALL, DESKTOP):
        with opened(browser, sites, shown, options) as page:
            script = loaded_script(page)
            shifted = page.evaluate("self.shifted")

        assert shifted <= SHIFT
        assert script <= SCRIPT


def loaded_script(page: Page) -> int:
    """Bytes of script that the page loads when it is loaded again."""
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - no method of C will do
    page.reload()
    page.wait_for_timeout(1000)
    return sum(len(one.body()) for one in answers if one.request.resource_type == "script")


@each_page
def test_the_keyboard_reaches_everything_and_shows_where_it_is(
    browser: Browser, sites: dict[bool, Site], shown: Shown
) -> None:
    with opened(browser, sites, shown, DESKTOP) as page:
        wanted: list[str] = page.evaluate(MARK)
        reached, unseen = set(), []
        for _ in range(len(wanted) + 40):
            page.keyboard.press("Tab")
            number, seen = page.evaluate(FOCUSED)
            if number is not None:
                reached.add(int(number))
                unseen += [] if seen else [wanted[int(number)]]

    assert [element for number, element in enumerate(wanted) if number not in reached] == []
    assert unseen == []


@each_page
def test_axe_finds_nothing_wrong(browser: Browser, sites: dict[bool, Site], shown: Shown) -> None:
    with opened(browser, sites, shown, DESKTOP) as page:
        found = violations_in_both_schemes(page)

    assert found == []
