"""The pages of moderators: the queue, a case with its evidence, playing on, and how well all of it goes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from feedapi import services
from feedapi.cases import CaseId, CaseView, find_case, view_of
from feedapi.evidence import of_case
from feedapi.identity import needs
from feedapi.problems import Problem
from feedapi.studio import render, visitor
from feedapi.take_over import LONGEST
from moderation.accounts import Principal
from moderation.cases import queue
from moderation.cases.reasons import Reason
from moderation.states import WorldState
from moderation.store import NotFound, Quarantined, Store, Version
from moderation.store.cases import Case, Status
from worldmodel.constants import FPS

if TYPE_CHECKING:
    from moderation.report_charts import DrawnMap

router = APIRouter(prefix="/console", include_in_schema=False)

OUTCOME_KEYS = {"clear": "a", "reject": "r", "request_changes": "c", "take_down": "t"}
"""The key that decides so."""
RULES_ON_KEYS = 9
MARKS = 120
"""Findings of one class that a timeline shows, the strongest."""
ELSEWHERE = 6
"""Other playthroughs that are named beside the clips of a rule."""
LEAD = 1.0
"""Seconds before what was found at which one plays on."""
FETCHED_AHEAD = ", fetched ahead"
"""Said in the log of privileged reads of a page that the browser asked for before the one before was left."""

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
    )


@router.get("/quality", response_class=HTMLResponse)
def quality_page(request: Request, who: Reviewer) -> Response:
    """How well people, policy and appeals agree, and how long it takes."""
    from moderation.cases.quality import quality
    from moderation.evaluation.metrics import wilson
    from moderation.pipeline import policy_bundle
    from moderation.policy_changes import quality as rules

    store = services.of(request).store
    judged = rules.judged(rules.human_rows(store))
    said = rules.said_of(store, policy_bundle(store), {one.version for one in judged})
    found = [(one.rule, one.precision) for one in rules.quality(judged, said)]
    precise = {rule: (one.hits, one.of, *wilson(one.hits, one.of)) for rule, one in found}
    return render(
        request,
        who,
        "quality.html",
        quality=quality(store, time.time()),
        precise=precise,
    )


@router.get("/cases/{case}", response_class=HTMLResponse)
def case_page(request: Request, who: Reviewer, case: CaseId, ahead: bool = False) -> Response:
    """One case: clips on a timeline, the map, what was decided so far, and the keys to decide by.

    ``ahead``: the browser asks for it while the case before is still looked at.
    """
    store = services.of(request).store
    view = view_of(store, who, case, FETCHED_AHEAD if ahead else "")
    clusters = _clusters(view)
    return render(
        request,
        who,
        "case.html",
        case=view.case,
        view=view,
        seen=view.seen,
        clusters=clusters,
        timelines=_timelines(view.seen["findings"], clusters),
        rules=_rules(store, view),
        keys=OUTCOME_KEYS,
        following=_following(store, who, case),
        mine=view.case.holder == who.account,
        family=_family(store, store.version(view.case.version)),
        map=_map(store, view.case.version),
        trail=_trail(view.seen),
        explored=view.seen["explored"],
        when=_when,
        Status=Status,
    )


@router.get("/cases/{case}/take-over", response_class=HTMLResponse)
def take_over_page(
    request: Request,
    who: Reviewer,
    case: CaseId,
    playthrough: Annotated[str, Query(pattern=r"^[0-9a-f]{16}$")],
    step: Annotated[int, Query(ge=0, lt=LONGEST)] = 0,
) -> Response:
    """Where a moderator plays on from a moment of a clip."""
    store = services.of(request).store
    found = find_case(store, who, case)
    return render(
        request,
        who,
        "take_over.html",
        case=found,
        title=store.version(found.version).title,
        playthrough=playthrough,
        step=step,
        seconds=step / FPS,
        rules=_by_name(store),
        open=found.status is not Status.CLOSED,
    )


@router.get("/cases/{case}/map.png")
def case_map(request: Request, who: Reviewer, case: CaseId) -> Response:
    """The world's map, lit where bots were."""
    store = services.of(request).store
    drawn = _map(store, find_case(store, who, case).version)
    if drawn is None:
        raise Problem("not-found", "this world has no map: bots have not played it")
    file = BytesIO()
    drawn.picture.save(file, "PNG")
    return _picture(file.getvalue())


@router.get("/cases/{case}/still.png")
def case_still(
    request: Request, who: Reviewer, case: CaseId, of: Literal["own", "parent"] = "own"
) -> Response:
    """A frame of the case's world, or of the one that it is made from."""
    store = services.of(request).store
    version = store.version(find_case(store, who, case).version)
    shown = version if of == "own" else _parent(store, version)
    if shown is None or shown.thumbnail is None or shown.state is WorldState.QUARANTINED:
        raise Problem("not-found", "there is no picture of it")
    return _picture(store.blobs.read(shown.thumbnail))


def _picture(data: bytes) -> Response:
    return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=600"})


# -- what the case is about ---------------------------------------------------------------------------


def _map(store: Store, version: str) -> DrawnMap | None:
    """What the newest review drew, with the ways of its evidence."""
    from moderation.dossier import map_of
    from moderation.report_charts import draw_map

    stored = next((one for one in store.decisions(version) if one.exploration), None)
    if stored is None or stored.exploration is None:
        return None
    drawn = map_of(store, store.exploration(stored.exploration), stored.evidence)
    return None if drawn is None else draw_map(drawn)


@dataclass(frozen=True)
class Family:
    """A remix beside what it is made from."""

    parent: str
    """Slug."""
    title: str
    prompt: str
    state: str
    still: bool
    own_still: bool
    changed: tuple[tuple[str, str, str], ...]
    """Field, before, after."""


def _parent(store: Store, version: Version) -> Version | None:
    """The newest version of the world that this one is made from."""
    return None if version.remix_of is None else next(iter(store.find_versions(version.remix_of)[::-1]), None)


def _family(store: Store, version: Version) -> Family | None:
    from moderation.packages import unpack

    parent = _parent(store, version)
    if parent is None:
        return None
    try:
        before, after = (
            unpack(store.package(one.id)).spec.model_dump(mode="json", exclude={"remix_of"})
            for one in (parent, version)
        )
    except (NotFound, Quarantined):  # erased, or not to be looked at
        return Family(parent.world, parent.title, "", parent.state, still=False, own_still=False, changed=())
    changed = tuple(
        (name, _worded(before.get(name)), _worded(after[name]))
        for name in after
        if before.get(name) != after[name]
    )
    stills = parent.thumbnail is not None, version.thumbnail is not None
    return Family(parent.world, parent.title, parent.prompt, parent.state, *stills, changed)


def _worded(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_worded(one)}" for name, one in value.items() if one is not None)
    if isinstance(value, list):
        return "; ".join(map(_worded, value)) or "none"
    return "not said" if value is None else str(value)


def _following(store: Store, who: Principal, case: int) -> Case | None:
    """The case that this person would be given next."""
    for one in queue.waiting(store):
        if one.id != case and one.status is Status.WAITING and (not one.senior or who.may("cases:senior")):
            return one
    return None


# -- clips --------------------------------------------------------------------------------------------


def _clusters(view: CaseView) -> list[dict[str, Any]]:
    """Clips that show the same, together: by rule, the worst first, and in each the shortest first.

    Of a blind case all are one cluster without a name.
    """
    seen = view.seen
    fired = {one["rule"]: one for one in seen.get("fired", ())}
    shown = [_clip(view.case.id, one) for one in seen.get("evidence") or seen["sights"]]
    if not view.blind:
        shown += [_clip(view.case.id, one["evidence"], one) for one in seen["sightings"]]
    rules = sorted({one["rule"] for one in shown}, key=lambda rule: _weight(fired.get(rule), rule))
    findings = {one["id"]: one for one in seen["findings"]}
    return [
        {
            "rule": rule,
            "title": fired.get(rule, {}).get("title") or rule,
            "severity": fired.get(rule, {}).get("severity", ""),
            "clips": [
                *sorted(
                    (one for one in shown if one["rule"] == rule), key=lambda one: one["end"] - one["start"]
                ),
                *_elsewhere(view.case.id, fired.get(rule), findings, shown),
            ],
        }
        for rule in rules
    ]


def _weight(fired: Mapping[str, Any] | None, rule: str) -> tuple[int, str]:
    return -int(fired["severity"][1:]) if fired else 0, rule


def _clip(case: int, one: Mapping[str, Any], filed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    path = of_case(case)
    return {
        "rule": one.get("rule", ""),
        "caption": filed["text"] if filed else one.get("caption", "A moment that detectors asked about"),
        "by": filed["by"] if filed else "",
        "reproduced": one.get("reproduced", True),
        "start": one["start"],
        "end": one["end"],
        "playthrough": one["playthrough"],
        "clip": path(one["clip"]) if one["clip"] else None,
        "frames": [(at, path(blob)) for at, blob in one["frames"]],
    }


def _elsewhere(
    case: int,
    fired: Mapping[str, Any] | None,
    findings: Mapping[str, Mapping[str, Any]],
    shown: Iterable[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Clips that are made when they are looked at: of each other playthrough the rule's strongest finding."""
    from moderation.evidence import MARGIN, clip_start

    cut = {one["playthrough"] for one in shown}
    best: dict[str, Mapping[str, Any]] = {}
    for name in fired["findings"] if fired else ():
        one = findings.get(name)
        if one is None or one["playthrough"] is None or one["playthrough"] in cut:
            continue
        before = best.setdefault(one["playthrough"], one)
        best[one["playthrough"]] = max(before, one, key=lambda found: found["score"])
    strongest = sorted(best.values(), key=lambda one: -one["score"])[:ELSEWHERE]
    return [
        {
            "rule": fired["rule"] if fired else "",
            "caption": f"{one['label']} {one['score']:.2f} ({one['detector']}) at {one['start']:.1f} s",
            "by": "",
            "reproduced": True,
            "start": clip_start(one["start"]),
            "end": one["start"] + MARGIN,
            "playthrough": one["playthrough"],
            "clip": f"/v1/cases/{case}/playthroughs/{one['playthrough']}/clip?at={one['start']}",
            "frames": [],
            "made": True,
        }
        for one in strongest
    ]


def _step(seconds: float) -> int:
    """From which one plays on to see what shows then."""
    return max(0, int((seconds - LEAD) * FPS))


# -- timelines ----------------------------------------------------------------------------------------


def _timelines(
    findings: Sequence[Mapping[str, Any]], clusters: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """By playthrough, those with clips first: marks and score lines by class, and what was said."""
    cut = [clip for cluster in clusters for clip in cluster["clips"]]
    order = dict.fromkeys(one["playthrough"] for one in cut if one["playthrough"])
    by_play: dict[str, list[Mapping[str, Any]]] = {name: [] for name in order}
    for one in findings:
        if one["playthrough"] is not None:
            by_play.setdefault(one["playthrough"], []).append(one)
    return {
        name: _timeline(some, [one for one in cut if one["playthrough"] == name])
        for name, some in by_play.items()
        if some
    }


def _timeline(findings: Sequence[Mapping[str, Any]], clips: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    end = max(*(one["end"] for one in (*findings, *clips)), 1.0)
    lanes: dict[str, list[Mapping[str, Any]]] = {}
    for one in findings:
        lanes.setdefault(f"{one['detector']}: {one['label']}".replace("_", " "), []).append(one)
    words = [one for one in findings if one["detector"] == "speech" and one["text"]]
    return {
        "end": end,
        "spans": [(_percent(one["start"], end), _percent(one["end"] - one["start"], end)) for one in clips],
        "lanes": [_lane(name, some, end) for name, some in sorted(lanes.items())],
        "words": [
            {"text": one["text"], "at": one["start"], "left": _percent(one["start"], end)}
            for one in sorted(words, key=lambda one: float(one["start"]))
        ],
    }


def _lane(name: str, findings: Sequence[Mapping[str, Any]], end: float) -> dict[str, Any]:
    """One class: its marks, and its score as a line that falls to nothing where nothing was found."""
    strongest = sorted(findings, key=lambda one: -one["score"])[:MARKS]
    ordered = sorted(strongest, key=lambda one: float(one["start"]))
    line = [(0.0, 0.0)]
    for one in ordered:
        left, right = _percent(one["start"], end), _percent(one["end"], end)
        line += [
            (left, 0.0),
            (left, one["score"]),
            (max(right, left + 0.2), one["score"]),
            (max(right, left + 0.2), 0.0),
        ]
    best = strongest[0]
    return {
        "name": name,
        "count": len(findings),
        "marks": [
            {
                "left": _percent(one["start"], end),
                "width": max(0.5, _percent(one["end"] - one["start"], end)),
                "score": one["score"],
                "start": one["start"],
                "text": one["text"] or "",
            }
            for one in ordered
        ],
        "line": " ".join(f"{x:.2f},{20 - 19 * min(1.0, y):.2f}" for x, y in [*line, (100.0, 0.0)]),
        "best": {"score": best["score"], "start": best["start"], "step": _step(best["start"])},
    }


def _percent(seconds: float, end: float) -> float:
    return round(100 * seconds / end, 3)


# -- deciding -----------------------------------------------------------------------------------------


def _trail(seen: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What people and machines did, in order: who, when, what, and their words. Nothing of a blind case."""
    acted = [
        {"at": one["at"], "who": one["actor"], "what": one["action"], "words": _said(one["detail"])}
        for one in seen.get("actions", ())
    ]
    moved = [
        {"at": one["at"], "who": one["actor"], "what": _plain(one["to_state"]), "words": one["reason"]}
        for one in seen.get("history", ())
    ]
    return sorted([*acted, *moved], key=lambda one: float(one["at"]))


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _said(detail: Mapping[str, Any]) -> str:
    parts = [_plain(detail.get("outcome", "")), ", ".join(detail.get("rules", ())), detail.get("rule", "")]
    parts += [detail.get("reason", ""), detail.get("text", "")]
    if "step" in detail:
        parts.append(f"at {detail['step'] / FPS:.1f} s of {detail['playthrough'][:8]}")
    return "; ".join(part for part in parts if part)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _rules(store: Store, view: CaseView) -> list[dict[str, str]]:
    """The rules to reject by: those that fired first, then the others by name; the first nine have keys."""
    rules = _by_name(store)
    fired = [one["rule"] for one in view.seen.get("fired", ())]
    order = [*[one for one in fired if one in rules], *sorted(rules.keys() - set(fired))]
    return [
        {"id": name, "title": rules[name], "key": str(n) if n <= RULES_ON_KEYS else ""}
        for n, name in enumerate(order, 1)
    ]


def _by_name(store: Store) -> dict[str, str]:
    """Rules of the policy, with their titles."""
    from moderation.pipeline import policy_bundle

    return {rule.id: rule.spec.title for rule in policy_bundle(store).rules}
