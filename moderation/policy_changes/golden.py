"""A golden set: a folder of worlds with the verdict and the rules that each should come to.

``golden.yaml`` in it lists them; a rule that is not listed for a world must not fire there::

    worlds:
      - {path: lantern-caves, verdict: cleared, rules: []}
      - {path: hate-sign.zip, verdict: rejected, rules: [slurs]}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from moderation.policy_changes.quality import Judgement, Said
from policies.bundle import Bundle
from policies.errors import suggest
from policies.types import Verdict

FILE = "golden.yaml"


class GoldenError(ValueError):
    """A golden set that cannot be used; the message says where and what to do."""


class _World(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str
    verdict: Literal["cleared", "needs_review", "rejected", "inconclusive"]
    rules: tuple[str, ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    worlds: tuple[_World, ...]


@dataclass(frozen=True)
class Golden:
    """One world whose truth is known."""

    path: Path
    version: str
    """SHA-256 of its content."""
    verdict: Verdict
    rules: frozenset[str]


def read_golden(folder: Path, bundle: Bundle) -> list[Golden]:
    """The worlds of a set. Raises GoldenError, also for a rule that the bundle lacks."""
    from worldmodel.package import PackageError, load_package

    known = [rule.id for rule in bundle.rules]
    found = []
    for one in _listed(folder / FILE):
        for rule in one.rules:
            if rule not in known:
                raise GoldenError(f"{folder / FILE}: {one.path}: no rule {rule}. {suggest(rule, known)}")
        try:
            package = load_package(folder / one.path)
        except PackageError as error:
            raise GoldenError(f"{folder / one.path}: {error}") from None
        found.append(Golden(folder / one.path, package.sha256, Verdict(one.verdict), frozenset(one.rules)))
    return found


def _listed(file: Path) -> Sequence[_World]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return _File.model_validate(YAML(typ="safe").load(file.read_text("utf-8"))).worlds
    except OSError as error:
        raise GoldenError(
            f"{file} cannot be read ({error.strerror}): list the worlds of the set in it"
        ) from None
    except (YAMLError, ValidationError) as error:
        raise GoldenError(f"{file}: {error}") from None


def judgements(golden: Sequence[Golden], bundle: Bundle) -> Iterator[Judgement]:
    """Of every rule on every world."""
    for one in golden:
        for rule in bundle.rules:
            yield Judgement(one.version, rule.id, rule.id in one.rules)


def verdicts(golden: Sequence[Golden], said: Mapping[str, Said]) -> tuple[int, int]:
    """How many worlds came to their verdict, of how many that were decided."""
    known = [one for one in golden if one.version in said]
    return sum(said[one.version].verdict is one.verdict for one in known), len(known)
