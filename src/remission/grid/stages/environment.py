"""The environment of a result: versions, device and precision."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from remission.models import Precision


@cache
def processor() -> str:
    """Returns the processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def environment(device: torch.device, precision: Precision) -> dict[str, str | int]:
    """Returns versions, device and precision, for a record."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "remission": version("remission"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "platform": platform.platform(terse=True),
        "device": f"{device.type}: {name}",
        "threads": torch.get_num_threads(),
        "precision": precision,
    }
