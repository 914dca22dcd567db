"""Which paths of the archive are worth recording: few, short, and together showing every scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bots.archive import Moment, Tree


class SceneCover:
    """Greedy set cover over the tree: the next path is the one that shows most new scenes for its length.

    Greedy is within ln(n) of the best cover (Chvátal, "A greedy heuristic for the set-covering problem",
    Mathematics of Operations Research 1979).
    """

    def __init__(self, tree: Tree, overhead: float) -> None:
        """``overhead``: steps that one more path is worth avoiding."""
        self._tree, self._overhead = tree, overhead
        lengths = [len(s.scenes) for s in tree.segments]
        self._first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        empty = np.zeros(0, np.int64)
        scenes, self._scene = np.unique(
            np.concatenate([empty, *[s.scenes for s in tree.segments]]), return_inverse=True
        )
        self._shown = np.zeros(len(scenes), np.bool_)
        self._steps_before = self._depths()

    @property
    def total(self) -> int:
        return len(self._shown)

    @property
    def shown(self) -> int:
        return int(self._shown.sum())

    def _depths(self) -> NDArray[np.int64]:
        before = np.zeros(len(self._tree.segments), np.int64)
        for number, segment in enumerate(self._tree.segments):
            if segment.parent >= 0:
                before[number] = before[segment.parent] + segment.at
        return before

    def show(self, moment: Moment) -> None:
        """Count the scenes on the path to a moment as shown."""
        number, count = moment.segment, moment.offset
        while number >= 0:
            first = self._first[number]
            self._shown[self._scene[first : first + count]] = True
            number, count = self._tree.segments[number].parent, self._tree.segments[number].at

    def next(self, longest: int) -> Moment | None:
        """The path of at most ``longest`` steps with most new scenes per step; None when all are shown."""
        fresh = self._fresh_steps()
        running = np.concatenate([[0], np.cumsum(fresh)])
        inherited = np.zeros(len(self._tree.segments), np.int64)
        best, best_score = None, 0.0
        for number, segment in enumerate(self._tree.segments):
            if segment.parent >= 0:
                first = self._first[segment.parent]
                inherited[number] = inherited[segment.parent] + running[first + segment.at] - running[first]
            first, end = self._first[number], self._first[number + 1]
            end = min(end, first + max(longest - int(self._steps_before[number]), 0))
            spots = np.nonzero(fresh[first:end])[0]
            if len(spots):
                gains = inherited[number] + running[first + spots + 1] - running[first]
                scores = gains / (self._overhead + self._steps_before[number] + spots + 1)
                top = int(scores.argmax())
                if scores[top] > best_score:
                    best, best_score = Moment(number, int(spots[top]) + 1), float(scores[top])
        return best

    def _fresh_steps(self) -> NDArray[np.bool_]:
        """Marks, among all stored steps, the first one of each scene that is not shown yet."""
        fresh = np.zeros(len(self._scene), np.bool_)
        _, first = np.unique(self._scene, return_index=True)
        fresh[first] = ~self._shown[self._scene[first]]
        return fresh
