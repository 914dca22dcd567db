"""What can go wrong with model weights, each with the remedy in its message."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class ModelError(Exception):
    """Weights cannot be used."""


class UnknownModel(ModelError):
    """No entry of the catalogue has this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"no model is called {name!r}; the catalogue has: {', '.join(known)}")


class ModelMissing(ModelError):
    """The weights are not on this machine: what needs them must not go on in silence without them."""

    def __init__(self, name: str, looked: Sequence[str]) -> None:
        self.name = name
        self.looked = tuple(looked)
        where = "; ".join(looked)
        remedy = f"Get them: firstplay models fetch {name}"
        super().__init__(f"the weights of {name!r} are missing. Looked at: {where}. {remedy}")


class ModelCorrupt(ModelError):
    """A file is not what the catalogue says it is."""

    def __init__(self, name: str, path: Path, found: str, expected: str) -> None:
        self.name = name
        self.path = path
        super().__init__(
            f"{path} is not the {name!r} of the catalogue: its SHA-256 is {found}, expected {expected}. "
            f"Replace it: firstplay models fetch {name}"
        )


class FetchFailed(ModelError):
    """No source of a model gave the right file."""

    def __init__(self, name: str, attempts: Sequence[str]) -> None:
        self.name = name
        self.attempts = tuple(attempts)
        tried = "".join(f"\n  - {attempt}" for attempt in attempts)
        super().__init__(
            f"could not get the weights of {name!r}. Tried:{tried}\n"
            f"With a copy of any of these files at hand: firstplay models fetch {name} --from PATH"
        )


class SourceFailed(ModelError):
    """One source did not give the file; the next one is tried."""


class ConversionFailed(ModelError):
    """A downloaded file is not in the form that its converter knows."""
