"""An operator at a browser: sees what there is, what it costs, and lets a dead job be tried again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from moderation.accounts import create_account, create_key, operator_key
from tests.feed_home import Running, running
from tests.test_feed_browser import PHONE, keep, watched
from tests.test_observing import busy


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path / "home") as here:
        operator_key(tmp_path / "home", here.services.store)
        yield here


def sign_in(page: Page, server: Running, account: str = "operator") -> None:
    page.goto(f"{server.url}/operate")
    page.get_by_label("API key").fill(create_key(server.services.store, account))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server.url}/operate")


def test_an_operator_sees_what_died_and_tries_it_again(browser: Browser, server: Running) -> None:
    busy(server.services.store)
    with watched(browser, viewport={"width": 1440, "height": 900}) as page:
        sign_in(page, server)
        expect(page.get_by_role("heading", name="Operation")).to_be_visible()
        expect(page.get_by_label("Error of job 1")).to_be_visible()
        keep(page, "operate")
        page.get_by_role("button", name="Try again: job 1").click()
        expect(page.get_by_text("None: what failed was tried again")).to_be_visible()

    states = {job.kind: job.state for job in server.services.store.queue.jobs()}
    assert states == {"scan": "ready", "explore": "ready"}


def test_an_empty_installation_says_what_to_do(browser: Browser, server: Running) -> None:
    phone = PHONE | {"viewport": {"width": 360, "height": 740}}
    with watched(browser, **phone, color_scheme="dark") as page:
        sign_in(page, server)
        expect(page.get_by_text("No worlds yet")).to_be_visible()
        expect(page.get_by_role("heading", name="what to do next")).to_be_visible()
        expect(page.get_by_role("link", name="sample worlds")).to_be_visible()
        keep(page, "phone-operate")
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def test_only_operators_see_jobs_and_only_dead_ones_are_tried_again(server: Running) -> None:
    store = server.services.store
    busy(store)
    create_account(store, "anna", ["creator"])
    operator, anna = (
        httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {create_key(store, name)}"})
        for name in ("operator", "anna")
    )

    dead = operator.get("/v1/jobs").json()["items"]
    ready = operator.get("/v1/jobs", params={"state": "ready"}).json()["items"]

    assert [(one["kind"], one["error"]) for one in dead] == [("scan", "no such thing")]
    assert anna.get("/v1/jobs").status_code == 403
    assert operator.post(f"/v1/jobs/{ready[0]['id']}/requeue").status_code == 409
    assert operator.post("/v1/jobs/99999/requeue").status_code == 404
    assert operator.post(f"/v1/jobs/{dead[0]['id']}/requeue").json()["state"] == "ready"


def test_the_board_refreshes_itself_until_it_is_told_not_to(browser: Browser, server: Running) -> None:
    store = server.services.store
    with watched(browser, viewport={"width": 1440, "height": 900}) as page:
        sign_in(page, server)
        expect(page.get_by_text("None was heard of in the last minute.")).to_be_visible()
        store.queue.heard("a-worker", ["cpu"])
        expect(page.get_by_text("a-worker")).to_be_visible(timeout=30_000)

        page.get_by_text("Refresh by itself").click()
        shown = page.locator("#as-of").text_content()
        page.wait_for_timeout(7000)
        assert page.locator("#as-of").text_content() == shown


def test_a_worker_shows_what_it_does_and_a_queue_who_listens(browser: Browser, server: Running) -> None:
    store = server.services.store
    busy(store)
    store.queue.heard("a-worker", ["cpu", "gpu"])
    job = store.queue.claim("a-worker", 60.0)
    assert job is not None
    store.queue.renew(job, 60.0, 1.0, {"done": 30, "total": 120})
    with watched(browser, viewport={"width": 1440, "height": 900}) as page:
        sign_in(page, server)
        expect(page.locator(".workers")).to_contain_text(f"{job.kind} of Busy Meadow, 25 %")
        expect(page.get_by_role("row", name=f"{job.queue} 0 1")).to_be_visible()
        expect(page.get_by_role("img", name="1 in 24 hours, at most 1 in one")).to_be_visible()


def test_work_without_workers_is_said(browser: Browser, server: Running) -> None:
    busy(server.services.store)
    with watched(browser, viewport={"width": 1440, "height": 900}) as page:
        sign_in(page, server)
        expect(page.get_by_text("Nobody works.")).to_be_visible()
