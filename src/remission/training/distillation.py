"""How far the answers of a model lie from those of another one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def divergence(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(wanted / T) || softmax(logits / T)), the mean over the images.

    T^2 makes the gradient's size independent of T (Hinton et al., arXiv 1503.02531).

    Args:
        logits: z, (N, K), of the model that is trained.
        wanted: (N, K), of the model whose answers it takes over.
        temperature: T.
    """
    ours, theirs = (F.log_softmax(z / temperature, dim=1) for z in (logits, wanted))
    return temperature**2 * F.kl_div(ours, theirs, log_target=True, reduction="batchmean")
