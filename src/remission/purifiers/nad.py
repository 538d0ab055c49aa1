"""NAD: neural attention distillation (Li, Lyu, Koren, Lyu, Li, Ma, ICLR 2021, arXiv 2101.05930).

The teacher T is the victim, fine-tuned on the clean images. The student S starts as the victim and
is fine-tuned too, while its attention is tied to the teacher's:

    A(F) = sum over channels of |F|^2,  a(F) = A(F) / ||A(F)||_2, one vector per image;
    min CE(f_S(x), y) + sum over maps l of beta_l * d(a(F_S^l), a(F_T^l)).

The maps F^l are the last map of each resolution of the network, found by following the data through
it (:mod:`remission.models.tracing.maps`); of these the last ones are used, as many as there are
betas. The paper's WRN-16-1 has three, the ends of its residual groups. The tokens of a transformer
are a map as well; ViT, which has one resolution, has one map, that of its last block.

The distance d is the mean square over positions, as in the authors' code. The norm ||.||_2 of the
paper's formula is far larger and would leave nothing of the cross entropy at betas of this size.
The paper divides the learning rate by ten every second epoch; here it follows the schedule of all
fine-tuning. The teacher is in eval mode.

The default betas are the numbers of BackdoorBench, and they weigh other maps there. For most models
it distils its third map alone, and this one lies behind the pooling: one position is left, where
a(F) is 1 for student and teacher, and the term vanishes (1e-16). Here all maps have several
positions, so that the pull toward the teacher is stronger.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from remission.errors import SpecError
from remission.method import field, method
from remission.models import Classifier
from remission.models.tracing.maps import features_and_maps, stage_maps
from remission.purifiers.base import CleanPurifier, FineTuning
from remission.seeding import Seed
from remission.training import fit
from remission.types import LabelledImages


@method
class NAD(FineTuning, CleanPurifier):
    """Fine-tuning that follows the attention of a teacher, a fine-tuned copy of the victim."""

    name: ClassVar[str] = "nad"
    paper: ClassVar[str] = "Li et al., ICLR 2021, arXiv 2101.05930"

    betas: tuple[Annotated[float, Field(ge=0)], ...] = field(
        default=(500.0, 1000.0, 1000.0), min_length=1, strict=False
    )
    """Weights of the maps' distances; the last weight belongs to the last map. The numbers are
    BackdoorBench's for other maps, so that its results are not to be expected from them; the paper
    chooses betas for each attack."""
    distance: Literal["mean_square", "norm"] = "mean_square"
    """d, the distance of two attention maps. mean_square: the mean square over positions, as in the
    authors' code; norm: the Euclidean norm of the paper's formula, for betas of about 1."""
    teacher_epochs: int = field(default=10, ge=1)
    """Passes over the clean images that train the teacher (5 to 10 in the paper)."""
    lr: float = field(default=0.01, gt=0)
    """Highest learning rate of teacher and student (0.01 in BackdoorBench; 0.1, soon lowered, in
    the paper for WRN-16-1)."""
    weight_decay: float = field(default=1e-4, ge=0)
    """L2 penalty on all parameters (1e-4 in the paper)."""
    batch_size: int = field(default=64, ge=2)
    """Images per batch (64 in the paper)."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Trains the teacher, then the student.

        Raises:
            SpecError: the model has no feature map with several positions.
        """
        sites = stage_maps(model)[-len(self.betas) :]
        if not sites:
            raise SpecError(
                f"{self.name} needs feature maps, and {model.arch} has none of several positions",
                f"leave out {self.name}, or use another model, for example resnet18",
            )
        teacher = copy.deepcopy(model)
        recipe = replace(self.recipe(), epochs=self.teacher_epochs)
        fit(teacher, clean, recipe, seed=seed.child("teacher"), what=f"{self.name}: teacher")
        teacher.eval().requires_grad_(False)

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            features, maps = features_and_maps(model, images, sites)
            with torch.no_grad():
                _, wanted = features_and_maps(teacher, images, sites)
            return F.cross_entropy(model.classify(features), labels) + self.distil(maps, wanted)

        fit(model, clean, self.recipe(), seed=seed, what=f"{self.name}: student", loss=loss)
        return model

    def distil(self, maps: list[Tensor], wanted: list[Tensor]) -> Tensor:
        """Returns the sum of beta_l * d(a(F_S^l), a(F_T^l)), with means over the images.

        Args:
            maps: F_S^l, each (N, D, positions).
            wanted: F_T^l, of the same shapes.
        """
        total = maps[0].new_zeros((), dtype=torch.promote_types(maps[0].dtype, torch.float32))
        for beta, mine, theirs in zip(self.betas[-len(maps) :], maps, wanted, strict=True):
            gap = attention(mine) - attention(theirs)
            if self.distance == "norm":
                total = total + beta * torch.linalg.vector_norm(gap, dim=1).mean()
            else:
                total = total + beta * gap.square().mean()
        return total


def attention(features: Tensor) -> Tensor:
    """a(F): (N, D, positions) -> (N, positions), the strength of each, of length 1 per image."""
    wide = features.to(torch.promote_types(features.dtype, torch.float32))
    return F.normalize(wide.square().sum(1), dim=1)
