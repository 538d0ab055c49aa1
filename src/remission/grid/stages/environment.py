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


@cache
def _version(package: str) -> str:
    """Returns the version of a package, whose metadata take milliseconds to read."""
    return version(package)


def environment(device: torch.device, precision: Precision) -> dict[str, str | int]:
    """Returns versions, device and precision, for a record."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "remission": _version("remission"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": _version("numpy"),
        "platform": platform.platform(terse=True),
        "device": f"{device.type}: {name}",
        "threads": torch.get_num_threads(),
        "precision": precision,
    }
