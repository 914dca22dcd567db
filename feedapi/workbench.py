"""Where policies are changed: drafts checked while they are written, held against all worlds, and promoted.

What a draft is, a backtest and a promotion are in :mod:`moderation.policy_changes`; here they get pages and
routes. Drafts that are not valid are nowhere but in their author's browser: the store keeps what loads.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path as FilePath
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field, field_validator

from feedapi import services
from feedapi.identity import Author, needs
from feedapi.problems import Problem, responses
from feedapi.studio import render, visitor
from moderation.accounts import Principal
from moderation.policy_changes.bundles import BundleLost, Standing, keep, restore
from moderation.policy_changes.promotion import NotYet, live, promote, shadow, withdraw
from moderation.store import NotFound, Store, bundles, cases
from policies.errors import BundleError
from policies.errors import Problem as Fault
from policies.types import Verdict

if TYPE_CHECKING:
    from moderation.policy_changes.backtest import Backtest
    from moderation.policy_changes.redecide import Turn
    from moderation.store.bundles import StoredBacktest, StoredBundle
    from policies.bundle import Bundle
    from policies.types import Finding

log = logging.getLogger(__name__)
router = APIRouter(tags=["policies"])

Reader = Annotated[Principal, Depends(needs("policies", visitor))]
Hash = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the bundle.")]
FILE = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,4}\.ya?ml$"
"""What a file of a draft may be called: a path that leads nowhere else."""
FileName = Annotated[str, Field(pattern=FILE, max_length=120)]
ENTRY = r"^(\.|[A-Za-z0-9_-][A-Za-z0-9._/-]*)$"
FILES = 64
"""Files of one draft at most."""
DEEPEST = 100
"""Brackets that may be open at once in a draft."""
SHOWN = 40
"""Worlds on a page of a backtest."""
EVIDENCE = 3
"""Findings that are shown of one world."""
START = """\
# What is not said here is inherited from the default policy.
bundle: my-policy
version: "1"
status: draft
extends: default

# Inherited rules that do not hold here.
disable: []

# Fields of inherited rules; thresholds are merged by name.
change:
  slurs:
    thresholds: {sure: 0.85}

tests:
  - name: a slur that is read for sure
    findings:
      - {detector: text, label: slur, score: 0.95, text: a slur}
    expect: rejected
    fired: [slurs]
"""
VARIABLE = "FIRSTPLAY_POLICY"


class Draft(BaseModel):
    """The text of a bundle."""

    files: dict[FileName, str] = Field(min_length=1, max_length=FILES)
    """By path."""
    entry: str = Field(".", pattern=ENTRY, max_length=120)
    """Which of the files, or their folder, is the bundle."""

    @field_validator("files")
    @classmethod
    def _no_file_is_a_folder(cls, files: dict[str, str]) -> dict[str, str]:
        folders = {str(parent) for name in files for parent in FilePath(name).parents}
        if both := sorted(folders & files.keys()):
            raise ValueError(f"{both[0]} cannot be a file and a folder")
        return files


class FaultItem(BaseModel):
    """What is wrong, where, and what to do."""

    file: str
    line: int
    """From 1; 0 means the whole file."""
    column: int
    rule: str | None
    problem: str
    remedy: str


class RuleItem(BaseModel):
    """A rule as prose, and where it is written."""

    id: str
    title: str
    severity: str
    category: str
    words: list[str]
    file: str
    """Empty where it is inherited from the built-in policy."""
    line: int


class CaseOutcome(BaseModel):
    """A test case, and what came of it."""

    name: str
    passes: bool
    told: str


class Checked(BaseModel):
    """What a draft comes to."""

    faults: list[FaultItem]
    """None where it may be kept."""
    name: str = ""
    sha256: str = ""
    words: list[str] = []
    """What holds for the bundle as a whole."""
    rules: list[RuleItem] = []
    tests: list[CaseOutcome] = []
    changes: list[str] = []
    """Against the bundle that is live."""


class Newly(BaseModel):
    """Worlds that come to another verdict."""

    blocked: int
    sent_to_review: int
    cleared: int
    to_explore: int


class BacktestItem(BaseModel):
    """How a bundle did when it was held against all worlds."""

    id: int
    against: str
    worlds: int
    at: datetime
    newly: Newly
    current: bool
    """Whether it was held against the bundle that is live now, as a promotion needs."""


class BundleItem(BaseModel):
    """A bundle, and where it stands."""

    sha256: str
    name: str
    status: Standing
    proposer: str | None
    changed: datetime
    backtest: BacktestItem | None


class BundleList(BaseModel):
    """Bundles, newest change first."""

    items: list[BundleItem]


class Running(BaseModel):
    """A backtest that was asked for."""

    state: Literal["running", "done", "failed", "none"]
    error: str = ""


class Promoted(BaseModel):
    """A bundle that is live now."""

    bundle: BundleItem
    queued: int
    """Worlds that are decided again."""


# -- backtests run beside the server ------------------------------------------------------------------------


class Backtests:
    """Runs one backtest at a time in a thread (which has child processes), and remembers how each ended."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._runner = ThreadPoolExecutor(1, "backtest")
        self._lock = Lock()
        self._states: dict[str, Running] = {}

    def start(self, sha256: str) -> Running:
        """Hold a bundle against the live one; nothing more where that is being done."""
        with self._lock:
            if self.state(sha256).state != "running":
                self._states[sha256] = Running(state="running")
                self._runner.submit(self._run, sha256)
            return self._states[sha256]

    def state(self, sha256: str) -> Running:
        """How the newest one of this server process does."""
        return self._states.get(sha256, Running(state="none"))

    def close(self) -> None:
        """Let what runs end."""
        self._runner.shutdown(cancel_futures=True)

    def _run(self, sha256: str) -> None:
        from moderation.policy_changes.backtest import backtest, keep_backtest

        try:
            against = live(self._store)
            with self._store.reading() as connection:
                stored = bundles.find_bundle(connection, sha256)
            keep_backtest(self._store, backtest(self._store, stored, against))
            self._states[sha256] = Running(state="done")
        except BundleLost as error:
            self._states[sha256] = Running(state="failed", error=str(error))
        except Exception as error:
            log.exception("a backtest of %s has failed", sha256[:12])
            self._states[sha256] = Running(state="failed", error=f"it failed ({type(error).__name__})")


# -- drafts -------------------------------------------------------------------------------------------------


@contextmanager
def laid_out(draft: Draft) -> Iterator[FilePath]:
    """The folder that has the draft's files, for as long as they are looked at."""
    with tempfile.TemporaryDirectory(prefix="firstplay-") as folder:
        root = FilePath(folder).resolve()
        for name, text in draft.files.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        yield root


def entry_of(draft: Draft, root: FilePath) -> FilePath:
    """Where the bundle begins. Raises BundleError where a file leads out of the draft."""
    entry = (root / draft.entry).resolve()
    if not entry.is_relative_to(root) or not entry.exists():
        raise BundleError([Fault(draft.entry, "the draft has no such file", "Name one of its files.")])
    for name, text in draft.files.items():
        _check_inside(root, name, text)
    return entry


def _check_inside(root: FilePath, name: str, text: str) -> None:
    """A draft comes from a browser: it may read no other file of this machine, nor grow when it is read."""
    from policies.files import read_file

    if _depth(text) > DEEPEST:
        raise BundleError([Fault(name, "it is nested too deeply", "Close brackets that are open.")])
    if _has_alias(text):
        remedy = "Write out what '*name' stands for."
        raise BundleError([Fault(name, "drafts may not use YAML aliases", remedy)])
    file = read_file(root / name)
    extends = file.document.extends
    if extends in (None, "default"):
        return
    parent = (root / name).parent / str(extends)
    if not parent.resolve().is_relative_to(root):
        place = file.place("extends")
        problem, remedy = (
            f"{extends} is not in the draft",
            "Write 'default', or the path of one of its files.",
        )
        raise BundleError([Fault(str(root / name), problem, remedy, None, place.line, place.column)])


def _depth(text: str) -> int:
    """Most brackets that are open at once: reading YAML takes time with the square of that."""
    deepest = depth = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth = max(0, depth - 1)
    return deepest


def _has_alias(text: str) -> bool:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import AliasEvent

    try:
        return any(isinstance(event, AliasEvent) for event in YAML(typ="rt").parse(text))
    except (YAMLError, TypeError):
        return False  # said with its place when it is read


def checked(draft: Draft, against: Bundle) -> Checked:
    """All that can be said of a draft: its faults, or its rules in words, test cases and differences."""
    from policies.bundle import read_bundle
    from policies.cases import check
    from policies.diff import changes
    from policies.prose import bundle_in_words

    with laid_out(draft) as root:
        try:
            bundle = read_bundle(entry_of(draft, root))
        except BundleError as error:
            return Checked(faults=[_fault(one, root) for one in error.problems])
        except RecursionError:
            deep = Fault(draft.entry, "it is nested too deeply", "Write it flatter.")
            return Checked(faults=[_fault(deep, root)])
        failed = {case.name: check(bundle, case) for case in bundle.cases}
        places = [(one, bundle.case_places[name]) for name, one in failed.items() if one is not None]
        return Checked(
            faults=[
                _fault(Fault(at.file, str(one), one.remedy, None, at.line, at.column), root)
                for one, at in places
            ],
            name=bundle.name,
            sha256=bundle.sha256,
            words=list(bundle_in_words(bundle)),
            rules=_rule_items(bundle, root),
            tests=[
                CaseOutcome(name=name, passes=one is None, told="" if one is None else str(one))
                for name, one in failed.items()
            ],
            changes=[str(one) for one in changes(against, bundle)],
        )


def _fault(one: Fault, root: FilePath) -> FaultItem:
    """As the author knows it: without the folder in which the draft lies for the moment."""
    return FaultItem(
        file=_inside(one.file, root),
        line=one.line,
        column=one.column,
        rule=one.rule,
        problem=one.problem.replace(f"{root}{os.sep}", ""),
        remedy=one.remedy.replace(str(root), "the draft"),
    )


def _inside(file: str, root: FilePath) -> str:
    path = FilePath(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else file


def _rule_items(bundle: Bundle, root: FilePath | None = None) -> list[RuleItem]:
    from policies.prose import rule_in_words

    items = []
    for rule in bundle.rules:
        place = rule.written.place()
        inside = root is not None and FilePath(place.file).is_relative_to(root)
        items.append(
            RuleItem(
                id=rule.id,
                title=rule.spec.title,
                severity=rule.spec.severity,
                category=bundle.header.categories[rule.spec.category].title,
                words=[rule.spec.guideline, *rule_in_words(rule)],
                file=_inside(place.file, root) if inside and root else "",
                line=place.line if inside else 0,
            )
        )
    return items


# -- the API ------------------------------------------------------------------------------------------------

_ANSWERS = responses("not-signed-in", "not-allowed", "not-found", "conflict")


@router.post("/v1/policy-checks", responses=responses("not-signed-in", "not-allowed"))
def check_draft(request: Request, who: Author, draft: Draft) -> Checked:
    """Say what a draft comes to, or what is wrong: file, line, column, and what to do. Keeps nothing."""
    del who
    return checked(draft, _live_bundle(services.of(request).store))


@router.post("/v1/policies", status_code=201, responses=responses("not-signed-in", "not-allowed"))
def keep_draft(request: Request, who: Author, draft: Draft) -> BundleItem:
    """Keep a draft whose test cases pass; the same content is one bundle."""
    from policies.bundle import load_bundle

    del who
    store = services.of(request).store
    found = checked(draft, _live_bundle(store))
    if found.faults:
        first = found.faults[0]
        errors = [one.model_dump() | {"message": one.problem} for one in found.faults]
        raise Problem("invalid", f"{first.file}:{first.line}:{first.column}: {first.problem}", errors=errors)
    with laid_out(draft) as root:
        entry = entry_of(draft, root)
        bundle = load_bundle(entry)
        with store.writing() as tx:
            keep(tx, bundle, entry)
    return _item(store, _stored(store, bundle.sha256))


@router.get("/v1/policies", responses=responses("not-signed-in", "not-allowed"))
def list_bundles(request: Request, who: Author) -> BundleList:
    """Every bundle that was kept."""
    del who
    store = services.of(request).store
    return BundleList(items=_items(store))


@router.get("/v1/policies/{sha256}", responses=_ANSWERS)
def get_bundle(request: Request, who: Author, sha256: Hash) -> BundleItem:
    """Where a bundle stands."""
    del who
    store = services.of(request).store
    return _item(store, _stored(store, sha256))


@router.get("/v1/policies/{sha256}/draft", responses=_ANSWERS)
def get_text(request: Request, who: Author, sha256: Hash) -> Draft:
    """The text of a bundle, to begin a draft with."""
    del who
    stored = _stored(services.of(request).store, sha256)
    return Draft(files=dict(stored.files), entry=stored.entry)


@router.post("/v1/policies/{sha256}/backtests", status_code=202, responses=_ANSWERS)
def start_backtest(request: Request, who: Author, sha256: Hash) -> Running:
    """Begin to hold a bundle against the live one on all that is stored."""
    del who
    here = services.of(request)
    _stored(here.store, sha256)
    return here.backtests.start(sha256)


@router.get("/v1/policies/{sha256}/backtests", responses=_ANSWERS)
def follow_backtest(request: Request, who: Author, sha256: Hash) -> Running:
    """How the backtest does that was begun last."""
    del who
    return services.of(request).backtests.state(sha256)


@router.post("/v1/policies/{sha256}/shadow", responses=_ANSWERS)
def start_shadow(request: Request, who: Author, sha256: Hash) -> BundleItem:
    """Propose a bundle: it decides beside the live one from now on, without effect."""
    store = services.of(request).store
    with _not_yet():
        return _item(store, _after(store, shadow(store, sha256, who.account)))


@router.post("/v1/policies/{sha256}/withdraw", responses=_ANSWERS)
def end_shadow(request: Request, who: Author, sha256: Hash) -> BundleItem:
    """End a shadow without promoting it."""
    store = services.of(request).store
    with _not_yet():
        return _item(store, _after(store, withdraw(store, sha256, who.account)))


@router.post("/v1/policies/{sha256}/promote", responses=_ANSWERS)
def make_live(request: Request, who: Author, sha256: Hash) -> Promoted:
    """Agree with what another person proposed: it is live now, and every world is decided again."""
    store = services.of(request).store
    with _not_yet():
        stored, queued = promote(store, sha256, who.account)
        return Promoted(bundle=_item(store, _after(store, stored)), queued=queued)


@contextmanager
def _not_yet() -> Iterator[None]:
    try:
        yield
    except (NotYet, BundleLost) as error:
        raise Problem("conflict", str(error)) from None


def _stored(store: Store, sha256: str) -> StoredBundle:
    with store.reading() as connection:
        return bundles.find_bundle(connection, sha256)


def _after(store: Store, changed: StoredBundle) -> StoredBundle:
    """As it stands now."""
    return _stored(store, changed.sha256)


def _live_bundle(store: Store) -> Bundle:
    return restore(live(store))


def _items(store: Store) -> list[BundleItem]:
    current = live(store).sha256
    with store.reading() as connection:
        found = [
            (one, bundles.last_backtest(connection, one.sha256)) for one in bundles.find_bundles(connection)
        ]
    return [_told(one, tested, current) for one, tested in found]


def _item(store: Store, stored: StoredBundle) -> BundleItem:
    with store.reading() as connection:
        tested = bundles.last_backtest(connection, stored.sha256)
    return _told(stored, tested, live(store).sha256)


def _told(stored: StoredBundle, tested: StoredBacktest | None, current: str) -> BundleItem:
    return BundleItem(
        sha256=stored.sha256,
        name=stored.name,
        # the built-in bundle is in force where none was ever promoted, and stays a draft in the store
        status=Standing.LIVE if stored.sha256 == current else Standing(stored.status),
        proposer=stored.proposer,
        changed=datetime.fromtimestamp(stored.changed, UTC),
        backtest=None if tested is None else _backtest_item(tested, current),
    )


def _backtest_item(tested: StoredBacktest, current: str) -> BacktestItem:
    found = _turns(tested)
    counts = {verdict: len(found.newly(verdict)) for verdict in Verdict}
    return BacktestItem(
        id=tested.id,
        against=tested.against,
        worlds=tested.worlds,
        at=datetime.fromtimestamp(tested.at, UTC),
        newly=Newly(
            blocked=counts[Verdict.REJECTED],
            sent_to_review=counts[Verdict.NEEDS_REVIEW],
            cleared=counts[Verdict.CLEARED],
            to_explore=counts[Verdict.INCONCLUSIVE],
        ),
        current=tested.against == current,
    )


def _turns(tested: StoredBacktest) -> Backtest:
    from moderation.policy_changes.backtest import Backtest
    from moderation.policy_changes.redecide import Turn

    turned = tuple(map(Turn.from_json, tested.turned))
    return Backtest(tested.bundle, tested.against, tested.worlds, turned)


# -- the pages ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """A world that a bundle decides otherwise."""

    version: str
    world: str
    title: str
    before: str
    after: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    evidence: tuple[str, ...]
    case: int | None
    """The one to look at, where this person may."""
    published: bool


@router.get("/policies", response_class=HTMLResponse, include_in_schema=False)
def list_page(request: Request, who: Reader) -> Response:
    """Every bundle, and where it stands."""
    store = services.of(request).store
    order = [Standing.LIVE, Standing.SHADOW, Standing.DRAFT, Standing.RETIRED]
    items = sorted(_items(store), key=lambda one: order.index(one.status))
    return render(request, who, "policies.html", items=items, named=os.environ.get(VARIABLE))


@router.get("/policies/new", response_class=HTMLResponse, include_in_schema=False)
def new_page(request: Request, who: Reader, wanted: Annotated[str, Query(alias="from")] = "") -> Response:
    """Where a draft is written."""
    store = services.of(request).store
    if wanted:
        with store.reading() as connection:
            stored = bundles.find_bundle(connection, wanted)
        files, entry = dict(stored.files), stored.entry
    else:
        files, entry = {"policy.yaml": START}, "policy.yaml"
    return render(request, who, "draft.html", files=files, entry=entry, wanted=wanted)


@router.get("/policies/{sha256}", response_class=HTMLResponse, include_in_schema=False)
def bundle_page(
    request: Request, who: Reader, sha256: Hash, rule: str = "", to: Verdict | None = None, page: int = 1
) -> Response:
    """One bundle: what it says, what it would change, what it said in the shadow, and what comes next."""
    from policies.cases import check
    from policies.diff import changes
    from policies.prose import bundle_in_words

    here = services.of(request)
    store = here.store
    stored = _stored(store, sha256)
    item = _item(store, stored)
    try:
        bundle, lost = restore(stored), ""
    except BundleLost as error:
        bundle, lost = None, str(error)
    against = _live_bundle(store)
    with store.reading() as connection:
        tested = bundles.last_backtest(connection, sha256)
        made, turned = bundles.count_shadows(connection, sha256), bundles.shadow_turns(connection, sha256)
        events = [one for one in bundles.policy_log(connection) if one[0] == sha256]
    found = None if tested is None else _turns(tested)
    chosen = [] if found is None else _chosen(found, rule, to)
    first = max(0, page - 1) * SHOWN
    return render(
        request,
        who,
        "policy.html",
        item=item,
        lost=lost,
        stored=stored,
        words=[] if bundle is None else list(bundle_in_words(bundle)),
        rules=[] if bundle is None else _rule_items(bundle),
        tests=[] if bundle is None else [(case.name, check(bundle, case)) for case in bundle.cases],
        changed=[] if bundle is None else list(changes(against, bundle)),
        by_rule=[] if found is None else found.by_rule(),
        worlds=_worlds(store, who, chosen[first : first + SHOWN]),
        chosen=len(chosen),
        page=max(1, page),
        pages=max(1, -(-len(chosen) // SHOWN)),
        rule=rule,
        to=to,
        verdicts=list(Verdict),
        running=here.backtests.state(sha256),
        made=made,
        shadowed=_worlds(store, who, _shadow_turns(turned)[:SHOWN]),
        differing=len(turned),
        events=events,
        mine=stored.proposer == who.account,
    )


def _chosen(found: Backtest, rule: str, to: Verdict | None) -> list[Turn]:
    """Worlds whose verdict changes first, then those where other rules fire."""
    from moderation.policy_changes.backtest import ELSEWHERE

    wanted = [
        one
        for one in found.turns
        if (not rule or rule in (one.rules or (ELSEWHERE,))) and (to is None or one.after is to)
    ]
    return sorted(wanted, key=lambda one: (one.before is one.after, one.version))


def _shadow_turns(turned: Sequence[bundles.ShadowTurn]) -> list[Turn]:
    from moderation.policy_changes.redecide import Turn

    return [Turn.from_json(one.turn) for one in reversed(turned)]


def _worlds(store: Store, who: Principal, turns: Sequence[Turn]) -> list[World]:
    found = []
    for one in turns:
        try:
            version = store.version(one.version)
        except NotFound:  # erased since
            continue
        with store.reading() as connection:
            open_cases = cases.cases_of(connection, one.version) if who.may("cases") else []
        names = [name for some in (one.gained, one.lost) for ids in some.values() for name in ids]
        found.append(
            World(
                one.version,
                version.world,
                version.title,
                one.before,
                one.after,
                tuple(one.gained),
                tuple(one.lost),
                _evidence(store, one.version, names),
                open_cases[-1].id if open_cases else None,
                version.state == "published",
            )
        )
    return found


def _evidence(store: Store, version: str, names: Sequence[str]) -> tuple[str, ...]:
    """The findings that made the difference, in words; what is not kept any more is left out."""
    from moderation.evidence import caption

    decided = store.newest_decision(version)
    known: Mapping[str, Finding] = {}
    if decided is not None and names:
        known = {one.id: one for one in store.findings(version, decided.exploration)}
    said = [caption(known[name]) for name in dict.fromkeys(names) if name in known]
    more = (f"and {len(said) - EVIDENCE} more",) if len(said) > EVIDENCE else ()
    return (*said[:EVIDENCE], *more)
