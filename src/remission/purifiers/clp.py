"""CLP: channel Lipschitzness based pruning (Zheng, Tang, Li, Liu, ECCV 2022, arXiv 2208.03111).

Channel k of a batch norm whose input is the output of a convolution has the Lipschitz bound

    sigma_k = || W_k ||_2 * | gamma_k / sqrt(var_k + eps) |,

with W_k the kernel of that channel as a matrix (input channels, positions), and its largest
singular value as the norm. Channel k is pruned if sigma_k > mean(sigma) + u * std(sigma), both over
its batch norm. Public code leaves eps out, and pairs each batch norm with the convolution that is
listed just before it, which is wrong where normalisation comes first; here dataflow pairs them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pydantic
from torch import Tensor

from remission.errors import SpecError
from remission.method import method
from remission.models import Classifier
from remission.models.tracing.lipschitz import channel_lipschitz, outliers
from remission.models.tracing.structure import normalised_convolutions
from remission.purifiers.base import CleanPurifier
from remission.purifiers.pruning import Channels, StrengthSearch
from remission.seeding import Seed
from remission.types import LabelledImages

STRENGTHS = tuple(10 - step / 2 for step in range(21))
"""Values of u from the weakest pruning on: 10, 9.5, ..., 0."""


@method
class CLP(StrengthSearch, CleanPurifier):
    """Pruning of the channels that react most strongly to small changes, found without data."""

    name: ClassVar[str] = "clp"
    paper: ClassVar[str] = "Zheng et al., ECCV 2022, arXiv 2208.03111"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "batch norm", "convolutions")

    u: Annotated[float, pydantic.Field(ge=0)] | Literal["search"] = "search"
    """Number of standard deviations above the mean from which a channel is pruned (3 in the paper,
    which uses no images); search: from 10 to 0 in steps of 0.5, on all clean images."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        """Prunes as above; the seed is not used.

        Raises:
            SpecError: no batch norm follows a convolution.
        """
        del seed
        pairs = normalised_convolutions(model)
        if not pairs:
            raise SpecError(
                f"clp prunes batch norms that follow a convolution, and {model.arch} has none",
                "leave out clp, or use another model, for example resnet18",
            )
        bounds = [channel_lipschitz(conv, norm) for conv, norm in pairs]
        channels = Channels([norm for _, norm in pairs])

        def pruned(u: float) -> list[Tensor]:
            return [outliers(sigma, u) for sigma in bounds]

        if self.u == "search":
            candidates = [pruned(u) for u in STRENGTHS]
            self.prune_strongest(model, clean, channels, candidates, f"{self.name}: search")
        else:
            channels.prune(pruned(self.u))
        return model
