"""QRA without the purified model's weights: as its name promises, by queries alone.

The attacker trained the backdoored model, so he has a surrogate to begin with. In each round he

1. asks the purified model about his images, clean and triggered, in the first round as they are and
   under random noise of +-epsilon, later under the generator's present perturbations;
2. distils all answers so far into the surrogate g: KL(answers || g(x)), or the cross entropy where
   the answers are labels;
3. retunes a copy of g with his poisoned images: the teacher;
4. trains QRA's generator (see ``generator.py``) with g in the purified model's place.

The images that are asked about are rounded to 8 bits, as files are. He stops asking when a round's
images exceed what is left of the budget, and goes on with what he has learnt.
"""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.method import field, method
from remission.models import Classifier
from remission.progress import enough, tracked
from remission.reactivations.access import Access, Answers, Oracle, QueriesSpentError
from remission.reactivations.attacker import Attacker, Other
from remission.reactivations.generator import GeneratorReactivation
from remission.reactivations.perturbations import Perturbation
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.types import LabelledImages, as_bytes, as_float

_AT_ONCE = 500  # images a question


@method
class QRABlackBox(GeneratorReactivation):
    """QRA through a surrogate that is distilled from the purified model's counted answers."""

    name: ClassVar[str] = "qra_blackbox"
    paper: ClassVar[str] = "ours; the black-box form of Min et al., NeurIPS 2024, arXiv 2410.09838"
    needs: ClassVar[tuple[str, ...]] = (
        "queries",
        "clean images",
        "true trigger",
        "victim",
        "never-backdoored model",
    )

    answers: Answers = "scores"
    """What a query is answered with: scores (probabilities) or labels."""
    queries: int = field(default=100_000, ge=2)
    """Images that the purified model may be asked about, at most: the attacker's images and the
    rounds say how many are."""
    rounds: int = field(default=3, ge=1)
    """Rounds; the first asks about almost four times the attacker's images, others about twice."""
    surrogate_epochs: int = field(default=5, ge=1)
    """Passes over all answered images in which the surrogate is distilled, in each round."""
    surrogate_lr: float = field(default=0.01, gt=0)
    """Learning rate of the surrogate, along a cosine to 0 in each round."""
    epochs: int = field(default=20, ge=1)
    """Passes over the images in which the generator is trained, in each round."""

    def access(self) -> Access:
        """Answers alone."""
        return Access(self.answers, self.queries)

    def borrows(self) -> tuple[Other, ...]:
        """The backdoored model, which the attacker trained, and the clean model."""
        return ("victim", "control")

    def learn(
        self,
        perturbation: Perturbation,
        model: Classifier | Oracle | None,
        attacker: Attacker,
        *,
        budget: int | None,
        seed: Seed,
    ) -> None:
        """The rounds above."""
        assert isinstance(model, Oracle)
        assert attacker.victim is not None
        assert attacker.control is not None
        surrogate = copy.deepcopy(attacker.victim)
        both = torch.cat([as_bytes(attacker.images.images), as_bytes(attacker.triggered().images)])
        order = torch.randperm(len(both), generator=seed.child("order").generator())
        both = both[
            order.to(both.device)
        ]  # what does not fit into the budget is left out at random
        data, known = self.images(attacker, seed), Answered(model, attacker)
        for turn in range(self.rounds):
            here = seed.child("round", turn)
            known.ask(both if turn == 0 else changed(perturbation, both))
            if turn == 0:
                known.ask(self.noisy(both, here))
            self.distil(surrogate, known, seed=here)
            teacher = self.teacher(surrogate, attacker, budget=budget, seed=here)
            self.train(perturbation, surrogate, teacher, attacker.control, data, seed=here)

    def noisy(self, images: Tensor, seed: Seed) -> Tensor:
        """Every pixel epsilon up or down at random, uint8."""
        signs = torch.randint(2, images.shape, generator=seed.child("noise").generator())
        moved = images.int() + ((2 * signs - 1) * int(255 * self.epsilon)).to(images.device)
        return moved.clamp(0, 255).to(torch.uint8)

    def distil(self, surrogate: Classifier, known: Answered, *, seed: Seed) -> None:
        """Trains the surrogate, in place, after all answers so far."""
        answers = known.answers

        def loss(images: Tensor, numbers: Tensor) -> Tensor:
            found, wanted = surrogate(images).log_softmax(1), answers[numbers]
            if wanted.ndim == 1:
                return F.nll_loss(found, wanted)
            return F.kl_div(found, wanted, reduction="batchmean")

        recipe = Recipe(
            epochs=self.surrogate_epochs,
            lr=self.surrogate_lr,
            momentum=self.momentum,
            schedule="cosine",
            batch_size=self.batch_size,
        )
        surrogate.requires_grad_(True)
        seed = seed.child("surrogate")
        what = f"{self.name}: surrogate"
        fit(surrogate, known.numbered(), recipe, seed=seed, what=what, loss=loss)
        surrogate.requires_grad_(False).eval()


class Answered:
    """Images that were asked about, and what was answered.

    Args:
        oracle: is asked.
        attacker: says how many classes there are.
    """

    def __init__(self, oracle: Oracle, attacker: Attacker) -> None:
        assert attacker.victim is not None
        mean = attacker.victim.mean
        self.oracle, self.dtype, self.device = oracle, mean.dtype, mean.device
        self.images = torch.zeros(0, *attacker.images.shape, dtype=torch.uint8)
        self.answers = self._blank(0, attacker.classes)
        self.classes = attacker.classes

    def ask(self, images: Tensor) -> None:
        """Asks about (N, C, H, W) uint8 images, as many as there are queries left."""
        answers, kept = self._blank(len(images), self.classes), len(images)
        firsts = range(0, len(images), _AT_ONCE)
        for first in tracked(firsts, "queries", len(firsts)):
            part = images[first : first + enough(min(_AT_ONCE, len(images) - first))]
            part = as_float(part.to(self.device)).to(self.dtype)
            try:
                answers[first : first + len(part)] = self.oracle(part)
            except QueriesSpentError:
                rest = part[: self.oracle.left]
                if len(rest):
                    answers[first : first + len(rest)] = self.oracle(rest)
                kept = first + len(rest)
                break
        self.images = torch.cat([self.images.to(images.device), images[:kept]])
        self.answers = torch.cat([self.answers, answers[:kept]])

    def numbered(self) -> LabelledImages:
        """The images, each labelled with its place among the answers."""
        return LabelledImages(self.images, torch.arange(len(self.images), device=self.device))

    def _blank(self, count: int, classes: int) -> Tensor:
        if self.oracle.answers == "labels":
            return torch.zeros(count, dtype=torch.int64, device=self.device)
        return torch.zeros(count, classes, dtype=self.dtype, device=self.device)


@torch.no_grad()
def changed(perturbation: Perturbation, images: Tensor) -> Tensor:
    """(N, C, H, W) uint8 images, perturbed and rounded."""
    made, value = images.clone(), next(perturbation.parameters())
    for before, after in zip(
        torch.split(images, _AT_ONCE), torch.split(made, _AT_ONCE), strict=True
    ):
        floats = as_float(before.to(value.device)).to(value.dtype)
        after.copy_(as_bytes(perturbation(floats)))
    return made
