"""Clips are sent whole, or the range of them that a browser seeks."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from feedapi.evidence import sent

DATA = bytes(range(10))


def answer(asked: str | None) -> tuple[int, bytes, str | None]:
    headers = [] if asked is None else [(b"range", asked.encode())]
    got = sent(Request({"type": "http", "headers": headers}), DATA, "video/mp4", "private")
    return got.status_code, bytes(got.body), got.headers.get("content-range")


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        (None, 200, DATA, None),
        ("bytes=0-", 206, DATA, "bytes 0-9/10"),
        ("bytes=2-4", 206, DATA[2:5], "bytes 2-4/10"),
        ("bytes=8-99", 206, DATA[8:], "bytes 8-9/10"),
        ("bytes=-3", 206, DATA[7:], "bytes 7-9/10"),
        ("bytes=-99", 206, DATA, "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=5-2", 416, b"", "bytes */10"),
        ("bytes=0-1,4-5", 200, DATA, None),
        ("bytes=-", 200, DATA, None),
        ("lines=0-1", 200, DATA, None),
    ],
)
def test_a_range_is_answered_as_rfc_9110_says(
    asked: str | None, status: int, body: bytes, told: str | None
) -> None:
    assert answer(asked) == (status, body, told)
