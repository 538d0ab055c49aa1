"""The last map of each resolution is found in any network, and seen in every forward pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from remission.models import Adapted, build_model
from remission.models.tracing.maps import MapSite, features_and_maps, stage_maps
from tests.unit.models import plain
from tests.unit.models.zoo import SMALL, built

PLACES = {
    "densenet161": [(8, 256), (16, 64), (44, 16), (92, 4)],
    "preactresnet18": [(2, 256), (4, 64), (8, 16), (16, 4)],
    "resnet18": [(2, 256), (4, 64), (8, 16), (16, 4)],
    "resnet50": [(8, 256), (16, 64), (32, 16), (64, 4)],
    "swin_t": [(8, 256), (16, 64), (32, 16), (64, 4)],
    "vgg19_bn": [(2, 256), (4, 64), (8, 16), (16, 4)],
    "vit_tiny": [(12, 64)],
}
"""Model -> (channels, places) of its maps for 16x16 images; of one place there is no attention."""


def images(shape: tuple[int, int, int] = (3, 16, 16), count: int = 3) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("arch", sorted(SMALL))
def test_models_of_the_house(arch: str) -> None:
    model = built(SMALL[arch]).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    sites = stage_maps(model)
    assert model.training
    assert hooks(model) == 0
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    model.eval()
    features, maps = features_and_maps(model, images(), sites)
    assert hooks(model) == 0
    assert torch.equal(features, model.features(images()))
    assert [tuple(found.shape[1:]) for found in maps] == PLACES[arch]
    assert [site.positions for site in sites] == [places for _, places in PLACES[arch]]


@pytest.mark.parametrize("arch", ["densenet161", "resnet18", "swin_t", "vgg19_bn"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 17, 30)], ids=str)
def test_resolutions_halve_and_channels_do_not(arch: str, shape: tuple[int, int, int]) -> None:
    model = built(SMALL[arch], shape)
    maps = features_and_maps(model, images(shape), stage_maps(model))[1]
    assert len(maps) >= 3
    for one, two in itertools.pairwise(maps):
        assert two.shape[2] < one.shape[2]
        assert two.shape[1] >= one.shape[1]


def test_the_stages_of_a_resnet() -> None:
    model = built(SMALL["resnet18"]).eval()
    out, wanted = model.get_submodule("conv1")((images() - model.mean) / model.std), []
    out = model.get_submodule("bn1")(out).relu()
    for stage in range(1, 5):
        out = model.get_submodule(f"layer{stage}")(out)
        wanted.append(out.flatten(2))
    found = features_and_maps(model, images(), stage_maps(model))[1]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_the_stages_of_a_swin_transformer_have_channels_in_front() -> None:
    model = built(SMALL["swin_t"]).eval()
    (site,) = [site for site in stage_maps(model) if site.positions == 64]
    blocks = model.get_submodule("layers.1.blocks")
    given: list[Tensor] = []
    blocks.register_forward_hook(lambda module, x, y: given.append(y))
    found = features_and_maps(model, images(), [site])[1][0]
    torch.testing.assert_close(found, given[0].permute(0, 3, 1, 2).flatten(2))


@pytest.mark.parametrize(
    ("make", "shapes"),
    [
        (plain.sequential, [(4, 256), (6, 64)]),
        (plain.ChannelsBehind, [(6, 16)]),
        (plain.ClassToken, [(6, 16), (6, 17)]),
        (plain.FlatMean, [(5, 256), (6, 64)]),
        (plain.Flattening, [(4, 64), (4, 16)]),
        (plain.PooledTokens, [(6, 16)]),
    ],
)
def test_somebodys_networks(make: Callable[[], nn.Module], shapes: list[tuple[int, int]]) -> None:
    model = Adapted(
        make(), arch="mine", classes=10, shape=(3, 16, 16), mean=(0.5,) * 3, std=(0.3,) * 3
    )
    found = features_and_maps(model, images(), stage_maps(model))[1]
    assert [tuple(each.shape[1:]) for each in found] == shapes


class Branching(nn.Module):
    """A network with a path around a layer, whose own output is no map of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.aside = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 5, 3, padding=1)
        self.both, self.fc = nn.Conv2d(10, 7, 3, 2, 1), nn.Linear(7, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        x = self.stem(x)
        x = self.both(torch.cat([x, self.aside(x).relu_()], dim=1)).relu()
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def test_branches_do_not_count() -> None:
    model = Adapted(
        Branching(), arch="mine", classes=10, shape=(3, 8, 8), mean=(0.5,) * 3, std=(0.3,) * 3
    )
    assert stage_maps(model) == [
        MapSite("net.both", 0, "input", channels=1, positions=64),
        MapSite("net.both", 0, "output", channels=1, positions=16),
    ]


@pytest.mark.parametrize("arch", sorted(SMALL))
def test_gradients_flow_through_the_maps(arch: str) -> None:
    model = built(SMALL[arch]).train()
    sites = stage_maps(model)
    _, maps = features_and_maps(model, images(), sites)
    sum((found.square().mean() for found in maps), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    first = next(p for p in model.parameters() if p.ndim == 4)
    assert first.grad is not None
    assert float(first.grad.abs().sum()) > 0


def test_growth_that_equals_a_side_of_the_map() -> None:
    """A dense layer's few channels say nothing about the dimension of all channels."""
    model = build_model("densenet161:2", classes=4, shape=(1, 8, 8), mean=(0.5,), std=(0.3,))
    assert [site.channels for site in stage_maps(model)] == [1, 1, 1]


def test_hooks_are_removed_after_an_error() -> None:
    model = built(SMALL["resnet18"])
    with pytest.raises(RuntimeError):
        features_and_maps(model, torch.rand(2, 5, 16, 16), stage_maps(model))
    assert hooks(model) == 0
