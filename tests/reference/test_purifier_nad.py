"""NAD replayed step by step: the teacher first, then the student with its attention."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.errors import SpecError
from remission.models.tracing.maps import stage_maps
from remission.purifiers import FT, NAD
from remission.purifiers.nad import attention
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.reference.toy import (
    SCALE,
    SHIFT,
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    cross_entropy,
    flat,
    grad,
    moments,
    recognise,
    schedule,
    toy_data,
)

BETAS = (900.0, 3.0, 50.0)


def the_map(slow: Slow, w: Tensor, x: Tensor, *, train: bool) -> Tensor:
    """Returns the output of the batch norm, the toy's last map, (N, 3, 5, 5)."""
    z = slow.convolved(w, x)
    mean, var = moments(z) if train else (slow.running_mean, slow.running_var)
    out = [
        w[SCALE][k] * (z[:, k] - mean[k]) / (var[k] + 1e-5).sqrt() + w[SHIFT][k]
        for k in range(z.shape[1])
    ]
    return torch.stack(out, dim=1)


def strengths(image: Tensor) -> list[Tensor]:
    """Returns the attention of one map (D, h, w): one number per position, of norm 1."""
    places = [
        sum((image[k, i, j] ** 2 for k in range(len(image))), torch.zeros(()).double())
        for i in range(image.shape[1])
        for j in range(image.shape[2])
    ]
    length = sum((value**2 for value in places), torch.zeros(()).double()).sqrt()
    return [value / length for value in places]


def apart(one: Tensor, other: Tensor, distance: str) -> Tensor:
    """Returns the mean over the images of the distance of their attention."""
    total = torch.zeros(()).double()
    for a, b in zip(one, other, strict=True):
        gaps = [(p - q) ** 2 for p, q in zip(strengths(a), strengths(b), strict=True)]
        squares = sum(gaps, torch.zeros(()).double())
        total = total + (squares.sqrt() if distance == "norm" else squares / len(gaps))
    return total / len(one)


@pytest.mark.parametrize("distance", ["mean_square", "norm"])
def test_nad(distance: Literal["mean_square", "norm"]) -> None:
    victim, data = Toy(), toy_data(11)
    method = NAD(
        epochs=2, teacher_epochs=3, betas=BETAS, distance=distance, lr=0.1, weight_decay=0.02,
        batch_size=4, augment="none",
    )  # fmt: skip
    model = method(victim, data, seed=Seed(0)).model
    assert isinstance(model, Toy)
    assert [site.layer for site in stage_maps(Toy())] == ["bn"]

    teaching = FT(epochs=3, lr=0.1, weight_decay=0.02, batch_size=4, augment="none")
    taught = teaching(victim, data, seed=Seed(0).child("teacher")).model
    assert isinstance(taught, Toy)
    teacher, wt = Slow.like(taught), flat(taught)
    w, slow, sgd = flat(victim), Slow.like(victim), SlowSGD(0.1, 0.9, 0.02)
    seen = model.seen[1:]  # the first pass looks for the maps
    assert len(seen) == 6
    for step, batch in enumerate(seen):
        y = data.labels[recognise(batch, data)[0]]
        wanted = the_map(teacher, wt, batch, train=False)

        def loss(at: Tensor, x: Tensor = batch, y: Tensor = y, wanted: Tensor = wanted) -> Tensor:
            error = cross_entropy(slow.logits(at, x), y)
            return error + BETAS[-1] * apart(the_map(slow, at, x, train=True), wanted, distance)

        w = sgd.step(w, grad(loss, w), schedule("cosine", step, total=6))
    assert_same(model, w, slow)


class Stairs(Toy):
    """Three convolutions on 8x8, 4x4 and 2x2 pixels, each with a map of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.shape = (2, 8, 8)
        self.more = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1).double() for _ in range(2))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.more.parameters():
                parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator))

    def feature_map(self, normal: Tensor) -> Tensor:
        x: Tensor = self.conv(normal)
        for layer in self.more:
            x = layer(F.avg_pool2d(x.clamp(min=0), 2))
        return x

    def by_hand(self, w: list[Tensor], x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns logits and the three maps; ``w`` is in the order of :meth:`used`."""
        x = F.conv2d((x - self.mean) / self.std, w[0], padding=1)
        maps = [x]
        for kernel, bias in ((w[1], w[2]), (w[3], w[4])):
            x = F.conv2d(F.avg_pool2d(x.clamp(min=0), 2), kernel, bias, padding=1)
            maps.append(x)
        return x.mean((2, 3)) @ w[5].T + w[6], maps

    def used(self) -> list[Tensor]:
        found = [self.conv.weight, *self.more.parameters(), *self.linear.parameters()]
        return [weight.detach().clone() for weight in found]


@pytest.mark.parametrize("betas", [(40.0,), (9.0, 40.0)])
def test_of_more_maps_than_betas_the_last_ones_are_distilled(betas: tuple[float, ...]) -> None:
    """The whole data is one batch, so that its order does not matter."""
    victim, data = Stairs(), toy_data(5)
    x = torch.rand(5, 2, 8, 8, generator=torch.Generator().manual_seed(2)).double()
    method = NAD(epochs=2, teacher_epochs=2, betas=betas, lr=0.1, batch_size=5, augment="none")
    done = method(victim, LabelledImages(x, data.labels), seed=Seed(0)).model
    assert isinstance(done, Stairs)
    assert [site.positions for site in stage_maps(victim)] == [64, 16, 4]

    def train(wanted: list[Tensor] | None) -> list[Tensor]:
        """Trains the teacher or, with its maps, the student."""
        w = victim.used()
        sgds = [SlowSGD(0.1, 0.9, 1e-4) for _ in w]
        for step in range(2):
            w = [each.requires_grad_(True) for each in w]
            logits, maps = victim.by_hand(w, x)
            loss = cross_entropy(logits, data.labels)
            for beta, mine, theirs in zip(
                betas[::-1], maps[::-1], (wanted or [])[::-1], strict=False
            ):
                loss = loss + beta * apart(mine, theirs, "mean_square")
            gradients = torch.autograd.grad(loss, w)
            share = schedule("cosine", step, total=2)
            pairs = zip(sgds, w, gradients, strict=True)
            w = [sgd.step(each.detach(), g, share) for sgd, each, g in pairs]
        return w

    taught = train(None)
    wanted = [each.detach() for each in victim.by_hand(taught, x)[1]]
    for found, expected in zip(done.used(), train(wanted), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_betas_are_counted_from_the_last_map() -> None:
    generator = torch.Generator().manual_seed(0)
    mine, theirs = ([torch.rand(2, 3, n, generator=generator) for n in (16, 4)] for _ in range(2))
    found = NAD(betas=BETAS).distil(mine, theirs)
    wanted = 0.0
    for beta, a, b in zip(BETAS[1:], mine, theirs, strict=True):
        wanted += beta * float(apart(a[..., None].double(), b[..., None].double(), "mean_square"))
    assert float(found) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("distance", ["mean_square", "norm"])
def test_equal_maps_and_silent_maps_have_gradients(
    distance: Literal["mean_square", "norm"],
) -> None:
    for same in (torch.ones(2, 3, 4), torch.zeros(2, 3, 4)):
        mine = same.clone().requires_grad_(True)
        NAD(betas=(5.0,), distance=distance).distil([mine], [same]).backward()  # type: ignore[no-untyped-call]
        assert mine.grad is not None
        assert float(mine.grad.abs().sum()) == 0


def test_attention_is_of_length_one_in_bf16_too() -> None:
    features = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    for kind in (torch.float32, torch.bfloat16):
        found = attention(features.to(kind))
        assert found.dtype == torch.float32
        assert found.norm(dim=1).tolist() == pytest.approx([1.0] * 3)


def test_a_model_without_maps_is_the_users_mistake() -> None:
    class Flat(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 5, bias=False).double()

    assert math.prod(Flat().feature_map(torch.zeros(2, 2, 5, 5).double()).shape) == 2 * 3
    with pytest.raises(SpecError, match="nad needs feature maps, and toy has none"):
        NAD()(Flat(), toy_data(4), seed=Seed(0))
