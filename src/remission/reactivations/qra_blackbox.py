"""QRA without the purified model's weights: by queries alone, as its name says.

The attacker trained the backdoored model, and so has a surrogate to begin with. In each round the
attacker

1. asks the purified model about the attacker's images, clean and triggered: in the first round
   without change and with random noise of +-epsilon, later with the generator's perturbations;
2. distils all answers so far into the surrogate g: KL(answers || g(x)), or the cross entropy where
   the answers are labels;
3. retunes a copy of g with poisoned images, which is then the teacher;
4. trains QRA's generator (see ``generator.py``) with g in the place of the purified model.

Images are rounded to 8 bits for the queries, as in files. When the queries are spent, the rounds go
on with the answers so far.
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

_AT_ONCE = 500  # images per question


@method
class QRABlackBox(GeneratorReactivation):
    """QRA through a surrogate that is distilled from the purified model's counted answers."""

    name: ClassVar[str] = "qra_blackbox"
    paper: ClassVar[str] = (
        "this project; the black-box form of Min et al., NeurIPS 2024, arXiv 2410.09838"
    )
    published: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = (
        "queries",
        "clean images",
        "true trigger",
        "victim",
        "never-backdoored model",
    )

    answers: Answers = "scores"
    """What the model answers to a query: scores (probabilities) or labels."""
    queries: int = field(default=100_000, ge=2)
    """Largest number of images that the purified model may be asked about; how many are asked about
    depends on the attacker's images and the rounds."""
    rounds: int = field(default=3, ge=1)
    """Number of rounds. The first asks about almost four times the attacker's images, each other
    round about twice."""
    surrogate_epochs: int = field(default=5, ge=1)
    """Passes per round over all images so far in which the surrogate is distilled."""
    surrogate_lr: float = field(default=0.01, gt=0)
    """Learning rate of the surrogate, which falls to 0 along a cosine in each round."""
    epochs: int = field(default=20, ge=1)
    """Passes per round over the images in which the generator is trained."""

    def access(self) -> Access:
        """Returns that the method sees answers alone."""
        return Access(self.answers, self.queries)

    def borrows(self) -> tuple[Other, ...]:
        """Returns that the method needs the backdoored model and the clean model."""
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
        """Runs the rounds above."""
        assert isinstance(model, Oracle)
        assert attacker.victim is not None
        assert attacker.control is not None
        surrogate = copy.deepcopy(attacker.victim)
        both = torch.cat([as_bytes(attacker.images.images), as_bytes(attacker.triggered().images)])
        order = torch.randperm(len(both), generator=seed.child("order").generator())
        # shuffled, so that the images that do not fit into the budget are random ones
        both = both[order.to(both.device)]
        data, answered = self.images(attacker, seed), AnsweredImages(model, attacker)
        for turn in range(self.rounds):
            seed_now = seed.child("round", turn)
            answered.ask(both if turn == 0 else changed(perturbation, both))
            if turn == 0:
                answered.ask(self.noisy(both, seed_now))
            self.distil(surrogate, answered, seed=seed_now)
            teacher = self.teacher(surrogate, attacker, budget=budget, seed=seed_now)
            self.train(perturbation, surrogate, teacher, attacker.control, data, seed=seed_now)

    def noisy(self, images: Tensor, seed: Seed) -> Tensor:
        """Moves every pixel of uint8 images up or down at random, by epsilon in whole 255ths."""
        signs = torch.randint(2, images.shape, generator=seed.child("noise").generator())
        moved = images.int() + ((2 * signs - 1) * int(255 * self.epsilon)).to(images.device)
        return moved.clamp(0, 255).to(torch.uint8)

    def distil(self, surrogate: Classifier, answered: AnsweredImages, *, seed: Seed) -> None:
        """Trains the surrogate, in place, to give all answers so far."""
        answers = answered.answers

        def loss(images: Tensor, numbers: Tensor) -> Tensor:
            log_p, wanted = surrogate(images).log_softmax(1), answers[numbers]
            if wanted.ndim == 1:
                return F.nll_loss(log_p, wanted)
            return F.kl_div(log_p, wanted, reduction="batchmean")

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
        fit(surrogate, answered.numbered(), recipe, seed=seed, what=what, loss=loss)
        surrogate.requires_grad_(False).eval()


class AnsweredImages:
    """The images of all queries so far, with their answers.

    Args:
        oracle: the model under attack.
        attacker: what the attacker has; it says which shape images have and how many classes.
    """

    def __init__(self, oracle: Oracle, attacker: Attacker) -> None:
        assert attacker.victim is not None
        mean = attacker.victim.mean
        self.oracle, self.dtype, self.device = oracle, mean.dtype, mean.device
        self.images = torch.zeros(0, *attacker.images.shape, dtype=torch.uint8)
        self.answers = self._blank(0, attacker.classes)
        self.classes = attacker.classes

    def ask(self, images: Tensor) -> None:
        """Asks about uint8 images (N, C, H, W), as many as there are queries left."""
        answers, count = self._blank(len(images), self.classes), len(images)
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
                count = first + len(rest)
                break
        self.images = torch.cat([self.images.to(images.device), images[:count]])
        self.answers = torch.cat([self.answers, answers[:count]])

    def numbered(self) -> LabelledImages:
        """Returns the images, each with the index of its answer as label."""
        return LabelledImages(self.images, torch.arange(len(self.images), device=self.device))

    def _blank(self, count: int, classes: int) -> Tensor:
        """Returns room for answers: scores (count, classes), or labels (count,)."""
        if self.oracle.answers == "labels":
            return torch.zeros(count, dtype=torch.int64, device=self.device)
        return torch.zeros(count, classes, dtype=self.dtype, device=self.device)


@torch.no_grad()
def changed(perturbation: Perturbation, images: Tensor) -> Tensor:
    """Perturbs uint8 images (N, C, H, W), rounded to uint8 again."""
    result, value = images.clone(), next(perturbation.parameters())
    for before, after in zip(
        torch.split(images, _AT_ONCE), torch.split(result, _AT_ONCE), strict=True
    ):
        floats = as_float(before.to(value.device)).to(value.dtype)
        after.copy_(as_bytes(perturbation(floats)))
    return result
