"""Play on the device: who may, what a bundle is worth, and that a browser plays what the server plays."""

from __future__ import annotations

import base64
import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from playwright.sync_api import Browser, Page, Route

from feedapi.device import MAGIC, SAME_VIEW
from feedapi.reel import PLAYER
from moderation import novelty
from moderation.evidence import png
from moderation.pipeline import POLICY_VARIABLE
from moderation.store import live, open_store
from moderation.store.live import LiveReport, ReportKind
from tests.axe import violations_in_both_schemes
from tests.feed_home import Running, add_world, move, running
from tests.feed_pages import DESKTOP, LIVE, keep, until, watched
from worldmodel.models import load_model
from worldmodel.package import load_package

EXAMPLES = Path(__file__).parent.parent / "examples"
WORLD = "frost-run"
STEPS = 64
PLAY = """
async ({ world, key, runtime, actions }) => {
  const { fetchBundle, fetchGraph } = await import("/static/bundle.js");
  const { Model, worldOf } = await import("/player/model.js");
  const { header, data } = await fetchBundle(world, key, () => {});
  const graph = await fetchGraph(header.graph);
  const library = new URL(runtime, location.href).href;
  const model = await Model.open(worldOf(header.about, data), { library, graph });
  const { differenceHash } = await import("/static/watch.js");
  const size = header.about.frame_size;
  const seen = [];
  for (const action of actions) {
    const { frame } = await model.step(action);
    seen.push({ frame: Array.from(frame), hash: Array.from(differenceHash(frame, size)) });
  }
  return { seen, seed: header.about.seed };
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Worlds that bots are said to have played with the package's own weights."""
    home = tmp_path_factory.mktemp("device") / "home"
    store, model = open_store(home), ("neural", load_model("neural").card.sha256)
    for name in (WORLD, "mossy-steps", "top-garden"):
        package = load_package(EXAMPLES / name)
        add_world(store, package.spec.title, "published", world=package, model=model)
    add_world(store, "Never Played", "published")
    store.close()
    with running(home) as here:
        yield here


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as each:
        yield each


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with watched(browser, **DESKTOP) as page:
        yield page


def start(client: httpx.Client, world: str = WORLD) -> httpx.Response:
    """Ask until the world is packed, which takes a minute the first time."""
    until = time.monotonic() + 300
    while (answer := client.post(f"/v1/worlds/{world}/device")).status_code == 503:
        assert answer.json()["type"] == "/problems/preparing"
        assert time.monotonic() < until, "it was not packed in time"
        time.sleep(1)
    return answer


def bundle(client: httpx.Client, world: str = WORLD) -> bytes:
    return client.get(start(client, world).raise_for_status().json()["bundle"]).raise_for_status().content


def header(data: bytes) -> dict[str, Any]:
    (length,) = struct.unpack_from("<I", data, 4)
    found: dict[str, Any] = json.loads(data[8 : 8 + length])
    return found


def forbidding(folder: Path) -> Path:
    (folder / "bundle.yaml").write_text(
        "extends: default\nbundle: strict\nversion: '1'\nstatus: live\n"
        "summary: As the default one, but nothing is played where no detector watches.\n"
        "live: {on_device: forbidden}\n"
    )
    return folder


# -- who may ------------------------------------------------------------------------------------------


def test_a_bundle_is_signed_and_says_what_it_is(server: Running, client: httpx.Client) -> None:
    data = bundle(client)
    (length,) = struct.unpack_from("<I", data, 4)
    text, signature = data[8 : 8 + length], data[8 + length : 72 + length]
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(server.app.state.device.public_key))

    key.verify(signature, text)
    with pytest.raises(InvalidSignature):
        key.verify(signature, text.replace(b"frost-run", b"other-run"))

    assert data.startswith(MAGIC)
    assert header(data)["version"] == server.services.store.published_world(WORLD).version
    assert header(data)["about"]["seed"] != header(bundle(client))["about"]["seed"]


def test_a_ticket_is_good_once_and_for_its_world(client: httpx.Client) -> None:
    path = start(client).json()["bundle"]
    ticket = path.partition("ticket=")[2]

    assert client.get(f"/v1/worlds/mossy-steps/device/bundle?ticket={ticket}").status_code == 403
    assert client.get(path).status_code == 200
    assert client.get(path).json()["type"] == "/problems/bad-ticket"
    assert client.get(path[:-4] + "AAAA").status_code == 403


def test_only_what_the_devices_model_was_reviewed_with_runs_there(client: httpx.Client) -> None:
    answer = client.post("/v1/worlds/never-played/device")

    assert answer.status_code == 403
    assert "the model that runs on devices" in answer.json()["detail"]


def test_the_policy_can_forbid_it(
    client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(POLICY_VARIABLE, str(forbidding(tmp_path)))

    answer = client.post(f"/v1/worlds/{WORLD}/device")

    assert answer.status_code == 403
    assert "the policy of this place forbids" in answer.json()["detail"]
    assert "Play on this device" not in client.get(f"/worlds/{WORLD}").text


def test_a_take_down_holds_from_the_next_start_on(server: Running, client: httpx.Client) -> None:
    path = start(client, "top-garden").json()["bundle"]
    store = server.services.store

    move(store, store.published_world("top-garden").version, ["suspended"])

    assert client.get(path).status_code == 404
    assert client.post("/v1/worlds/top-garden/device").status_code == 404


# -- what comes back ----------------------------------------------------------------------------------


def numbers(steps: int, **changes: Any) -> dict[str, Any]:
    told = {
        "kind": "player",
        "actions": np.full(steps, 2, np.uint8),
        "events": np.zeros(steps, "<u2"),
        "clips": np.full(steps, -1, "<i2"),
    }
    told |= changes
    return {
        name: base64.b64encode(one.tobytes()).decode() if isinstance(one, np.ndarray) else one
        for name, one in told.items()
    }


def test_a_report_keeps_the_playthrough_once(server: Running, client: httpx.Client) -> None:
    said = header(bundle(client))
    report = numbers(12, ticket=said["report"], life=2)

    first = client.post(f"/v1/worlds/{WORLD}/device/reports", json=report).raise_for_status().json()
    again = client.post(f"/v1/worlds/{WORLD}/device/reports", json=report).raise_for_status().json()

    assert (first["kept"], again["kept"]) == (True, False)
    (kept,) = [
        one for one in live.reports(server.services.store, said["version"]) if one.session == said["session"]
    ]
    play = server.services.store.find_playthrough(kept.playthrough).playthrough
    assert kept.kind == ReportKind.PLAYER
    assert (play.player, play.seed, play.model) == (PLAYER, int(said["about"]["seed"]) + 2, said["model"])
    assert play.actions.tolist() == [2] * 12


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": np.full(3, 200, np.uint8)},
        {"clips": np.zeros(2, "<i2")},
        {"actions": "no base64"},
        {"events": base64.b64encode(b"odd").decode()},
    ],
)
def test_a_report_that_is_none_is_refused(client: httpx.Client, changes: dict[str, Any]) -> None:
    report = numbers(3, ticket=header(bundle(client))["report"], **changes)

    assert client.post(f"/v1/worlds/{WORLD}/device/reports", json=report).status_code == 422


def test_nobody_reports_without_having_got_a_bundle(client: httpx.Client) -> None:
    report = numbers(3, ticket=start(client).json()["bundle"].partition("ticket=")[2])

    assert client.post(f"/v1/worlds/{WORLD}/device/reports", json=report).status_code == 403


# -- in a browser -------------------------------------------------------------------------------------


def test_a_browser_plays_what_the_server_plays(server: Running, client: httpx.Client, page: Page) -> None:
    start(client)
    page.goto(f"{server.url}/worlds")
    actions = np.random.default_rng(4).integers(0, 8, STEPS).tolist()
    key, runtime = server.app.state.device.public_key, "/device/runtime/1.30.0/"
    page.goto(f"{server.url}/worlds/never-played/device")  # a page that may compile WebAssembly

    played = page.evaluate(PLAY, {"world": WORLD, "key": key, "runtime": runtime, "actions": actions})

    model, world = load_model("neural"), server.services.world(WORLD)
    state = model.spawn([world], [int(played["seed"])])
    for seen, action in zip(played["seen"], actions, strict=True):
        state, right = model.step(state, torch.tensor([action]))
        assert right.frames is not None
        frame = np.array(seen["frame"], np.int16).reshape(right.frames.shape[1:])
        assert np.abs(frame - right.frames[0].numpy().astype(np.int16)).mean() <= 2
        hashed = novelty.difference_hash(frame.transpose(1, 2, 0).astype(np.uint8))
        assert np.bitwise_count(hashed ^ np.array(seen["hash"], np.uint8)).sum() <= SAME_VIEW // 4


def test_the_page_plays_on_the_device_and_reports(server: Running, client: httpx.Client, page: Page) -> None:
    start(client)
    page.goto(f"{server.url}/worlds/{WORLD}")
    page.wait_for_selector(LIVE, timeout=60_000)
    page.click("text=Play on this device")
    page.wait_for_selector(LIVE, timeout=60_000)

    page.keyboard.down("ArrowRight")
    until(lambda: int(page.locator("#canvas").get_attribute("data-tick") or 0) >= 10, page, 60)
    page.keyboard.up("ArrowRight")
    page.keyboard.press("r")

    page.wait_for_selector("text=Reported. Thank you")
    assert page.evaluate("crossOriginIsolated")
    assert "WebAssembly" in page.inner_text("#way")
    assert "Nobody watches over play here" in page.inner_text("#where")
    until(lambda: server.services.arena.players == 0, page)
    assert not violations_in_both_schemes(page)
    keep(page, "device")
    version = server.services.store.published_world(WORLD).version
    newest = live.reports(server.services.store, version)[-1]
    play = server.services.store.find_playthrough(newest.playthrough).playthrough
    assert 2 in play.actions.tolist(), "it walked to the right"


def test_a_flagged_view_is_never_drawn(server: Running, client: httpx.Client, page: Page) -> None:
    """Somebody's live session was ended by what the start of this world looks like."""
    store, model = server.services.store, load_model("neural")
    version, world = store.published_world("mossy-steps").version, server.services.world("mossy-steps")
    picture = model.render(model.spawn([world], [0]))[0].permute(1, 2, 0).contiguous().numpy()
    seen = LiveReport(
        version, ReportKind.VIOLATION, "somebody", "p", 1, picture=store.blobs.put(png(picture))
    )
    with store.writing() as tx:
        live.add_report(tx, "e", seen)
    start(client, "mossy-steps")

    page.goto(f"{server.url}/worlds/mossy-steps/device")
    page.wait_for_selector("text=a view that was flagged before", timeout=60_000)

    lit = page.evaluate(
        """() => {
            const canvas = document.getElementById("canvas");
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return pixels.reduce((sum, value, index) => sum + (index % 4 === 3 ? 0 : value), 0);
        }"""
    )
    assert lit == 0
    page.wait_for_selector("text=Reported. Thank you")
    assert "flagged before" in live.reports(store, version)[-1].reasons[0]


def test_a_bundle_that_was_changed_on_the_way_is_not_played(
    server: Running, client: httpx.Client, page: Page
) -> None:
    start(client)

    def spoil(route: Route) -> None:
        answer = route.fetch()
        body = answer.body()
        route.fulfill(response=answer, body=body.replace(b'"world":"frost-run"', b'"world":"other-run"'))

    page.route("**/device/bundle*", spoil)
    page.goto(f"{server.url}/worlds/{WORLD}/device")

    page.wait_for_selector("text=Played from the server: the bundle's signature is wrong")
    page.wait_for_selector(LIVE, timeout=30_000)


def test_where_it_may_not_run_the_server_plays_and_the_page_says_why(
    server: Running, browser: Browser
) -> None:
    with browser.new_page() as page:
        page.goto(f"{server.url}/worlds/never-played/device")
        page.wait_for_selector("text=Played from the server: Not for play on the device")
        page.wait_for_selector(LIVE, timeout=30_000)
        until(lambda: server.services.arena.players == 1, page)
