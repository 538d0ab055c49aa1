"""FP: activations, search and fine-tuning, written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from remission.models import Classifier, build_model
from remission.purifiers import FP
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.reference.pruned_toy import hits, strongest
from tests.reference.toy import (
    FEATURES,
    HEAD,
    SIDE,
    K,
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    cross_entropy,
    flat,
    grad,
    recognise,
    schedule,
    toy_data,
)

TUNING: dict[str, Any] = {"epochs": 2, "lr": 0.1, "batch_size": 4, "augment": "none"}


def activity(slow: Slow, w: Tensor, data: LabelledImages) -> list[float]:
    """Returns the mean over images of the input of the linear layer, channel by channel."""
    h = slow.features(w, data.images, train=False)
    found = []
    for k in range(FEATURES):
        values = [float(image[k].sum()) / SIDE**2 for image in h]
        found.append(sum(abs(value) for value in values) / len(values))
    return found


def without(w: Tensor, channels: list[int]) -> Tensor:
    """Returns the weights with these columns of the head at zero."""
    w = w.clone()
    for row in range(K):
        for k in channels:
            w[HEAD.start + row * FEATURES + k] = 0.0
    return w


def tuned(
    w: Tensor, slow: Slow, batches: list[Tensor], data: LabelledImages, channels: list[int]
) -> Tensor:
    """Returns the weights after fine-tuning."""
    w, sgd = without(w, channels), SlowSGD(0.1, 0.9, 0.03)
    for step, x in enumerate(batches):
        y = data.labels[recognise(x, data)[0]]
        g = grad(lambda at, x=x, y=y: cross_entropy(slow.logits(at, x), y), w)  # type: ignore[misc]
        w = without(sgd.step(w, g, schedule("cosine", step, len(batches))), channels)
    return w


@pytest.mark.parametrize(("share", "count"), [(0.1, 0), (0.3, 1), (0.5, 2), (0.99, 2)])
def test_a_given_share(share: float, count: int) -> None:
    victim, data = Toy(), toy_data(11)
    done = FP(share=share, weight_decay=0.03, **TUNING)(victim, data, seed=Seed(0)).model
    assert isinstance(done, Toy)
    slow, w = Slow.like(victim), flat(victim)
    active = activity(slow, w, data)
    channels = sorted(range(FEATURES), key=lambda k: active[k])[:count]
    assert len(done.seen) == 1 + 6
    assert torch.equal(done.visited[1], without(w, channels)), "pruned before the first step"
    w = tuned(w, slow, done.seen[1:], data, channels)
    assert_same(done, w, slow)
    head = done.linear.weight.detach()
    assert [bool((head[:, k] == 0).all()) for k in range(FEATURES)] == [
        k in channels for k in range(FEATURES)
    ]


@pytest.mark.parametrize("max_drop", [0.0, 0.1, 0.2, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_search(seed: int, max_drop: float) -> None:
    victim, data = Toy(seed), toy_data(40)
    method = FP(max_drop=max_drop, held_out=0.25, weight_decay=0.03, **TUNING)
    done = method(victim, data, seed=Seed(0)).model
    assert isinstance(done, Toy)
    slow, w = Slow.like(victim), flat(victim)
    measured, searched = done.seen[0], done.seen[1]
    part, held = (recognise(x, data)[0] for x in (measured, searched))
    assert sorted(part + held) == list(range(40)), "no image is in both"
    assert len(held) == 10

    active = activity(slow, w, LabelledImages(data.images[part], data.labels[part]))
    order = sorted(range(FEATURES), key=lambda k: active[k])
    candidates = [order[: min(round(percent * 3 / 100), 2)] for percent in range(1, 100)]
    images = LabelledImages(data.images[held], data.labels[held])
    found = [hits(slow, without(w, channels), images) for channels in candidates]
    best = strongest(found, hits(slow, w, images), 10, max_drop)
    channels = [] if best is None else candidates[best]

    training = done.seen[-20:]
    assert len(done.seen) - 20 == 3, "activations, the victim's hits, all candidates in one pass"
    assert sorted(i for x in training[:10] for i in recognise(x, data)[0]) == list(range(40))
    w = tuned(w, slow, training, data, channels)
    assert_same(done, w, slow)


def test_what_is_measured_is_given_to_the_last_linear_layer_of_any_model() -> None:
    """Positions count like images, and negative values like positive ones."""
    model: Classifier = build_model(
        "vit_tiny:12", classes=3, shape=(1, 16, 16), mean=(0.5,), std=(0.5,)
    )
    data = LabelledImages(torch.rand(7, 1, 16, 16), torch.arange(7) % 3)
    given: list[Tensor] = []
    handle = model.final_linear.register_forward_pre_hook(lambda layer, x: given.append(x[0]))
    with torch.no_grad():
        model.eval()(data.images)
    handle.remove()
    flat_given = given[0].reshape(-1, given[0].shape[-1])
    means = [float(sum(abs(float(v)) for v in column)) / len(column) for column in flat_given.T]
    assert bool((flat_given < 0).any())
    order = FP().least_active(model, data).tolist()
    assert [means[k] for k in order] == sorted(means)
    assert not model.final_linear._forward_pre_hooks
