"""A vote on the target class: what each class needs, and how far its maximum margin reaches.

Two signs tell a target class from others, and each misses some backdoors. With n_t the smallest
perturbation that sends images to class t (:mod:`remission.inversion.universal`) and r_t its maximum
margin over that of references (:mod:`remission.inversion.margins`), class t has the vote

    l_t = log(min over j != t of n_j / n_t),
    vote_t = (l_t - max(0, max over j != t of l_j)) / a  +  log(r_t / max over j != t of r_j) / b,

l_t is the larger of the leads by patterns and by warps; the l of classes that lead in different
families are compared directly. Each term is divided by its standard deviation on models that nobody
attacked: a is a constant, and b = max(a, sigma), where sigma is read from the references. So
margins count for little where references differ much, as they do where clean images are few.

If the largest vote is at least the threshold, its class is named. Else the inversion abstains. Its
candidates are then the class with the largest vote, and the class whose vote is the largest among
the others, counted without the first; its trigger leads every second image to the second of them.
Where two backdoors hide each other from the vote, both candidates stand out once each is counted
without the other; the lesser of these two votes is the pair's. Of two classes one is always named.

The references are trained on the defender's clean images alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from remission.inversion.base import Inverted, TargetClass
from remission.inversion.class_search import ClassSearch
from remission.inversion.margins import MarginRatios, MarginSearch, margin_ratios
from remission.inversion.perturbations import largest_other, leads
from remission.method import field, method
from remission.models import Classifier, Precision
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.training.batches import Augment
from remission.triggers.warp_and_add import InTurn, WarpAndAdd
from remission.types import LabelledImages

_CANDIDATES = 2
_LR, _WEIGHT_DECAY = 0.1, 5e-4  # of the references


@method
class Voted(ClassSearch):
    """The smallest universal perturbation and the largest margin vote on the class, or abstain."""

    name: ClassVar[str] = "voted"
    version: ClassVar[int] = 1
    paper: ClassVar[str] = "this project, after MM-BD: Wang et al., S&P 2024, arXiv 2205.06900"
    published: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("clean images",)

    threshold: float = field(default=3.0, ge=0)
    """Least vote with which a class is named; below it the inversion abstains."""
    noise: float = field(default=0.15, gt=0)
    """a, the standard deviation of the logarithm of a lead on models that nobody attacked."""
    references: int = field(default=2, ge=2)
    """m, the number of references."""
    reference_epochs: int = field(default=30, ge=1)
    """Passes over the clean images that train a reference."""
    reference_augment: Augment = field(default="crop_flip")
    """Augmentation of the references' images: none, crop or crop_flip."""
    starts: int = field(default=8, ge=1)
    """Random images per class at which the search for the maximum margin starts."""
    margin_steps: int = field(default=120, ge=1)
    """Number of steps of Adam per random image."""
    margin_lr: float = field(default=0.05, gt=0)
    """Learning rate of the images from which margins are sought, in units of their range."""

    def build_generator(
        self, shape: tuple[int, int, int], seed: Seed, precision: Precision
    ) -> InTurn:
        """Makes two perturbations that change nothing yet; if a class is named, they are equal."""
        del seed, precision
        return InTurn(shape, self.grid, _CANDIDATES)

    def reference_count(self) -> int:
        """Returns m."""
        return self.references

    def reference_settings(self) -> dict[str, Any]:
        """Returns how references are trained."""
        keys = ("reference_epochs", "reference_augment")
        return {key: value for key, value in self.parameters().items() if key in keys}

    def train_reference(
        self, model: Classifier, clean: LabelledImages, *, seed: Seed
    ) -> Classifier:
        """Trains a new model on the clean images; see :meth:`Inversion.train_reference`."""
        recipe = Recipe(
            epochs=self.reference_epochs,
            lr=_LR,
            weight_decay=_WEIGHT_DECAY,
            schedule="one_cycle",
            augment=self.reference_augment,
        )
        fit(model, clean, recipe, seed=seed, what="reference")
        return model.eval()

    def invert(
        self,
        model: Classifier,
        clean: LabelledImages,
        generator: nn.Module,
        *,
        previous: Inverted | None,
        seed: Seed,
        references: Sequence[Classifier] = (),
    ) -> TargetClass:
        """Takes the vote above; a later round keeps the answer of the first."""
        assert isinstance(generator, InTurn)
        if previous is None:
            known = clean.labels.bincount(minlength=model.classes).nonzero()[:, 0]
            hopeful = self.hopeful_margins(model, references, known, seed.child("margins"))
            compared = self.compare(model, clean, hopeful, seed)
            choice = self.vote(
                compared.classes,
                torch.stack(list(compared.needs.values())),
                self.ratios(model, references, compared.classes, known, seed.child("margins")),
            )
        else:
            choice = TargetClass(
                previous.target,
                previous.lead or 1.0,
                margin_lead=previous.margin_lead,
                vote=previous.vote,
                pair_vote=previous.pair_vote,
                candidates=previous.candidates,
            )
            compared = self.compare(model, clean, choice.suspects, seed)
        first, *others = generator.changes
        for suspect, change in zip(choice.suspects, generator.changes, strict=False):
            assert isinstance(change, WarpAndAdd)
            self.refine(change, suspect, compared, model, clean, seed.child("refine"))
        if len(choice.suspects) == 1:
            for change in others:
                change.load_state_dict(first.state_dict())
        return choice

    def vote(self, classes: Tensor, needs: Tensor, ratios: MarginRatios) -> TargetClass:
        """Counts the votes.

        Args:
            classes: (k,) indices.
            needs: (families, k), log n_t.
            ratios: r_t of the same classes.
        """
        log_leads, log_margin_leads, votes = self.count(needs, ratios.log, ratios.sigma)
        first = int(votes.argmax())
        named = len(classes) <= _CANDIDATES or float(votes[first]) >= self.threshold
        second, pair_vote = (None, None) if named else self.beside(first, needs, ratios)
        return TargetClass(
            int(classes[first]) if named else None,
            lead=float(log_leads[first].exp()),
            margin_lead=float(log_margin_leads[first].exp()),
            vote=float(votes[first]),
            candidates=() if second is None else (int(classes[first]), int(classes[second])),
            pair_vote=pair_vote,
        )

    def beside(self, first: int, needs: Tensor, ratios: MarginRatios) -> tuple[int, float]:
        """Returns the best class beside the first, and the lesser vote of both without the other.

        Two backdoors hide each other from the vote: neither class leads the other.
        """

        def without(index: int) -> Tensor:
            """Returns the votes of all classes but one, whose own is minus infinity."""
            others = [t for t in range(needs.shape[1]) if t != index]
            votes = torch.full_like(needs[0], -torch.inf)
            votes[others] = self.count(needs[:, others], ratios.log[others], ratios.sigma)[2]
            return votes

        alone = without(first)
        second = int(alone.argmax())
        return second, min(float(alone[second]), float(without(second)[first]))

    def count(
        self, needs: Tensor, log_ratios: Tensor, sigma: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the logarithms of both leads, and the votes; (k,) each.

        A class whose ratio is not known, NaN, has a margin lead of 1.
        """
        log_leads = torch.stack([leads(needed) for needed in needs]).amax(0).log()
        log_margin_leads, known = torch.zeros_like(log_leads), ~log_ratios.isnan()
        if int(known.sum()) > 1:
            log_margin_leads[known] = leads(-log_ratios[known]).log().to(log_leads)
        standing_out = log_leads - largest_other(log_leads).clamp_min(0)
        votes = standing_out / self.noise + log_margin_leads / max(self.noise, sigma)
        return log_leads, log_margin_leads, votes

    def ratios(
        self,
        model: Classifier,
        references: Sequence[Classifier],
        classes: Tensor,
        known: Tensor,
        seed: Seed,
    ) -> MarginRatios:
        """Returns r_t of some classes; NaN for those of which the references saw no image.

        The margin of a reference for a class without images says nothing.

        Args:
            model: the suspect model.
            references: the references.
            classes: (k,) indices.
            known: indices of the classes with images.
            seed: the source of the random images.
        """
        seen = torch.isin(classes, known)
        log = torch.full(classes.shape, torch.nan, device=classes.device)
        if int(seen.sum()) < 2:
            return MarginRatios(log, 0.0)
        found = margin_ratios(model, references, classes[seen], self.margin_search(), seed)
        log[seen] = found.log
        return MarginRatios(log, found.sigma)

    def hopeful_margins(
        self, model: Classifier, references: Sequence[Classifier], known: Tensor, seed: Seed
    ) -> list[int]:
        """Returns classes whose margins stand out after a short search, where there are many.

        Only classes with images, ``known``, are searched.
        """
        if model.classes <= self.rivals:
            return []
        short = replace(
            self.margin_search(), starts=-(-self.starts // 4), steps=-(-self.margin_steps // 4)
        )
        found = margin_ratios(model, references, known, short, seed.child("short")).log
        best: list[int] = known[found.argsort(descending=True)[: self.rivals // 2]].tolist()
        return best

    def margin_search(self) -> MarginSearch:
        """Returns how the images of the largest margins are sought."""
        return MarginSearch(starts=self.starts, steps=self.margin_steps, lr=self.margin_lr)
