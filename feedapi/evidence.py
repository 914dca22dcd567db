"""The clips and pictures that a decision shows: where they are fetched from, and how they are sent."""

from __future__ import annotations

import re
from collections.abc import Callable

from fastapi import Request, Response

Address = Callable[[str], str]
"""From a blob to its path."""


def of_case(case: int) -> Address:
    """For whoever reviews a case."""
    return lambda blob: f"/v1/cases/{case}/evidence/{blob}"


def of_version(version: str) -> Address:
    """For the creator of a version."""
    return lambda blob: f"/v1/versions/{version}/evidence/{blob}"


_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def sent(request: Request, data: bytes, kind: str, cache: str) -> Response:
    """The bytes, or the one range of them that is asked for (RFC 9110, section 14): clips are sought in."""
    headers = {"Cache-Control": cache, "Accept-Ranges": "bytes"}
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or not any(asked.groups()):
        return Response(data, media_type=kind, headers=headers)
    first, last = asked.groups()
    begin = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last) + 1 if first and last else len(data), len(data))
    if begin >= end:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data)}"
    return Response(data[begin:end], 206, media_type=kind, headers=headers)
