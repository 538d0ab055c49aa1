"""I-BAU's hypergradient against exact implicit differentiation, and its rounds replayed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from remission.purifiers import IBAU
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.reference.toy import SIDE, C, Slow, Toy, assert_same, cross_entropy, flat, grad, toy_data

SHAPE, SIZE = (1, C, SIDE, SIDE), C * SIDE * SIDE


class Problem:
    """G, Phi and H of a batch, written out on one vector of weights and one of the perturbation."""

    def __init__(self, method: IBAU, slow: Slow, images: Tensor, labels: Tensor) -> None:
        self.method, self.slow, self.images, self.labels = method, slow, images, labels

    def error(self, d: Tensor, w: Tensor, count: int) -> Tensor:
        """Returns the mean cross entropy with the perturbation on the first ``count`` images."""
        x = [
            image + d.view(C, SIDE, SIDE) if i < count else image
            for i, image in enumerate(self.images)
        ]
        return cross_entropy(self.slow.logits(w, torch.stack(x), train=False), self.labels)

    def outer(self, d: Tensor, w: Tensor) -> Tensor:
        return self.error(d, w, max(1, round(self.method.share * len(self.images))))

    def inner(self, d: Tensor, w: Tensor) -> Tensor:
        squares = sum((value**2 for value in d), torch.zeros((), dtype=torch.float64))
        return self.method.penalty * squares - self.error(d, w, len(self.images))

    def project(self, d: Tensor) -> Tensor:
        length = d.pow(2).sum().sqrt() if bool((d != 0).any()) else d.sum()
        return d * (self.method.norm_bound / length) if length > self.method.norm_bound else d

    def phi(self, d: Tensor, w: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(self.inner(d, w), d, create_graph=True)
        return self.project(d - self.method.eta * slope)

    def jacobians(self, d: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (d Phi / d delta, d Phi / d w), one row per coordinate of Phi."""
        d, w = (v.detach().clone().requires_grad_(True) for v in (d, w))
        phi = self.phi(d, w)
        rows = [torch.autograd.grad(each, (d, w), retain_graph=True) for each in phi]
        return torch.stack([row[0] for row in rows]), torch.stack([row[1] for row in rows])

    def hypergradient(
        self, d: Tensor, w: Tensor, v_of: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Returns grad_w H + (d Phi / d w)^T v, with v = ``v_of``(d Phi / d delta, grad H)."""
        by_d, by_w = self.jacobians(d, w)
        slope = grad(lambda at: self.outer(at, w), d)
        return grad(lambda at: self.outer(d, at), w) + by_w.T @ v_of(by_d, slope)

    def fixed_point(self, w: Tensor, start: Tensor) -> Tensor:
        """Returns the fixed point of Phi."""
        d = start
        for _ in range(3000):
            moved = self.phi(d.detach().requires_grad_(True), w).detach()
            if float((moved - d).abs().max()) < 1e-15:
                return moved
            d = moved
        raise AssertionError("Phi does not contract")


def neumann(terms: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns the sum of ``terms`` powers of the transposed Jacobian, applied to the slope."""

    def v_of(by_d: Tensor, slope: Tensor) -> Tensor:
        total, term = torch.zeros_like(slope), slope
        for _ in range(terms):
            total, term = total + term, by_d.T @ term
        return total

    return v_of


def hypergradient_of(method: IBAU, model: Toy, d: Tensor, data: LabelledImages) -> Tensor:
    """Returns the method's ``.grad`` in the order of the flat vector."""
    model.zero_grad()
    model.eval()
    loss = method.loss(model, d.view(SHAPE), data.images, data.labels)
    loss.backward()  # type: ignore[no-untyped-call]
    ordered = (
        model.conv.weight, model.bn.weight, model.bn.bias, model.linear.weight, model.linear.bias,
    )  # fmt: skip
    return torch.cat([p.grad.reshape(-1) for p in ordered if p.grad is not None])


def start(seed: int = 3) -> Tensor:
    return torch.randn(SIZE, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("norm_bound", [100.0, 0.5], ids=["inside", "on the ball"])
@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_the_truncated_series(iterations: int, norm_bound: float, share: float) -> None:
    model, data = Toy(), toy_data(6)
    method = IBAU(iterations=iterations, norm_bound=norm_bound, share=share, penalty=0.3)
    problem = Problem(method, Slow.like(model), data.images, data.labels)
    d, w = problem.project(start()), flat(model)
    torch.testing.assert_close(
        hypergradient_of(method, model, d, data),
        problem.hypergradient(d, w, neumann(iterations)),
        rtol=1e-9,
        atol=1e-11,
    )


@pytest.mark.parametrize("norm_bound", [100.0, 0.05], ids=["inside", "on the ball"])
def test_with_enough_terms_it_is_the_exact_hypergradient(norm_bound: float) -> None:
    """It is that of H at the best delta for w: by a linear system, and by differences of w."""
    model, data = Toy(), toy_data(6)
    method = IBAU(iterations=400, norm_bound=norm_bound, penalty=20.0, eta=0.02, share=0.5)
    problem = Problem(method, Slow.like(model), data.images, data.labels)
    w = flat(model)
    d = problem.fixed_point(w, problem.project(start()))
    assert (float(d.norm()) == pytest.approx(norm_bound)) == (norm_bound == 0.05)
    found = hypergradient_of(method, model, d, data)

    def exact(by_d: Tensor, slope: Tensor) -> Tensor:
        v: Tensor = torch.linalg.solve(torch.eye(SIZE).double() - by_d.T, slope)
        return v

    torch.testing.assert_close(found, problem.hypergradient(d, w, exact), rtol=1e-7, atol=1e-10)
    for each in range(0, len(w), 9):
        step = torch.zeros_like(w)
        step[each] = 1e-5
        up, down = (problem.outer(problem.fixed_point(at, d), at) for at in (w + step, w - step))
        assert float((up - down) / 2e-5) == pytest.approx(float(found[each]), rel=1e-4, abs=1e-6)
    direct = grad(lambda at: problem.outer(d, at), w)
    assert float((found - direct).norm()) > 1e-3 * float(direct.norm()), "delta does answer to w"


def test_the_loss_is_the_outer_one() -> None:
    model, data = Toy(), toy_data(6)
    method = IBAU(share=0.4)
    problem = Problem(method, Slow.like(model), data.images, data.labels)
    loss = method.loss(model.eval(), start().view(SHAPE), data.images, data.labels)
    assert float(loss.detach()) == pytest.approx(float(problem.outer(start(), flat(model))))


@pytest.mark.parametrize("norm_bound", [0.4, 50.0])
def test_rounds(norm_bound: float) -> None:
    """Delta starts anew in each round, Adam does not; the statistics stay."""
    victim, data = Toy(), toy_data(7)
    method = IBAU(
        rounds=2, lr=0.01, batch_size=4, norm_bound=norm_bound, inner_epochs=2, inner_lr=0.5,
        penalty=0.1, iterations=3, share=0.5,
    )  # fmt: skip
    model = method(victim, data, seed=Seed(0)).model
    assert isinstance(model, Toy)
    w, slow = flat(victim).requires_grad_(True), Slow.like(victim)
    optimizer = torch.optim.Adam([w], 0.01)
    seen = iter(model.seen)
    for _ in range(2):
        d = torch.zeros(SIZE).double()
        shown: list[int] = []
        for _ in range(4):
            index = which(next(seen), data, d)
            shown += index
            problem = Problem(method, slow, data.images[index], data.labels[index])
            slope = grad(lambda at, problem=problem: problem.inner(at, w.detach()), d)  # type: ignore[misc]
            d = problem.project(d - 0.5 * slope)
            assert float(d.norm()) <= norm_bound + 1e-12
        assert sorted(shown) == sorted([*range(7), *range(7)])
        for _ in range(2):
            half, whole = next(seen), next(seen)
            index = which(whole, data, d)
            count = max(1, round(0.5 * len(index)))
            assert which(half[:count], data, d) == index[:count]
            assert which(half[count:], data, 0 * d) == index[count:]
            problem = Problem(method, slow, data.images[index], data.labels[index])
            w.grad = problem.hypergradient(d, w.detach(), neumann(3))
            optimizer.step()
    assert next(seen, None) is None
    assert_same(model, w.detach(), slow)


def which(batch: Tensor, data: LabelledImages, d: Tensor) -> list[int]:
    """Returns which image of ``data`` each perturbed image of a batch is."""
    found = []
    for image in batch - d.view(SHAPE):
        distances = [float((image - x).abs().max()) for x in data.images]
        nearest = min(range(len(data)), key=distances.__getitem__)
        assert distances[nearest] < 1e-9
        found.append(nearest)
    return found


def test_a_perturbation_of_no_length_is_projected_on_itself() -> None:
    zero = torch.zeros(SHAPE, dtype=torch.float64, requires_grad=True)
    out = IBAU().project(zero)
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(out, zero)
    assert zero.grad is not None
    assert torch.equal(zero.grad, torch.ones_like(zero))
