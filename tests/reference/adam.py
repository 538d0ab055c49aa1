"""Adam (Kingma and Ba, ICLR 2015, algorithm 1) and AdamW written out, on one flat vector."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class SlowAdam:
    """Adam with the usual constants: 0.9, 0.999 and 1e-8.

    With ``decay`` it is AdamW (Loshchilov and Hutter, ICLR 2019, algorithm 2): the weights shrink
    by the learning rate times ``decay``, apart from the step along the gradient.
    """

    def __init__(self, lr: float, decay: float = 0.0) -> None:
        self.lr, self.decay, self.steps = lr, decay, 0
        self.m: list[float] = []
        self.v: list[float] = []

    def step(self, w: Tensor, g: Tensor, share: float = 1.0) -> Tensor:
        """Returns the weights after one step at ``share`` of the learning rate."""
        lr = self.lr * share
        if not self.steps:
            self.m, self.v = [0.0] * len(w), [0.0] * len(w)
        self.steps += 1
        moved = []
        for i in range(len(w)):
            self.m[i] = 0.9 * self.m[i] + 0.1 * float(g[i])
            self.v[i] = 0.999 * self.v[i] + 0.001 * float(g[i]) ** 2
            m = self.m[i] / (1 - 0.9**self.steps)
            v = self.v[i] / (1 - 0.999**self.steps)
            shrunk = float(w[i]) - lr * self.decay * float(w[i])
            moved.append(shrunk - lr * m / (math.sqrt(v) + 1e-8))
        return torch.tensor(moved, dtype=torch.float64)
