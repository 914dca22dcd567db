"""A small typed client of the creators' API.

    with Client("https://play.example", key) as client:
        version = client.submit_package(Path("lantern-caves"))
        for event in client.follow(version.id):
            print(event.data)
        print(client.decision(version.id).reasons)

Every method raises :class:`ApiProblem` where the server says no.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from feedapi.shapes import DecisionItem, Upload, VersionItem, VersionList

TIMEOUT = 30.0
"""Seconds to wait for an answer."""


class ApiProblem(Exception):
    """What the server said instead of doing it (RFC 9457)."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.type = str(body.get("type", "about:blank"))
        self.title = str(body.get("title", "The request failed"))
        self.detail = str(body.get("detail", ""))
        self.errors: list[dict[str, Any]] = body.get("errors") or []
        """What is wrong with which field or file."""
        super().__init__(f"{self.title}: {self.detail}")


@dataclass(frozen=True)
class Event:
    """One step of a review."""

    name: str
    """``state`` or ``progress``."""
    data: dict[str, Any]


class Client:
    """Talks to one installation as one account."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def upload(self, data: bytes) -> str:
        """Keep a picture, sound or video for a submission; its id."""
        return Upload.model_validate(self._ask("POST", "/v1/uploads", content=data)).id

    def submit(
        self, spec: Mapping[str, Any], files: Mapping[str, bytes] | None = None, once: str | None = None
    ) -> VersionItem:
        """Submit a world; ``files`` by the names that the spec uses. ``once`` is an Idempotency-Key."""
        uploads = {name: self.upload(data) for name, data in (files or {}).items()}
        body = {"spec": dict(spec), "files": uploads}
        answer = self._ask("POST", "/v1/worlds", json=body, headers=_once(once))
        return VersionItem.model_validate(answer)

    def submit_package(self, path: Path, once: str | None = None) -> VersionItem:
        """Submit a world package: a folder or a zip."""
        data = path.read_bytes() if path.is_file() else _zipped(path)
        headers = _once(once) | {"Content-Type": "application/zip"}
        return VersionItem.model_validate(self._ask("POST", "/v1/worlds", content=data, headers=headers))

    def remix(self, world: str, spec: Mapping[str, Any], once: str | None = None) -> VersionItem:
        """Submit a remix of a published world."""
        path = f"/v1/worlds/{world}/remixes"
        answer = self._ask("POST", path, json={"spec": dict(spec)}, headers=_once(once))
        return VersionItem.model_validate(answer)

    def versions(self) -> Iterator[VersionItem]:
        """All of one's versions, newest first."""
        after: str | None = None
        while True:
            given = {} if after is None else {"after": after}
            page = VersionList.model_validate(self._ask("GET", "/v1/versions", params=given))
            yield from page.items
            if page.next is None:
                return
            after = page.next

    def version(self, version: str) -> VersionItem:
        """Where a version stands."""
        return VersionItem.model_validate(self._ask("GET", f"/v1/versions/{version}"))

    def follow(self, version: str, last: int = -1) -> Iterator[Event]:
        """The steps of its review as they happen, until it is decided."""
        headers = {"Last-Event-ID": str(last)}
        path = f"/v1/versions/{version}/events"
        with self._http.stream("GET", path, headers=headers, timeout=None) as stream:
            if stream.is_error:
                stream.read()
                raise _problem(stream)
            name = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield Event(name, json.loads(line.removeprefix("data: ")))

    def decision(self, version: str) -> DecisionItem:
        """What was decided, why, and what to change."""
        return DecisionItem.model_validate(self._ask("GET", f"/v1/versions/{version}/decision"))

    def evidence(self, path: str) -> bytes:
        """A clip or picture of a decision, by the path that it names."""
        return self._send("GET", path).content

    def withdraw(self, version: VersionItem, reason: str = "withdrawn by its creator") -> VersionItem:
        """Take a version back, for good, unless it changed since ``version`` was read."""
        headers = {"If-Match": f'"{version.revision}"'}
        path = f"/v1/versions/{version.id}/withdraw"
        answer = self._ask("POST", path, json={"reason": reason}, headers=headers)
        return VersionItem.model_validate(answer)

    def _ask(self, method: str, path: str, **given: Any) -> Any:
        return self._send(method, path, **given).json()

    def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        answer = self._http.request(method, path, **given)
        if answer.is_error:
            raise _problem(answer)
        return answer


def _problem(answer: httpx.Response) -> ApiProblem:
    try:
        body = answer.json()
    except ValueError:
        body = {"detail": answer.text[:200] or answer.reason_phrase}
    return ApiProblem(answer.status_code, body)


def _once(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": key}


def _zipped(folder: Path) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(folder))
    return data.getvalue()
