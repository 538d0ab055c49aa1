"""Predictions of a model, and the three rates that every cell reports."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from remission.metrics import Rates, accuracy, attack_success_rate, robust_accuracy
from remission.training.batches import batches
from remission.types import LabelledImages


@torch.inference_mode()
def predict(
    model: nn.Module,
    data: LabelledImages,
    *,
    trigger: Callable[[Tensor], Tensor] | None = None,
    batch_size: int = 500,
) -> Tensor:
    """The class that ``model`` gives each image, in eval mode, (N,) int64.

    Args:
        model: its train/eval state is put back.
        data: on the model's device.
        trigger: applied to the images first.
        batch_size: images a forward pass.
    """
    was_training = model.training
    model.eval()
    try:
        found = [
            model(trigger(images) if trigger else images).argmax(1)
            for images, _ in batches(data, batch_size, generator=None)
        ]
    finally:
        model.train(was_training)
    return torch.cat(found)


def evaluate(
    model: nn.Module, test: LabelledImages, trigger: Callable[[Tensor], Tensor], target: int
) -> Rates:
    """Clean accuracy on all of ``test``; ASR and robust accuracy on its images of other classes.

    Args:
        model: images in [0, 1] -> logits.
        test: on the model's device.
        trigger: image -> triggered image.
        target: the attacker's class.
    """
    others = test[test.labels != target]
    triggered = predict(model, others, trigger=trigger)
    return Rates(
        clean_acc=accuracy(predict(model, test), test.labels),
        asr=attack_success_rate(triggered, others.labels, target),
        robust_acc=robust_accuracy(triggered, others.labels, target),
    )
