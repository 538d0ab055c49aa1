"""OBA: one small change of all triggered images wakes a dormant backdoor (Zhu, Liang, Wu, 2024).

    min over delta, |delta| <= epsilon, of the mean over triggered images x of
    lambda_1 * CE(f(x + delta), t) - lambda_2 * log(1 - max over k != t of p_k(x + delta)),

t the class that the attacker wants, p the probabilities; x + delta is clipped to [0, 1].

``white_box``: f is the purified model; plain SGD, several steps a batch, delta clipped after each.

``query``: f answers, with scores or with labels alone (then the objective is the share of images
that miss t). Square Attack (Andriushchenko et al., ECCV 2020, as the authors use it) on a fixed set
of images: delta is +-epsilon everywhere, vertical stripes at first; in each step a random square
of it takes new random signs, one a channel, and stays so if the objective does not grow.

``transfer``: f is never seen. The authors average over several defended models that the attacker
has; here he makes them himself, purifying the backdoored model with his own clean images and his
own trigger, and delta is trained as above on the mean of their objectives. (On the backdoored
model itself there is nothing to learn: triggered images reach t already.)

The authors' code reads off the step of 0.05 and has class 0 in t's place.
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
from remission.reactivations.perturbations import Perturbation, Shape, Universal
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.training.loop import Backward
from remission.types import LabelledImages

Surrogate = Literal["ep", "fst", "ft_sam"]
_PURIFIERS: dict[Surrogate, type[Purifier]] = {"ep": EP, "fst": FST, "ft_sam": FTSAM}
_SHRINKS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of all steps after which the squares' area is halved (Square Attack)."""
_FEWEST_STEPS = 10
_EVEN = 1e-4  # keeps the logarithm finite where another class is certain


@method
class OBA(InputReactivation):
    """One universal perturbation of triggered images, by gradient, by queries or by transfer."""

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
    """Weight of the term that lowers the best other class (1 in the authors' code)."""
    epochs: int = field(default=50, ge=1)
    """Passes over the triggered images, by gradient (50 in the authors' README)."""
    steps: int = field(default=5, ge=1)
    """Steps on each batch (5 in the authors' README)."""
    lr: float = field(default=0.05, gt=0)
    """Step of SGD (0.05 in the authors' code)."""
    batch_size: int = field(default=128, ge=2)
    """Images a batch, by gradient."""
    answers: Answers = "scores"
    """What a query is answered with: scores (probabilities) or labels."""
    queries: int = field(default=100_000, ge=1)
    """Images that the purified model may be asked about; a search needs hundreds of steps."""
    images: int = field(default=100, ge=1)
    """Triggered images that every step of the search asks about (500 in the authors' code); fewer
    where the queries would not pay for ten steps."""
    area: float = field(default=0.1, gt=0, le=1)
    """Share of the image that the first squares cover (p of Square Attack, 0.1 in the authors'
    code)."""
    surrogates: tuple[Surrogate, ...] = field(default=("ep", "fst"), min_length=1, strict=False)
    """Purifiers, each with its own defaults, that the attacker applies to the victim himself."""

    def access(self) -> Access:
        """By mode."""
        if self.mode == "query":
            return Access(self.answers, self.queries)
        return Access("weights" if self.mode == "white_box" else "nothing")

    def borrows(self) -> tuple[Other, ...]:
        """The victim, to transfer from."""
        return ("victim",) if self.mode == "transfer" else ()

    def perturbation(self, shape: Shape, seed: Seed) -> Perturbation:
        """Uniform noise, as in the authors' code."""
        return Universal(shape, self.epsilon, seed)

    def learn(
        self,
        perturbation: Perturbation,
        model: Classifier | Oracle | None,
        attacker: Attacker,
        *,
        budget: int | None,
        seed: Seed,
    ) -> None:
        """By gradient on the model or on surrogates, or by search."""
        del budget
        assert isinstance(perturbation, Universal)
        data = attacker.triggered()
        if isinstance(model, Oracle):
            self.search(perturbation, model, data, seed=seed)
            return
        models = [model] if model else self.purify(attacker, seed)
        self.descend(perturbation, models, data, seed=seed)

    def purify(self, attacker: Attacker, seed: Seed) -> list[Classifier]:
        """The surrogates: the victim as the attacker purifies it himself."""
        assert attacker.victim is not None
        source, made = KnownSource(attacker.trigger), []
        for name in self.surrogates:
            purifier = _PURIFIERS[name]()
            purified = purifier(
                attacker.victim, attacker.images, seed=seed.child(name), trigger=source
            )
            made.append(purified.model.requires_grad_(False))
        return made

    def descend(
        self,
        perturbation: Universal,
        models: Sequence[Classifier],
        data: LabelledImages,
        *,
        seed: Seed,
    ) -> None:
        """Projected gradient steps on the mean objective of ``models``."""

        def loss(images: Tensor, wanted: Tensor) -> Tensor:
            changed = perturbation(images)
            each = [self.objective(model(changed).log_softmax(1), wanted) for model in models]
            return torch.stack(each).mean()

        def several(backward: Backward) -> Tensor:
            for _ in range(self.steps - 1):  # the last one is the optimiser's
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
        """What is minimised above, from (N, K) logarithms of probabilities."""
        others = log_p.scatter(1, wanted[:, None], -torch.inf).amax(1).exp()
        lowered = -torch.log1p(_EVEN - others).mean()
        return self.lambda_1 * F.nll_loss(log_p, wanted) + self.lambda_2 * lowered

    def search(
        self, perturbation: Universal, oracle: Oracle, data: LabelledImages, *, seed: Seed
    ) -> None:
        """Square Attack on one perturbation for all, until the queries are spent."""
        generator = seed.child("squares").generator()
        order = torch.randperm(len(data), generator=generator)[: self.images]
        most = max(1, oracle.left // _FEWEST_STEPS)
        chosen = order[:most].to(data.labels.device)
        images, wanted = data.floats(chosen), data.labels[chosen]
        channels, height, width = data.shape
        best, delta = torch.inf, self._signs((channels, 1, width), generator).expand(data.shape)
        total = max(1, oracle.left // len(images))
        for turn in tracked(range(total), f"{self.name}: squares", total):
            tried = delta.clone()
            if turn:
                side = self.side(turn / total, height, width)
                top, left = (
                    int(torch.randint(size - side + 1, (), generator=generator))
                    for size in (height, width)
                )
                signs = self._signs((channels, 1, 1), generator)
                tried[:, top : top + side, left : left + side] = signs
            with torch.no_grad():
                perturbation.pattern.copy_(tried)
                try:
                    found = self.judged(oracle, perturbation(images), wanted)
                except QueriesSpentError:
                    found = torch.inf
            if found <= best:
                best, delta = found, tried
            if best == 0:
                break
        with torch.no_grad():
            perturbation.pattern.copy_(delta)

    def judged(self, oracle: Oracle, images: Tensor, wanted: Tensor) -> float:
        """The objective from answers; from labels the share of images that miss their class."""
        answers = oracle(images)
        if oracle.answers == "labels":
            return float((answers != wanted).float().mean())
        return float(self.objective(answers.clamp_min(1e-12).log(), wanted))

    def side(self, done: float, height: int, width: int) -> int:
        """Pixels of a square's side after a share ``done`` of all steps."""
        share = self.area * 0.5 ** sum(done > each for each in _SHRINKS)
        return min(height, width, max(1, round(math.sqrt(share * height * width))))

    def _signs(self, shape: Shape, generator: torch.Generator) -> Tensor:
        """+-epsilon at random."""
        return self.epsilon * (2.0 * torch.randint(2, shape, generator=generator) - 1)
