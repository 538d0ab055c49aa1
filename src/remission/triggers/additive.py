"""A pattern added to the image, as sinusoids and universal perturbations are."""

from __future__ import annotations

from torch import Tensor, nn

from remission.triggers.base import Trigger


class Additive(Trigger):
    """x' = clip(x + v).

    Args:
        pattern: v, (C, H, W), of either sign, in units of the images' range [0, 1].

    The pattern is a parameter, so that it can be trained; at first it requires no gradient.
    """

    def __init__(self, pattern: Tensor) -> None:
        super().__init__()
        self.pattern = nn.Parameter(pattern, requires_grad=False)

    def stamp(self, images: Tensor) -> Tensor:
        """Adds the pattern."""
        return images + self.pattern
