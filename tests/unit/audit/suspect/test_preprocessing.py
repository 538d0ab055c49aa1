"""The normalisation of a model of unknown origin is the one under which it is most accurate."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from remission.audit.suspect.preprocessing import (
    COLOUR,
    Preprocessing,
    candidates,
    least_accuracy,
    measure,
    take_best,
)
from remission.errors import CheckpointError
from remission.models import Classifier, build_model
from remission.models.build import build_like
from remission.seeding import Seed
from remission.types import LabelledImages

SIDE = 8


class Nearest(Classifier):
    """Names the colour that the mean of a normalised image is nearest to."""

    def __init__(self, colours: Tensor) -> None:
        channels = colours.shape[1]
        super().__init__(
            arch="nearest", classes=len(colours), shape=(channels, SIDE, SIDE),
            mean=(0.0,) * channels, std=(1.0,) * channels,
        )  # fmt: skip
        self.linear = nn.Linear(channels, len(colours))
        with torch.no_grad():
            self.linear.weight.copy_(2 * colours)
            self.linear.bias.copy_(-colours.square().sum(1))

    def feature_map(self, normal: Tensor) -> Tensor:
        return normal

    @property
    def final_linear(self) -> nn.Linear:
        return self.linear


def images(channels: int, classes: int) -> tuple[Tensor, LabelledImages]:
    """Returns one colour per class, and images that are about that colour, with their classes."""
    draws = torch.Generator().manual_seed(0)
    colours = torch.rand(classes, channels, generator=draws)
    labels = torch.arange(10 * classes) % classes
    noise = 0.04 * torch.rand(len(labels), channels, SIDE, SIDE, generator=draws)
    pixels = (0.96 * colours[labels][:, :, None, None] + noise).clamp(0, 1)
    return colours, LabelledImages(pixels, labels)


def reader(way: Preprocessing, colours: Tensor) -> Nearest:
    """Returns a model that is right for images that are normalised in this way."""
    ordered = colours.flip(1) if way.order == "bgr" else colours
    return Nearest((ordered - torch.tensor(way.mean)) / torch.tensor(way.std)).eval()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_right_way_is_found_among_all(channels: int) -> None:
    colours, clean = images(channels, 40)
    found = []
    for way in candidates(clean):
        if way.range_per_image:
            continue
        model = reader(way, colours)
        attempts = measure(model, clean, candidates(clean))
        best = take_best(model, attempts, "FILE", 40).normalisation
        right = next(r for r in attempts if r.normalisation == way)
        assert right.clean_acc.hits == max(one.clean_acc.hits for one in attempts), way.name
        assert attempts[0].clean_acc.value > attempts[-1].clean_acc.value
        assert best == attempts[0].normalisation
        found.append(
            best.order == way.order and torch.equal(model.mean.flatten(), torch.tensor(best.mean))
        )
    assert all(found)
    assert len(found) == (5 if channels == 1 else 16)


def test_images_that_are_stretched_each() -> None:
    draws = torch.Generator().manual_seed(1)
    faint = 0.3 + 0.2 * torch.rand(6, 3, SIDE, SIDE, generator=draws)
    model = build_model(
        "resnet18:2", classes=3, shape=(3, SIDE, SIDE), mean=(0.5,) * 3, std=(0.2,) * 3
    )
    model.eval()
    stretched = torch.stack([(x - x.min()) / (x.max() - x.min()) for x in faint])
    wanted = model(stretched)
    model.range_per_image = True
    torch.testing.assert_close(model(faint), wanted)
    even = torch.full((2, 3, SIDE, SIDE), 0.4)
    assert bool(model(even).isfinite().all()), "an even image has no range"


def test_blue_first_is_the_image_with_its_channels_turned() -> None:
    model = build_model(
        "resnet18:2", classes=3, shape=(3, SIDE, SIDE), mean=(0.1, 0.5, 0.9), std=(0.2,) * 3
    )
    x = torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    wanted = model.eval()(x[:, [2, 1, 0]])
    model.channel_order = "bgr"
    torch.testing.assert_close(model(x), wanted)
    assert not torch.allclose(model(x[:, [2, 1, 0]]), wanted)


def test_copies_and_models_like_it_read_images_in_the_same_way() -> None:
    model = build_model(
        "resnet18:2", classes=3, shape=(3, SIDE, SIDE), mean=(0.5,) * 3, std=(0.2,) * 3
    )
    COLOUR[0].apply(model)
    model.channel_order, model.range_per_image = "bgr", True
    for other in (copy.deepcopy(model), build_like(model, seed=Seed(1))):
        assert (other.channel_order, other.range_per_image) == ("bgr", True)
        assert torch.equal(other.mean, model.mean)


def test_measuring_changes_nothing() -> None:
    colours, clean = images(3, 10)
    model = reader(COLOUR[1], colours)
    COLOUR[2].apply(model)
    model.channel_order = "bgr"
    measure(model, clean, candidates(clean))
    assert model.mean.flatten().tolist() == pytest.approx(COLOUR[2].mean)
    assert (model.channel_order, model.range_per_image) == ("bgr", False)


def test_a_model_that_is_read_in_a_wrong_way_is_refused_with_all_accuracies() -> None:
    colours, clean = images(3, 40)
    model = reader(COLOUR[0], colours)
    wrong = LabelledImages(clean.images, (clean.labels + 7) % 40)
    attempts = measure(model, wrong, candidates(wrong))
    with pytest.raises(CheckpointError, match="read in a wrong way") as caught:
        take_best(model, attempts, "some file.pt", 40)
    line = str(caught.value)
    assert "some file.pt" in line
    assert "architecture" in line
    for attempt in attempts:
        assert f"{attempt.normalisation.name} {attempt.clean_acc.value:.1%}" in line


@pytest.mark.parametrize(("classes", "least"), [(2, 0.75), (3, 2 / 3), (10, 0.3), (43, 3 / 43)])
def test_three_times_chance_or_half_way_to_one(classes: int, least: float) -> None:
    assert least_accuracy(classes) == pytest.approx(least)


@pytest.mark.parametrize(
    ("mean", "std"), [((0.5,), (0.0,)), ((0.5, 0.5), (1.0,)), ((0.5,), (-1.0,))]
)
def test_a_normalisation_that_divides_by_nothing_is_refused(
    mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="standard deviations"):
        Preprocessing(name="odd", mean=mean, std=std)


def test_the_statistics_of_images_that_are_sorted_by_class_are_those_of_all() -> None:
    half = torch.zeros(1500, 1, SIDE, SIDE)
    both = LabelledImages(torch.cat([half, 1 - half]), torch.arange(2).repeat_interleave(1500))
    (own,) = (way for way in candidates(both) if way.name == "these images")
    assert own.mean == pytest.approx((0.5,), abs=1e-6)
    assert own.std == pytest.approx((0.5,), abs=1e-3)
