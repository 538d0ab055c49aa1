"""Second derivatives by the quicker rules, against those by torch's own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.training.second_derivatives import SecondDerivatives

NETWORKS = {
    "plain": [nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()],
    "strided, with bias": [nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(inplace=True)],
    "grouped, dilated": [nn.Conv2d(3, 6, 2, groups=3, dilation=2), nn.BatchNorm2d(6), nn.Sigmoid()],
    "padding by name": [nn.Conv2d(3, 4, 3, padding="same"), nn.BatchNorm2d(4), nn.ReLU()],
    "no scale": [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False), nn.ReLU()],
    "no statistics": [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU()],
}
Products = tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]


def network(layers: Sequence[nn.Module], dtype: torch.dtype = torch.float64) -> nn.Module:
    """Returns two such blocks, in eval mode, with statistics that are not those of the start."""
    generator = torch.Generator().manual_seed(0)
    assert isinstance(layers[1], nn.BatchNorm2d)
    channels = layers[1].num_features
    net = nn.Sequential(
        *layers, nn.Conv2d(channels, 3, 1), nn.BatchNorm2d(3), nn.Flatten(), nn.LazyLinear(5)
    ).to(dtype)
    net.train()(torch.rand(6, 3, 8, 8, generator=generator, dtype=dtype))
    with torch.no_grad():
        for value in [*net.parameters()]:
            value.copy_(torch.randn(value.shape, generator=generator) * 0.4 + 0.1)
    return net.eval()


def products(net: nn.Module, quick: bool, autocast: bool = False) -> Products:
    """Returns the loss, its gradient g by the images, (dg/dx)^T v, and (dg/dw)^T v by name."""
    dtype = next(net.parameters()).dtype
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=dtype)
    v = torch.randn(images.shape, generator=torch.Generator().manual_seed(2), dtype=dtype)
    images.requires_grad_(True)
    second = SecondDerivatives()
    with second if quick else nullcontext(), torch.autocast("cpu", torch.bfloat16, autocast):
        loss = F.cross_entropy(net(images).float(), torch.arange(6) % 5)
    (g,) = torch.autograd.grad(loss, images, create_graph=True)
    (by_images,) = torch.autograd.grad(g, images, v, retain_graph=True)
    second.by_weights = True
    (g * v).sum().backward()  # type: ignore[no-untyped-call]
    weights = {name: value.grad for name, value in net.named_parameters() if value.grad is not None}
    net.zero_grad()
    return loss.detach(), g.detach(), by_images, weights


@pytest.mark.parametrize("name", NETWORKS)
def test_products_are_those_of_torchs_rules(name: str) -> None:
    net = network(NETWORKS[name])
    loss, g, by_images, weights = products(net, quick=True)
    theirs = products(net, quick=False)
    assert torch.equal(loss, theirs[0])
    assert torch.equal(g, theirs[1])
    assert float(by_images.abs().max()) > 0
    torch.testing.assert_close(by_images, theirs[2], rtol=1e-12, atol=1e-14)
    nothing = {key: torch.zeros_like(value) for key, value in net.named_parameters()}
    torch.testing.assert_close(nothing | weights, nothing | theirs[3], rtol=1e-12, atol=1e-14)
    assert sum(float(value.abs().max()) > 0 for value in weights.values()) >= 4


def test_within_autocast_first_derivatives_are_the_same_bit_for_bit() -> None:
    net = network(NETWORKS["plain"], torch.float32)
    ours, theirs = (products(net, quick, autocast=True) for quick in (True, False))
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])
    torch.testing.assert_close(ours[2], theirs[2], rtol=0.02, atol=1e-4)
    for key, value in theirs[3].items():  # bf16 has eight bits
        torch.testing.assert_close(ours[3][key], value, rtol=0.02, atol=0.01)


@pytest.mark.parametrize("by_weights", [False, True])
def test_first_gradients_by_weights_are_computed_where_they_are_wanted(by_weights: bool) -> None:
    net, images = network(NETWORKS["strided, with bias"]), torch.rand(4, 3, 8, 8).double()
    net(images).square().sum().backward()
    wanted = {key: value.grad for key, value in net.named_parameters()}
    net.zero_grad()
    with SecondDerivatives() as second:
        loss = net(images).square().sum()
    second.by_weights = by_weights
    loss.backward()
    for key, value in net.named_parameters():
        if by_weights or key.startswith("6."):  # a linear layer follows torch's rule
            expected = wanted[key]
            assert value.grad is not None
            assert expected is not None
            assert torch.equal(value.grad, expected)
        else:
            assert value.grad is None


def test_a_batch_norm_in_train_mode_follows_its_own_rule() -> None:
    net = network(NETWORKS["plain"]).train()
    quick, own = (products(net, quick) for quick in (True, False))
    torch.testing.assert_close(quick[2], own[2], rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(quick[3], own[3], rtol=1e-10, atol=1e-13)


def test_there_is_no_third_derivative() -> None:
    net = network([nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sigmoid()])
    images = torch.rand(2, 3, 8, 8).double().requires_grad_(True)
    with SecondDerivatives():
        loss = net(images).square().sum()
    (g,) = torch.autograd.grad(loss, images, create_graph=True)
    (h,) = torch.autograd.grad(g.square().sum(), images, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        h.sum().backward()  # type: ignore[no-untyped-call]


def test_a_function_may_be_called_with_one_number_for_both_directions() -> None:
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    w = torch.rand(4, 3, 3, 3, dtype=torch.float64)
    with SecondDerivatives():
        found = F.conv2d(x, w, stride=2, padding=1, dilation=1)
    torch.testing.assert_close(found, F.conv2d(x, w, None, (2, 2), (1, 1), (1, 1)))
