"""Lipschitz bounds of channels (Zheng, Tang, Li, Liu, ECCV 2022, arXiv 2208.03111).

Channel k of a batch norm whose input is the output of a convolution has the Lipschitz bound

    sigma_k = || W_k ||_2 * | gamma_k / sqrt(var_k + eps) |,

with W_k the kernel of that channel as a matrix (input channels, positions), and its largest
singular value as the norm. A purifier prunes channels with an outlying bound; an attack avoids
having them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def channel_lipschitz(conv: nn.Conv2d, norm: _BatchNorm) -> Tensor:
    """Returns the bounds sigma of all channels, (D,)."""
    assert norm.running_var is not None
    spectral: Tensor = torch.linalg.matrix_norm(conv.weight.flatten(2), ord=2)
    return spectral * (norm.weight / (norm.running_var + norm.eps).sqrt()).abs()


def outliers(sigma: Tensor, u: float) -> Tensor:
    """Returns where sigma_k > mean(sigma) + u * std(sigma), (D,) bool, with Bessel's correction."""
    spread = sigma.std(correction=min(1, len(sigma) - 1))
    return sigma > sigma.mean() + u * spread
