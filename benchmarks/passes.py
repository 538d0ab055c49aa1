"""Numbers of passes over images, and what a method is run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Numbers of images that go through the network, for each kind of pass.

    Args:
        forward: forward alone, in eval mode.
        to_images: forward and backward to the images, in eval mode with fixed weights.
        to_scales: forward and backward to the scales of all batch norms, in train mode.
        step: forward, backward to all weights and an update by SGD, in train mode.
        step_in_eval: the same in eval mode.
        generator: forward, backward and update of QRA's generator, without the classifier.
    """

    forward: int = 0
    to_images: int = 0
    to_scales: int = 0
    step: int = 0
    step_in_eval: int = 0
    generator: int = 0

    def __add__(self, other: Passes) -> Passes:
        """Adds the numbers of each kind."""
        return Passes(**{kind: getattr(self, kind) + getattr(other, kind) for kind in KINDS})

    def convolutions(self) -> tuple[int, int, int]:
        """Returns for how many images a convolution amid the network computes what.

        These are its output, the gradient by its input, and the gradient by its weight.
        """
        steps = self.step + self.step_in_eval
        backward = self.to_images + self.to_scales + steps
        return self.forward + backward, backward, steps

    def seconds(self, prices: Mapping[str, float]) -> float:
        """Returns how long the passes take, from the seconds per image of each kind."""
        counts = {kind: int(getattr(self, kind)) for kind in KINDS}
        return sum(count * prices[kind] for kind, count in counts.items() if count)


KINDS = tuple(field.name for field in fields(Passes))


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a method is run on.

    Args:
        images: n, the number of clean images.
        others: m, the number of those outside the target class.
        classes: K, the number of classes.
        channels: D, the number of channels of all batch norms.
    """

    images: int
    others: int
    classes: int
    channels: int
