"""The losses of BTI-DBF's steps 1 and 2, see :mod:`remission.inversion.bti_dbf`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from remission.models import Classifier


def image_mse(model: Classifier, rewritten: Tensor, images: Tensor) -> Tensor:
    """MSE(x, G(x)) in the units of the classifier's input."""
    return ((rewritten - images) / model.std).square().mean()


def reproduction_loss(model: Classifier, rewritten: Tensor, images: Tensor) -> Tensor:
    """CE(softmax f(G(x)), softmax f(x)) + MSE(h(x), h(G(x))) + c * MSE(x, G(x)), of step 1.

    c = 100 while MSE(x, G(x)) is above 0.1, else 0.01. No gradients flow through the terms of x.

    Args:
        model: f, in eval mode.
        rewritten: G(x), (N, C, H, W).
        images: x, (N, C, H, W).
    """
    with torch.no_grad():
        features = model.features(images)
        answers = model.classify(features).softmax(dim=1)
    changed = model.features(rewritten)
    image_error = image_mse(model, rewritten, images)
    weight = 100 if bool(image_error > 0.1) else 0.01
    wide = torch.promote_types(features.dtype, torch.float32)
    return (
        F.cross_entropy(model.classify(changed), answers)
        + F.mse_loss(changed.to(wide), features.to(wide))
        + weight * image_error
    )


def mask_of(logits: Tensor) -> Tensor:
    """m = tanh(a) / 2 + 1/2."""
    return logits.tanh() / 2 + 0.5


def mask_loss(model: Classifier, mask: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """CE(f(m * h), y) - CE(f((1 - m) * h), y), the loss of step 2."""
    benign = F.cross_entropy(model.classify(mask * features), labels)
    rest = F.cross_entropy(model.classify((1 - mask) * features), labels)
    return benign - rest
