"""Shows what is new in live play to the detectors and asks the policy: what a guard process does.

It is a plain object without threads: moments go in, verdicts come out. What detectors saw is kept by version
and frame, so that every session that shows the frame again is judged by it too. A play (one life of one
session) is judged by what it showed in the last ``MEMORY`` seconds, by the functions that conclude a review
(:func:`moderation.scan.conclude`).
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from moderation import scan
from moderation.detectors.base import Detection, Detector, Motion, Sound
from moderation.listening import Heard, Situation, shifted
from moderation.live.inspected import REVIEWED
from moderation.scan.looking import look
from policies.types import Context, Coverage, Decision, DetectorRun, Finding, Source
from worldmodel.constants import FPS, SAMPLE_RATE

if TYPE_CHECKING:
    from policies.bundle import Bundle

MEMORY = 120.0
"""Seconds of a play that it is judged by."""
MEASURE_EVERY = FPS // 2
"""Frames of one play between two looks at flashing and loudness."""
SOUND_WINDOW = 3.0
"""Seconds of sound that loudness is measured over at once."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Glance:
    """One frame of one play."""

    play: str
    version: str
    number: int
    """Of the frame that stands for it; REVIEWED for what the review has inspected."""
    new: bool
    """It is that frame: detectors have not seen it."""


@dataclass(frozen=True)
class Passage:
    """A sound of one play that the review has not heard (:mod:`moderation.listening`)."""

    play: str
    version: str
    situation: Situation
    samples: NDArray[np.float32] | None
    """What is to be listened to; None where the guard has, in another play."""


@dataclass(frozen=True)
class Moment:
    """One tick: a frame and a step of sound of every play, in the same order."""

    glances: tuple[Glance, ...]
    frames: NDArray[np.uint8]
    """(B, H, W, 3) RGB."""
    sound: NDArray[np.float32]
    """(B, SAMPLES_PER_STEP)."""
    passages: tuple[Passage, ...] = ()
    ended: tuple[str, ...] = ()
    """Plays that are over."""


@dataclass(frozen=True)
class Judgement:
    """What the policy says about one play."""

    play: str
    violations: tuple[str, ...]
    """Rules that end play."""
    near_misses: tuple[str, ...]
    """Rules that ask for a person."""
    reasons: tuple[str, ...]
    policy_hash: str
    findings: tuple[Finding, ...]
    """Those that fired a rule; their ``playthrough`` is the play."""
    picture: NDArray[np.uint8] | None = None
    """(H, W, 3) the frame that was looked at last, where the violation is in a picture."""


@dataclass(frozen=True)
class Verdict:
    """What came of some moments."""

    judgements: tuple[Judgement, ...]
    error: str | None = None
    """A detector failed: nothing that it should have seen counts as seen."""
    forgot: bool = False
    """Other detectors look from here on: what was looked at is new to them."""


class Follows(Protocol):
    """What measures play that goes on (:class:`moderation.detectors.flash.Follower`)."""

    def add(self, frame: NDArray[np.uint8]) -> None: ...

    def found(self) -> list[Detection]: ...


class Rewatching:
    """Follows play for a detector of motion that can only look at whole recordings."""

    def __init__(self, detector: Detector[Motion], seconds: float = 4.0) -> None:
        self._detector = detector
        self._frames: list[NDArray[np.uint8]] = []
        self._most = round(seconds * FPS)
        self._passed = 0

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Take the next frame."""
        self._frames.append(frame)
        self._passed += len(self._frames) > self._most
        del self._frames[: -self._most]

    def found(self) -> list[Detection]:
        """What it finds in the last seconds."""
        seen = self._detector([Motion(np.stack(self._frames), FPS)])[0]
        return [shifted(one, self._passed / FPS) for one in seen]


@dataclass
class _Play:
    """What is remembered of one play."""

    version: str
    followers: Sequence[tuple[Detector[Motion], Follows]]
    shown: list[int] = field(default_factory=list)
    sound: deque[NDArray[np.float32]] = field(default_factory=lambda: deque(maxlen=round(SOUND_WINDOW * FPS)))
    situations: list[Situation] = field(default_factory=list)
    measured: dict[str, Finding] = field(default_factory=dict)
    judged: frozenset[tuple[str, str]] = frozenset()
    """Rules that were told before, each with the condition that held: a near miss may become a violation."""
    changed: bool = False
    """Something was found since it was judged last."""


class Inspector:
    """Judges plays by the rules whose scope is live."""

    def __init__(self, detectors: scan.Detectors, bundle: Bundle) -> None:
        self.detectors = detectors
        self._bundle = bundle
        self._plays: dict[str, _Play] = {}
        self._seen: dict[str, dict[int, scan.Seen]] = defaultdict(dict)
        self._heard: dict[str, dict[str, Heard]] = defaultdict(dict)
        self._failed: str | None = None
        self._refused: str | None = None
        self._forgot = False

    def load(self, before: Inspector | None = None) -> None:
        """Load all weights, or take the detectors of the one ``before`` where they are the same.

        Raises ``moderation.models.ModelMissing``.
        """
        if before is not None and before.detectors.sha256 == self.detectors.sha256:
            self.detectors = before.detectors
        self.detectors.load()

    def take_over(self, before: Inspector) -> None:
        """Go on where another one stopped, and judge all that it remembers again.

        Where other detectors look, what was seen and heard is forgotten: they have not.
        """
        self._plays = before._plays
        self._forgot = self.detectors is not before.detectors
        if not self._forgot:
            self._seen, self._heard = before._seen, before._heard
        for play in self._plays.values():
            play.judged, play.changed = frozenset(), True
            if self._forgot:
                play.followers, play.measured = self._followers(), {}

    def refuse(self, why: str) -> None:
        """From the next moment on, tell that it can no longer judge. From any thread."""
        self._refused = why

    def inspect(self, moments: Sequence[Moment]) -> Verdict:
        """Take the moments in their order; what is new in all of them goes through detectors together."""
        self._failed, forgot, self._forgot = self._refused, self._forgot, False
        self._look(moments)
        for moment in moments:
            self._listen(moment.passages)
            self._follow(moment)
        pictures = {g.play: f for m in moments for g, f in zip(m.glances, m.frames, strict=True) if g.new}
        judgements = [
            judged
            for name, play in self._plays.items()
            if play.changed and (judged := self._judge(name, play, pictures.get(name))) is not None
        ]
        for name in [name for moment in moments for name in moment.ended]:
            self._plays.pop(name, None)
        return Verdict(tuple(judgements), self._failed, forgot)

    # -- looking and listening --------------------------------------------------------------------

    def _look(self, moments: Sequence[Moment]) -> None:
        new = [(g, f) for m in moments for g, f in zip(m.glances, m.frames, strict=True) if g.new]
        if not new:
            return
        seen, runs = scan.see([frame for _, frame in new], scan.every(self.detectors))
        self._note(runs)
        for (glance, _), one in zip(new, seen, strict=True):
            self._seen[glance.version][glance.number] = one

    def _listen(self, passages: Iterable[Passage]) -> None:
        for passage in passages:
            situation = passage.situation
            if passage.samples is not None:
                found, run = look(self.detectors.speech, [Sound(passage.samples, SAMPLE_RATE)], Source.LIVE)
                self._note([run])
                heard = Heard(situation.steps, tuple(found[0]))
                self._heard[passage.version][situation.key] = heard
            play = self._play(passage.play, passage.version)
            play.situations.append(situation)
            known = self._heard[passage.version].get(situation.key)
            play.changed |= bool(known and known.detections)

    def _follow(self, moment: Moment) -> None:
        for glance, frame, sound in zip(moment.glances, moment.frames, moment.sound, strict=True):
            play = self._play(glance.play, glance.version)
            turned = not play.shown or play.shown[-1] != glance.number
            play.shown.append(glance.number)
            play.sound.append(sound)
            for _, follower in play.followers:
                follower.add(frame)
            if turned and any(self._seen[glance.version].get(glance.number, {}).values()):
                play.changed = True
            if len(play.shown) % MEASURE_EVERY == 0:
                self._measure(glance.play, play)

    def _measure(self, name: str, play: _Play) -> None:
        """Flashing over the play's history, loudness over its last seconds."""
        earliest = len(play.shown) / FPS - MEMORY
        play.measured = {name: one for name, one in play.measured.items() if one.end >= earliest}
        for detector, follower in play.followers:
            self._take(name, play, detector, _tried(follower.found, self._fail))
        begin = (len(play.shown) - len(play.sound)) / FPS
        item = Sound(np.concatenate(play.sound), SAMPLE_RATE, begin)
        for listener in self.detectors.sounds:
            found, run = look(listener, [item], Source.LIVE)
            self._note([run])
            self._take(name, play, listener, found[0])

    @staticmethod
    def _take(
        name: str, play: _Play, detector: Detector[Motion] | Detector[Sound], found: Iterable[Detection]
    ) -> None:
        for one in found:
            placed = scan.finding(detector.card, one, Source.LIVE, playthrough=name)
            play.changed |= placed.id not in play.measured
            play.measured[placed.id] = placed

    def _play(self, name: str, version: str) -> _Play:
        if name not in self._plays:
            self._plays[name] = _Play(version, self._followers())
        return self._plays[name]

    def _followers(self) -> Sequence[tuple[Detector[Motion], Follows]]:
        return [(one, _follower(one)) for one in self.detectors.motions]

    def _note(self, runs: Iterable[DetectorRun]) -> None:
        for run in runs:
            if not run.ok:
                self._fail(f"{run.detector}: {run.error}")

    def _fail(self, why: str) -> None:
        self._failed = self._failed or why

    # -- judging ----------------------------------------------------------------------------------

    def _judge(self, name: str, play: _Play, picture: NDArray[np.uint8] | None) -> Judgement | None:
        """None where no rule fires that did not fire so before."""
        from policies.engine import decide

        play.changed = False
        findings = self._findings(name, play)
        decision = decide(
            self._bundle, findings, self._runs(), Coverage(), Context(stage="live"), play.version
        )
        outcomes = _outcomes(decision)
        if outcomes.items() <= play.judged:
            return None
        play.judged |= outcomes.items()
        fired = {one for rule in decision.fired for one in rule.findings}
        return Judgement(
            play=name,
            violations=tuple(rule for rule, basis in outcomes.items() if basis == "when"),
            near_misses=tuple(rule for rule, basis in outcomes.items() if basis == "review"),
            reasons=tuple(one.explanation for one in decision.fired if one.rule in outcomes),
            policy_hash=decision.policy_hash,
            findings=tuple(one for one in findings if one.id in fired),
            picture=picture,
        )

    def _findings(self, name: str, play: _Play) -> list[Finding]:
        """Of the last ``MEMORY`` seconds, as a review would have them."""
        known, heard = self._seen[play.version], self._heard[play.version]
        recent = play.shown[-round(MEMORY * FPS) :]
        begin = len(play.shown) - len(recent)
        shown = scan.Shown(
            name,
            np.array(recent, np.int32),
            tuple(
                Situation(one.key, one.start - begin, one.steps)
                for one in play.situations
                if one.start >= begin
            ),
        )
        numbers = [n for n in dict.fromkeys(recent) if n != REVIEWED and n in known]
        looked = scan.Looked({n: known[n] for n in numbers}, {n: n for n in numbers})
        report = scan.conclude([shown], [looked], heard, self.detectors)
        self._note(report.runs)
        later = begin / FPS
        concluded = [
            scan.moved(one, source=Source.LIVE, start=one.start + later, end=one.end + later)
            for one in report.findings
        ]
        return [*concluded, *play.measured.values()]

    def _runs(self) -> list[DetectorRun]:
        """All detectors: what failed has been told, and ends play by itself."""
        cards = self.detectors.cards
        return [DetectorRun(one.name, one.version, Source.LIVE, 0, ok=True) for one in cards]


def _outcomes(decision: Decision) -> dict[str, str]:
    """Rules that fired on what was found, with the condition that held."""
    return {
        str(one["rule"]): str(one["basis"]) for one in decision.trace if one["basis"] in ("when", "review")
    }


def _follower(detector: Detector[Motion]) -> Follows:
    own: Callable[[float], Follows] | None = getattr(detector, "follow", None)
    return Rewatching(detector) if own is None else own(FPS)


def _tried(find: Callable[[], list[Detection]], fail: Callable[[str], None]) -> list[Detection]:
    try:
        return find()
    except Exception as error:
        log.exception("a detector of motion failed")
        fail(f"{type(error).__name__}: {error}")
        return []
