"""How often a violation that was never seen may still show."""

from __future__ import annotations


def upper_bound(episodes: int, recall: float) -> float:
    """Upper 95 % limit on the share of sessions that show a violation, after none in ``episodes``.

    Clopper-Pearson for zero successes, ``1 - 0.05 ** (1 / n)``, of a violation that is both shown and
    detected, divided by the detector's recall (0..1); capped at 1. The unit is the independent episode.
    Clopper and Pearson, Biometrika 26 (1934).
    """
    if episodes < 0 or not 0 < recall <= 1:
        raise ValueError(f"episodes must be >= 0 and recall in (0, 1], not {episodes} and {recall}")
    return 1.0 if episodes == 0 else min(1.0, (1 - 0.05 ** (1 / episodes)) / recall)
