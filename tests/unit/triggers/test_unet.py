from __future__ import annotations

import pytest
import torch
from torch import nn

from remission.errors import SpecError
from remission.triggers import BottleneckUNet, ImageNetwork, UNet, check_levels


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def widths(filters: int, levels: int) -> list[int]:
    """Returns the channels of every level, and those of the bottleneck last."""
    return [filters * 2**level for level in range(levels + 1)]


def pairs(channels: int, filters: int, levels: int) -> list[tuple[int, int]]:
    """Returns the channels that go into and come out of each pair of 3x3 convolutions."""
    wide = widths(filters, levels)
    down = list(zip([channels, *wide[:-1]], wide, strict=True))
    return down + [(wide[k + 1] + wide[k], wide[k]) for k in range(levels)]


def described(channels: int, filters: int, levels: int) -> int:
    """Returns the number of parameters that the description of the generator amounts to."""
    total = filters * channels + channels  # the last convolution, 1x1
    for before, after in pairs(channels, filters, levels):
        total += 9 * before * after + 9 * after * after  # two convolutions without biases
        total += 2 * 2 * after  # scale and shift of two normalisations
    for width in widths(filters, levels)[1:]:
        total += 9 * width * width + width  # a transposed convolution that keeps the channels
    return total


@pytest.mark.parametrize(("channels", "filters", "levels"), [(3, 32, 4), (1, 8, 3), (2, 3, 1)])
def test_the_published_generator_has_the_parameters_of_its_description(
    channels: int, filters: int, levels: int
) -> None:
    assert count(BottleneckUNet(channels, filters, levels)) == described(channels, filters, levels)


def test_the_authors_count_holds_layers_that_are_never_applied() -> None:
    idle = sum(9 * width * width + width for width in widths(32, 4)[1:])
    cancelled = sum(2 * after for _, after in pairs(3, 32, 4))
    authors = count(BottleneckUNet(3, 32, 4)) + idle + cancelled
    assert round(authors / 1e6, 1) == 14.1


def test_every_parameter_of_the_published_generator_is_used() -> None:
    network = BottleneckUNet(2, 3, 2)
    network(torch.rand(2, 2, 8, 8)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


def test_the_small_generator_keeps_its_stored_keys() -> None:
    """Stored triggers and perturbations are read by these keys."""
    block = {"0.weight": (3, 3), "1.weight": (), "1.bias": (), "3.weight": (3, 3)}
    block |= {"4.weight": (), "4.bias": ()}

    def named(place: str, before: int, after: int) -> dict[str, tuple[int, ...]]:
        return {
            f"{place}.{key}": (after, before if key == "0.weight" else after, *kernel)
            if kernel
            else (after,)
            for key, kernel in block.items()
        }

    wanted = {
        **named("down.0", 4, 2),
        **named("down.1", 2, 4),
        **named("up.0", 4, 2),
        "reduce.0.weight": (2, 4, 1, 1),
        "reduce.0.bias": (2,),
        "out.weight": (5, 2, 1, 1),
        "out.bias": (5,),
    }
    found = {key: tuple(v.shape) for key, v in UNet(4, 2, 2, out=5).state_dict().items()}
    assert list(found.items()) == list(wanted.items())


@pytest.mark.parametrize("network", [UNet(1, 2, 2), BottleneckUNet(1, 2, 2)], ids=["small", "deep"])
@pytest.mark.parametrize("side", [5, 7, 8, 28])
def test_images_keep_their_size_and_range(network: ImageNetwork, side: int) -> None:
    images = torch.rand(3, 1, side, side + 3)
    with torch.no_grad():
        network.out.bias.fill_(2.0)  # type: ignore[union-attr, operator]
    rewritten = network(images)
    assert rewritten.shape == images.shape
    assert float(rewritten.detach().max()) == 1.0
    assert float(rewritten.detach().min()) >= 0.0
    alone = network(images[:1])
    torch.testing.assert_close(alone, rewritten[:1])


@pytest.mark.parametrize(
    ("levels", "bottleneck", "least"), [(1, False, 2), (3, False, 8), (1, True, 3), (3, True, 9)]
)
def test_levels_need_images_of_a_size(levels: int, bottleneck: bool, least: int) -> None:
    check_levels((1, least, least + 9), levels, "x", bottleneck=bottleneck)
    network = (BottleneckUNet if bottleneck else UNet)(1, 2, levels)
    network(torch.rand(1, 1, least, least))
    small = least - 1
    words = f"x: {levels} levels{' and a bottleneck' if bottleneck else ''} do not fit images of "
    with pytest.raises(SpecError, match=f"{words}{least + 9}x{small}; use fewer levels: the"):
        check_levels((1, least + 9, small), levels, "x", bottleneck=bottleneck)
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        network(torch.rand(1, 1, small, small))
