"""SBL: both tasks by hand, the Fisher information image by image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from remission.attacks import SBL
from remission.attacks.base import Setting
from remission.attacks.sbl import consolidation, fisher, steepest
from remission.errors import SpecError
from remission.seeding import Seed
from remission.training import Recipe
from tests.reference.toy import (
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    by_hand,
    corner,
    cross_entropy,
    flat,
    grad,
    recognise,
    toy_data,
)

RECIPE = Recipe(epochs=2, lr=0.05, batch_size=6)


def slow_fisher(slow: Slow, w: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """Returns the mean over images of p(y|x) * (d log p(y|x) / dw)^2, in eval mode."""
    total = torch.zeros_like(w)
    for x, y in zip(images, labels, strict=True):

        def log_p(at: Tensor, x: Tensor = x, y: Tensor = y) -> Tensor:
            return -cross_entropy(slow.logits(at, x[None], train=False), y[None])

        total = total + log_p(w).exp() * grad(log_p, w) ** 2
    return total / len(images)


def test_the_fisher_information() -> None:
    model, data = Toy(3).train(), toy_data(9)
    slow, w = Slow.like(model), flat(model)
    index = torch.tensor([0, 2, 5, 8])
    found = torch.cat([f.flatten() for f in fisher(model, data, index)])
    wanted = slow_fisher(slow, w, data.images[index], data.labels[index])
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-14)
    assert float(found.max()) > 1e-3
    assert model.training, "the mode is put back"


def test_consolidation_and_the_steepest_direction() -> None:
    now, at, f = [torch.tensor([1.0, 2.0]), torch.tensor([3.0])], None, None
    at = [torch.tensor([0.5, 2.5]), torch.tensor([1.0])]
    f = [torch.tensor([4.0, 2.0]), torch.tensor([0.25])]
    assert float(consolidation(now, at, f)) == pytest.approx(4 * 0.25 + 2 * 0.25 + 0.25 * 4)
    found = steepest([torch.tensor([3.0, 0.0]), torch.tensor([-4.0])])
    assert [v.tolist() for v in found] == [pytest.approx([0.6, 0.0]), pytest.approx([-0.8])]


@pytest.mark.parametrize("target", [2, "all-to-all"])
def test_both_tasks(target: Any) -> None:  # noqa: ANN401
    count, seed, rho, ewc, lr = 30, Seed(8), 0.3, 50.0, 0.02
    data, model = toy_data(count), Toy()
    slow, w = Slow.like(model), flat(model)
    attack = SBL(target=target, rho=rho, clean_share=0.4, clean_epochs=2, clean_lr=lr, ewc=ewc,
                 fisher_images=1000, poison_rate=0.2)  # fmt: skip
    chosen = attack.select(data.labels, 4, seed)
    setting = Setting(
        model=model, data=data, recipe=RECIPE, chosen=chosen, trigger=corner(), seed=seed
    )
    trained = attack.train(setting)
    assert len(trained.losses) == 4

    def goal(i: int) -> int:
        y = int(data.labels[i])
        return y if i not in chosen.tolist() else ((y + 1) % 4 if target == "all-to-all" else 2)

    batches = [x for x in model.seen if len(x) > 1]  # single images are those behind F
    per_task = [2 * 3, 2 * 2]  # 18 images of the first, 12 of the second, 6 per batch
    assert len(batches) == 2 * per_task[0] + per_task[1], "two passes per step of the first task"
    optimizer, first = SlowSGD(0.05, 0.9), set[int]()
    for k in range(per_task[0]):
        x = batches[2 * k]
        assert torch.equal(x, batches[2 * k + 1])
        which, triggered = recognise(x, data)
        assert all(t == (i in chosen.tolist()) for i, t in zip(which, triggered, strict=True))
        first |= set(which)
        y = torch.tensor([goal(i) for i in which])

        def loss(at: Tensor, x: Tensor = x, y: Tensor = y) -> Tensor:
            return cross_entropy(slow.logits(at, x, collect=False), y)

        g = grad(loss, w)
        uphill = grad(loss, w + rho * g / g.square().sum().sqrt())
        slow.logits(w, x)  # only the first pass counts for the running statistics
        w = optimizer.step(w, uphill)
    assert len(first) == 18
    assert set(chosen.tolist()) <= first

    index = sorted(first)
    images = data.images[index].clone()
    for place, i in enumerate(index):
        if i in chosen.tolist():
            images[place] = by_hand(data.images[i : i + 1])[0]
    importance = slow_fisher(slow, w, images, torch.tensor([goal(i) for i in index]))

    anchor, optimizer, second = w.clone(), SlowSGD(lr, 0.9), set[int]()
    for x in batches[2 * per_task[0] :]:
        which, triggered = recognise(x, data)
        assert not any(triggered)
        second |= set(which)

        def held(at: Tensor, x: Tensor = x, y: Tensor = data.labels[which]) -> Tensor:
            ce = cross_entropy(slow.logits(at, x, collect=False), y)
            return ce + ewc * (importance * (at - anchor) ** 2).sum()

        step = grad(held, w)
        slow.logits(w, x)
        w = optimizer.step(w, step)
    assert len(second) == 12
    assert not first & second
    assert_same(model, w, slow)


def test_too_few_clean_images_are_the_users_mistake() -> None:
    data = toy_data(20)
    setting = Setting(
        model=Toy(), data=data, recipe=RECIPE, chosen=torch.arange(8), trigger=corner(),
        seed=Seed(0),
    )  # fmt: skip
    with pytest.raises(SpecError, match=r"clean_share 0\.7 means 14 images, and 12 are not"):
        SBL(clean_share=0.7).train(setting)
