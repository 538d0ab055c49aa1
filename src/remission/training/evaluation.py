"""Predictions of a model, the three rates that every cell reports, and cross entropies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.errors import DivergedError
from remission.metrics import Rates, accuracy, attack_success_rate, counted, robust_accuracy
from remission.models import Classifier
from remission.progress import tracked
from remission.training.batches import batches
from remission.types import LabelledImages, Target, as_bytes, as_float


@dataclass(frozen=True)
class Measured:
    """What is measured of one model.

    Args:
        rates: as in every cell.
        clean_loss: mean cross entropy of the clean images and their labels.
        backdoor_loss: mean cross entropy of the triggered images behind the ASR and the classes
            that the attacker wants of them.
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
    """The class that ``model`` gives each image, in eval mode, (N,) int64.

    Args:
        model: its train/eval state is put back.
        data: on the model's device.
        trigger: applied to the images first.
        only: (n,) indices: the classes of these images, in this order.
        batch_size: images a forward pass; by default as many as the device is quickest with: 500
            on an accelerator, 250 on a processor, whose caches hold the maps of no more.

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
    """Classes (N,), and the cross entropy (N,) of each image and ``wanted`` (N,), if given."""
    was_training = model.training
    model.eval()
    batch_size = batch_size or (250 if data.labels.device.type == "cpu" else 500)
    try:
        count = len(data if only is None else only)
        found = torch.zeros(count, dtype=torch.int64, device=data.labels.device)
        losses = torch.zeros(count, device=data.labels.device)
        begins = range(0, max(count, 1), batch_size)
        parts = zip(begins, batches(data, batch_size, generator=None, only=only), strict=True)
        for begin, (images, _) in tracked(parts, "", len(begins)):
            logits = model(trigger(images) if trigger else images)
            if not bool(torch.isfinite(logits).all()):  # their argmax would be class 0
                raise DivergedError("the model's outputs are not finite; use a smaller lr")
            part = slice(begin, begin + len(logits))
            found[part] = logits.argmax(1)
            if wanted is not None:
                losses[part] = F.cross_entropy(logits, wanted[part], reduction="none")
    finally:
        model.train(was_training)
    return found, losses


def evaluate(
    model: Classifier, test: LabelledImages, trigger: Callable[[Tensor], Tensor], target: Target
) -> Rates:
    """Clean accuracy on all of ``test``; ASR and robust accuracy on the images that count there.

    Those are the images whose class is not the one that the attacker wants.

    Args:
        model: images in [0, 1] -> logits.
        test: on the model's device.
        trigger: image -> triggered image; the result is rounded to 8 bits, as files are.
        target: the attacker's.
    """
    return measure(model, test, trigger, target).rates


def measure(
    model: Classifier, test: LabelledImages, trigger: Callable[[Tensor], Tensor], target: Target
) -> Measured:
    """The rates of :func:`evaluate` and the losses on the same images; arguments as there."""
    places, labels, wanted = counted(test.labels, target, model.classes)

    def triggered(images: Tensor) -> Tensor:
        return as_float(as_bytes(trigger(images)))

    fooled, backdoor_losses = _answers(model, test, wanted, triggered, places)
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
