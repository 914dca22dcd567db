"""The whole API against its own description: no server error, no answer that the schema does not know."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openapi_spec_validator import validate

from feedapi import bounds
from moderation.accounts import operator_key
from tests.feed_home import fill, running

SECONDS = os.environ.get("FIRSTPLAY_TEST_SCHEMA_SECONDS", "20")
"""How long requests are made up; 600 once before a release."""
# A spec, a key's scopes or an account's name may fit the schema and still be refused for what they say.
ACCEPTANCE = "positive_data_acceptance"
CONFIG = Path(__file__).parent / "data" / "schemathesis.toml"


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The server's URL and an operator's key; asking often is what this test does."""
    home = tmp_path_factory.mktemp("schema") / "home"
    fill(home, {"Sunny Meadow": "published", "Hidden Meadow": "rejected"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "USUAL", dict.fromkeys(bounds.USUAL, "1000000/minute"))
        with running(home) as here:
            key = operator_key(home, here.services.store).read_text().strip()
            yield here.url, key


def test_the_description_is_valid_openapi(described: tuple[str, str]) -> None:
    document = httpx.get(f"{described[0]}/openapi.json").json()

    validate(document)
    names = document["components"]["schemas"]
    assert [name for name in names if "__" in name] == [], "two models of one name: generators refuse that"


@pytest.mark.timeout(900)
def test_no_request_that_fits_the_description_breaks_it(described: tuple[str, str], tmp_path: Path) -> None:
    url, key = described
    command = [Path(sys.executable).with_name("schemathesis")]
    command += ["--config-file", str(CONFIG), "run", f"{url}/openapi.json"]
    options = ["--max-time", SECONDS, "--checks", "all", "--exclude-checks", ACCEPTANCE, "--no-color"]
    options += ["-H", f"Authorization: Bearer {key}", "--warnings", "off", "--seed", "1"]

    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-6000:]
