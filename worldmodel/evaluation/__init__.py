"""How far a world model can be trusted: beside the simulator, on worlds it never trained on.

``agreement`` and ``visits`` record single steps, windows and long play; ``memory``, ``drift`` and ``heldout``
each ask one more question; ``groups``, ``bars`` and ``report`` turn the records into tables, worst first.
"""

from worldmodel.evaluation.likeness import Likeness, edge_score, psnr, ssim
from worldmodel.evaluation.report import markdown
from worldmodel.evaluation.run import QUICK, Evaluation, Plan, assess, evaluate
from worldmodel.evaluation.sheets import write_sheet
from worldmodel.evaluation.speed import Speed, measure_speed, peak_memory, session_bytes

__all__ = [
    "QUICK",
    "Evaluation",
    "Likeness",
    "Plan",
    "Speed",
    "assess",
    "edge_score",
    "evaluate",
    "markdown",
    "measure_speed",
    "peak_memory",
    "psnr",
    "session_bytes",
    "ssim",
    "write_sheet",
]
