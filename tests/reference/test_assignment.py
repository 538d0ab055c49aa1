"""The assignment problem against scipy, ties included."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from remission.training.assignment import assign

Costs = Callable[[np.random.Generator, int], NDArray[np.float64]]


def products(rng: np.random.Generator, size: int, dead: float) -> NDArray[np.float64]:
    """Returns the inner products of the channels of two networks, of which some are always 0."""
    one, other = (
        rng.normal(size=(size, 2 * size)) * (rng.random((size, 1)) >= dead) for _ in range(2)
    )
    return np.asarray(one @ other.T)


COSTS: Mapping[str, Costs] = {
    "real": lambda rng, size: rng.normal(size=(size, size)),
    "few values": lambda rng, size: rng.integers(0, 3, (size, size)).astype(float),
    "constant": lambda rng, size: np.full((size, size), rng.normal()),
    "products": lambda rng, size: products(rng, size, 0.0),
    "dead channels": lambda rng, size: products(rng, size, 0.3),
}


@pytest.mark.parametrize("size", [1, 2, 5, 30, 120])
@pytest.mark.parametrize("kind", COSTS)
def test_the_same_assignment_as_scipy(size: int, kind: str) -> None:
    for seed in range(3):
        cost = COSTS[kind](np.random.default_rng(seed), size)
        for signed in (cost, -cost):
            assert assign(signed).tolist() == linear_sum_assignment(signed)[1].tolist()


def test_the_cost_is_the_lowest() -> None:
    cost = np.array([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0], [3.0, 2.0, 2.0]])
    assert assign(cost).tolist() == [1, 0, 2]
