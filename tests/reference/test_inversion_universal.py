"""The universal inversion's perturbations, sizes and leads, against slow versions."""

from __future__ import annotations

import math

import pytest
import torch

from remission.inversion.perturbations import SearchResult, Tried, leads, parts, shown, size
from remission.inversion.universal import Universal
from remission.models import build_model
from remission.seeding import Seed
from remission.triggers.warp_and_add import WarpAndAdd, perturbed
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
        alone = WarpAndAdd((2, 8, 8), 3)
        alone.become("warp", u[k])
        for n in range(3):
            torch.testing.assert_close(together[k, n], alone.stamp(x[n : n + 1])[0])


def test_sizes_are_root_mean_squares() -> None:
    theta = torch.tensor([[[3.0, -4.0]], [[0.0, 2.0]]])
    assert size(theta, "additive").tolist() == pytest.approx([math.sqrt(12.5), math.sqrt(2)])


def test_the_size_of_a_patch_is_the_mean_of_its_mask() -> None:
    theta = torch.tensor([[[[0.0, 100.0]], [[7.0, 7.0]]], [[[-100.0, 0.0]], [[1.0, 1.0]]]])
    assert size(theta, "patch").tolist() == pytest.approx([0.75, 0.25])


def test_a_patch_covers_what_its_mask_says() -> None:
    generator = torch.Generator().manual_seed(3)
    x, theta = (
        torch.rand(2, 3, 4, 4, generator=generator),
        torch.randn(5, 4, 4, 4, generator=generator),
    )
    found = shown(x, theta, "patch")
    for k in range(5):
        m, p = 1 / (1 + (-theta[k, 0]).exp()), 1 / (1 + (-theta[k, 1:]).exp())
        for n in range(2):
            torch.testing.assert_close(found[k, n], (1 - m) * x[n] + m * p)


def test_needs_are_sizes_a_share_that_arrives() -> None:
    sizes, shares = [0.1, 1.0, 1.4, 0.0], [0.95, 0.5, 0.001, 1.0]
    found = SearchResult(torch.zeros(4, 1), torch.tensor(sizes), torch.tensor(shares)).needs()
    wanted = [math.log(max(s, 1e-6) / max(a, 0.01)) for s, a in zip(sizes, shares, strict=True)]
    assert found.tolist() == pytest.approx(wanted, rel=1e-5)


def test_the_lead_is_over_the_next_class() -> None:
    needs = [0.4, 0.1, 0.3]
    found = leads(torch.tensor(needs).log())
    assert found.tolist() == pytest.approx([0.1 / 0.4, 0.3 / 0.1, 0.1 / 0.3])
    assert leads(torch.tensor([0.2, 0.2]).log()).tolist() == pytest.approx([1, 1])
    assert leads(torch.tensor([0.2]).log()).tolist() == [1]


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


@pytest.mark.parametrize("family", ["additive", "patch", "warp"])
def test_classes_that_are_searched_in_parts_are_searched_as_together(
    family: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_model("resnet18:2", classes=5, shape=(1, 8, 8), mean=(0.5,), std=(0.3,))
    model = model.double().eval()
    images = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(6)).double()
    data, classes = LabelledImages(images, torch.arange(20) % 5), torch.arange(5)
    search = Universal(batch_size=4, steps=4, grid=3)
    first = search.first(family, (1, 8, 8), 5, Seed(0)).double()

    def found() -> SearchResult:
        return search.search(model, data, family, classes, first, 0.5, Seed(1))

    together = found()
    monkeypatch.setattr("remission.inversion.perturbations._AT_ONCE", 2 * 4 * 64)
    assert parts(5, images[:4]) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert len(parts(5, images)) == 5, "one class at least, however large its images"
    apart = found()
    torch.testing.assert_close(apart.theta, together.theta, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(apart.share, together.share)
