"""The trigger of a suspected class, as near to the attacker's as a search comes.

Any network has perturbations that lead to any class. What is special to a backdoor is that its
class needs far less than others by the right kind of change, and that the suspect model obeys a
trigger which the purified model ignores. So for the suspected class t and a few others:

1. the smallest pattern, patch and warp are sought on the suspect model f, as
   :mod:`remission.inversion.class_search` does. The family in which t leads by most is taken;
2. with a purified model h, the perturbation of each of these classes j is sought further, to solve

       min over theta of  CE(f(g(x)), j) + CE(h(g(x)), y) + c_j * |theta|

   over clean images x of label y other than j, with g the change by theta, and c_j raised while g
   sends enough images to j and lowered while it does not. Of the thetas that sent enough, the
   one with the smallest cross entropies is the result. This keeps what the purification took
   away, and drops what sends images of any model to j.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from remission.inversion import Voted
from remission.inversion.perturbations import (
    TRIED,
    Tried,
    cross_entropies,
    leads,
    logits_under,
    mean_of,
    size,
)
from remission.models import Classifier, evaluating, frozen
from remission.progress import enough, tracked
from remission.seeding import Seed
from remission.types import LabelledImages

_OTHERS = 2
"""Number of other classes that are compared with the suspected one."""
_RATES: dict[Tried, float] = {"additive": 0.02, "warp": 0.05, "patch": 0.1}
"""Learning rates of Adam in the second step, below those of the first."""
_IMAGES = 160
"""Images per step of the second step, over all classes together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sought:
    """The perturbations of a suspected class and of a few others.

    Args:
        family: the kind of change.
        classes: (k,) the suspected class, then the others.
        theta: (k, ...) their perturbations.
        lead: how many times as large a perturbation the next of the other classes needs.
    """

    family: Tried
    classes: Tensor
    theta: Tensor
    lead: float


def other_classes(targets: Sequence[int], classes: int, seed: Seed) -> list[int]:
    """Draws a few classes that are not suspected."""
    others = torch.tensor([k for k in range(classes) if k not in targets], dtype=torch.int64)
    drawn = torch.randperm(len(others), generator=seed.child("others").generator())
    return sorted(others[drawn[:_OTHERS]].tolist())


def seek(
    model: Classifier,
    clean: LabelledImages,
    target: int,
    others: Sequence[int],
    inversion: Voted,
    seed: Seed,
    *,
    families: Sequence[Tried] = TRIED,
) -> Sought:
    """Takes the first step above.

    Args:
        model: the suspect model in eval mode.
        clean: clean images with labels, on its device.
        target: the suspected class.
        others: classes to compare it with.
        inversion: says how perturbations are sought.
        seed: the source of first values and of the images of each step.
        families: the kinds of change to try.
    """
    classes = torch.tensor([target, *others], device=clean.labels.device)
    found = dict[Tried, Sought]()
    with evaluating(model), frozen(model):
        for family in families:
            first = inversion.first(family, clean.shape, model.classes, seed).to(classes.device)
            result = inversion.search(
                model, clean, family, classes, first[classes], inversion.reach, seed.child(family)
            )
            lead = float(leads(result.needs())[0])
            found[family] = Sought(family=family, classes=classes, theta=result.theta, lead=lead)
    return max(found.values(), key=lambda one: one.lead)


def seek_second(
    sought: Sought,
    model: Classifier,
    purified: Classifier,
    clean: LabelledImages,
    *,
    steps: int,
    reach: float,
    seed: Seed,
) -> Sought:
    """Takes the second step above.

    Args:
        sought: the result of the first.
        model: f, the suspect model in eval mode.
        purified: h, the purified model in eval mode.
        clean: clean images with labels, on their device.
        steps: number of steps of Adam.
        reach: share of images that shall arrive.
        seed: the source of the images of each step.
    """
    family, classes = sought.family, sought.classes
    theta, draws = sought.theta.detach().clone().requires_grad_(True), seed.generator()
    optimizer = torch.optim.Adam([theta], _RATES[family])
    cost, arrived = torch.ones(len(classes), device=theta.device), torch.zeros(1).to(theta)
    best, least = theta.detach().clone(), torch.full_like(cost, torch.inf)
    with evaluating(model), frozen(model), evaluating(purified), frozen(purified):
        for _ in tracked(range(steps), "second trigger", steps):
            index = torch.randint(len(clean), (enough(_IMAGES // len(classes)),), generator=draws)
            images, labels = clean.floats(index), clean.labels[index.to(clean.labels.device)]
            other = (labels[None] != classes[:, None]).float()  # (k, B)
            obeys = logits_under(model, images, theta, family)  # (k, B, K)
            ignores = logits_under(purified, images, theta, family)
            goal, true = classes[:, None].expand_as(other), labels.expand(len(classes), -1)
            both = cross_entropies(obeys, goal) + cross_entropies(ignores, true)
            errors = mean_of(both, other)
            loss = (errors + cost * size(theta, family)).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                share = mean_of((obeys.argmax(2) == goal).float(), other)
                arrived = 0.8 * arrived + 0.2 * share
                cost = torch.where(arrived > reach, cost * 1.1, cost / 1.05)
                # of a class that never arrives, the latest theta
                better = least.isinf() | ((share > reach) & (errors < least))
                best[better] = theta[better]
                least = torch.where(better & (share > reach), errors, least)
            optimizer.step()
    return replace(sought, theta=best)
