"""CLP: bounds, threshold and search, written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from remission.errors import SpecError
from remission.models import build_model
from remission.models.tracing.lipschitz import channel_lipschitz, outliers
from remission.purifiers import CLP
from remission.seeding import Seed
from tests.reference.pruned_toy import assert_only_channels_changed, hits, pruned, strongest
from tests.reference.toy import CONV, FEATURES, SCALE, C, Slow, Toy, flat, toy_data


def spectral_norm(rows: list[list[float]]) -> float:
    """Returns the root of the larger eigenvalue of A A^T, for A with two rows."""
    a, b, c = (
        sum(x * y for x, y in zip(rows[i], rows[j], strict=True))
        for i, j in ((0, 0), (0, 1), (1, 1))
    )
    return math.sqrt((a + c + math.sqrt((a - c) ** 2 + 4 * b * b)) / 2)


def bounds(model: Toy) -> list[float]:
    """Returns sigma_k of the toy model."""
    w, var = flat(model), model.bn.running_var
    assert var is not None
    kernel = w[CONV].view(FEATURES, C, 9)
    return [
        spectral_norm([[float(v) for v in kernel[k, c]] for c in range(C)])
        * abs(float(w[SCALE.start + k]) / math.sqrt(float(var[k]) + 1e-5))
        for k in range(FEATURES)
    ]


def beyond(sigma: list[float], u: float) -> list[bool]:
    """Returns where sigma_k > mean + u * std, with n - 1 in the standard deviation."""
    mean = sum(sigma) / len(sigma)
    std = math.sqrt(sum((s - mean) ** 2 for s in sigma) / (len(sigma) - 1))
    return [s > mean + u * std for s in sigma]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_bounds(seed: int) -> None:
    model = Toy(seed)
    found = channel_lipschitz(model.conv, model.bn)
    torch.testing.assert_close(
        found, torch.tensor(bounds(model), dtype=torch.float64), rtol=1e-9, atol=1e-12
    )


def test_the_bound_of_a_grouped_convolution_is_that_of_the_channels_it_sees() -> None:
    conv, norm = nn.Conv2d(4, 6, 3, groups=2).double(), nn.BatchNorm2d(6).double()
    found = channel_lipschitz(conv, norm)
    for k in range(6):
        rows = [conv.weight[k, c].detach().flatten().tolist() for c in range(2)]
        assert float(found[k]) == pytest.approx(spectral_norm(rows) / math.sqrt(1 + 1e-5), rel=1e-9)


@pytest.mark.parametrize("u", [0.0, 0.5, 1.0, 1.2])
def test_a_given_strength(u: float) -> None:
    victim = sensitive()
    done = CLP(u=u)(victim, toy_data(), seed=Seed(0)).model
    wanted = beyond(bounds(victim), u)
    assert wanted == ([False, True, False] if u <= 1 else [False] * 3), "3 values: at most 1.15 std"
    assert_only_channels_changed(done, victim, pruned(flat(victim), wanted, keep_shift=False))


@pytest.mark.parametrize("max_drop", [0.0, 0.05, 0.2, 0.5, 1.0])
def test_the_search(max_drop: float) -> None:
    reached = set()
    for seed in range(4):
        victim, data = sensitive(seed), toy_data(40)
        done = CLP(max_drop=max_drop)(victim, data, seed=Seed(0)).model
        w, slow = flat(victim), Slow.like(victim)
        strengths = [10 - step / 2 for step in range(21)]
        candidates = [pruned(w, beyond(bounds(victim), u), keep_shift=False) for u in strengths]
        found = [hits(slow, at, data) for at in candidates]
        best = strongest(found, hits(slow, w, data), len(data), max_drop)
        assert best is not None, "u = 10 prunes nothing"
        assert_only_channels_changed(done, victim, candidates[best])
        reached.add(torch.equal(candidates[best], w))
    if max_drop >= 0.5:
        assert reached == {False}, "something is pruned each time"


def sensitive(seed: int = 0) -> Toy:
    """Returns a toy model whose second channel has a large scale."""
    model = Toy(seed)
    with torch.no_grad():
        model.bn.weight[1] = -30.0
    return model


@pytest.mark.parametrize(
    "sigma", [torch.tensor([3.0]), torch.ones(5), torch.zeros(4)], ids=["single", "equal", "zero"]
)
@pytest.mark.parametrize("u", [0.0, 3.0])
def test_where_no_channel_stands_out_none_is_pruned(sigma: Tensor, u: float) -> None:
    assert not bool(outliers(sigma, u).any())


def test_a_model_without_a_pair_is_refused() -> None:
    model = build_model("resnet18:2", classes=3, shape=(1, 8, 8), mean=(0.5,), std=(0.5,))
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.affine = False
    model.append = nn.BatchNorm1d(3)  # never used
    with pytest.raises(
        SpecError, match="batch norms that follow a convolution, and resnet18:2 has none"
    ):
        CLP(u=3.0)(model, toy_data(), seed=Seed(0))
