"""BadNets: a small patch in a corner (Gu, Dolan-Gavitt, Garg, arXiv 1708.06733)."""

from __future__ import annotations

from typing import ClassVar

from remission.attacks.base import DirtyLabel
from remission.errors import SpecError
from remission.method import field, method
from remission.seeding import Seed
from remission.triggers import Trigger, checkerboard


@method
class BadNets(DirtyLabel):
    """A checkerboard patch near the lower right corner; poisoned labels, all to one."""

    name: ClassVar[str] = "badnets"
    paper: ClassVar[str] = "Gu et al., arXiv 1708.06733"

    size: int = field(default=3, ge=1)
    """Side of the patch, pixels (3 on 28x28 and 32x32 images)."""
    margin: int = field(default=1, ge=0)
    """Pixels between the patch and the image's edges."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """The checkerboard; the seed is not used."""
        del seed
        if self.size + self.margin > min(shape[1:]):
            raise SpecError(
                f"a patch of {self.size} pixels with a margin of {self.margin} does not fit into "
                f"images of {shape[1]}x{shape[2]}",
                "use a smaller size or margin",
            )
        return checkerboard(shape, self.size, self.margin)
