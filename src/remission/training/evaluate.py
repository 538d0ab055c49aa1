"""Predictions of a model, and the three rates that every cell reports."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from remission.errors import DivergedError
from remission.metrics import Rates, accuracy, attack_success_rate, goals, robust_accuracy
from remission.models import Classifier
from remission.progress import tracked
from remission.training.batches import batches
from remission.types import LabelledImages, Target, as_bytes, as_float


@torch.inference_mode()
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
    was_training = model.training
    model.eval()
    batch_size = batch_size or (250 if data.labels.device.type == "cpu" else 500)
    try:
        count = len(data if only is None else only)
        found = torch.zeros(count, dtype=torch.int64, device=data.labels.device)
        parts = zip(
            torch.split(found, batch_size),
            batches(data, batch_size, generator=None, only=only),
            strict=True,
        )
        for part, (images, _) in tracked(parts, "", -(-count // batch_size)):
            logits = model(trigger(images) if trigger else images)
            if not bool(torch.isfinite(logits).all()):  # their argmax would be class 0
                raise DivergedError("the model's outputs are not finite; use a smaller lr")
            part[: len(logits)] = logits.argmax(1)
    finally:
        model.train(was_training)
    return found


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
    wanted = goals(test.labels, target, model.classes)
    counted = (wanted != test.labels).nonzero().flatten()
    labels, wanted = test.labels[counted], wanted[counted]
    triggered = predict(model, test, trigger=lambda x: as_float(as_bytes(trigger(x))), only=counted)
    return Rates(
        clean_acc=accuracy(predict(model, test), test.labels),
        asr=attack_success_rate(triggered, labels, wanted),
        robust_acc=robust_accuracy(triggered, labels, wanted),
    )
