"""What is wrong with a package, in words that its creator can act on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing to fix."""

    file: str
    """Path inside the package, or the package itself."""
    message: str
    line: int | None = None
    """From 1, where ``file`` is text."""
    field: str | None = None
    """``mechanics.gravity``, ``objects[2].image``."""
    remedy: str | None = None
    """What to do, where the message does not say it already."""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [place, *([self.field] if self.field else []), self.message]
        return printable(": ".join(parts) + (f" ({self.remedy})" if self.remedy else ""))


def printable(text: str) -> str:
    """``text`` without characters that could steer a terminal or hide what it says."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class PackageError(Exception):
    """A package that is refused, with everything that was found wrong with it."""

    def __init__(self, package: str, problems: Iterable[Problem]) -> None:
        self.package = package
        self.problems = tuple(problems)
        super().__init__(package, self.problems)

    def __str__(self) -> str:
        return "\n".join([f"{self.package} is not a valid world package:", *map(str, self.problems)])
