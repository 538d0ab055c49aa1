"""QRA, replayed: its images, its teacher, and the generator's training by hand in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from remission.reactivations import QRA, Retuning
from remission.reactivations.attacker import Attacker
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.reference.toy import SIDE, C, Slow, SlowSGD, Toy, by_hand, corner, flat, grad, toy_data

TARGET, EPSILON, PIXELS, WIDTH = 1, 0.1, C * SIDE * SIDE, 6
SIZES = [(PIXELS, WIDTH), (WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH, PIXELS)]
METHOD: dict[str, Any] = {
    "epsilon": EPSILON, "width": WIDTH, "epochs": 3, "batch_size": 4, "alpha": 0.7, "share": 0.4,
    "teacher_epochs": 2,
}  # fmt: skip


def generated(v: Tensor, x: Tensor) -> Tensor:
    """Returns the perturbed images: three hidden layers with ReLU, tanh, added, clipped."""
    h, place = x.reshape(len(x), PIXELS), 0
    for layer, (before, after) in enumerate(SIZES):
        weight = v[place : place + before * after].view(after, before)
        bias = v[place + before * after : place + before * after + after]
        place += before * after + after
        h = h @ weight.T + bias
        if layer < 3:
            h = torch.where(h > 0, h, torch.zeros_like(h))
    delta = EPSILON * (h.exp() - (-h).exp()) / (h.exp() + (-h).exp())
    return (x + delta.view(-1, C, SIDE, SIDE)).clamp(0, 1)


def log_p(logits: Tensor) -> Tensor:
    return logits - logits.exp().sum(1, keepdim=True).log()


def objective(v: Tensor, x: Tensor, y: Tensor, models: list[tuple[Slow, Tensor]]) -> Tensor:
    """Returns 0.7 KL(teacher(x) || purified(x')) + CE(clean(x'), y), the means over the batch."""
    changed = generated(v, x)
    (purified, teacher, clean) = models
    taught = log_p(teacher[0].logits(teacher[1], x, train=False))
    found = log_p(purified[0].logits(purified[1], changed, train=False))
    honest = log_p(clean[0].logits(clean[1], changed, train=False))
    total = torch.zeros((), dtype=torch.float64)
    for i, label in enumerate(y.tolist()):
        for k in range(taught.shape[1]):
            total = total + 0.7 * math.exp(float(taught[i, k])) * (taught[i, k] - found[i, k])
        total = total - honest[i, label]
    return total / len(x)


def own(model: Toy) -> tuple[Slow, Tensor]:
    return Slow.like(model), flat(model)


def as_vector(perturbation: torch.nn.Module) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in perturbation.parameters()])


def test_qra() -> None:
    purified, control, data, seed = Toy(0).eval(), Toy(1).eval(), toy_data(11), Seed(3)
    method = QRA(**METHOD)
    made = method(
        purified, data, corner(), TARGET, budget=2, seed=seed, control=control
    ).perturbation
    retune = Retuning(epochs=2, batch_size=4)
    teacher = retune(purified, data, corner(), TARGET, budget=2, seed=seed.child("teacher"))
    assert isinstance(teacher, Toy)
    first = method.perturbation((C, SIDE, SIDE), seed.child("perturbation")).double()
    v, sgd = as_vector(first), SlowSGD(0.1, 0.9, 0.0)
    attacker = Attacker(images=data, trigger=corner(), target=TARGET, classes=4)
    images = method.images(attacker, seed)
    models = [own(purified), own(teacher), own(control)]
    generator = seed.child("generator").child("batches").generator()
    for _ in range(3):
        for part in torch.split(torch.randperm(11, generator=generator), 4):
            x, y = images.images[part], images.labels[part]
            g = grad(lambda at, x=x, y=y: objective(at, x, y, models), v)  # type: ignore[misc]
            v = sgd.step(v, g)
    torch.testing.assert_close(as_vector(made), v, rtol=1e-8, atol=1e-11)
    assert float((v - as_vector(first)).norm()) > 1e-3, "it moved"
    torch.testing.assert_close(made(images.images), generated(v, images.images))


def test_its_images_are_a_share_of_triggered_ones_with_their_true_labels() -> None:
    data = toy_data(20)
    attacker = Attacker(images=data, trigger=corner(), target=TARGET, classes=4)
    found = QRA(**METHOD).images(attacker, Seed(0))
    triggered = (found.images == by_hand(data.images)).flatten(1).all(1)
    clean = (found.images == data.images).flatten(1).all(1)
    assert int(triggered.sum()) == 8
    assert bool((triggered | clean).all())
    assert torch.equal(found.labels, data.labels)
    assert not bool((data.labels[triggered] == TARGET).any())
    few = LabelledImages(data.images[:6], torch.tensor([1, 1, 1, 1, 0, 2]))
    attacker = Attacker(images=few, trigger=corner(), target=TARGET, classes=4)
    found = QRA(share=0.9).images(attacker, Seed(0))
    assert torch.equal(found.images, torch.cat([few.images[:4], by_hand(few.images[4:])]))


def test_a_perturbation_is_frozen_and_bounded() -> None:
    method = QRA(**{**METHOD, "lr": 5.0})
    found = method(Toy(0), toy_data(11), corner(), TARGET, budget=2, seed=Seed(0), control=Toy(1))
    assert found.queries is None
    assert not found.perturbation.training
    assert not any(p.requires_grad for p in found.perturbation.parameters())
    images = torch.rand(50, C, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).double()
    images[0], images[1] = 0, 1
    changed = found.perturbation(images)
    assert float((changed - images).abs().max()) <= EPSILON + 1e-12
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1


def test_a_model_that_the_method_borrows_must_be_given() -> None:
    with pytest.raises(ValueError, match="qra needs the control: pass control="):
        QRA()(Toy(), toy_data(11), corner(), TARGET, budget=2, seed=Seed(0))
