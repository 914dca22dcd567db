"""The picture of the states: ``python -m moderation.state_picture > docs/states.md``.

Made from ``moderation.states``, so that it shows what the code allows; a test holds the file to it.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator

from moderation import states
from moderation.states import RESTRICTIVE, TRANSITIONS, WITH_PEOPLE, WORKING, WorldState

_MANY = 5
"""From more states than this, an end is told in words: its arrows would hide all others."""


def document() -> str:
    """``docs/states.md``: the diagram (Mermaid), the ends that it leaves out, and every state in a table."""
    return "\n".join([*_head(), *_diagram(), *_told(), *_table(), ""])


def _head() -> Iterator[str]:
    yield "# States of a world version"
    yield ""
    yield (
        "Made from [`moderation/states.py`](../moderation/states.py) by `python -m moderation.state_picture"
        " > docs/states.md`. Every arrow is one event in a log that cannot be changed."
    )
    yield ""


def _diagram() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {WorldState.SUBMITTED}"
    for state in WorldState:
        for following in _in_order(TRANSITIONS[state] - _ends()):
            yield f"    {state} --> {following}"
    for name, members in (("machine", WORKING), ("people", WITH_PEOPLE), ("stopped", RESTRICTIVE)):
        yield f"    class {','.join(_in_order(members))} {name}"
    yield "    classDef machine fill:#dbeafe,stroke:#1e3a8a,color:#111827"
    yield "    classDef people fill:#fef3c7,stroke:#92400e,color:#111827"
    yield "    classDef stopped stroke:#b91c1c,stroke-width:3px"
    yield "```"
    yield ""
    yield (
        "Blue: machines are at work. Yellow: people have a case of it. Red border: its creator gets a "
        "statement of reasons. Only `published` can be played."
    )
    yield ""


def _told() -> Iterator[str]:
    for end in _in_order(_ends()):
        sources = {state for state in WorldState if end in TRANSITIONS[state]}
        missing = set(WorldState) - sources - {end}
        if len(missing) < len(sources):
            names = ", ".join(f"`{one}`" for one in _in_order(missing))
            yield f"- `{end}` follows every state{f' but {names}' if names else ''}."
        else:
            yield f"- `{end}` follows {', '.join(f'`{one}`' for one in _in_order(sources))}."
    yield ""


def _table() -> Iterator[str]:
    yield "| state | what it means |"
    yield "| --- | --- |"
    notes = _notes()
    for state in WorldState:
        yield f"| `{state}` | {notes[state.name]} |"


def _notes() -> dict[str, str]:
    """What ``moderation.states`` says of single states, in the strings under them."""
    source = inspect.getsource(states.WorldState)
    found = re.findall(r'^    ([A-Z_]+) = "[a-z_]+"\n    """(.+?)"""', source, re.MULTILINE | re.DOTALL)
    return {name: " ".join(words.split()) for name, words in found}


def _ends() -> set[WorldState]:
    """Ends that many states lead to."""
    return {
        state
        for state in WorldState
        if TRANSITIONS[state] <= {WorldState.QUARANTINED}
        and sum(state in following for following in TRANSITIONS.values()) > _MANY
    }


def _in_order(some: set[WorldState] | frozenset[WorldState]) -> list[WorldState]:
    return [state for state in WorldState if state in some]


if __name__ == "__main__":
    sys.stdout.write(document())
