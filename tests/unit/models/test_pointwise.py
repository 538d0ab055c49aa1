"""The strided 1x1 convolution against torch's own, also where torch's corrupts memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from remission.models.pointwise import PointwiseConv


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
def test_it_is_the_convolution_of_torch(stride: int, size: tuple[int, int]) -> None:
    ours, torchs = PointwiseConv(5, 4, stride).double(), nn.Conv2d(5, 4, 1, stride, bias=False)
    torchs.double().load_state_dict(ours.state_dict())
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 5, *size, dtype=torch.float64, generator=generator).requires_grad_()
    one, two = ours(x), torchs(x)
    torch.testing.assert_close(one, two)
    got = torch.autograd.grad(one.square().sum(), [x, ours.weight])
    wanted = torch.autograd.grad(two.square().sum(), [x, torchs.weight])
    torch.testing.assert_close(got, wanted)


NARROW = """
import torch
from remission.models.pointwise import PointwiseConv
torch.set_num_threads(1)
layer = PointwiseConv(2, 4, 2).to(memory_format=torch.channels_last)
for _ in range(30):
    x = torch.rand(21, 2, 64, 64).contiguous(memory_format=torch.channels_last)
    layer(x).square().mean().backward()
    kept = [torch.rand(1000) for _ in range(50)]
"""


def test_few_channels_in_channels_last_memory_do_no_harm() -> None:
    """With ``nn.Conv2d`` instead this process would abort on processors with AVX-512."""
    done = subprocess.run([sys.executable, "-c", NARROW], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
