"""A user's network, split into features and head by its structure."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from remission.errors import SpecError
from remission.models import Adapted, Classifier, in_channels_last, load_weights, traits
from remission.seeding import Seed
from tests.unit.models.plain import (
    ChannelsBehind,
    ClassToken,
    Declared,
    FlatMean,
    Flattening,
    PooledTokens,
    Residual,
    Stochastic,
    TwoFaced,
    sequential,
)

MAPS: dict[Callable[[], nn.Module], tuple[int, ...]] = {
    sequential: (6, 8, 8),
    Residual: (6, 16, 16),
    Flattening: (4, 4, 4),
    ChannelsBehind: (6, 4, 4),
    ClassToken: (6, 17, 1),
    PooledTokens: (6, 16, 1),
    FlatMean: (6, 8, 8),
    TwoFaced: (6, 16, 16),
    Stochastic: (6, 16, 16),
    Declared: (6, 4, 4),
}
"""Network -> its last feature map (D, h, w) on images of 16x16."""

every_network = pytest.mark.parametrize("make", list(MAPS), ids=lambda make: make.__name__)


def made(make: Callable[[], nn.Module]) -> nn.Module:
    with Seed(0).initialising():
        return make()


def adapted(net: nn.Module, shape: tuple[int, int, int] = (3, 16, 16), classes: int = 5) -> Adapted:
    constants = {"mean": (0.5,) * shape[0], "std": (0.25,) * shape[0]}
    with Seed(1).initialising():
        model = Adapted(net, arch="somebody's", classes=classes, shape=shape, **constants)
    return in_channels_last(model)


def images(channels: int = 3, count: int = 4) -> Tensor:
    return torch.rand(count, channels, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@every_network
def test_head_and_features_are_the_network(make: Callable[[], nn.Module], training: bool) -> None:
    model = adapted(made(make)).train(training)
    twin = copy.deepcopy(model)
    for parameter in twin.parameters():  # views in somebody's forward pass expect that
        parameter.data = parameter.data.contiguous()
    features = model.features(images())
    assert features.shape == (4, *MAPS[make])
    assert model.final_linear.in_features == (9 if make is Flattening else 6)
    whole = twin.net((images() - 0.5) / 0.25)
    torch.testing.assert_close(model.classify(features), whole)
    assert whole.shape == (4, 5)
    masked = model.classify(features * torch.zeros(1, *MAPS[make]))  # in another memory format
    assert masked.shape == (4, 5)


@every_network
def test_training_is_repeatable_and_reaches_every_parameter(make: Callable[[], nn.Module]) -> None:
    model = adapted(made(make)).train()
    again, state = copy.deepcopy(model), torch.get_rng_state()
    logits = model(images())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(logits, again(images()))
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@every_network
def test_a_copy_has_its_own_weights(make: Callable[[], nn.Module]) -> None:
    model = adapted(made(make)).eval()
    before, other = model(images()).detach(), copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.5)
    assert torch.equal(model(images()), before)
    assert not torch.equal(other(images()), before)


@every_network
def test_another_type_and_another_device(make: Callable[[], nn.Module]) -> None:
    """Buffers that the graph reads must follow the network."""
    model = adapted(made(make)).double().eval()
    assert model(images().double()).dtype == torch.float64
    assert model.to("meta")(images().double().to("meta")).shape == (4, 5)


@every_network
def test_grey_images(make: Callable[[], nn.Module]) -> None:
    """The network gets the grey image in each of its channels."""
    colour, grey = adapted(made(make)).eval(), adapted(made(make), (1, 16, 16)).eval()
    grey.final_linear.load_state_dict(colour.final_linear.state_dict())
    with torch.no_grad():
        found = grey(images(1))
        torch.testing.assert_close(found, colour(images(1).expand(-1, 3, -1, -1)))
    assert found.shape == (4, 5)


@every_network
def test_keys_of_the_network_alone_load(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    model = adapted(made(make), classes=10)
    state = {key: value.contiguous() + 1 for key, value in made(make).state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    load_weights(model, tmp_path / "w.safetensors")
    for key, value in model.net.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_a_head_with_as_many_classes_is_kept() -> None:
    net = sequential()
    linear = net[4]  # type: ignore[index]
    assert adapted(net, classes=10).final_linear is linear


def test_structure_is_found() -> None:
    assert traits(adapted(Residual())) == ("batch norm", "convolutions")
    assert traits(adapted(ClassToken())) == ()


class Odd(nn.Module):
    """A body, followed by any other layers."""

    def __init__(self, end: Callable[[Any, Tensor], Any], **layers: nn.Module) -> None:
        super().__init__()
        self.conv, self.fc, self.end = nn.Conv2d(3, 6, 3, 2, 1), nn.Linear(6, 10), end
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Any:  # noqa: ANN401
        """Returns the output of the layers."""
        return self.end(self, self.conv(x))


def through_head(net: Any, x: Tensor) -> Any:  # noqa: ANN401
    return net.fc(x.mean((2, 3)))


def aside(net: Any, x: Tensor) -> Any:  # noqa: ANN401
    net.act(x)  # in place, its result unused: not in the graph
    return net.fc(x.mean((2, 3)))


def decides(net: Any, x: Tensor) -> Any:  # noqa: ANN401
    return net.fc(x.mean((2, 3))) if bool(x.sum() > 0) else x


UNFIT: dict[str, tuple[nn.Module, str]] = {
    "a tuple": (Odd(lambda net, x: (through_head(net, x), x)), "not one tensor of logits"),
    "a map": (Odd(lambda net, x: x), "not one tensor of logits"),
    "no linear end": (
        Odd(lambda net, x: net.last(x).mean((2, 3)), last=nn.Conv2d(6, 10, 1)),
        "does not end in a linear layer",
    ),
    "side way": (
        Odd(lambda net, x: through_head(net, x) + net.by(x.amax((2, 3))), by=nn.Linear(6, 10)),
        "does not end in a linear layer",
    ),
    "only linear": (
        nn.Sequential(nn.Flatten(), nn.Linear(768, 6), nn.ReLU(), nn.Linear(6, 10)),
        "has no feature map",
    ),
    "undecided": (Odd(decides), "TraceError: symbolically traced variables"),
    "another size": (nn.Sequential(nn.Conv2d(3, 6, 17), nn.Flatten(), nn.Linear(6, 10)), "Kernel"),
    "in place": (Odd(aside, act=nn.ReLU(inplace=True)), "other logits than the whole"),
}


@pytest.mark.parametrize("case", sorted(UNFIT))
def test_what_cannot_be_cut_is_refused_in_one_line(case: str) -> None:
    net, told = UNFIT[case]
    with pytest.raises(SpecError) as error:
        adapted(net)
    assert "somebody's cannot be" in str(error.value)
    assert told in str(error.value)
    assert len(error.value.problem.splitlines()) == 1


def test_images_of_two_channels_are_refused() -> None:
    with pytest.raises(SpecError, match="takes images of 3 channels, these have 2"):
        adapted(sequential(), (2, 16, 16))


def test_it_is_a_classifier_on_shapes_alone() -> None:
    with torch.device("meta"):
        model: Classifier = adapted(Residual())
        assert model(torch.empty(2, 3, 16, 16)).shape == (2, 5)
