"""Points of weight space, where a model has weights that its output does not depend on."""

from __future__ import annotations

import torch
from torch import nn

from remission.training import Weights


class Idle(nn.Module):
    """A model with a weight that no forward pass uses."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(2, 1), nn.Linear(2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.used(x)
        return result


def test_the_gradient_of_a_weight_that_nothing_uses_is_zero() -> None:
    model = Idle()
    weights = Weights(model)
    model(torch.ones(3, 2)).sum().backward()
    used, bias, *idle = weights.gradients()
    assert used.tolist() == [[3.0, 3.0]]
    assert bias.tolist() == [3.0]
    assert [g.abs().sum().item() for g in idle] == [0, 0]
    torch._foreach_mul_(weights.gradients(), 2.0)
    assert model.used.bias.grad is not None
    assert model.used.bias.grad.tolist() == [6.0], "changed in place, as the methods do"
