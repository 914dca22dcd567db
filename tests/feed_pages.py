"""What the tests of the players' pages share: pages that fail on any error, sizes of screens, waiting."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
LIVE = "html[data-live=yes]"


@contextmanager
def watched(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page on which any error in a script or against the content policy fails the test."""
    errors: list[str] = []
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        yield page
    # a refusal that the page answers in words is in the console too
    assert not [error for error in errors if not re.search("status of (403|404|422|503)", error)]


def keep(page: Page, name: str) -> None:
    """A screenshot in the folder that ``FIRSTPLAY_SHOTS`` names."""
    folder = os.environ.get("FIRSTPLAY_SHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


def until(happened: Callable[[], bool], page: Page, seconds: float = 60) -> None:
    """Wait until it happened. Fails where it did not."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        page.wait_for_timeout(50)
