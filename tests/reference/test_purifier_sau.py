"""SAU replayed: the ascent image by image, the unlearning on one flat vector."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from remission.purifiers import SAU
from remission.purifiers.sau import jensen_shannon, log_not
from remission.seeding import Seed
from tests.reference.toy import Slow, Toy, assert_same, cross_entropy, flat, toy_data


def softmax(row: Tensor) -> list[Tensor]:
    total = row.exp().sum()
    return [value.exp() / total for value in row]


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """Returns the divergence of the softmax outputs of two rows of logits, by definition."""
    total = torch.zeros((), dtype=torch.float64)
    for p, q in zip(softmax(one), softmax(other), strict=True):
        middle = (p + q) / 2
        total = total + p * (p / middle).log() / 2 + q * (q / middle).log() / 2
    return total


def ascended(method: SAU, slow: Slow, w: Tensor, w0: Tensor, x: Tensor, y: int) -> list[Tensor]:
    """Returns all points of the ascent from one image."""
    low, high = (x - method.bound).clamp(min=0), (x + method.bound).clamp(max=1)
    points = [high.clone()]
    for _ in range(method.steps):
        at = points[-1].clone().requires_grad_(True)
        mine, victims = (slow.logits(v, at[None], train=False) for v in (w, w0))
        found, found_by_victim = int(mine.argmax()), int(victims.argmax())
        gain = 0 * at.sum()
        label = torch.tensor([y])
        if found == y:
            gain = gain + method.lambda_3 * cross_entropy(mine, label) / 2
        if found_by_victim == y:
            gain = gain + method.lambda_3 * cross_entropy(victims, label) / 2
        if not (found == found_by_victim != y):
            gain = gain - method.lambda_4 * divergence(mine[0], victims[0])
        (slope,) = torch.autograd.grad(gain, at)
        moved = points[-1] + method.step_size * slope.sign()
        points.append(torch.minimum(torch.maximum(moved, low), high))
    return points


@pytest.mark.parametrize("bound", [0.05, 0.6])
def test_sau(bound: float) -> None:
    victim, data = Toy(), toy_data(7)
    method = SAU(
        epochs=3, lr=0.05, batch_size=4, bound=bound, steps=3, step_size=0.1, lambda_1=0.7,
        lambda_2=1.5, lambda_3=0.2, lambda_4=0.9,
    )  # fmt: skip
    model = method(victim, data, seed=Seed(0)).model
    assert isinstance(model, Toy)
    w0, slow = flat(victim), Slow.like(victim)
    w = w0.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([w], 0.05)
    seen, unlearned = iter(model.seen), 0
    for step in range(6):
        size = [4, 3][step % 2]
        climbing, shown = [next(seen) for _ in range(3)], next(seen)
        images, shared = shown[:size], shown[size:]
        index = [next(i for i in range(7) if torch.equal(x, data.images[i])) for x in images]
        y = data.labels[index]
        for i in range(size):
            points = ascended(method, slow, w.detach(), w0, images[i], int(y[i]))
            for point, batch in zip(points, [*climbing, shared], strict=True):
                torch.testing.assert_close(batch[i], point, rtol=0, atol=1e-12)
                assert 0 <= float(point.min()) <= float(point.max()) <= 1
                assert float((point - images[i]).abs().max()) <= bound + 1e-12
        logits = slow.logits(w, shown, train=False)
        wrong = slow.logits(w0, shared, train=False).argmax(1)
        risk = torch.zeros((), dtype=torch.float64)
        for i in range(size):
            if int(wrong[i]) != int(y[i]):
                unlearned += 1
                risk = risk - (1 - softmax(logits[size + i])[int(wrong[i])]).log() / size
        optimizer.zero_grad()
        loss = 0.7 * cross_entropy(logits[:size], y) + 1.5 * risk
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert next(seen, None) is None
    assert unlearned > 0
    assert_same(model, w.detach(), slow)  # the running statistics are the victim's


def test_an_image_that_is_shared_already_stays() -> None:
    """Without a gradient it stays where every pixel is brighter by the bound, or white."""
    model, data = Toy(), toy_data(9)
    method = SAU(steps=4, bound=0.3)
    start = (data.images + 0.3).clamp(max=1)
    given = model.eval()(start).argmax(1)
    wrong = torch.where(given == data.labels, (data.labels + 1) % 4, data.labels)
    shared = method.examples(model, model, data.images, wrong)
    assert torch.equal(shared, start)


def test_logarithms_of_certain_models() -> None:
    logits = torch.tensor([[1000.0, 0.0, -1000.0], [0.0, 0.0, 0.0]], requires_grad=True)
    found = log_not(logits, torch.tensor([0, 2]))
    assert found.tolist() == pytest.approx([-1000.0, math.log(2 / 3)])
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([-1.0, 1.0, 0.0])
    apart = jensen_shannon(torch.tensor([[1000.0, -1000.0]]), torch.tensor([[-1000.0, 1000.0]]))
    assert apart.tolist() == pytest.approx([math.log(2)])
    assert jensen_shannon(logits, logits).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    two = log_not(torch.tensor([[0.3, -0.2]]).double(), torch.tensor([1]))
    assert float(two) == pytest.approx(0.5 - math.log(1 + math.exp(0.5)))
