"""What axe-core, the usual checker of web accessibility, finds wrong with a page."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from playwright.sync_api import Page

from tests.conftest import missing
from worldmodel.store import FetchFailed, ModelEntry, ModelMissing, add_entries, model_path
from worldmodel.store.catalogue import Npm
from worldmodel.store.fetch import fetch

_AXE = ModelEntry(
    name="axe-core",
    kind="tests: checks pages for accessibility (JavaScript)",
    licence="MPL-2.0 (Deque Systems)",
    filename="axe-core-4.14.1.min.js",
    sha256="29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
    size=653_780,
    sources=(
        Npm(
            "axe-core",
            "4.14.1",
            ("axe.min.js",),
            archive="e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
            size=708_405,
        ),
    ),
)
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")


@cache
def _script() -> str:
    """From the cache of models, where npm's package is put once and checked by its hash."""
    add_entries(_AXE)
    try:
        fetch(_AXE.name)
    except (FetchFailed, ModelMissing) as error:
        missing(f"axe-core is needed to check pages: {error}")
    return model_path(_AXE.name).read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """What is wrong with the page as it is now, one line per rule with the elements that break it.

    All rules that axe has on by default: WCAG 2.0 to 2.2 level A and AA, and good practice. The page's
    content policy does not matter: the checker runs from the browser's own debugger.
    """
    page.evaluate(_script())
    found = page.evaluate("axe.run({ resultTypes: ['violations'] }).then((told) => told.violations)")
    return [f"{one['id']} ({one['impact']}): {one['help']}: {_elements(one)}" for one in found]


def _elements(violation: dict[str, Any]) -> str:
    return " | ".join(str(node["target"]) for node in violation["nodes"])


def violations_in_both_schemes(page: Page) -> list[str]:
    """The same for the light and the dark colours of the page."""
    found = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += [f"{scheme}: {one}" for one in violations(page)]
    return found
