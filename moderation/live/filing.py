"""Keeps what came of live play: one transaction for each report, with the replay that leads there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moderation import scan
from moderation.evidence import png
from moderation.lineage import suspend
from moderation.store import Store, live
from moderation.store.live import LiveReport, ReportKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bots.recording import Playthrough
    from moderation.live.inspector import Judgement

log = logging.getLogger(__name__)

GUARD = "guard"
"""Actor of a suspension."""


@dataclass(frozen=True)
class Replay:
    """How to come to a moment of live play again."""

    version: str
    session: str
    model: str
    """Name of the world model."""
    playthrough: Playthrough
    """Up to that moment."""


class Filing:
    """Writes reports into a store. Safe to use from any thread."""

    def __init__(self, store: Store, suspend_after: Callable[[], int]) -> None:
        self._store = store
        self._suspend_after = suspend_after
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="filing")

    def later(self, write: Callable[..., object], *arguments: object) -> None:
        """Call one of the methods below in a thread, in order: for those who may not wait for a database."""
        self._writer.submit(_logged, write, *arguments)

    def close(self) -> None:
        """Write what is left."""
        self._writer.shutdown()

    def violation(self, replay: Replay, judgement: Judgement) -> list[str]:
        """File a violation; suspends the version and its remixes after the policy's count of sessions.

        Returns the versions that were suspended.
        """
        picture = None if judgement.picture is None else self._store.blobs.put(png(judgement.picture))
        report = LiveReport(
            version=replay.version,
            kind=ReportKind.VIOLATION,
            session=replay.session,
            playthrough=replay.playthrough.id,
            step=len(replay.playthrough.actions),
            rules=judgement.violations,
            reasons=judgement.reasons,
            policy_hash=judgement.policy_hash,
            picture=picture,
        )
        findings = [scan.moved(one, playthrough=report.playthrough) for one in judgement.findings]
        with self._store.writing() as tx:
            exploration = live.add_play(tx, replay.version, replay.model, replay.playthrough)
            tx.add_findings(replay.version, exploration, findings)
            live.add_report(tx, exploration, report)
            if live.count_sessions(tx, replay.version, ReportKind.VIOLATION) < self._suspend_after():
                return []
            why = f"seen in live play: {report.reasons[0]}"
            return suspend(tx, replay.version, GUARD, why, report.policy_hash)

    def keep(
        self,
        replay: Replay,
        kind: ReportKind,
        judgement: Judgement | None = None,
        picture: NDArray[np.uint8] | None = None,
    ) -> None:
        """Keep a near miss, new views, or what a player reports with the picture (H, W, 3) that was shown."""
        play = replay.playthrough
        report = LiveReport(
            version=replay.version,
            kind=kind,
            session=replay.session,
            playthrough=play.id,
            step=len(play.actions),
            rules=judgement.near_misses if judgement else (),
            reasons=judgement.reasons if judgement else (),
            policy_hash=judgement.policy_hash if judgement else None,
            picture=None if picture is None else self._store.blobs.put(png(picture)),
        )
        findings = judgement.findings if judgement else ()
        with self._store.writing() as tx:
            exploration = live.add_play(tx, replay.version, replay.model, play)
            tx.add_findings(
                replay.version, exploration, [scan.moved(one, playthrough=play.id) for one in findings]
            )
            live.add_report(tx, exploration, report)


def _logged(write: Callable[..., object], *arguments: object) -> None:
    try:
        write(*arguments)
    except Exception:
        log.exception("a report of live play could not be kept")
