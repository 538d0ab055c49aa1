"""Adam (Kingma and Ba, ICLR 2015, algorithm 1) written out, on one flat vector."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class SlowAdam:
    """Adam with the usual constants: 0.9, 0.999 and 1e-8."""

    def __init__(self, lr: float) -> None:
        self.lr, self.steps = lr, 0
        self.m: list[float] = []
        self.v: list[float] = []

    def step(self, w: Tensor, g: Tensor) -> Tensor:
        """Returns the weights after one step."""
        if not self.steps:
            self.m, self.v = [0.0] * len(w), [0.0] * len(w)
        self.steps += 1
        moved = []
        for i in range(len(w)):
            self.m[i] = 0.9 * self.m[i] + 0.1 * float(g[i])
            self.v[i] = 0.999 * self.v[i] + 0.001 * float(g[i]) ** 2
            m = self.m[i] / (1 - 0.9**self.steps)
            v = self.v[i] / (1 - 0.999**self.steps)
            moved.append(float(w[i]) - self.lr * m / (math.sqrt(v) + 1e-8))
        return torch.tensor(moved, dtype=torch.float64)
