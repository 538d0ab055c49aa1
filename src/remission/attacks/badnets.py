"""BadNets: a small patch in a corner (Gu, Dolan-Gavitt, Garg, arXiv 1708.06733)."""

from __future__ import annotations

from typing import ClassVar

from remission.attacks.base import DirtyLabel
from remission.data.picture import Picture, image_pixels
from remission.errors import SpecError
from remission.method import field, method
from remission.seeding import Seed
from remission.triggers import Trigger, checkerboard, corner


@method
class BadNets(DirtyLabel):
    """A patch near the lower right corner: a checkerboard or any picture; poisoned labels."""

    name: ClassVar[str] = "badnets"
    paper: ClassVar[str] = "Gu et al., arXiv 1708.06733"

    size: int = field(default=3, ge=1)
    """Side of the patch in pixels (3 on 28x28 and 32x32 images)."""
    margin: int = field(default=1, ge=0)
    """Pixels between the patch and the image's edges."""
    image: Picture = ""
    """The patch, which is resized; empty: a checkerboard. In a spec the path of an image file,
    relative to the spec; in Python ``remission.data.image_uri(path)``."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Returns the patch; the seed is not used.

        Raises:
            SpecError: the patch does not fit into the images.
        """
        del seed
        if self.size + self.margin > min(shape[1:]):
            raise SpecError(
                f"a patch of {self.size} pixels with a margin of {self.margin} does not fit into "
                f"images of {shape[1]}x{shape[2]}",
                "use a smaller size or margin",
            )
        if self.image:
            picture = image_pixels(self.image, (shape[0], self.size, self.size))
            return corner(shape, picture, self.margin)
        return checkerboard(shape, self.size, self.margin)
