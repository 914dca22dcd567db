"""What is wrong with a bundle, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Problem:
    """One fault of a bundle. Lines and columns count from 1; 0 means the whole file."""

    file: str
    problem: str
    remedy: str
    rule: str | None = None
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        subject = f" rule {self.rule}:" if self.rule else ""
        return f"{place}:{subject} {self.problem}. {self.remedy}"


class BundleError(ValueError):
    """A bundle that must not decide anything; carries every problem that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = tuple(problems)


def suggest(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the known one that was probably meant, or all of them."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]}?" if close else f"Choose one of: {', '.join(names) or 'none'}."
