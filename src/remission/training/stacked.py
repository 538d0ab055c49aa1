"""Several trainings of one small model as one batch job, on stacked weights.

A small network leaves an accelerator idle between the launches of its kernels; K stacked copies are
K times the work in as many launches. On a processor this gains nothing. It works in fp32 only,
since autocast does not reach into vmap everywhere.
"""

from __future__ import annotations

import copy
from typing import Self

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from remission.models import Classifier


class StackedModels(nn.Module):
    """K copies of a model, which begin with its weights and statistics and are trained apart.

    Parameters and buffers are the model's with a leading dimension K; a parameter requires
    gradients where the model's does. A loss must be summed over the copies: their mean would divide
    every copy's gradients by K.

    Args:
        model: the model to copy, in fp32; it stays as it is.
        count: K.
    """

    def __init__(self, model: Classifier, count: int) -> None:
        super().__init__()
        assert model.precision == "fp32", "autocast does not reach into vmap"
        one = copy.deepcopy(model)
        one.channels_last = False  # vmap knows no memory formats
        self._one = (one,)  # in a tuple: its weights are not among this module's
        self._count = count
        for key, weight in one.named_parameters():
            stacked = nn.Parameter(self._stack(weight), requires_grad=weight.requires_grad)
            self.register_parameter(_flat(key), stacked)
        persistent = one.state_dict()
        for key, buffer in one.named_buffers():
            if key in persistent:
                self.register_buffer(_flat(key), self._stack(buffer))
        self._keys = list(persistent)
        self.train(model.training)

    def _stack(self, value: Tensor) -> Tensor:
        return torch.stack([value.detach()] * self._count)

    def forward(self, images: Tensor) -> Tensor:
        """(K, B, C, H, W) images in [0, 1], B for each copy -> (K, B, classes) logits."""
        stacked = {key: getattr(self, _flat(key)) for key in self._keys}

        def logits(weights: dict[str, Tensor], images: Tensor) -> Tensor:
            single: Tensor = functional_call(self._one[0], weights, (images,))
            return single

        every: Tensor = vmap(logits, randomness="different")(stacked, images)
        return every

    def train(self, mode: bool = True) -> Self:
        """Puts all copies into train mode, or into eval mode."""
        self._one[0].train(mode)
        return super().train(mode)

    def models(self) -> list[Classifier]:
        """Returns the copies as separate models, in their present mode."""
        models = []
        for number in range(self._count):
            model = copy.deepcopy(self._one[0])
            model.channels_last = True
            model.load_state_dict({key: getattr(self, _flat(key))[number] for key in self._keys})
            models.append(model)
        return models


def _flat(key: str) -> str:
    """Returns a key of the state dict as the name of an attribute, which may have no dots."""
    return key.replace(".", "/")
