"""UNDO replayed step by step: the base, the blend with fresh weights, the distillation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from remission.models import Classifier, build_model
from remission.purifiers import EP, FT, UNDO, undo
from remission.seeding import Seed
from remission.training.distillation import divergence as distance
from remission.types import LabelledImages
from tests.reference.toy import (
    HEAD,
    SCALE,
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    flat,
    grad,
    moments,
    recognise,
    schedule,
    toy_data,
)

BASE = FT(epochs=2, lr=0.1, batch_size=4, augment="none")


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Returns the fresh weights of the toy, which has no name that a model is built by."""
    n = Toy(7)

    def like(model: Classifier, *, seed: Seed) -> Classifier:
        assert isinstance(model, Toy)
        assert seed == Seed(3).child("fresh")
        return n

    monkeypatch.setattr(undo, "build_like", like)
    return n


def divergence(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Returns T^2 sum_k p_k log(p_k / q_k), the mean over the images, by loops."""
    total = torch.zeros((), dtype=torch.float64)
    for z, z_t in zip(logits, wanted, strict=True):
        q = (z / temperature).exp() / (z / temperature).exp().sum()
        p = (z_t / temperature).exp() / (z_t / temperature).exp().sum()
        for k in range(len(z)):
            total = total + p[k] * (p[k] / q[k]).log()
    return temperature**2 * total / len(logits)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_every_update(temperature: float, fresh: Toy) -> None:
    victim, data, alpha, beta = Toy(), toy_data(11), 0.3, 0.4
    method = UNDO(
        base=BASE, alpha=alpha, beta=beta, temperature=temperature, epochs=2, lr=0.1,
        weight_decay=0.02, batch_size=4, augment="none",
    )  # fmt: skip
    model = method(victim, data, seed=Seed(3)).model
    assert isinstance(model, Toy)
    taught = BASE(victim, data, seed=Seed(3).child("base")).model
    assert isinstance(taught, Toy)
    teacher, wt = Slow.like(taught), flat(taught)
    w = torch.stack(
        [(1 - alpha) * a + alpha * beta * b for a, b in zip(wt, flat(fresh), strict=True)]
    )
    slow, sgd = Slow.like(taught), SlowSGD(0.1, 0.9, 0.02)
    steps = model.seen[len(taught.seen) : -1]  # the last pass is for the statistics
    assert len(steps) == 6
    for step, batch in enumerate(steps):
        assert not any(recognise(batch, data)[1])
        wanted = teacher.logits(wt, batch, train=False)

        def loss(at: Tensor, x: Tensor = batch, wanted: Tensor = wanted) -> Tensor:
            return divergence(slow.logits(at, x), wanted, temperature)

        w = sgd.step(w, grad(loss, w), schedule("cosine", step, total=6))
    mean, var = moments(slow.convolved(w, data.images))
    count = len(data) * 25
    slow.running_mean, slow.running_var = mean, var * count / (count - 1)
    assert_same(model, w, slow)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_the_blend(alpha: float, beta: float, fresh: Toy) -> None:
    data = toy_data(11)
    method = UNDO(base=BASE, alpha=alpha, beta=beta, epochs=0)
    student = method(Toy(), data, seed=Seed(3)).model
    teacher = BASE(Toy(), data, seed=Seed(3).child("base")).model
    assert isinstance(student, Toy)
    assert isinstance(teacher, Toy)
    wanted = (1 - alpha) * flat(teacher) + alpha * beta * flat(fresh)
    torch.testing.assert_close(flat(student), wanted, rtol=1e-12, atol=1e-12)
    for part in (SCALE, HEAD):  # a parameter of each kind
        assert torch.equal(flat(student)[part], flat(teacher)[part]) == (alpha == 0)


@pytest.mark.usefixtures("fresh")
def test_without_noise_and_distillation_the_result_is_that_of_the_base_bit_for_bit() -> None:
    data = toy_data(11)
    student = UNDO(base=BASE, alpha=0.0, epochs=0)(Toy(), data, seed=Seed(3)).model
    teacher = BASE(Toy(), data, seed=Seed(3).child("base")).model
    for key, value in teacher.state_dict().items():
        assert torch.equal(student.state_dict()[key], value), key


def test_the_fresh_weights_are_those_of_a_new_model() -> None:
    """In a network of the package batch norms begin at a scale of 1 and a shift of 0."""
    victim = build_model("resnet18:2", classes=4, shape=(1, 8, 8), mean=(0.5,), std=(0.3,))
    data = LabelledImages(torch.rand(8, 1, 8, 8), torch.arange(8) % 4)
    method = UNDO(base=BASE, alpha=1.0, epochs=0)
    one, two, other = (method(victim, data, seed=Seed(n)).model for n in (0, 0, 1))
    for name, weight in one.named_parameters():
        assert torch.equal(weight, two.get_parameter(name))
        if "bn" in name or name.startswith("norm"):
            assert torch.equal(weight, torch.full_like(weight, float(name.endswith("weight"))))
        elif weight.ndim > 1:
            assert not torch.equal(weight, other.get_parameter(name))
            assert not torch.equal(weight, victim.get_parameter(name))


def test_the_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    z, z_t = (4 * torch.randn(5, 3, generator=generator).double() for _ in range(2))
    for temperature in (0.5, 1.0, 4.0):
        found = distance(z, z_t, temperature)
        torch.testing.assert_close(found, divergence(z, z_t, temperature), rtol=1e-12, atol=0)
    assert float(distance(z, z, 2.0)) == pytest.approx(0, abs=1e-12)
    assert not math.isclose(float(distance(z, z_t, 1.0)), float(distance(z_t, z, 1.0))), "forward"


def test_a_base_that_needs_a_trigger_is_refused_without_one() -> None:
    with pytest.raises(ValueError, match="ep needs a trigger"):
        UNDO(base=EP())(Toy(), toy_data(4), seed=Seed(0))
