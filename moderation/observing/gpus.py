"""What the GPUs of this machine do, by NVIDIA's own library (NVML), for metrics and the doctor.

Nothing is said where the library (``nvidia-ml-py``) or a driver is missing: no number is better than a guess.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Gpu:
    """One GPU, now."""

    index: int
    name: str
    utilisation: float
    """Share 0..1 of the last moments (up to a second) in which something ran on it."""
    memory_used: int
    memory: int
    """Bytes in use, and in all."""


def gpus() -> list[Gpu]:
    """Those of this machine; none where there is no library or no driver to ask."""
    try:
        nvml = importlib.import_module("pynvml")
    except ModuleNotFoundError:
        return []
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []
    try:
        found = (_read(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
        return [gpu for gpu in found if gpu is not None]
    finally:
        nvml.nvmlShutdown()


def _read(nvml: Any, index: int) -> Gpu | None:
    """None for one that does not tell, as parts of a divided GPU do not."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        name, busy = nvml.nvmlDeviceGetName(handle), nvml.nvmlDeviceGetUtilizationRates(handle)
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError:
        return None
    told = name.decode() if isinstance(name, bytes) else str(name)
    return Gpu(index, told, busy.gpu / 100, int(memory.used), int(memory.total))
