"""Trigger inversion by decoupling benign features (Xu, Huang, Li, Qin, Ren: BTI-DBF, ICLR 2024).

1. A generator G learns to reproduce images, and what the classifier makes of them:
   min CE(softmax f(G(x)), softmax f(x)) + MSE(h(x), h(G(x))) + c * MSE(x, G(x)),
   c = 100 while MSE(x, G(x)) is above 0.1, else 0.01.
2. A mask m = tanh(a) / 2 + 1/2 over the last feature map h marks what benign classification uses:
   min over a of CE(f(m * h(x)), y) - CE(f((1 - m) * h(x)), y).
3. G learns to keep benign features and to change the others:
   while MSE(x, G(x)) or MSE(m * h(x), m * h(G(x))) is above its bound, min MSE(x, G(x)); else
   min 0.01 * MSE(m * h(x), m * h(G(x))) - MSE((1 - m) * h(x), (1 - m) * h(G(x)));
   from the second round on, CE(f(G(x)), t) is added in both cases, t the class that the round
   before named.

f is the classifier, frozen and in eval mode, in which it is used; the authors' code learns the mask
in train mode. The softmax of f(x) is a soft target without gradients; the authors' code takes
softmax f(G(x)) for the target, and applies softmax to the probabilities of x once more. Differences
of images are in the units of f's input, so divided by the standard deviation of each channel: with
these units go all bounds and weights, here as in the authors' code.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.inversion.base import Inversion, Inverted, judge
from remission.inversion.bti_dbf_losses import image_mse, mask_loss, mask_of, reproduction_loss
from remission.method import field, method
from remission.models import Classifier, Precision, in_channels_last
from remission.progress import tracked
from remission.seeding import Seed
from remission.training import Recipe, batches, fit
from remission.triggers import BottleneckUNet, ImageNetwork, UNet, check_levels
from remission.types import LabelledImages


@method
class BTIDBF(Inversion):
    """Backdoor trigger inversion by decoupling benign features; names the target class."""

    name: ClassVar[str] = "bti_dbf"
    version: ClassVar[int] = 3
    paper: ClassVar[str] = "Xu et al., ICLR 2024"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "last feature map")

    generator: Literal["published", "small"] = "published"
    """``"published"`` is the paper's, with a bottleneck below its levels; ``"small"`` has none, and
    a sixth of the parameters where filters and levels are the same."""
    filters: int = field(default=32, ge=1, le=1024)
    """Channels of the generator's first level."""
    levels: int = field(default=4, ge=1, le=6)
    """Number of resolutions of the generator, the bottleneck not counted."""
    pretrain_epochs: int = field(default=50, ge=0)
    """Epochs of step 1, in the first round only (Adam, learning rate 1e-3)."""
    mask_start: Literal["noise", "even"] = "noise"
    """Where step 2 begins: ``"noise"``, as in the authors' code, draws a from a standard normal
    distribution; ``"even"`` begins with m = 1/2 everywhere."""
    mask_epochs: int = field(default=20, ge=1)
    """Epochs of step 2 (Adam, learning rate 0.01)."""
    epochs: int = field(default=30, ge=1)
    """Epochs of step 3 in every round (Adam, learning rate ``lr``)."""
    lr: float = field(default=1e-3, gt=0)
    """Learning rate of the generator in step 3."""
    image_bound: float = field(default=0.3, gt=0)
    """Bound on MSE(x, G(x)), in units of the variance of each channel."""
    feature_bound: float = field(default=3.0, gt=0)
    """Bound on the MSE of the benign features."""
    target_epochs: int = field(default=0, ge=0)
    """Further epochs of step 3 in the first round, with the term CE(f(G(x)), t) that the paper
    uses from the second round on; t is the class named after the first ``epochs``."""
    batch_size: int = field(default=128, ge=2)
    """Images per batch."""

    @classmethod
    def facts(cls) -> dict[str, Any]:
        """Returns that purifiers which name no inversion use this one; not for derived classes."""
        return {**super().facts(), "default": cls is BTIDBF}

    def build_generator(
        self, shape: tuple[int, int, int], seed: Seed, precision: Precision
    ) -> ImageNetwork:
        """Makes a U-Net for images of ``shape``; see :meth:`Inversion.build_generator`.

        Raises:
            SpecError: the images are too small for so many levels.
        """
        published = self.generator == "published"
        check_levels(shape, self.levels, f"[inversion] {self.name}", bottleneck=published)
        network = BottleneckUNet if published else UNet
        with seed.initialising():
            generator = in_channels_last(network(shape[0], self.filters, self.levels))
        generator.precision = precision
        return generator

    def invert(
        self,
        model: Classifier,
        clean: LabelledImages,
        generator: nn.Module,
        *,
        previous: Inverted | None,
        seed: Seed,
    ) -> None:
        """Runs the steps above; see :meth:`Inversion.invert`."""
        assert isinstance(generator, ImageNetwork)
        target = previous.target if previous else None
        if previous is None and self.pretrain_epochs:
            self._reproduce(model, clean, generator, seed.child("reproduce"))
        mask = self.benign_mask(model, clean, seed.child("mask"))
        self._decouple(model, clean, generator, mask, target, self.epochs, seed.child("decouple"))
        if previous is None and self.target_epochs:
            named = judge(model, clean, generator.eval()).target
            later = seed.child("decouple", "target")
            self._decouple(model, clean, generator, mask, named, self.target_epochs, later)

    def _reproduce(
        self, model: Classifier, clean: LabelledImages, generator: ImageNetwork, seed: Seed
    ) -> None:
        """Runs step 1: G learns to reproduce images."""
        recipe = Recipe(
            epochs=self.pretrain_epochs, lr=1e-3, optimizer="adam", batch_size=self.batch_size
        )
        fit(
            generator,
            clean,
            recipe,
            seed=seed,
            what="inversion: reproducing images",
            loss=lambda images, _: reproduction_loss(model, generator(images), images),
        )

    def benign_mask(self, model: Classifier, clean: LabelledImages, seed: Seed) -> Tensor:
        """Runs step 2 and returns m, (1, D, h, w) in (0, 1), near 1 at benign features."""
        features = _all_features(model, clean, self.batch_size)
        logits = torch.zeros_like(features[:1])
        if self.mask_start == "noise":
            noise = torch.randn(logits.shape, generator=seed.child("start").generator())
            logits = noise.to(logits)
        logits.requires_grad_(True)
        optimizer = torch.optim.Adam([logits], 0.01)
        generator = seed.generator()
        epochs = range(self.mask_epochs)
        for _ in tracked(epochs, "inversion: benign features", self.mask_epochs):
            order = torch.randperm(len(features), generator=generator)
            for index in torch.split(order.to(features.device), self.batch_size):
                optimizer.zero_grad()
                loss = mask_loss(model, mask_of(logits), features[index], clean.labels[index])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        return mask_of(logits).detach()

    def _decouple(
        self,
        model: Classifier,
        clean: LabelledImages,
        generator: ImageNetwork,
        mask: Tensor,
        target: int | None,
        epochs: int,
        seed: Seed,
    ) -> None:
        """Runs step 3: G keeps the features that the mask marks, and changes the others."""
        recipe = Recipe(epochs=epochs, lr=self.lr, optimizer="adam", batch_size=self.batch_size)

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            del labels
            with torch.no_grad():
                features = model.features(images)
            return self.generator_loss(model, generator(images), images, features, mask, target)

        fit(generator, clean, recipe, seed=seed, what="inversion: the trigger", loss=loss)

    def generator_loss(
        self,
        model: Classifier,
        rewritten: Tensor,
        images: Tensor,
        features: Tensor,
        mask: Tensor,
        target: int | None,
    ) -> Tensor:
        """Returns the loss of step 3.

        Args:
            model: f, in eval mode.
            rewritten: G(x), (N, C, H, W).
            images: x, (N, C, H, W).
            features: h(x), (N, D, h, w).
            mask: m, (1, D, h, w).
            target: the class of the additional cross entropy, or None.
        """
        image_error = image_mse(model, rewritten, images)
        changed = model.features(rewritten)
        benign = F.mse_loss(mask * changed.float(), mask * features.float())
        rest = F.mse_loss((1 - mask) * changed.float(), (1 - mask) * features.float())
        outside = bool(image_error > self.image_bound) or bool(benign > self.feature_bound)
        loss = image_error if outside else 0.01 * benign - rest
        if target is not None:
            goal = torch.full((len(images),), target, device=images.device)
            loss = loss + F.cross_entropy(model.classify(changed), goal)
        return loss


@torch.no_grad()
def _all_features(model: Classifier, clean: LabelledImages, batch_size: int) -> Tensor:
    """Returns h(x) of all clean images, (N, D, h, w) fp32, all that the mask's training needs."""
    parts = torch.split(torch.arange(len(clean), device=clean.labels.device), batch_size)
    stream = zip(parts, batches(clean, batch_size, generator=None), strict=True)
    features = torch.empty(0)
    for part, (x, _) in tracked(stream, "inversion: features", len(parts)):
        h = model.features(x).float()
        if not len(features):
            features = h.new_zeros((len(clean), *h.shape[1:]))
        features[part[: len(h)]] = h
    return features
