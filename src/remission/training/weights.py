"""Arithmetic on all trainable weights at once, with foreach operations and no copies in the loop.

Vectors of weight space are lists of tensors, one a parameter; norms are global, over all of them.
Batch-norm scale and shift are parameters and take part; running statistics do not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

Direction = list[Tensor]


def norm(direction: Direction) -> Tensor:
    """The Euclidean norm over all tensors together, a scalar tensor."""
    lengths: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(direction)))
    return lengths


class Weights:
    """The trainable parameters of a model, as one point of weight space.

    Args:
        model: its parameters are moved in place.
    """

    def __init__(self, model: nn.Module) -> None:
        self.now: Direction = [p for p in model.parameters() if p.requires_grad]
        self._kept: Direction = [torch.empty_like(p) for p in self.now]

    def gradients(self) -> Direction:
        """The gradients that a backward pass has left; zeros where it reached no weight."""
        found = []
        for parameter in self.now:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            found.append(parameter.grad)
        return found

    def towards(self, other: Direction) -> Direction:
        """The vector from here to ``other``."""
        with torch.no_grad():
            return list(torch._foreach_sub(other, self.now))

    def keep(self) -> None:
        """Remembers this point."""
        with torch.no_grad():
            torch._foreach_copy_(self._kept, self.now)

    def move(self, direction: Direction, length: Tensor | float) -> None:
        """Goes to ``w + length * direction``."""
        with torch.no_grad():
            torch._foreach_mul_(direction, length)
            torch._foreach_add_(self.now, direction)

    def back(self) -> None:
        """Returns to the point last kept, exactly."""
        with torch.no_grad():
            torch._foreach_copy_(self.now, self._kept)

    def clear_gradients(self) -> None:
        """Forgets the gradients of this step so far."""
        for parameter in self.now:
            parameter.grad = None
