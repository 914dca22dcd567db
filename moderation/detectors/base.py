"""The one base of all detectors, and what they look at.

A detector is shared by all threads of a process. It loads its weights when it is first asked, under a lock,
and lets go of them when its owner finds that it has been idle for long (:func:`unload_idle`). Only loading
and letting go hold the lock: ``predict`` may run in several threads at once.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from worldmodel.spec import WorldSpec


@dataclass(frozen=True)
class Picture:
    """One frame or one uploaded image."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    at: float = 0.0
    """Seconds."""


@dataclass(frozen=True)
class Motion:
    """Every frame of one playthrough or video, in order."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3) RGB."""
    fps: float


@dataclass(frozen=True)
class Sound:
    """A stretch of sound."""

    samples: NDArray[np.float32]
    """(N,) mono, -1..1."""
    rate: int
    """Hz."""
    start: float = 0.0
    """Seconds from the start of the playthrough or medium."""


@dataclass(frozen=True)
class Text:
    """Words from the spec, a sign or a transcript."""

    text: str
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True)
class Design:
    """What a creator asked for, as a whole: rules on mechanics look at it."""

    spec: WorldSpec


@dataclass(frozen=True)
class Detection:
    """One thing seen in one item."""

    label: str
    score: float
    """0..1; the card says what it means. No threshold is applied beyond dropping what is noise."""
    start: float = 0.0
    """Seconds, on the item's own clock (its ``at`` or ``start`` included)."""
    end: float = 0.0
    box: tuple[int, int, int, int] | None = None
    """Pixels of the item: x0, y0, x1, y1."""
    text: str | None = None


Modality: TypeAlias = Literal["picture", "motion", "sound", "text", "design"]
MODALITIES: Mapping[type, Modality] = {
    Picture: "picture", Motion: "motion", Sound: "sound", Text: "text", Design: "design",
}  # fmt: skip


@dataclass(frozen=True)
class DetectorCard:
    """What a finding must name, and what an operator must know."""

    name: str
    version: str
    modality: Modality
    labels: tuple[str, ...]
    licence: str
    weights: tuple[str, ...] = ()
    """Names in the model catalogue (``firstplay models list``)."""
    recall: float | None = None
    """Share of real violations found, where measured or published; feeds the bound."""
    recall_source: str = "not measured"
    cost_ms: float = 0.0
    """Rough milliseconds per item on one CPU thread."""
    input_size: tuple[int, int] | float | None = None
    """What the network sees at once: (width, height) in pixels, or seconds of sound; None where it takes
    items of any size as they are."""
    shipped: tuple[tuple[str, str], ...] = ()
    """Name and SHA-256 of weights that lie in the detector's own package and in no catalogue."""

    @property
    def weights_sha256(self) -> dict[str, str]:
        """SHA-256 of all its weights. Raises ``moderation.models.UnknownModel`` for one not listed."""
        from moderation.models import find_entry

        return {name: find_entry(name).sha256 for name in self.weights} | dict(self.shipped)

    def check_shipped(self, folder: Path) -> None:
        """Raises ``moderation.models.ModelCorrupt`` where weights in ``folder`` are not the card's."""
        from moderation.models import ModelCorrupt
        from worldmodel.store.cache import known_sha256

        for name, sha256 in self.shipped:
            digest = known_sha256(folder / name)
            if digest != sha256:
                raise ModelCorrupt(self.name, folder / name, digest, sha256)

    @property
    def fingerprint(self) -> str:
        """Names the detector by what decides its scores: its name, version and weights."""
        told = json.dumps([self.name, self.version, self.weights_sha256], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Resources:
    """What a detector may use of the machine; set before it loads."""

    threads: int = 1
    """CPU threads of each ONNX Runtime session. PyTorch has one number for the whole process, which the
    process sets (``torch.set_num_threads``): two threads on shared cores were slower than one."""
    device: str = "cpu"
    """As PyTorch names it (``cuda``, ``cuda:1``); detectors on ONNX Runtime stay on the CPU."""


_MODEST = Resources()
_resources: ContextVar[Resources] = ContextVar("resources", default=_MODEST)


def current_resources() -> Resources:
    """Of the detector whose ``load`` is running; elsewhere one thread of the CPU."""
    return _resources.get()


Item = TypeVar("Item", Picture, Motion, Sound, Text, Design)
_ABSENT = object()


@dataclass(frozen=True)
class Spent:
    """What looking has cost."""

    items: int = 0
    seconds: float = 0.0
    """Of wall time, without loading."""


class Detector(ABC, Generic[Item]):
    """Loads its weights on first use, under a lock; safe to share between threads.

    Subclasses set ``card`` and write ``load`` (raises ``moderation.models.ModelMissing`` when weights are
    not there: never a silent pass) and ``predict``. ``load`` keeps all that it makes in attributes of the
    detector: unloading puts every attribute that ``load`` set back to what it was.
    """

    card: DetectorCard
    batch_size: ClassVar[int] = 32
    """Items that ``predict`` is given at most. They may be of many worlds."""

    def __init__(self) -> None:
        self.resources = Resources()
        self._lock = Lock()
        self._loaded = False
        self._loading_replaced: dict[str, Any] = {}
        self._running = 0
        self._last_used = monotonic()
        self._spent = Spent()
        self._scale: Callable[[str, float], float] | None = None

    @property
    def uncovered(self) -> tuple[str, ...]:
        """Labels that it was asked for and cannot judge; a rule that needs one goes to a person."""
        return ()

    @property
    def loaded(self) -> bool:
        """Whether its weights are in memory."""
        return self._loaded

    def ensure_loaded(self) -> None:
        with self._lock:
            self._load_once()

    def __call__(self, batch: Sequence[Item]) -> list[list[Detection]]:
        """``predict`` after loading: one list of detections per item, in order."""
        with self._in_use():
            found: list[list[Detection]] = []
            began = monotonic()
            for start in range(0, len(batch), self.batch_size):
                found += self.predict(batch[start : start + self.batch_size])
            self._spend(len(batch), monotonic() - began)
        return found if self._scale is None else [[self._scaled(one) for one in item] for item in found]

    def _spend(self, items: int, seconds: float) -> None:
        with self._lock:
            self._spent = Spent(self._spent.items + items, self._spent.seconds + seconds)

    def take_spent(self) -> Spent:
        """What it has looked at since this was last asked."""
        with self._lock:
            spent, self._spent = self._spent, Spent()
        return spent

    def unload(self) -> bool:
        """Let go of the weights, unless something is being looked at; whether they were let go of.

        The next use loads them again.
        """
        with self._lock:
            if not self._loaded or self._running:
                return False
            for name, before in self._loading_replaced.items():
                if before is _ABSENT:
                    delattr(self, name)
                else:
                    setattr(self, name, before)
            self._loaded = False
            return True

    def idle_seconds(self) -> float:
        """Seconds since it last looked at something; 0 while it does."""
        with self._lock:
            return 0.0 if self._running else monotonic() - self._last_used

    def rescale(self, version: str, scale: Callable[[str, float], float]) -> None:
        """From now on each score is ``scale(label, score)``, and the card names ``version``."""
        self.card = replace(self.card, version=version)
        self._scale = scale

    @abstractmethod
    def load(self) -> None: ...

    @abstractmethod
    def predict(self, batch: Sequence[Item]) -> list[list[Detection]]: ...

    def _load_once(self) -> None:
        """The lock is held."""
        if self._loaded:
            return
        before = dict(vars(self))
        token = _resources.set(self.resources)
        try:
            self.load()
        finally:
            _resources.reset(token)
        after = vars(self)
        changed = [name for name in after if after[name] is not before.get(name, _ABSENT)]
        self._loading_replaced = {name: before.get(name, _ABSENT) for name in changed}
        self._loaded, self._last_used = True, monotonic()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Loaded, and not to be unloaded by another thread until this one is done."""
        with self._lock:
            self._load_once()
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                self._last_used = monotonic()

    def _scaled(self, found: Detection) -> Detection:
        assert self._scale is not None
        return replace(found, score=self._scale(found.label, found.score))


def unload_idle(detectors: Iterable[Detector[Any]], seconds: float) -> list[str]:
    """Unload the detectors that were not used for so many ``seconds``; the names of those let go.

    Whoever owns detectors calls this between two kinds of work; no thread of its own watches them.
    """
    return [d.card.name for d in detectors if d.loaded and d.idle_seconds() >= seconds and d.unload()]
