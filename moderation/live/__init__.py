"""The guard's side of moderation: the same detectors and policy on what players see and hear.

:mod:`.inspected` knows what the review and the guard have looked at, so that only what is new is looked at;
:mod:`.inspector` shows it to the detectors and asks the policy, in a process of its own (:mod:`.guardhouse`);
:mod:`.filing` keeps what came of it. Nothing here knows of sockets or ticks: :mod:`feedapi.guard` does.
"""

from moderation.live.filing import Filing, Replay
from moderation.live.guardhouse import GuardFailed, Guardhouse, live_detectors
from moderation.live.inspected import REVIEWED, Inspected
from moderation.live.inspector import Glance, Inspector, Judgement, Moment, Passage, Verdict

__all__ = [
    "REVIEWED",
    "Filing",
    "Glance",
    "GuardFailed",
    "Guardhouse",
    "Inspected",
    "Inspector",
    "Judgement",
    "Moment",
    "Passage",
    "Replay",
    "Verdict",
    "live_detectors",
]
