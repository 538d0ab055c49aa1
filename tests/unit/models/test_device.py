"""What a device must compute exactly, it computes exactly."""

from __future__ import annotations

import pytest
import torch

from remission.models import compute_exactly


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_convolutions_on_cuda_take_fp32_for_fp32(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    compute_exactly(torch.device(device))
    assert torch.backends.cudnn.deterministic == (device != "cpu")
    assert torch.backends.cudnn.allow_tf32 == (device == "cpu")
