"""Where models compute, and in which precision."""

from __future__ import annotations

import torch

from remission.errors import SpecError
from remission.models.classifier import Precision


def resolve_device(name: str) -> torch.device:
    """Returns the device of that name; of ``"auto"`` the accelerator if there is one.

    Raises:
        SpecError: ``"cuda"`` where there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise SpecError("--device cuda: torch finds no CUDA device", "use --device cpu or auto")
    return torch.device(name)


def compute_exactly(device: torch.device) -> None:
    """Lets convolutions on CUDA take fp32 for fp32, and give the same numbers in each run.

    By default they round what they multiply to TF32, with 10 bits in place of 23, and choose their
    algorithms by the clock. On a processor nothing changes.
    """
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic = True


def resolve_precision(wanted: str, device: torch.device) -> Precision:
    """Resolves ``"auto"``: ``"bf16"`` where ``device`` multiplies it faster, else ``"fp32"``."""
    if wanted != "auto":
        return "bf16" if wanted == "bf16" else "fp32"
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    flags = torch.backends.cpu.get_cpu_capability()
    has_bf16 = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if flags.startswith("AVX512") and has_bf16 else "fp32"
