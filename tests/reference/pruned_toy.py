"""The toy model with masked, perturbed or pruned channels, by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from remission.types import LabelledImages
from tests.reference.toy import FEATURES, SCALE, SHIFT, Slow, Toy, flat


def weighted(w: Tensor, scale: Tensor | Sequence[float], shift: Tensor | Sequence[float]) -> Tensor:
    """Returns weights with scaled channels; differentiable in the factors."""
    parts = [w[: SCALE.start]]
    parts += [(w[SCALE.start + k] * scale[k]).view(1) for k in range(FEATURES)]
    parts += [(w[SHIFT.start + k] * shift[k]).view(1) for k in range(FEATURES)]
    return torch.cat([*parts, w[SHIFT.stop :]])


def pruned(w: Tensor, channels: Sequence[bool], *, keep_shift: bool = True) -> Tensor:
    """Returns the weights without some channels."""
    w = w.clone()
    for k in range(FEATURES):
        if channels[k]:
            w[SCALE.start + k] = 0.0
            if not keep_shift:
                w[SHIFT.start + k] = 0.0
    return w


def hits(slow: Slow, w: Tensor, data: LabelledImages) -> int:
    """Returns how many images get their label, with running statistics."""
    found = 0
    for logits, label in zip(slow.logits(w, data.images, train=False), data.labels, strict=True):
        best = 0
        for k in range(len(logits)):
            if logits[k] > logits[best]:
                best = k
        found += best == int(label)
    return found


def strongest(found: Sequence[int], victim: int, total: int, max_drop: float) -> int | None:
    """Returns the last place where accuracy is at most ``max_drop`` below the victim's."""
    best = None
    for place, number in enumerate(found):
        if (victim - number) / total <= max_drop + 1e-9:
            best = place
    return best


def assert_only_channels_changed(purified: object, victim: Toy, w: Tensor) -> None:
    """Checks that the weights are exactly ``w``, and the running statistics the victim's."""
    assert isinstance(purified, Toy)
    assert torch.equal(flat(purified), w)
    before = dict(victim.named_buffers())
    for key, value in purified.named_buffers():
        assert torch.equal(value, before[key]), key
