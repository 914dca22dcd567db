"""What somebody who decides a case sees of it, unless they must judge it blind."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from moderation.accounts import Principal
from moderation.cases.appeals import is_blind
from moderation.cases.queue import check_person
from moderation.store import Conflict, Store, cases
from moderation.store.sightings import sightings


def dossier(store: Store, person: Principal, case: int) -> dict[str, Any]:
    """The case, what was done about it and decided, the policy's decision with its evidence, and the log.

    Raises Conflict where the case is judged blind (``appeals.evidence``), MayNot, NotFound.
    """
    with store.reading() as connection:
        found = cases.find_case(connection, case)
        check_person(connection, person, found)
        if is_blind(found):
            raise Conflict(f"case {case} is judged without what was decided before: look at its evidence")
        actions = cases.actions(connection, case)
        ruling = cases.ruling_of_case(connection, case)
        decision = cases.decision_of_case(connection, found)
        filed = sightings(connection, found.version)
    version = store.version(found.version)
    stored = store.newest_decision(found.version)
    return {
        "case": asdict(found),
        "title": version.title,
        "prompt": version.prompt,
        "state": version.state,
        "reasons": [] if decision is None else list(decision.reasons),
        "fired": [] if decision is None else [asdict(one) for one in decision.fired],
        "evidence": [] if stored is None else [asdict(one) for one in stored.evidence],
        "sightings": [asdict(one) for one in filed],
        "actions": [asdict(one) for one in actions],
        "ruling": None if ruling is None else asdict(ruling),
        "history": [asdict(one) for one in store.history(found.version)],
    }
