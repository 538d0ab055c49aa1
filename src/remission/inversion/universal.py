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
min over r != t of n_r / n_t, is named. Its added pattern or warp is then searched further, alone,
so that more images arrive; this is the trigger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.inversion.base import Inversion, Inverted, TargetClass
from remission.method import field, method
from remission.models import Classifier, Precision
from remission.progress import enough, tracked
from remission.seeding import Seed
from remission.training import batches
from remission.triggers.warp_and_add import Family, WarpAndAdd, perturbed
from remission.types import LabelledImages

Tried = Literal[Family, "patch"]
"""The families that are searched. A patch helps to name the class, but is never the trigger."""

_SLIGHT = 0.1  # standard deviation of the first flow, in pixels
_MASK = math.log(0.3 / 0.7)  # logit of the first masks, through which 0.3 of the pattern shows
_PATCH_LR = 0.2
_FINALISTS = 3  # classes whose patch is searched further, since small patches are found late


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The result of searching one family, with one entry per class.

    Args:
        theta: patterns (K, C, H, W), flows (K, 2, grid, grid), or the logits of masks and of the
            patterns behind them (K, 1 + C, H, W).
        size: (K,) |theta| of each.
        share: (K,) share of the images of other classes that arrive, in [0, 1].
    """

    theta: Tensor
    size: Tensor
    share: Tensor

    def needs(self) -> Tensor:
        """Returns log s_t, (K,)."""
        return (self.size.clamp_min(1e-6) / self.share.clamp_min(0.01)).log()


def leads(needs: Tensor) -> Tensor:
    """Returns leads (K,) from log n_t (K,): the least need of all other classes over its own."""
    if len(needs) < 2:
        return torch.ones_like(needs)
    first, second = needs.sort().values[:2]
    return (torch.where(needs == first, second, first) - needs).exp()


@method
class Universal(Inversion):
    """The smallest universal perturbation, a pattern or a warp, that leads to one class."""

    name: ClassVar[str] = "universal"
    version: ClassVar[int] = 2
    paper: ClassVar[str] = "this project, after Moosavi-Dezfooli et al., CVPR 2017"
    needs: ClassVar[tuple[str, ...]] = ("clean images",)

    steps: int = field(default=100, ge=1)
    """Number of steps of Adam per family."""
    batch_size: int = field(default=16, ge=2)
    """Images per step, each under the perturbations of all classes."""
    lr: float = field(default=0.05, gt=0)
    """Learning rate of patterns, in units of the images' range."""
    flow_lr: float = field(default=0.1, gt=0)
    """Learning rate of flows, in pixels."""
    grid: int = field(default=4, ge=2, le=64)
    """Number of points of a flow along each side."""
    reach: float = field(default=0.9, gt=0, lt=1)
    """Share of images that shall arrive; above it the size costs more, below it less."""
    refined_reach: float = field(default=0.98, gt=0, lt=1)
    """``reach`` in the last search, that of the named class's perturbation alone."""

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
        classes = torch.arange(model.classes, device=clean.labels.device)
        results = {family: self.look(model, clean, family, seed) for family in get_args(Family)}
        needs = {family: result.needs() for family, result in results.items()}
        needs["additive"] = self.with_patches(needs["additive"], target, model, clean, seed)
        best, best_family = TargetClass(0, -math.inf), get_args(Family)[0]
        for family, needed in needs.items():
            lead = leads(needed)
            candidate = int(lead.argmax()) if target is None else target
            if float(lead[candidate]) > best.lead:
                best, best_family = TargetClass(candidate, float(lead[candidate])), family
        alone = slice(best.target, best.target + 1)
        refined = self.search(
            model,
            clean,
            best_family,
            classes[alone],
            results[best_family].theta[alone],
            self.refined_reach,
            seed.child("refine"),
        )
        generator.become(best_family, refined.theta[0])
        return best

    def look(
        self, model: Classifier, clean: LabelledImages, family: Tried, seed: Seed
    ) -> SearchResult:
        """Searches a family for every class, from its first values."""
        seed, classes = seed.child(family), torch.arange(model.classes)
        first = self.first(family, clean.shape, model.classes, seed.child("first").generator())
        return self.search(
            model, clean, family, classes.to(clean.labels.device), first, self.reach, seed
        )

    def with_patches(
        self,
        patterns: Tensor,
        target: int | None,
        model: Classifier,
        clean: LabelledImages,
        seed: Seed,
    ) -> Tensor:
        """Searches the patches; returns log n_t, (K,), with log s_t of the added patterns, (K,)."""
        result = self.look(model, clean, "patch", seed)
        patches = result.needs()
        finalists = (patterns + patches).argsort()[:_FINALISTS]
        if target is not None and target not in finalists.tolist():
            finalists = torch.cat([finalists, finalists.new_tensor([target])])
        seed, first = seed.child("finalists"), result.theta[finalists]
        further = self.search(model, clean, "patch", finalists, first, self.reach, seed)
        patches[finalists] = patches[finalists].minimum(further.needs())
        return (patterns + patches) / 2

    def search(
        self,
        model: Classifier,
        clean: LabelledImages,
        family: Tried,
        classes: Tensor,
        first: Tensor,
        reach: float,
        seed: Seed,
    ) -> SearchResult:
        """Searches the smallest perturbation of a family for each of some classes.

        Args:
            model: the suspect model in eval mode.
            clean: the defender's images with true labels.
            family: the family of the perturbations.
            classes: (K,) indices of the classes.
            first: (K, ...) the parameters theta with which the search begins.
            reach: share of images that shall arrive.
            seed: the source of the images of each step.
        """
        device, draws = clean.labels.device, seed.generator()
        theta = first.detach().clone().to(device)
        count = min(len(clean), self.batch_size * model.classes // len(classes))
        rate = {"additive": self.lr, "warp": self.flow_lr, "patch": _PATCH_LR}[family]
        optimizer = torch.optim.Adam([theta.requires_grad_(True)], rate)
        cost, arrived = torch.ones(len(classes), device=device), torch.zeros(1, device=device)
        best, least = theta.detach().clone(), torch.full_like(cost, math.inf)
        for _ in tracked(range(self.steps), f"inversion: {family}", self.steps):
            index = torch.randint(len(clean), (enough(count),), generator=draws)
            labels = clean.labels[index.to(device)]
            other = (labels[None] != classes[:, None]).float()  # (K, B)
            logits = logits_under(model, clean.floats(index), theta, family)  # (K, B, K)
            goal = classes[:, None].expand_as(other)
            ce = F.cross_entropy(logits.flatten(0, 1), goal.flatten(), reduction="none")
            loss = (_mean(ce.view_as(other), other) + cost * size(theta, family)).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                share, now = _mean((logits.argmax(2) == goal).float(), other), size(theta, family)
                arrived = 0.8 * arrived + 0.2 * share
                cost = torch.where(arrived > reach, cost * 1.2, cost / 1.1)
                held = (arrived > reach) & (share > reach)
                # a class where nothing ever arrives keeps its present theta
                smaller = (held & (now < least)) | least.isinf()
                best[smaller] = theta[smaller]
                least = torch.where(held & smaller, now, least)
            optimizer.step()
        return SearchResult(
            best, size(best, family), self.arriving(model, clean, best, family, classes)
        )

    def first(
        self, family: Tried, shape: tuple[int, int, int], classes: int, draws: torch.Generator
    ) -> Tensor:
        """Returns the first theta: no pattern, a grey one behind an even mask, or a slight flow."""
        if family == "additive":
            return torch.zeros(classes, *shape)
        if family == "patch":
            return torch.cat([torch.full((1, *shape[1:]), _MASK), torch.zeros(shape)]).repeat(
                classes, 1, 1, 1
            )
        return _SLIGHT * torch.randn(classes, 2, self.grid, self.grid, generator=draws)

    @torch.no_grad()
    def arriving(
        self,
        model: Classifier,
        clean: LabelledImages,
        theta: Tensor,
        family: Tried,
        classes: Tensor,
    ) -> Tensor:
        """Returns the share of images of other classes that arrive at each of ``classes``, (K,)."""
        hits, count = theta.new_zeros(len(theta)), theta.new_zeros(len(theta))
        stream = batches(clean, self.batch_size, generator=None)
        for images, labels in tracked(stream, "", -(-len(clean) // self.batch_size)):
            other = (labels[None] != classes[:, None]).float()
            arrives = logits_under(model, images, theta, family).argmax(2) == classes[:, None]
            hits, count = hits + (arrives * other).sum(1), count + other.sum(1)
        return hits / count.clamp_min(1)


def size(theta: Tensor, family: Tried) -> Tensor:
    """Returns |theta| of each class, (K,): root mean squares; of patches, the means of masks."""
    if family == "patch":
        return theta[:, 0].sigmoid().flatten(1).mean(1)
    return (theta.flatten(1).square().mean(1) + 1e-12).sqrt()


def shown(images: Tensor, theta: Tensor, family: Tried) -> Tensor:
    """Applies the perturbation of each class to images (B, C, H, W); returns (K, B, C, H, W)."""
    if family == "patch":
        mask, pattern = theta[:, None, :1].sigmoid(), theta[:, None, 1:].sigmoid()
        return (1 - mask) * images + mask * pattern
    flows, patterns = (None, theta) if family == "additive" else (theta, None)
    raw = perturbed(images, flows, patterns)
    return raw + (raw.clamp(0, 1) - raw).detach()  # a gradient for black and white pixels


def logits_under(model: Classifier, images: Tensor, theta: Tensor, family: Tried) -> Tensor:
    """Returns logits (K, B, K) of images (B, C, H, W) under the perturbation of each class."""
    logits: Tensor = model(shown(images, theta, family).flatten(0, 1))
    return logits.view(len(theta), len(images), -1)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Returns the mean of the values (K, B) of weight 1, (K,); 0 where there are none."""
    return (values * weights).sum(1) / weights.sum(1).clamp_min(1)
