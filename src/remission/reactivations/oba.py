"""OBA: one small perturbation of all triggered images (Zhu, Liang, Wu, NeurIPS 2024).

    min over delta, |delta| <= epsilon, of the mean over triggered images x of
    lambda_1 * CE(f(x + delta), t) - lambda_2 * log(1 + 1e-4 - max over k != t of p_k(x + delta)),

with t the class that the attacker wants, and p the probabilities; x + delta is clipped to [0, 1].

``white_box``: f is the purified model. Plain SGD takes several steps per batch and clips delta
after each.

``query``: f only answers, with scores or with labels; with labels the objective is the share of
images that do not get class t. The search is Square Attack (Andriushchenko et al., ECCV 2020), as
the authors use it, on a fixed set of images. delta is +-epsilon everywhere, and starts as vertical
stripes. In each step a random square of it gets new random signs, one per channel; the step stays
if the objective does not grow.

``transfer``: the attacker never sees f. The authors average over several defended models that the
attacker has. Here the attacker makes these models, by purifying the backdoored model with the
attacker's clean images and trigger, and delta is trained as above on the mean of their objectives.
(The backdoored model itself teaches nothing, since triggered images reach t already.)

The step of 0.05 is that of the authors' code, which has class 0 where t is meant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.inversion import KnownSource
from remission.method import field, method
from remission.models import Classifier
from remission.progress import tracked
from remission.purifiers import EP, FST, FTSAM, Purifier
from remission.reactivations.access import Access, Answers, Oracle, QueriesSpentError
from remission.reactivations.attacker import Attacker, Other
from remission.reactivations.base import InputReactivation
from remission.reactivations.perturbations import Perturbation, UniversalPerturbation
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.training.loop import Backward
from remission.types import LabelledImages, Shape

Surrogate = Literal["ep", "fst", "ft_sam"]
"""A purifier by which the attacker makes a defended model."""
_PURIFIERS: dict[Surrogate, type[Purifier]] = {"ep": EP, "fst": FST, "ft_sam": FTSAM}
_SHRINKS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of all steps after which the squares' area is halved (Square Attack)."""
_FEWEST_STEPS = 10  # steps of the search for which the queries must suffice
_MARGIN = 1e-4  # keeps the logarithm finite where another class is certain


@method
class OBA(InputReactivation):
    """One universal perturbation of triggered images, by gradients, by queries or by transfer."""

    name: ClassVar[str] = "oba"
    paper: ClassVar[str] = "Zhu, Liang, Wu, NeurIPS 2024, arXiv 2405.16134"
    needs: ClassVar[tuple[str, ...]] = (
        "clean images",
        "true trigger",
        "weights, queries or the victim by mode",
    )

    mode: Literal["white_box", "query", "transfer"] = "white_box"
    """What the attacker sees of the purified model: its weights, its answers, or nothing."""
    epsilon: float = field(default=0.05, gt=0, le=1)
    """The largest change of a pixel, in [0, 1] (0.05 in the authors' README)."""
    lambda_1: float = field(default=1.0, ge=0)
    """Weight of the cross entropy with the wanted class (1 in the authors' code)."""
    lambda_2: float = field(default=1.0, ge=0)
    """Weight of the term that lowers the most probable other class (1 in the authors' code)."""
    epochs: int = field(default=50, ge=1)
    """Passes over the triggered images, for gradients (50 in the authors' README)."""
    steps: int = field(default=5, ge=1)
    """Number of steps per batch, for gradients (5 in the authors' README)."""
    lr: float = field(default=0.05, gt=0)
    """Learning rate of SGD (0.05 in the authors' code)."""
    batch_size: int = field(default=128, ge=2)
    """Images per batch, for gradients."""
    answers: Answers = "scores"
    """What the model answers to a query: scores (probabilities) or labels."""
    queries: int = field(default=100_000, ge=1)
    """Number of images that the model may be asked about; a search needs hundreds of steps."""
    images: int = field(default=100, ge=1)
    """Number of triggered images per step of the search (500 in the authors' code); fewer where the
    queries would not suffice for ten steps."""
    area: float = field(default=0.1, gt=0, le=1)
    """Share of the image that the first squares cover (p of Square Attack; 0.1 in the authors'
    code)."""
    surrogates: tuple[Surrogate, ...] = field(default=("ep", "fst"), min_length=1, strict=False)
    """Purifiers with their defaults, by which the attacker makes the models to transfer from, on
    crops and flips of the own images."""

    def access(self) -> Access:
        """Returns the access by mode."""
        if self.mode == "query":
            return Access(self.answers, self.queries)
        return Access("weights" if self.mode == "white_box" else "nothing")

    def borrows(self) -> tuple[Other, ...]:
        """Returns that the method needs the victim, for transfer."""
        return ("victim",) if self.mode == "transfer" else ()

    def perturbation(self, shape: Shape, seed: Seed) -> Perturbation:
        """Makes a perturbation that starts as uniform noise, as in the authors' code."""
        return UniversalPerturbation(shape, self.epsilon, seed)

    def learn(
        self,
        perturbation: Perturbation,
        model: Classifier | Oracle | None,
        attacker: Attacker,
        *,
        budget: int | None,
        seed: Seed,
    ) -> None:
        """Trains the perturbation by gradients of the model or of surrogates, or by search."""
        del budget
        assert isinstance(perturbation, UniversalPerturbation)
        data = attacker.triggered()
        if isinstance(model, Oracle):
            self.search(perturbation, model, data, seed=seed)
            return
        models = [model] if model else self.purify(attacker, seed)
        self.descend(perturbation, models, data, seed=seed)

    def purify(self, attacker: Attacker, seed: Seed) -> list[Classifier]:
        """Makes the surrogates: the victim, purified by the attacker with each method."""
        assert attacker.victim is not None
        source, surrogates = KnownSource(attacker.trigger), []
        for name in self.surrogates:
            # whatever the victim was trained with, so that results of this mode stay
            purifier = _PURIFIERS[name]().resolved("crop_flip")
            purified = purifier(
                attacker.victim, attacker.images, seed=seed.child(name), trigger=source
            )
            surrogates.append(purified.model.requires_grad_(False))
        return surrogates

    def descend(
        self,
        perturbation: UniversalPerturbation,
        models: Sequence[Classifier],
        data: LabelledImages,
        *,
        seed: Seed,
    ) -> None:
        """Takes projected gradient steps on the mean objective of ``models``."""

        def loss(images: Tensor, wanted: Tensor) -> Tensor:
            changed = perturbation(images)
            losses = [self.objective(model(changed).log_softmax(1), wanted) for model in models]
            return torch.stack(losses).mean()

        def several(backward: Backward) -> Tensor:
            for _ in range(self.steps - 1):  # the optimiser takes the last step
                backward()
                gradient = perturbation.pattern.grad
                assert gradient is not None
                with torch.no_grad():
                    perturbation.pattern.sub_(gradient, alpha=self.lr)
                perturbation.project()
                perturbation.pattern.grad = None
            return backward()

        recipe = Recipe(epochs=self.epochs, lr=self.lr, momentum=0.0, batch_size=self.batch_size)
        fit(
            perturbation,
            data,
            recipe,
            seed=seed,
            what=f"{self.name}: perturbation",
            loss=loss,
            gradient=several,
            after_step=perturbation.project,
        )

    def objective(self, log_p: Tensor, wanted: Tensor) -> Tensor:
        """Returns the objective from logarithms of probabilities (N, K) and classes t (N,)."""
        others = log_p.scatter(1, wanted[:, None], -torch.inf).amax(1).exp()
        lowered = -torch.log1p(_MARGIN - others).mean()
        return self.lambda_1 * F.nll_loss(log_p, wanted) + self.lambda_2 * lowered

    def search(
        self,
        perturbation: UniversalPerturbation,
        oracle: Oracle,
        data: LabelledImages,
        *,
        seed: Seed,
    ) -> None:
        """Runs Square Attack on one perturbation for all images, until no queries are left."""
        generator = seed.child("squares").generator()
        order = torch.randperm(len(data), generator=generator)[: self.images]
        most = max(1, oracle.left // _FEWEST_STEPS)
        chosen = order[:most].to(data.labels.device)
        images, wanted = data.floats(chosen), data.labels[chosen]
        channels, height, width = data.shape
        best, delta = torch.inf, self._signs((channels, 1, width), generator).expand(data.shape)
        total = max(1, oracle.left // len(images))
        for turn in tracked(range(total), f"{self.name}: squares", total):
            candidate = delta.clone()
            if turn:
                side = self.side(turn / total, height, width)
                top, left = (
                    int(torch.randint(size - side + 1, (), generator=generator))
                    for size in (height, width)
                )
                signs = self._signs((channels, 1, 1), generator)
                candidate[:, top : top + side, left : left + side] = signs
            with torch.no_grad():
                perturbation.pattern.copy_(candidate)
                try:
                    value = self.judged(oracle, perturbation(images), wanted)
                except QueriesSpentError:
                    value = torch.inf
            if value <= best:
                best, delta = value, candidate
            if best == 0:
                break
        with torch.no_grad():
            perturbation.pattern.copy_(delta)

    def judged(self, oracle: Oracle, images: Tensor, wanted: Tensor) -> float:
        """Returns the objective by the oracle; with labels the share of images without class t."""
        answers = oracle(images)
        if oracle.answers == "labels":
            return float((answers != wanted).float().mean())
        return float(self.objective(answers.clamp_min(1e-12).log(), wanted))

    def side(self, done: float, height: int, width: int) -> int:
        """Returns the side of the square in pixels after a share ``done`` of all steps."""
        share = self.area * 0.5 ** sum(done > step for step in _SHRINKS)
        return min(height, width, max(1, round(math.sqrt(share * height * width))))

    def _signs(self, shape: Shape, generator: torch.Generator) -> Tensor:
        """Draws +-epsilon."""
        return self.epsilon * (2.0 * torch.randint(2, shape, generator=generator) - 1)
