"""The pages of moderators: the queue, a case with its evidence, and how well people and policy agree."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse, Response

from feedapi import services
from feedapi.cases import CaseView, find_case, view_of
from feedapi.identity import needs
from feedapi.problems import Problem
from feedapi.studio import render, visitor
from moderation.accounts import Principal
from moderation.cases import queue
from moderation.cases.reasons import Reason
from moderation.store import Store
from moderation.store.cases import Case, Status

router = APIRouter(prefix="/console", include_in_schema=False)

TILES = (64, 24)
"""Columns and rows of a world's map."""
OUTCOME_KEYS = {"clear": "a", "reject": "r", "request_changes": "c", "take_down": "t"}
"""The key that decides so."""
RULES_ON_KEYS = 9


Reviewer = Annotated[Principal, Depends(needs("cases", visitor))]


@router.get("", response_class=HTMLResponse)
def list_page(request: Request, who: Reviewer, reason: Reason | None = None, mine: bool = False) -> Response:
    """Every open case: the worst first."""
    found = queue.waiting(services.of(request).store)
    shown = [one for one in found if reason in (None, one.reason) and (not mine or one.holder == who.account)]
    return render(
        request,
        who,
        "console.html",
        cases=shown,
        total=len(found),
        reasons=list(Reason),
        reason=reason,
        mine=mine,
        now=time.time(),
        Status=Status,
    )


@router.get("/quality", response_class=HTMLResponse)
def quality_page(request: Request, who: Reviewer) -> Response:
    """How well people, policy and appeals agree, and how long it takes."""
    from moderation.cases.quality import quality

    found = quality(services.of(request).store, time.time())
    return render(request, who, "quality.html", quality=found)


@router.get("/cases/{case}", response_class=HTMLResponse)
def case_page(request: Request, who: Reviewer, case: Annotated[int, Path(ge=1)]) -> Response:
    """One case: clips on a timeline, the map, what was decided so far, and the keys to decide by."""
    store = services.of(request).store
    view = view_of(store, who, case)
    return render(
        request,
        who,
        "case.html",
        case=view.case,
        view=view,
        seen=view.seen,
        clips=_clips(view),
        timelines=_timelines(view.seen.get("findings", ())),
        rules=_rules(store, view),
        keys=OUTCOME_KEYS,
        following=_following(store, who, case),
        mine=view.case.holder == who.account,
        parent=store.version(view.case.version).remix_of,
        mapped=_atlas(store, view.case.version) is not None,
        tiles=TILES,
        Status=Status,
    )


@router.get("/cases/{case}/map.png")
def case_map(request: Request, who: Reviewer, case: Annotated[int, Path(ge=1)]) -> Response:
    """The world's map, as the review drew it."""
    from bots import storage
    from moderation.evidence import png

    store = services.of(request).store
    blob = _atlas(store, find_case(store, who, case).version)
    if blob is None:
        raise Problem("not-found", "this world has no map: bots have not played it")
    picture = storage.from_bytes(store.blobs.read(blob))["frames"][0]
    return Response(png(picture), media_type="image/png", headers={"Cache-Control": "private, max-age=600"})


def _atlas(store: Store, version: str) -> str | None:
    """Blob of the map that the newest review drew."""
    exploration = store.version(version).exploration
    pieces = store.pieces(exploration, "atlas") if exploration else {}
    return next((blob for _, blob in pieces.values() if blob is not None), None)


def _following(store: Store, who: Principal, case: int) -> Case | None:
    """The case that this person would be given next."""
    for one in queue.waiting(store):
        if one.id != case and one.status is Status.WAITING and (not one.senior or who.may("cases:senior")):
            return one
    return None


def _clips(view: CaseView) -> list[dict[str, Any]]:
    """What shows something, of each rule and kind once, shortest first; without the rules of a blind case."""
    base = f"/v1/cases/{view.case.id}/evidence/"
    evidence = view.seen.get("evidence") or view.seen.get("sights", ())
    shown = [
        {
            "rule": one.get("rule", ""),
            "caption": one.get("caption", "A moment that detectors asked about"),
            "start": one["start"],
            "end": one["end"],
            "playthrough": one["playthrough"],
            "clip": base + one["clip"] if one["clip"] else None,
            "frames": [(at, base + blob) for at, blob in one["frames"]],
            "route": " ".join(f"{x:.2f},{y:.2f}" for x, y in one.get("route", ())),
        }
        for one in evidence
    ]
    return sorted(shown, key=lambda one: (one["rule"], one["end"] - one["start"]))


def _timelines(findings: Any) -> list[dict[str, Any]]:
    """By playthrough, what was seen when: marks with their class, place (percent), height and words."""
    by_play: dict[str, list[dict[str, Any]]] = {}
    for one in findings:
        if one["playthrough"] is not None:
            by_play.setdefault(one["playthrough"], []).append(one)
    return [_timeline(name, some) for name, some in sorted(by_play.items())]


def _timeline(playthrough: str, findings: list[dict[str, Any]]) -> dict[str, Any]:
    end = max(*(one["end"] for one in findings), 1.0)
    lanes: dict[str, list[dict[str, Any]]] = {}
    for one in findings:
        mark = {
            "left": 100 * one["start"] / end,
            "width": max(0.4, 100 * (one["end"] - one["start"]) / end),
            "score": one["score"],
            "start": one["start"],
            "text": one["text"] or "",
        }
        lanes.setdefault(f"{one['detector']}: {one['label']}".replace("_", " "), []).append(mark)
    words = [one for one in findings if one["detector"] == "speech" and one["text"]]
    return {
        "playthrough": playthrough,
        "end": end,
        "lanes": sorted(lanes.items()),
        "words": sorted(words, key=lambda one: float(one["start"])),
    }


def _rules(store: Store, view: CaseView) -> list[dict[str, str]]:
    """The rules to reject by: those that fired first, then the others by name; the first nine have keys."""
    from moderation.pipeline import policy_bundle

    fired = [one["rule"] for one in view.seen.get("fired", ())]
    rules = {rule.id: rule.spec.title for rule in policy_bundle(store).rules}
    order = [*[one for one in fired if one in rules], *sorted(rules.keys() - set(fired))]
    return [
        {"id": name, "title": rules[name], "key": str(n) if n <= RULES_ON_KEYS else ""}
        for n, name in enumerate(order, 1)
    ]
