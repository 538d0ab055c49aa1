"""Predictions of a model, the three rates that every cell reports, and cross entropies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.errors import DivergedError
from remission.intervals import Rate
from remission.metrics import Rates, accuracy, attack_success_rate, counted, robust_accuracy
from remission.models import Classifier, evaluating
from remission.progress import tracked
from remission.training.batches import batches
from remission.types import LabelledImages, Target, rounded


@dataclass(frozen=True)
class Measured:
    """The measurements of one model.

    Args:
        rates: clean accuracy, ASR and robust accuracy.
        clean_loss: mean cross entropy of the clean images and their labels.
        backdoor_loss: mean cross entropy of the triggered images that the ASR counts and the
            classes that the attacker wants for them.
    """

    rates: Rates
    clean_loss: float
    backdoor_loss: float


def predict(
    model: nn.Module,
    data: LabelledImages,
    *,
    trigger: Callable[[Tensor], Tensor] | None = None,
    only: Tensor | None = None,
    batch_size: int | None = None,
) -> Tensor:
    """Returns the class that ``model``, in eval mode, gives each image, (N,) int64.

    Args:
        model: images in [0, 1] -> logits; its mode is put back.
        data: images on the model's device; labels are not used.
        trigger: applied to the images first.
        only: (n,) indices of the images to look at, in this order; None: all.
        batch_size: images per forward pass. The default is what the device is quickest with: 500 on
            an accelerator; 250 on a processor, whose caches hold the feature maps of no more.

    Raises:
        DivergedError: a logit is not finite.
    """
    return _answers(model, data, None, trigger, only, batch_size)[0]


@torch.inference_mode()
def _answers(
    model: nn.Module,
    data: LabelledImages,
    wanted: Tensor | None,
    trigger: Callable[[Tensor], Tensor] | None,
    only: Tensor | None,
    batch_size: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Returns classes (N,) and each image's cross entropy (N,) with ``wanted`` (N,), else zeros."""
    batch_size = batch_size or (250 if data.labels.device.type == "cpu" else 500)
    count = len(data if only is None else only)
    classes = torch.zeros(count, dtype=torch.int64, device=data.labels.device)
    losses = torch.zeros(count, device=data.labels.device)
    begins = range(0, max(count, 1), batch_size)
    parts = zip(begins, batches(data, batch_size, generator=None, only=only), strict=True)
    with evaluating(model):
        for begin, (images, _) in tracked(parts, "", len(begins)):
            logits = model(trigger(images) if trigger else images)
            if not bool(torch.isfinite(logits).all()):  # their argmax would be class 0
                raise DivergedError("the model's outputs are not finite; use a smaller lr")
            part = slice(begin, begin + len(logits))
            classes[part] = logits.argmax(1)
            if wanted is not None:
                losses[part] = F.cross_entropy(logits, wanted[part], reduction="none")
    return classes, losses


def clean_accuracy(model: Classifier, images: LabelledImages) -> Rate:
    """Returns the clean accuracy on images with true labels, on the model's device."""
    return accuracy(predict(model, images), images.labels)


def evaluate(
    model: Classifier, test: LabelledImages, trigger: Callable[[Tensor], Tensor], target: Target
) -> Rates:
    """Measures clean accuracy on all of ``test``, and ASR and robust accuracy.

    For these two only the images count whose class is not the one that the attacker wants.

    Args:
        model: images in [0, 1] -> logits.
        test: images with true labels, on the model's device.
        trigger: image -> triggered image; the result is rounded to 8 bits, as in a file.
        target: the target of the attack.

    Raises:
        DivergedError: a logit is not finite.
    """
    return measure(model, test, trigger, target).rates


def measure(
    model: Classifier, test: LabelledImages, trigger: Callable[[Tensor], Tensor], target: Target
) -> Measured:
    """Measures the rates, and the losses on the same images; arguments as for :func:`evaluate`."""
    indices, labels, wanted = counted(test.labels, target, model.classes)

    def triggered(images: Tensor) -> Tensor:
        return rounded(trigger(images))

    fooled, backdoor_losses = _answers(model, test, wanted, triggered, indices)
    predicted, clean_losses = _answers(model, test, test.labels, None, None)
    return Measured(
        rates=Rates(
            clean_acc=accuracy(predicted, test.labels),
            asr=attack_success_rate(fooled, labels, wanted),
            robust_acc=robust_accuracy(fooled, labels, wanted),
        ),
        clean_loss=float(clean_losses.double().mean()),
        backdoor_loss=float(backdoor_losses.double().mean()),
    )
