"""One perturbation of all images for each class; the class that needs the smallest is named.

This inversion follows universal adversarial perturbations (Moosavi-Dezfooli et al., CVPR 2017) and
the comparison of classes of Neural Cleanse (Wang et al., S&P 2019). A backdoor is a shortcut from
all images to one class. So for every class t and every family of changes g, with parameters theta
of size |theta|, it solves

    min over theta of  E_{x of other classes} CE(f(clip(g_theta(x))), t) + c_t * |theta|,

with all classes in one batch. As in Neural Cleanse, c_t is raised while g sends enough images to t
and lowered while it does not; the smallest theta that sent enough is kept. The families are:

- an added pattern, |theta| the root mean square of its pixels;
- a patch, which is a mask and a pattern behind it, |theta| the mean of the mask;
- a smooth warp, |theta| the root mean square of its flow in pixels.

With s_t the size of the smallest theta, divided by the share of images that arrive at t, class t
needs

    n_t = sqrt(s_t of the added pattern * s_t of the patch),  or  n_t = s_t of the warp,

since both a faint pattern and a small patch suffice where a backdoor is, while a class that is near
to the others anyway makes only one of them small. The class with the largest lead of both n_t,
min over j != t of n_j / n_t, is named. Its added pattern or warp is then searched further, alone,
so that more images arrive; this is the trigger.
"""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from remission.inversion.base import Inverted, TargetClass
from remission.inversion.class_search import ClassSearch
from remission.method import method
from remission.models import Classifier, Precision
from remission.seeding import Seed
from remission.triggers.warp_and_add import WarpAndAdd
from remission.types import LabelledImages


@method
class Universal(ClassSearch):
    """The smallest universal perturbation, a pattern or a warp, that leads to one class."""

    name: ClassVar[str] = "universal"
    version: ClassVar[int] = 2
    paper: ClassVar[str] = "this project, after Moosavi-Dezfooli et al., CVPR 2017"
    published: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("clean images",)

    def build_generator(
        self, shape: tuple[int, int, int], seed: Seed, precision: Precision
    ) -> WarpAndAdd:
        """Makes a perturbation that changes nothing yet; see :meth:`Inversion.build_generator`."""
        del seed, precision
        return WarpAndAdd(shape, self.grid)

    def invert(
        self,
        model: Classifier,
        clean: LabelledImages,
        generator: nn.Module,
        *,
        previous: Inverted | None,
        seed: Seed,
    ) -> TargetClass:
        """Runs the searches above; see :meth:`Inversion.invert`."""
        assert isinstance(generator, WarpAndAdd)
        target = previous.target if previous else None
        compared = self.compare(model, clean, [] if target is None else [target], seed)
        lead, index = compared.leads().amax(0).max(0)
        if target is None:
            target = int(compared.classes[index])
        else:
            lead = compared.leads()[:, compared.index(target)].max()
        self.refine(generator, target, compared, model, clean, seed.child("refine"))
        return TargetClass(target, float(lead))
