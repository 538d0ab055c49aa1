"""Where the weights of a classifier came from, so that they can be given back in that form."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SourceTensor:
    """One tensor of somebody's state dict.

    Args:
        key: its name there.
        shape: its shape there.
        dtype: its type there.
        own: the name of the classifier's tensor that holds its values; "": none does.
        start: where its rows begin in that tensor, which may join several.
        value: the tensor itself where no tensor of the classifier holds its values.
    """

    key: str
    shape: torch.Size
    dtype: torch.dtype
    own: str = ""
    start: int = 0
    value: Tensor | None = None


@dataclass(frozen=True, eq=False)
class WeightSource:
    """A state dict as it was, in its order.

    Args:
        layout: whose names its keys are, for example ``torchvision``.
        tensors: all of its tensors.
    """

    layout: str
    tensors: tuple[SourceTensor, ...]
