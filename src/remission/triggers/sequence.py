"""No change of images, and several changes one after another."""

from __future__ import annotations

from torch import Tensor, nn

from remission.triggers.base import Trigger


class Unchanged(Trigger):
    """Changes nothing."""

    def stamp(self, images: Tensor) -> Tensor:
        """Returns the images."""
        return images


class InSequence(Trigger):
    """One change of images after another, each with values in [0, 1]."""

    def __init__(self, *changes: nn.Module) -> None:
        super().__init__()
        self.changes = nn.Sequential(*changes)

    def stamp(self, images: Tensor) -> Tensor:
        """Applies the changes."""
        changed: Tensor = self.changes(images)
        return changed
