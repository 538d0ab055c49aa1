"""Arithmetic on all trainable weights at once, with foreach operations and no copies in the loop.

A vector of weight space is a list of tensors, one per parameter; its norm is that of all together.
Scales and shifts of batch norms are parameters and take part; running statistics do not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

Direction = list[Tensor]
"""A vector of weight space: one tensor per trainable parameter."""


def norm(direction: Direction) -> Tensor:
    """Returns the Euclidean norm over all tensors together, a scalar tensor."""
    lengths: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(direction)))
    return lengths


class Weights:
    """The trainable parameters of a model, as one point of weight space.

    Args:
        model: the model whose parameters are moved in place.
    """

    def __init__(self, model: nn.Module) -> None:
        self.now: Direction = [p for p in model.parameters() if p.requires_grad]
        self._remembered: Direction = [torch.empty_like(p) for p in self.now]

    def gradients(self) -> Direction:
        """Returns the gradients that backward passes left; zeros where none reached a parameter."""
        gradients = []
        for parameter in self.now:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        return gradients

    def towards(self, other: Direction) -> Direction:
        """Returns the vector from the present point to ``other``."""
        with torch.no_grad():
            return list(torch._foreach_sub(other, self.now))

    def keep(self) -> None:
        """Remembers the present point."""
        with torch.no_grad():
            torch._foreach_copy_(self._remembered, self.now)

    def move(self, direction: Direction, length: Tensor | float) -> None:
        """Goes to ``w + length * direction``; ``direction`` is scaled in place."""
        with torch.no_grad():
            torch._foreach_mul_(direction, length)
            torch._foreach_add_(self.now, direction)

    def back(self) -> None:
        """Goes back to the remembered point, exactly."""
        with torch.no_grad():
            torch._foreach_copy_(self.now, self._remembered)

    def clear_gradients(self) -> None:
        """Removes the gradients of this step so far."""
        for parameter in self.now:
            parameter.grad = None
