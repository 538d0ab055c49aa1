"""The universal inversion's perturbations, sizes and anomalies, against slow versions."""

from __future__ import annotations

import math
import statistics

import pytest
import torch

from remission.inversion.universal import Searched, Universal, size
from remission.models import build_model
from remission.triggers.perturbation import Perturbation, perturbed
from remission.types import LabelledImages


def test_patterns_are_added_to_every_image() -> None:
    generator = torch.Generator().manual_seed(0)
    x, v = torch.rand(3, 2, 4, 5, generator=generator), torch.randn(6, 2, 4, 5, generator=generator)
    found = perturbed(x, None, v)
    assert found.shape == (6, 3, 2, 4, 5)
    for k in range(6):
        for n in range(3):
            assert torch.equal(found[k, n], x[n] + v[k])


@pytest.mark.parametrize(("right", "below"), [(1, 0), (0, 2), (-1, 1), (0.5, 0.0)])
def test_an_even_flow_moves_the_image(right: float, below: float) -> None:
    x = torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(1)).double()
    flows = torch.tensor([right, below]).double().view(1, 2, 1, 1).expand(1, 2, 4, 4)
    found = perturbed(x, flows, None)[0]
    for n in range(2):
        for c in range(3):
            for i in range(6):
                for j in range(7):
                    row, column = min(max(i + below, 0), 5), min(max(j + right, 0), 6)
                    r, q = math.floor(row), math.floor(column)
                    r1, q1 = min(r + 1, 5), min(q + 1, 6)
                    a, b = row - r, column - q
                    wanted = (1 - a) * ((1 - b) * x[n, c, r, q] + b * x[n, c, r, q1]) + a * (
                        (1 - b) * x[n, c, r1, q] + b * x[n, c, r1, q1]
                    )
                    assert float(found[n, c, i, j]) == pytest.approx(float(wanted), abs=1e-9)


def test_every_flow_moves_every_image_on_its_own() -> None:
    generator = torch.Generator().manual_seed(2)
    x, u = torch.rand(3, 2, 8, 8, generator=generator), torch.randn(4, 2, 3, 3, generator=generator)
    together = perturbed(x, u, None)
    for k in range(4):
        alone = Perturbation((2, 8, 8), 3)
        alone.become("warp", u[k])
        for n in range(3):
            torch.testing.assert_close(together[k, n], alone.stamp(x[n : n + 1])[0])


def test_sizes_are_root_mean_squares() -> None:
    theta = torch.tensor([[[3.0, -4.0]], [[0.0, 2.0]]])
    assert size(theta).tolist() == pytest.approx([math.sqrt(12.5), math.sqrt(2)])


@pytest.mark.parametrize("count", [4, 5])
def test_the_anomaly_is_the_distance_from_the_median_in_deviations(count: int) -> None:
    sizes, shares = [0.1, 1.0, 1.4, 2.0, 0.9][:count], [0.95, 0.5, 0.9, 0.001, 0.9][:count]
    found = Searched(torch.zeros(count, 1), torch.tensor(sizes), torch.tensor(shares)).anomaly()
    logs = [math.log(s / max(a, 0.01)) for s, a in zip(sizes, shares, strict=True)]
    middle = statistics.median(logs)
    spread = 1.4826 * statistics.median(abs(v - middle) for v in logs)
    assert found.tolist() == pytest.approx([(middle - v) / spread for v in logs], rel=1e-5)
    assert int(found.argmax()) == 0


def test_of_two_classes_none_stands_out() -> None:
    found = Searched(torch.zeros(2, 1), torch.tensor([0.1, 5.0]), torch.ones(2)).anomaly()
    assert found.tolist() == [0, 0]


def test_the_share_that_arrives_counts_each_image_of_other_classes_once() -> None:
    model = build_model("resnet18:2", classes=3, shape=(1, 8, 8), mean=(0.5,), std=(0.3,)).eval()
    images = torch.rand(11, 1, 8, 8, generator=torch.Generator().manual_seed(4))
    data = LabelledImages(images, torch.arange(11) % 3)
    theta = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    found = Universal(batch_size=4).arriving(model, data, theta, "additive", torch.arange(3))
    for t in range(3):
        others = [n for n in range(11) if n % 3 != t]
        with torch.inference_mode():
            hits = [
                int(model((images[n : n + 1] + theta[t]).clamp(0, 1)).argmax()) == t for n in others
            ]
        assert float(found[t]) == pytest.approx(sum(hits) / len(others))
