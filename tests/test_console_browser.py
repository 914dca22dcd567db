"""A moderator at a browser: takes a case, looks, decides by keys, undoes, and goes on to the next.

``FIRSTPLAY_SHOTS`` names a folder to keep the screenshots in.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from bots import storage
from moderation.accounts import create_account, create_key
from moderation.cases.appeals import appeal
from moderation.pipeline import POLICY_VARIABLE
from moderation.states import WorldState
from moderation.store import Evidence, Store, cases
from moderation.store.cases import Case, Status
from policies import Bundle
from policies.cases import sufficient_coverage
from policies.types import Finding, Source
from tests.case_worlds import cases_of, found, judge, machine, small_bundle, submit
from tests.feed_home import Running, running
from tests.test_feed_browser import PHONE, keep, watched
from tests.test_studio_browser import sign_in


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
    for opened in watched(browser, viewport={"width": 1440, "height": 900}):
        sign_in(opened, server)
        yield opened


def movie() -> bytes:
    """Two seconds of a square that walks, as H.264."""
    data = io.BytesIO()
    with av.open(data, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=15)
        stream.width = stream.height = 128
        stream.pix_fmt = "yuv420p"
        for n in range(30):
            picture = np.full((128, 128, 3), (20, 90, 70), np.uint8)
            picture[50:80, 10 + 3 * n : 30 + 3 * n] = (240, 200, 80)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    return data.getvalue()


def waiting(store: Store, bundle: Bundle, version: str, label: str = "slur") -> Case:
    """A case that the policy asks for, with a clip, a map, and findings on a timeline."""
    submit(store, version)
    decision = judge(bundle, found(label, 0.6, "a bad word"))
    clip = store.blobs.put(movie())
    picture = np.zeros((384, 1024, 3), np.uint8)
    picture[:, ::64] = 90
    atlas = store.blobs.put(storage.to_bytes({"frames": picture[None]}))
    route = tuple((4.0 + n, 12 + 3 * np.sin(n / 3)) for n in range(40))
    evidence = Evidence(
        "slurs", "f", "play-one", 2.0, 4.0, clip, (), "“a bad word” read on a sign", True, route
    )
    findings = [
        Finding(f"{version}-{n}", "ocr", "1", "slur", 0.2 + 0.1 * n, Source.PLAYTHROUGH, n, n + 1, "play-one")
        for n in range(8)
    ]
    words = Finding(
        f"{version}-w", "speech", "1", "speech", 0.9, Source.PLAYTHROUGH, 3, 5, "play-one", text="hello there"
    )
    machine(store, bundle, decision, version)
    exploration = store.version(version).exploration or ""
    with store.writing() as tx:
        tx.add_piece(exploration, "atlas", 0, {}, atlas)
        tx.add_findings(version, exploration, [*findings, words])
        stored = replace(decision, policy_hash="seen")
        tx.add_decision(version, exploration, stored, sufficient_coverage(bundle), [evidence])
    return cases_of(store, version)[-1]


def status(store: Store, case: Case) -> Status:
    with store.reading() as connection:
        return cases.find_case(connection, case.id).status


def until_state(store: Store, version: str, state: WorldState, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while store.version(version).state is not state:
        assert time.monotonic() < end, f"{version} is {store.version(version).state}"
        time.sleep(0.1)


def test_the_queue_is_walked_and_opened_by_keys(page: Page, server: Running, bundle: Bundle) -> None:
    for version in ("v1", "v2"):
        waiting(server.services.store, bundle, version)
    page.goto(f"{server.url}/console")
    keep(page, "console")

    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("[data-case]").nth(1)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/cases/*")
    expect(page.get_by_role("heading", name="Lantern Caves")).to_be_visible()


def test_a_case_is_seen_blurred_until_somebody_holds_to_see(
    page: Page, server: Running, bundle: Bundle
) -> None:
    case = waiting(server.services.store, bundle, "v1")
    page.goto(f"{server.url}/console/cases/{case.id}")
    clip = page.locator(".clip").first
    expect(page.locator(".state")).to_be_visible()
    blurred = "getComputedStyle(document.querySelector('.clip video')).filter"

    assert "blur" in page.evaluate(blurred)
    assert page.evaluate("document.querySelector('.clip video').muted")
    page.wait_for_timeout(600)
    keep(page, "case")
    page.keyboard.down(" ")
    expect(clip).to_have_class("clip guarded seen")
    page.wait_for_timeout(400)
    assert page.evaluate(blurred) == "none"
    keep(page, "case-seen")
    page.keyboard.up(" ")
    expect(page.locator("#exposure")).to_contain_text("1 clips")
    page.wait_for_timeout(300)
    assert "blur" in page.evaluate(blurred)


def test_a_case_is_decided_in_three_keys_and_the_next_is_there(
    page: Page, server: Running, bundle: Bundle
) -> None:
    store = server.services.store
    first, second = (waiting(store, bundle, version) for version in ("v1", "v2"))
    page.goto(f"{server.url}/console/cases/{first.id}")
    expect(page.locator(".case")).to_have_attribute("data-mine", "true")

    page.keyboard.press("1")
    page.keyboard.press("r")
    page.wait_for_url(f"**/console/cases/{second.id}")
    expect(page.locator("#undo")).to_contain_text("Undo with u")
    assert store.version("v1").state is WorldState.IN_REVIEW
    until_state(store, "v1", WorldState.REJECTED)


def test_a_decision_is_undone_within_ten_seconds(page: Page, server: Running, bundle: Bundle) -> None:
    store = server.services.store
    first, _ = (waiting(store, bundle, version) for version in ("v1", "v2"))
    page.goto(f"{server.url}/console/cases/{first.id}")
    expect(page.locator(".case")).to_have_attribute("data-mine", "true")

    page.keyboard.press("a")
    page.wait_for_selector("#undo:not([hidden])")
    page.keyboard.press("u")
    page.wait_for_url(f"**/console/cases/{first.id}")
    page.wait_for_timeout(11_000)

    assert status(store, first) is Status.CLAIMED
    assert store.version("v1").state is WorldState.IN_REVIEW


def test_keys_mean_nothing_while_somebody_writes(page: Page, server: Running, bundle: Bundle) -> None:
    case = waiting(server.services.store, bundle, "v1")
    page.goto(f"{server.url}/console/cases/{case.id}")
    expect(page.locator(".case")).to_have_attribute("data-mine", "true")

    page.get_by_label("For the creator").fill("")
    page.get_by_label("For the creator").press_sequentially("area 1")
    page.keyboard.press("Control+a")

    assert page.get_by_label("For the creator").input_value() == "area 1"
    assert page.locator("[name=rule]:checked").count() == 0
    assert page.url.endswith(f"/console/cases/{case.id}")


def test_a_severe_decision_waits_for_a_second_person(
    page: Page, browser: Browser, server: Running, bundle: Bundle
) -> None:
    store = server.services.store
    case = waiting(store, bundle, "v1", "blood")
    page.goto(f"{server.url}/console/cases/{case.id}")
    expect(page.locator(".case")).to_have_attribute("data-mine", "true")
    page.keyboard.press("1")
    page.keyboard.press("r")
    until_state(store, "v1", WorldState.AWAITING_SECOND_APPROVAL)

    for other in watched(browser, viewport={"width": 1440, "height": 900}):
        other.goto(f"{server.url}/sign-in?next=/console/cases/{case.id}")
        other.get_by_label("API key").fill(create_key(store, "ben"))
        other.get_by_role("button", name="Sign in").click()
        expect(other.get_by_role("heading", name="A second person must agree")).to_be_visible()
        other.wait_for_load_state("networkidle")
        keep(other, "second")
        other.keyboard.press("a")
        until_state(store, "v1", WorldState.REJECTED)


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


def test_quality_and_the_empty_queue_say_what_they_are_for(page: Page, server: Running) -> None:
    page.goto(f"{server.url}/console")
    expect(page.get_by_text("Nothing waits")).to_be_visible()
    page.get_by_role("link", name="Quality", exact=True).click()
    expect(page.get_by_role("heading", name="Quality")).to_be_visible()


def test_the_console_fits_on_a_small_phone(browser: Browser, server: Running, bundle: Bundle) -> None:
    case = waiting(server.services.store, bundle, "v1")
    phone = PHONE | {"viewport": {"width": 360, "height": 740}}
    for page in watched(browser, **phone, color_scheme="dark"):
        sign_in(page, server)
        for path in ("/console", f"/console/cases/{case.id}", "/console/quality"):
            page.goto(server.url + path)
            page.wait_for_timeout(300)
            keep(page, f"phone-console{path.count('/')}")
            assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, path


def test_whoever_is_no_moderator_is_kept_out(browser: Browser, server: Running) -> None:
    for page in watched(browser, viewport={"width": 1440, "height": 900}):
        page.goto(f"{server.url}/sign-in?next=/studio")
        page.get_by_label("API key").fill(create_key(server.services.store, "kim"))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{server.url}/studio")
        answer = page.request.get(f"{server.url}/console")
        assert answer.status == 403
