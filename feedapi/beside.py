"""The simulator beside the model: the same start, the same actions, compared tick by tick.

Everything here runs in the arena's tick thread. The simulator steps along whether it is shown or not, so that
it can be switched on at any moment of a playthrough; only drawing it is left out while nobody looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

import numpy as np

from feedapi.arena import Arena
from feedapi.encoding import encode_jpeg
from feedapi.session import Latched, Session
from feedapi.wire import Beside, View
from worldmodel.constants import UNITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from worldmodel.bank import BankedModel
    from worldmodel.protocol import State, WorldModel
    from worldmodel.simulator import Simulator

SAME_PLACE = UNITS // 2
"""Both players count as in one place up to half a tile, as in ``firstplay worldmodel evaluate``."""
EQUAL_PSNR = 60.0
"""dB that stand for equal frames, as in ``firstplay worldmodel evaluate``."""
AMPLIFIED = 4
"""The difference is shown this many times as bright: what is hard to see is what is looked for."""


@dataclass
class Companion:
    """The simulator's side of one playthrough."""

    simulator: Simulator
    state: State
    """One row."""
    life: int
    """Which start of the world this is; another life of the seat needs another companion."""
    agreed: int = 0
    steps: int = 0
    events: int = 0
    """Of the last step, as bits."""

    def follow(self, own: State, action: int) -> float:
        """Take the step that led the model to ``own`` (one row); tiles between both players."""
        import torch

        actions = torch.tensor([action], device=self.simulator.device)
        self.state, seen = self.simulator.step(self.state, actions, render=False)
        self.events = sum(1 << bit for bit in torch.nonzero(seen.events[0])[:, 0].tolist())
        gap = int((self.state.position[0] - own.position[0]).abs().max())
        self.steps += 1
        self.agreed += gap <= SAME_PLACE
        return gap / UNITS

    def picture(self) -> NDArray[np.uint8]:
        """(FRAME, FRAME, 3) RGB."""
        frame = self.simulator.render(self.state)[0].permute(1, 2, 0)
        return np.asarray(frame.cpu().numpy(), dtype=np.uint8)


class Workbench(Arena):
    """An arena that can show the simulator next to every frame of a model that keeps its worlds in a bank."""

    def __init__(self, load: Callable[[], WorldModel], capacity: int) -> None:
        super().__init__(load, capacity)
        self._companions: WeakKeyDictionary[Session, Companion] = WeakKeyDictionary()

    def _beside(self, row: int, latched: Latched, picture: NDArray[np.uint8]) -> Beside | None:
        assert self._state is not None
        seat, own = self._seats[row], self._state[[row]]
        companion = self._companions.get(seat.session)
        if companion is None or companion.life != seat.lives:
            companion = self._companions[seat.session] = self._companion(seat.session, seat.lives)
        apart = companion.follow(own, int(latched.action))
        if View.LINE_UP in latched.view:
            companion.state, companion.agreed, companion.steps, apart = own.clone(), 0, 0, 0.0
        if View.BESIDE not in latched.view:
            return None
        truth = companion.picture()
        return Beside(
            jpeg=encode_jpeg(truth),
            difference=encode_jpeg(difference(picture, truth)),
            psnr=psnr(picture, truth),
            apart=apart,
            agreed=companion.agreed,
            steps=companion.steps,
            events=companion.events,
        )

    def _companion(self, session: Session, life: int) -> Companion:
        """A simulator at the start of this life, over the model's own bank: states can change sides."""
        from worldmodel.simulator import Simulator

        model = cast("BankedModel", self._playing())
        simulator = Simulator(model.device, model.bank)
        state = simulator.spawn([session.world], [session.seed + life], [session.spawn])
        return Companion(simulator, state, life)


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) how far two frames are apart in each colour, amplified."""
    gap = np.abs(one.astype(np.int16) - other)
    return np.asarray(np.minimum(gap * AMPLIFIED, 255), dtype=np.uint8)


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Decibels between two frames, at most EQUAL_PSNR."""
    import cv2

    return min(EQUAL_PSNR, float(cv2.PSNR(one, other)))
