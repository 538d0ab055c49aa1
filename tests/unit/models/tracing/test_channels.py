"""The convolution behind each batch norm, on networks where the order of layers misleads."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.models import Classifier, Precision
from remission.models.tracing.adapter import Adapted
from remission.models.tracing.structure import normalised_convolutions
from tests.unit.models import plain
from tests.unit.models.zoo import SMALL, TRANSFORMERS, built


def pairs(model: Classifier) -> dict[str, str]:
    """Returns batch norm -> convolution, by name."""
    names = {layer: name for name, layer in model.named_modules()}
    return {names[norm]: names[conv] for conv, norm in normalised_convolutions(model)}


def norms(model: nn.Module) -> list[str]:
    return [n for n, layer in model.named_modules() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_a_resnet_normalises_every_convolution(arch: str) -> None:
    model = built(SMALL[arch])
    found = pairs(model)
    assert sorted(found) == sorted(norms(model))
    for norm, conv in found.items():
        if "shortcut" in norm:
            assert (norm[-1], conv) == ("1", norm[:-1] + "0")
        else:
            assert conv == norm.replace("bn", "conv")


def test_a_vgg_normalises_every_convolution() -> None:
    model = built(SMALL["vgg19_bn"])
    found = pairs(model)
    assert sorted(found) == sorted(norms(model))
    for norm, conv in found.items():
        assert int(conv.split(".")[1]) == int(norm.split(".")[1]) - 1


def test_a_preactivation_resnet_normalises_sums_and_those_are_in_no_pair() -> None:
    model = built(SMALL["preactresnet18"])
    wanted = {name: name.replace("bn2", "conv1") for name in norms(model) if name.endswith("bn2")}
    assert len(wanted) == 8
    # the stem's result goes into the first block as it is; all other blocks are given sums
    assert pairs(model) == {**wanted, "layer1.0.bn1": "conv1"}


def test_a_densenet_normalises_concatenations_and_those_are_in_no_pair() -> None:
    model = built(SMALL["densenet161"])
    wanted = {name: name.replace("bn2", "conv1") for name in norms(model) if name.endswith("bn2")}
    assert len(wanted) == 6 + 12 + 36 + 24
    assert pairs(model) == {**wanted, "dense1.0.bn1": "conv1"}


@pytest.mark.parametrize("arch", TRANSFORMERS)
def test_a_transformer_has_none(arch: str) -> None:
    assert pairs(built(SMALL[arch])) == {}


def adapted(net: nn.Module) -> Adapted:
    three = (0.5, 0.5, 0.5)
    return Adapted(net, arch="x", classes=10, shape=(3, 16, 16), mean=three, std=three)


def conv(channels_in: int, channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, 3, padding=1)


class Tricky(nn.Module):
    """One convolution, something done to its result, one batch norm that is listed first."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.norm, self.conv, self.between = nn.BatchNorm2d(4), conv(3, 4), between
        self.fc = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        logits: Tensor = self.fc(self.norm(self.between(self.conv(x))).mean((2, 3)))
        return logits


@pytest.mark.parametrize(
    ("between", "paired"),
    [
        (lambda z: z, True),
        (nn.Identity(), True),
        (nn.Dropout(0.0), True),
        (lambda z: z + 0, False),
        (lambda z: z.add_(1), False),
        (lambda z: F.relu(z, inplace=True), False),
        (nn.ReLU(inplace=True), False),
        (lambda z: F.max_pool2d(z, 2), False),
        (lambda z: torch.cat([z[:, 2:], z[:, :2]], dim=1), False),
    ],
)
def test_only_what_comes_as_it_is_counts(between: Callable[[Tensor], Tensor], paired: bool) -> None:
    found = pairs(adapted(Tricky(between)))
    assert found == ({"net.norm": "net.conv"} if paired else {})


class Shared(nn.Module):
    """A batch norm that is used twice, and a convolution before two batch norms."""

    def __init__(self, same: bool) -> None:
        super().__init__()
        self.a, self.b, self.fc = conv(3, 3), conv(3, 3), nn.Linear(3, 10)
        self.twice, self.one, self.two = (nn.BatchNorm2d(3) for _ in range(3))
        self.same = same

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        x = F.relu(self.twice(self.a(x)))
        x = F.relu(self.twice(self.a(x) if self.same else self.b(x)))
        x = self.b(x)
        logits: Tensor = self.fc((self.one(x) + self.two(x)).mean((2, 3)))
        return logits


def test_layers_that_are_used_more_than_once() -> None:
    both = {"net.one": "net.b", "net.two": "net.b"}
    assert pairs(adapted(Shared(same=True))) == {"net.twice": "net.a", **both}
    assert pairs(adapted(Shared(same=False))) == both


class Odd(nn.Module):
    """Batch norms without statistics, without scale, or behind a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(3, 4), conv(4, 4)
        self.plain = nn.BatchNorm2d(4, affine=False)
        self.forgetful = nn.BatchNorm2d(4, track_running_stats=False)
        self.mix, self.flat, self.fc = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        x = self.forgetful(self.b(self.plain(self.a(x)))).mean((2, 3))
        logits: Tensor = self.fc(self.flat(self.mix(x)))
        return logits


def test_layers_that_cannot_be_pruned_are_in_no_pair() -> None:
    assert pairs(adapted(Odd())) == {}


@pytest.mark.parametrize("make", [plain.sequential, plain.Residual, plain.FlatMean])
def test_somebodys_networks(make: Callable[[], nn.Module]) -> None:
    model = adapted(make())
    found = pairs(model)
    assert sorted(found) == sorted(norms(model))
    assert all(norm.rpartition(".")[0] == conv.rpartition(".")[0] for norm, conv in found.items())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_model_stays_as_it_is(precision: Precision) -> None:
    model = built(SMALL["resnet18"], shape=(1, 33, 17), precision=precision).train()
    before = copy.deepcopy(model.state_dict())
    assert len(normalised_convolutions(model)) == len(norms(model))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
