"""The detectors of a review, by what they look at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from moderation.detectors.base import Design, Detector, DetectorCard, Motion, Picture, Sound, Spent, Text
from moderation.evaluation.chain import chained_card
from policies.types import Source

if TYPE_CHECKING:
    from policies.bundle import Bundle

READER, LISTENER = "ocr", "speech"
"""Names of the detectors whose findings are words, which go on to the detectors of text."""


@dataclass(frozen=True)
class Detectors:
    """One reader, one listener, and any number of each other kind."""

    pictures: tuple[Detector[Picture], ...]
    reader: Detector[Picture]
    motions: tuple[Detector[Motion], ...]
    speech: Detector[Sound]
    words: tuple[Detector[Text], ...]
    """Asked about all that was written, read or heard."""
    sounds: tuple[Detector[Sound], ...] = ()
    """Besides speech; cheap enough for every sample."""
    designs: tuple[Detector[Design], ...] = ()
    uploads: tuple[Detector[Picture], ...] = ()
    """Shown only the pictures and videos that a creator submits: no rule asks what they see in play."""

    @classmethod
    def of(cls, detectors: Iterable[Detector[Any]], uploads: Container[str] = ()) -> Self:
        """Group them; ``uploads`` names those of pictures that no rule needs in play.

        Raises ValueError when the reader or the listener is not among them.
        """
        named = {detector.card.name: detector for detector in detectors}
        if missing := [name for name in (READER, LISTENER) if name not in named]:
            raise ValueError(f"a review needs the detector {missing[0]}: let the policy name it")
        reader, listener = named.pop(READER), named.pop(LISTENER)

        def looking_at(modality: str) -> tuple[Detector[Any], ...]:
            return tuple(one for one in named.values() if one.card.modality == modality)

        return cls(
            pictures=tuple(one for one in looking_at("picture") if one.card.name not in uploads),
            reader=reader,
            motions=looking_at("motion"),
            speech=listener,
            words=looking_at("text"),
            sounds=looking_at("sound"),
            designs=looking_at("design"),
            uploads=tuple(one for one in looking_at("picture") if one.card.name in uploads),
        )

    def __iter__(self) -> Iterator[Detector[Any]]:
        yield from self.pictures
        yield self.reader
        yield from self.motions
        yield self.speech
        yield from self.words
        yield from self.sounds
        yield from self.designs
        yield from self.uploads

    @property
    def cards(self) -> tuple[DetectorCard, ...]:
        return tuple(detector.card for detector in self)

    @property
    def links(self) -> tuple[DetectorCard, ...]:
        """The cards, and those of reader or listener together with each that judges their words."""
        readers = self.reader.card, self.speech.card
        return *self.cards, *(chained_card(reader, one.card) for reader in readers for one in self.words)

    @property
    def sha256(self) -> str:
        """Names them by all that decides what is found: another version of one, or of where, scans again."""
        uploads = sorted(detector.card.name for detector in self.uploads)
        told = json.dumps([sorted(card.fingerprint for card in self.cards), uploads])
        return hashlib.sha256(told.encode()).hexdigest()

    def take_spent(self) -> dict[str, Spent]:
        """By detector, what looking has cost since this was last asked; only of those that looked."""
        spent = {detector.card.name: detector.take_spent() for detector in self}
        return {name: one for name, one in spent.items() if one.items}

    def load(self) -> None:
        """Load all weights. Raises ``moderation.models.ModelMissing`` naming what to fetch."""
        for detector in self:
            detector.ensure_loaded()


def load_detectors(bundle: Bundle) -> Detectors:
    """The registered detectors that a policy names; their weights are loaded when they are first used.

    Raises ``moderation.detectors.registry.RegistryError`` where one cannot be had.
    """
    from moderation.detectors.registry import Setup, load

    setup = Setup.of(bundle)
    return Detectors.of((load(name, setup) for name in bundle.header.detectors), _of_media_only(bundle))


def _of_media_only(bundle: Bundle) -> frozenset[str]:
    """Detectors that some rule names, but none of those for play."""
    scopes: dict[str, set[Source]] = {}
    for rule in bundle.rules:
        for use in rule.spec.detectors:
            scopes.setdefault(use.name, set()).update(rule.spec.scope)
    return frozenset(name for name, scope in scopes.items() if scope == {Source.MEDIA})
