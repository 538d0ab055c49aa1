"""OBA: steps by gradient, the search by squares and the surrogates, each written out."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from remission.inversion import KnownSource
from remission.purifiers import EP
from remission.reactivations import OBA
from remission.reactivations.access import Oracle
from remission.seeding import Seed
from tests.reference.toy import SIDE, C, K, Slow, Toy, by_hand, corner, flat, grad, toy_data

TARGET, EPSILON, COUNT = 1, 0.1, 13


def triggered() -> Tensor:
    data = toy_data(COUNT)
    return by_hand(data.images)[data.labels != TARGET]


def objective(model: Toy, x: Tensor, lambda_2: float) -> Tensor:
    """Returns the mean of -log p_t - lambda_2 log(1.0001 - the largest other probability)."""
    logits = Slow.like(model).logits(flat(model), x, train=False)
    total = torch.zeros((), dtype=torch.float64)
    for row in logits:
        p = row.exp() / row.exp().sum()
        other = max((p[k] for k in range(K) if k != TARGET), key=lambda p: p.item())
        total = total - p[TARGET].log() - lambda_2 * (1.0001 - other).log()
    return total / len(x)


def shown(x: Tensor, delta: Tensor) -> Tensor:
    return (x + delta).clamp(0, 1)


def test_white_box() -> None:
    model, seed, x = Toy(0).eval(), Seed(5), triggered()
    method = OBA(epsilon=EPSILON, epochs=2, steps=3, batch_size=4, lambda_2=0.5)
    found = method(model, toy_data(COUNT), corner(), TARGET, seed=seed)
    assert found.queries is None
    first = method.perturbation((C, SIDE, SIDE), seed.child("perturbation"))
    delta = next(first.parameters()).detach().double()
    assert float(delta.abs().max()) <= EPSILON
    assert len(set(delta.flatten().tolist())) > 10
    generator = seed.child("batches").generator()
    for _ in range(2):
        for part in torch.split(torch.randperm(len(x), generator=generator), 4):
            for _ in range(3 if len(part) > 1 else 0):
                g = grad(lambda at, b=x[part]: objective(model, shown(b, at), 0.5), delta)  # type: ignore[misc]
                delta = (delta - 0.05 * g).clamp(-EPSILON, EPSILON)
    (pattern,) = found.perturbation.parameters()
    torch.testing.assert_close(pattern, delta, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("answers", ["scores", "labels"])
def test_query(answers: Literal["scores", "labels"]) -> None:
    model, seed, x = Toy(2).eval(), Seed(5), triggered()
    method = OBA(mode="query", answers=answers, epsilon=EPSILON, images=3, queries=80, area=0.5)
    found = method(model, toy_data(COUNT), corner(), TARGET, seed=seed)
    generator = seed.child("squares").generator()
    x = x[torch.randperm(len(x), generator=generator)[:3]]
    delta, best, asked, steps = torch.zeros(C, SIDE, SIDE).double(), math.inf, 0, 80 // 3
    stripes = torch.randint(2, (C, 1, SIDE), generator=generator)
    for turn in range(steps):
        tried = delta.clone()
        if turn == 0:
            for c in range(C):
                for j in range(SIDE):
                    tried[c, :, j] = EPSILON if stripes[c, 0, j] else -EPSILON
        else:
            halved = sum(
                turn / steps > s for s in (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
            )
            side = max(1, round(math.sqrt(0.5 / 2**halved * SIDE * SIDE)))
            top = int(torch.randint(SIDE - side + 1, (), generator=generator))
            left = int(torch.randint(SIDE - side + 1, (), generator=generator))
            signs = torch.randint(2, (C, 1, 1), generator=generator)
            for c in range(C):
                for i in range(top, top + side):
                    for j in range(left, left + side):
                        tried[c, i, j] = EPSILON if signs[c, 0, 0] else -EPSILON
        asked += 3
        value = float(objective(model, shown(x, tried), 1.0))
        if answers == "labels":
            logits = Slow.like(model).logits(flat(model), shown(x, tried), train=False)
            value = sum(int(row.argmax()) != TARGET for row in logits) / 3
        if value <= best + 1e-12:
            best, delta = value, tried
        if value == 0 and answers == "labels":
            break
    assert found.queries == asked <= 80
    (pattern,) = found.perturbation.parameters()
    torch.testing.assert_close(pattern, delta)


@pytest.mark.parametrize(("queries", "images"), [(4, 1), (25, 2), (60, 6), (1000, 9)])
def test_a_small_budget_pays_for_ten_steps_on_fewer_images(
    queries: int, images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    judged = OBA.judged

    def counted(self: OBA, oracle: Oracle, shown: Tensor, wanted: Tensor) -> float:
        asked.append(len(shown))
        return judged(self, oracle, shown, wanted)

    monkeypatch.setattr(OBA, "judged", counted)
    method = OBA(mode="query", images=9, queries=queries)
    found = method(Toy(2), toy_data(COUNT), corner(), TARGET, seed=Seed(0))
    assert set(asked) == {images}
    assert len(asked) >= min(10, queries)
    assert found.queries == sum(asked) <= queries


def test_transfer_is_the_white_box_on_the_attackers_own_purified_model() -> None:
    victim, unseen, seed = Toy(0).eval(), Toy(9).eval(), Seed(5)
    data = toy_data(COUNT)
    settings: dict[str, Any] = {"epsilon": EPSILON, "epochs": 2, "batch_size": 4}
    method = OBA(mode="transfer", surrogates=("ep",), **settings)
    found = method(unseen, data, corner(), TARGET, seed=seed, victim=victim)
    purifier = EP(augment="crop_flip")
    own = purifier(victim, data, seed=seed.child("ep"), trigger=KnownSource(corner())).model
    wanted = OBA(**settings)(own, data, corner(), TARGET, seed=seed)
    for one, two in zip(
        found.perturbation.parameters(), wanted.perturbation.parameters(), strict=True
    ):
        torch.testing.assert_close(one, two)
    assert isinstance(unseen, Toy)
    assert not unseen.seen, "the purified model was shown nothing"


def test_the_victim_is_asked_for_by_name() -> None:
    with pytest.raises(ValueError, match="oba needs the victim: pass victim="):
        OBA(mode="transfer")(Toy(), toy_data(COUNT), corner(), TARGET, seed=Seed(0))
