"""The guard of live play: what players see and hear goes by the same detectors and policy as in a review.

The tick thread calls :meth:`Guard.watch` with every batch. There only the cheap part is done: the name of the
view, a perceptual hash, and a look at what was inspected before (:class:`moderation.live.Inspected`). Frames
and sounds then go to the guard's own process (:class:`moderation.live.Guardhouse`): all frames to be measured
for flashing, new ones to be looked at. A violation that comes back ends the session in the thread that
receives it, and what happened is filed there. A guard that lags lets nobody else in and makes worlds stand
still; one that fails or falls silent ends all play: nobody plays unwatched.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from feedapi.session import Ending, Session
from feedapi.wire import Close, Frame
from worldmodel.constants import FPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feedapi.arena import Seat
    from feedapi.reel import Reel
    from moderation.listening import Situation
    from moderation.live import Filing, Glance, Guardhouse, Inspected, Judgement, Passage, Replay, Verdict
    from moderation.store import Store
    from policies.schema import LivePlay
    from worldmodel.protocol import ModelCard, State

AMBIENT_PART = 5 * FPS
"""Steps of music and effects that are listened to at once, where the review has not heard so much."""
SOUND_KEPT = 30 * FPS
"""Steps of sound that a play keeps for a clip that is still playing."""
HOLD_AT, HOLD_ALL_AT = 0.5, 0.75
"""Lag, as a share of the policy's patience, from which worlds stand still: those that have shown what nobody
has looked at, then all. So nobody is shown more for longer than that without a verdict."""
SILENT_FOR = 3.0
"""Times the policy's patience without any verdict after which the guard has failed. Long before that, all
worlds stand still and nobody is shown anything: on a machine that is merely too busy, waiting is safe."""
BUSY = 0.8
"""Share of its time that the guard may need for those who play and one more."""

log = logging.getLogger(__name__)


class Unguarded(RuntimeError):
    """The guard does not work, so nobody may play."""


@dataclass
class Play:
    """One life of one session, as the guard follows it."""

    name: str
    session: Session
    reel: Reel
    known: Inspected
    lengths: Sequence[int]
    """Of the world's clips, in steps."""
    begun: list[tuple[int, int]] = field(default_factory=list)
    """(step, clip) of each clip that began lately."""
    sound: deque[NDArray[np.float32]] = field(default_factory=lambda: deque(maxlen=SOUND_KEPT))
    steps: int = 0
    number: int = 0
    """Of the frame that stands for what is shown."""
    new_at: int = 0
    """Step of the last view that nobody had seen, 0 for none."""
    waits_for: int = 0
    """Number of the moment whose verdict the newest frame waits for."""
    last: int = 0
    """Number of the last moment that it was part of."""
    held: deque[tuple[int, Frame]] = field(default_factory=deque)
    """Frames on hold, with the moment that each waits for."""
    over: int | None = None
    """Moment after which nothing more of it is judged."""


class Guard:
    """Watches every play of an arena. The tick thread owns the plays; ``_lock`` guards the table of them."""

    def __init__(self, store: Store, house: Guardhouse, filing: Filing, live: Callable[[], LivePlay]) -> None:
        self._store = store
        self._house = house
        self._filing = filing
        self._live = live
        self._known: dict[str, Inspected] = {}
        self._generation = 0
        """Of the process that has looked at what ``_known`` holds."""
        self._pending: dict[tuple[str, int], int] = {}
        """Moment in which a frame went to the detectors, by version and number."""
        self._plays: dict[str, Play] = {}
        self._ended: list[Play] = []
        self._lock = Lock()
        self._card: ModelCard | None = None
        self._names = 0
        house.told, house.failed = self._told, self.fail

    # -- called by any thread ---------------------------------------------------------------------

    def start(self) -> None:
        """Start the guard's process, if it does not run."""
        self._house.start()

    def stop(self) -> None:
        """End the process."""
        self._house.stop()

    @property
    def process(self) -> int | None:
        """Process id of what judges, None before the start."""
        return self._house.process

    def renew(self) -> None:
        """Judge by the policy that is in force now."""
        self._house.renew()

    def has_room(self) -> bool:
        """Whether it can look after one more: it does not lag, and what it needs for each is left."""
        playing = len(self._playing())
        if not playing:
            return True
        needed = self._house.load() * (playing + 1) / playing
        return needed <= BUSY and self._house.lag() <= HOLD_AT * self._patience

    def fail(self, why: str) -> None:
        """End every play: nobody watches them any more."""
        log.error("live play ends: %s", why)
        for play in self._playing():
            play.session.end(Ending(Close.UNGUARDED, "the guard has failed: try again in a minute", True))

    def _playing(self) -> list[Play]:
        with self._lock:
            return list(self._plays.values())

    @property
    def _patience(self) -> float:
        return self._live().patience

    # -- the tick thread --------------------------------------------------------------------------

    def wait_until_ready(self) -> None:
        """Return when all detectors are loaded. Raises Unguarded."""
        from moderation.live import GuardFailed

        try:
            self._house.wait_until_ready()
        except GuardFailed as error:
            raise Unguarded(str(error)) from error

    def seated(self, seat: Seat, card: ModelCard) -> None:
        """Begin to watch a seat, or its next life. Raises Unguarded where the guard has failed."""
        from moderation.scan.play import clip_steps

        self.wait_until_ready()
        self._forget_what_another_knew()
        self._card = card
        session = seat.session
        self.left(seat)
        self._names += 1
        name = f"{session.name}-{self._names}"
        known = self._known_of(session.version)
        play = Play(name, session, seat.reel, known, clip_steps(session.world))
        with self._lock:
            self._plays[name] = play
        seat.play = play

    def _forget_what_another_knew(self) -> None:
        """A new process, or new detectors, have seen nothing: what the last ones looked at is new again."""
        if self._generation != self._house.generation:
            self._generation = self._house.generation
            self._known.clear()
            self._pending.clear()
            for play in self._playing():
                play.known = self._known_of(play.session.version)

    def _known_of(self, version: str) -> Inspected:
        from moderation.live import Inspected

        if version not in self._known:
            self._known[version] = Inspected.by_review(self._store, version)
        return self._known[version]

    def left(self, seat: Seat) -> None:
        """A life is over: keep where it went that nobody had been."""
        play, seat.play = seat.play, None
        if play is None:
            return
        self._ended.append(play)
        if play.new_at and play.known.reviewed:
            from moderation.store.live import ReportKind

            self._filing.later(self._filing.keep, self._replay(play, play.new_at), ReportKind.NEW_VIEWS)

    def watch(
        self,
        seats: Sequence[Seat],
        state: State,
        drawn: Sequence[bool],
        sound: NDArray[np.float32],
        clips: Sequence[int],
    ) -> None:
        """Take one tick of all seats: which pictures are new, sound (B, SAMPLES_PER_STEP), clips that begin.

        The seats have their pictures, and their reels the step, already.
        """
        from moderation.live import GuardFailed, Moment

        self._forget_what_another_knew()
        plays = [_watched(seat) for seat in seats]
        pictures = np.stack([seat.picture for seat in seats if seat.picture is not None])
        names = _views(seats, state)
        glances = [
            self._glance(play, view, picture, drawn=fresh)
            for play, view, picture, fresh in zip(plays, names, pictures, drawn, strict=True)
        ]
        passages = [
            passage
            for play, part, clip in zip(plays, sound, clips, strict=True)
            for passage in self._passages(play, part, clip)
        ]
        over, self._ended = self._ended, []
        ended = tuple(play.name for play in over)
        try:
            moment = self._house.submit(Moment(tuple(glances), pictures, sound, tuple(passages), ended))
        except GuardFailed as error:
            self.fail(str(error))
            return
        for play in over:
            play.over = moment
        self._note_pending(plays, glances, moment)

    def check(self) -> None:
        """End all play where no verdict has come for too long: a silent guard is none."""
        ends = any(play.session.ending is None for play in self._playing())
        if ends and (silent := self._house.silence()) > SILENT_FOR * self._patience:
            self.fail(f"no verdict has come for {silent:.0f} s")

    def holds(self, seat: Seat) -> bool:
        """Whether its world must stand still now until the guard has caught up.

        A guard that lags is spared what is new, which costs it most, before anybody's play ends.
        """
        lag = self._house.lag() / self._patience
        new = _watched(seat).waits_for > self._house.answered
        return (lag > HOLD_AT and new) or (lag > HOLD_ALL_AT and self.awaited(seat))

    def awaited(self, seat: Seat) -> bool:
        """Whether verdicts on what the seat has shown are still to come."""
        return _watched(seat).last > self._house.answered

    @staticmethod
    def _glance(play: Play, view: int, picture: NDArray[np.uint8], *, drawn: bool) -> Glance:
        from moderation.live import Glance

        play.steps += 1
        new = False
        if drawn:
            play.number, new = play.known.look(view, picture)
        if new:
            play.new_at = play.steps
        return Glance(play.name, play.session.version, play.number, new)

    def show(self, seat: Seat, frame: Frame) -> None:
        """Hand a frame on to the player, after at most the policy's number of frames."""
        play = _watched(seat)
        play.held.append((play.waits_for, frame))
        most = self._live().hold_frames
        while play.held and (play.held[0][0] <= self._house.answered or len(play.held) > most):
            seat.session.put(play.held.popleft()[1])

    def _note_pending(self, plays: Sequence[Play], glances: Sequence[Glance], moment: int) -> None:
        answered = self._house.answered
        for play, glance in zip(plays, glances, strict=True):
            key = (glance.version, glance.number)
            if glance.new:
                self._pending[key] = moment
            play.waits_for = max(play.waits_for, self._pending.get(key, 0))
            play.last = moment
        if moment % FPS == 0:
            self._forget(answered)

    def _forget(self, answered: int) -> None:
        """What has been judged."""
        self._pending = {key: sent for key, sent in self._pending.items() if sent > answered}
        with self._lock:
            for name in [n for n, play in self._plays.items() if play.over and play.over <= answered]:
                del self._plays[name]

    # -- sounds -----------------------------------------------------------------------------------

    def _passages(self, play: Play, part: NDArray[np.float32], clip: int) -> list[Passage]:
        """Situations that end with this step and that the review has not heard."""
        from moderation import listening

        play.sound.append(part)
        world = play.session.world
        voices, effects = len(world.clips), sorted(world.effect_clips)
        now = play.steps
        events = play.reel.events[-1]
        play.begun += [
            (now - 1 + step, which)
            for step, which in listening.starts(np.array([clip], np.int16), events[None], voices, effects)
        ]
        play.begun = [one for one in play.begun if one[0] > now - SOUND_KEPT]
        found = []
        if any(step + play.lengths[which] == now for step, which in play.begun):
            present = listening.situations(play.begun, play.lengths, now, voices)[1:]
            found += [one for one in present if one.start + one.steps == now and one.steps > 0]
        if now % AMBIENT_PART == 0 and self._ambient_is_new(play, now):
            found.append(listening.Situation(listening.AMBIENT, now - AMBIENT_PART, AMBIENT_PART))
        return [one for situation in found if (one := self._passage(play, situation)) is not None]

    @staticmethod
    def _ambient_is_new(play: Play, now: int) -> bool:
        """Music repeats itself: what is longer than one round of it brings nothing new."""
        from moderation.listening import AMBIENT
        from worldmodel.constants import SAMPLES_PER_STEP

        music = play.session.world.music
        once = 0 if music is None else -(-len(music.samples) // SAMPLES_PER_STEP)
        heard = play.known.heard.get(AMBIENT, 0)
        if now <= heard or (heard and heard >= once):
            return False
        play.known.heard[AMBIENT] = now
        return True

    @staticmethod
    def _passage(play: Play, situation: Situation) -> Passage | None:
        from moderation.listening import AMBIENT
        from moderation.live import Passage

        ambient = situation.key == AMBIENT
        if ambient:
            situation = replace(situation, key=f"{AMBIENT}@{situation.start}")
        if situation.key in play.known.reviewed_sounds:
            return None
        new = ambient or play.known.listen(situation)
        samples = np.concatenate(list(play.sound)[-situation.steps :]) if new else None
        return Passage(play.name, play.session.version, situation, samples)

    # -- verdicts, in the thread that receives them -----------------------------------------------

    def _told(self, verdict: Verdict) -> None:
        from moderation.store.live import ReportKind

        for judgement in verdict.judgements:
            with self._lock:
                play = self._plays[judgement.play]
            if judgement.violations:
                self._violation(play, judgement)
            else:
                self._filing.keep(self._replay(play), ReportKind.NEAR_MISS, judgement)

    def _violation(self, play: Play, judgement: Judgement) -> None:
        session = play.session
        session.end(Ending(Close.GUARDED, f"not allowed here: {judgement.violations[0]}", blank=True))
        log.warning("session of %s ended: %s", session.world_id, "; ".join(judgement.reasons))
        suspended = self._filing.violation(self._replay(play), judgement)
        for other in self._playing():
            if other.session.version in suspended:
                other.session.end(Ending(Close.NOT_PUBLISHED, "this world was withdrawn", blank=True))

    def _replay(self, play: Play, steps: int | None = None) -> Replay:
        assert self._card is not None
        return replay_of(play.session, play.reel, self._card, steps)


def replay_of(session: Session, reel: Reel, card: ModelCard, steps: int | None = None) -> Replay:
    """How to come to where a life is now, or was after so many steps."""
    from moderation.live import Replay

    return Replay(
        version=session.version,
        session=session.name,
        model=card.name,
        playthrough=reel.playthrough(session, card.sha256, steps),
    )


def _watched(seat: Seat) -> Play:
    assert seat.play is not None, "a seat that nobody watches"
    return seat.play


def _views(seats: Sequence[Seat], state: State) -> list[int]:
    """Names of what there is to see, as the review names it."""
    import torch

    from worldmodel.crops import views
    from worldmodel.daylight import darkness_at

    mechanics = [seat.session.world.mechanics for seat in seats]
    own = torch.tensor([one.darkness for one in mechanics], device=state.step.device)
    days = torch.tensor([one.day_length for one in mechanics], device=state.step.device)
    names: list[int] = views(state, darkness_at(own, days, state.step)).tolist()
    return names
