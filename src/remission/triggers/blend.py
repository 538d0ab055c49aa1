"""A pattern blended over the whole image (Chen, Liu, Li, Lu, Song, arXiv 1712.05526)."""

from __future__ import annotations

from torch import Tensor

from remission.triggers.base import Trigger


class Blend(Trigger):
    """x' = (1 - alpha) * x + alpha * p.

    Args:
        pattern: p, (C, H, W) in [0, 1].
        alpha: share of the pattern, in (0, 1].
    """

    pattern: Tensor

    def __init__(self, pattern: Tensor, alpha: float) -> None:
        super().__init__()
        self.register_buffer("pattern", pattern)
        self.alpha = alpha

    def stamp(self, images: Tensor) -> Tensor:
        """Blends the pattern over every pixel."""
        return (1 - self.alpha) * images + self.alpha * self.pattern
