"""One perturbation of all images for every class; the class that needs the least is named.

After universal adversarial perturbations (Moosavi-Dezfooli et al., CVPR 2017) and the comparison of
classes of Neural Cleanse (Wang et al., S&P 2019). A backdoor is a shortcut from all images to one
class, so for every class t and every family of changes g, with parameters theta of size |theta|,

    min over theta of  E_{x of other classes} CE(f(clip(g_theta(x))), t) + c_t * |theta|,

all classes in one batch. As in Neural Cleanse, c_t is raised while g sends enough images to t, and
lowered while it does not; the smallest theta that sent enough is kept. Families: an added pattern
(|theta| the root mean square of its pixels) and a smooth warp (|theta| that of its flow, in
pixels). With s_t the size found, divided by the share of images that arrive at t, the anomaly of t
in its family is

    a_t = (median log s - log s_t) / (1.4826 * median |log s - median log s|),

the divisor at least 0.1. The largest of all families names the target class. Its perturbation,
searched further on its own so that more images arrive, is the trigger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.inversion.base import Inversion, Inverted, Named
from remission.method import field, method
from remission.models import Classifier, Precision
from remission.progress import tracked
from remission.seeding import Seed
from remission.training import batches
from remission.triggers.perturbation import Family, Perturbation, perturbed
from remission.types import LabelledImages

_SLIGHT = 0.1  # standard deviation of the first flow, in pixels


@dataclass(frozen=True)
class Searched:
    """What one family's search found, one entry a class.

    Args:
        theta: (K, ...) patterns (K, C, H, W) or flows (K, 2, grid, grid).
        size: (K,) root mean square of each.
        share: (K,) share of the images of other classes that arrive, in [0, 1].
    """

    theta: Tensor
    size: Tensor
    share: Tensor

    def anomaly(self) -> Tensor:
        """(K,) a_t above; nothing stands out of fewer than three classes: zeros."""
        logs = (self.size.clamp_min(1e-6) / self.share.clamp_min(0.01)).log()
        if len(logs) < 3:
            return torch.zeros_like(logs)
        below = logs.quantile(0.5) - logs  # torch's median is the lower one of the middle two
        return below / (1.4826 * below.abs().quantile(0.5)).clamp_min(0.1)


@method
class Universal(Inversion):
    """The universal perturbation, additive or a warp, that sends all to a class at least cost."""

    name: ClassVar[str] = "universal"
    version: ClassVar[int] = 2
    paper: ClassVar[str] = "this project, after Moosavi-Dezfooli et al., CVPR 2017"
    needs: ClassVar[tuple[str, ...]] = ("clean images",)

    steps: int = field(default=100, ge=1)
    """Steps of Adam a family."""
    batch_size: int = field(default=16, ge=2)
    """Images a step, each under the perturbations of all classes."""
    lr: float = field(default=0.05, gt=0)
    """Learning rate of patterns, in units of the images' range."""
    flow_lr: float = field(default=0.1, gt=0)
    """Learning rate of flows, in pixels."""
    grid: int = field(default=4, ge=2, le=64)
    """Points of a flow along each side."""
    reach: float = field(default=0.9, gt=0, lt=1)
    """Share of images that shall arrive; above it the size costs more, below it less."""
    refined_reach: float = field(default=0.98, gt=0, lt=1)
    """The same when the named class's perturbation is searched again on its own."""

    def build_generator(
        self, shape: tuple[int, int, int], seed: Seed, precision: Precision
    ) -> Perturbation:
        """A perturbation that changes nothing yet."""
        del seed, precision
        return Perturbation(shape, self.grid)

    def invert(
        self,
        model: Classifier,
        clean: LabelledImages,
        generator: nn.Module,
        *,
        previous: Inverted | None,
        seed: Seed,
    ) -> Named:
        """Runs the searches above; see :meth:`Inversion.invert`."""
        assert isinstance(generator, Perturbation)
        target = previous.target if previous else None
        best, of, theta = Named(0, -math.inf), get_args(Family)[0], torch.empty(0)
        classes = torch.arange(model.classes, device=clean.labels.device)
        for family in get_args(Family):
            here = seed.child(family)
            first = self.first(family, clean.shape, model.classes, here.child("first").generator())
            found = self.search(model, clean, family, classes, first, self.reach, here)
            anomaly = found.anomaly()
            named = int(anomaly.argmax()) if target is None else target
            if float(anomaly[named]) > best.anomaly:
                best, of, theta = Named(named, float(anomaly[named])), family, found.theta
        one = classes[best.target : best.target + 1]
        here, first = seed.child("refine"), theta[best.target : best.target + 1]
        found = self.search(model, clean, of, one, first, self.refined_reach, here)
        generator.become(of, found.theta[0])
        return best

    def search(
        self,
        model: Classifier,
        clean: LabelledImages,
        family: Family,
        classes: Tensor,
        first: Tensor,
        reach: float,
        seed: Seed,
    ) -> Searched:
        """The smallest perturbation of a family for each of some classes.

        Args:
            model: in eval mode.
            clean: the defender's images.
            family: of the perturbations.
            classes: (K,) indices.
            first: (K, ...) where the search begins.
            reach: the share of images that shall arrive.
            seed: of the images of each step.
        """
        device, draws = clean.labels.device, seed.generator()
        theta = first.detach().clone().to(device)
        count = min(len(clean), self.batch_size * model.classes // len(classes))
        optimizer = torch.optim.Adam(
            [theta.requires_grad_(True)], self.lr if family == "additive" else self.flow_lr
        )
        cost, arrived = torch.ones(len(classes), device=device), torch.zeros(1, device=device)
        best, least = theta.detach().clone(), torch.full_like(cost, math.inf)
        for _ in tracked(range(self.steps), f"inversion: {family}", self.steps):
            index = torch.randint(len(clean), (count,), generator=draws)
            labels = clean.labels[index.to(device)]
            other = (labels[None] != classes[:, None]).float()  # (K, B)
            logits = logits_under(model, clean.floats(index), theta, family)  # (K, B, K)
            goal = classes[:, None].expand_as(other)
            ce = F.cross_entropy(logits.flatten(0, 1), goal.flatten(), reduction="none")
            loss = (_mean(ce.view_as(other), other) + cost * size(theta)).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                share, now = _mean((logits.argmax(2) == goal).float(), other), size(theta)
                arrived = 0.8 * arrived + 0.2 * share
                cost = torch.where(arrived > reach, cost * 1.2, cost / 1.1)
                enough = (arrived > reach) & (share > reach)
                # what never arrives is kept as it is in the end
                smaller = (enough & (now < least)) | least.isinf()
                best[smaller] = theta[smaller]
                least = torch.where(enough & smaller, now, least)
            optimizer.step()
        return Searched(best, size(best), self.arriving(model, clean, best, family, classes))

    def first(
        self, family: Family, shape: tuple[int, int, int], classes: int, draws: torch.Generator
    ) -> Tensor:
        """Where a search begins: no pattern, or a slight flow, since at zero it has no gradient."""
        if family == "additive":
            return torch.zeros(classes, *shape)
        return _SLIGHT * torch.randn(classes, 2, self.grid, self.grid, generator=draws)

    @torch.no_grad()
    def arriving(
        self,
        model: Classifier,
        clean: LabelledImages,
        theta: Tensor,
        family: Family,
        classes: Tensor,
    ) -> Tensor:
        """(K,) the share of the images of other classes that arrive at each of ``classes``."""
        hits, count = theta.new_zeros(len(theta)), theta.new_zeros(len(theta))
        for images, labels in batches(clean, self.batch_size, generator=None):
            other = (labels[None] != classes[:, None]).float()
            found = logits_under(model, images, theta, family).argmax(2) == classes[:, None]
            hits, count = hits + (found * other).sum(1), count + other.sum(1)
        return hits / count.clamp_min(1)


def size(theta: Tensor) -> Tensor:
    """(K, ...) -> (K,) root mean squares."""
    return (theta.flatten(1).square().mean(1) + 1e-12).sqrt()


def logits_under(model: Classifier, images: Tensor, theta: Tensor, family: Family) -> Tensor:
    """(B, C, H, W) images -> (K, B, K) logits, under the perturbation of each class."""
    flows, patterns = (None, theta) if family == "additive" else (theta, None)
    raw = perturbed(images, flows, patterns)
    changed = raw + (raw.clamp(0, 1) - raw).detach()  # so that black and white pixels can move
    logits: Tensor = model(changed.flatten(0, 1))
    return logits.view(len(theta), len(images), -1)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """(K, B) -> (K,), the mean of the values of weight 1; 0 where there are none."""
    return (values * weights).sum(1) / weights.sum(1).clamp_min(1)
