"""Recalibrated running statistics against means and variances computed by hand.

Exact: the mean of the first layer, over any batches; the variance and every deeper layer when the
data is one batch. With several batches the variance is the mean of the batches' variances, weighted
by their sizes: the variance between batches is missing, and deeper layers get images that were
normalised by their own batch.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from remission.models import build_model
from remission.training import frozen_statistics, recalibrate
from remission.training.batchnorm import batchnorm_layers
from remission.types import LabelledImages
from tests.reference.toy import FEATURES, Slow, Toy, flat, moments, toy_data


def statistics(layer: nn.Module) -> tuple[Tensor, Tensor]:
    mean, var = layer.running_mean, layer.running_var
    assert isinstance(mean, Tensor)
    assert isinstance(var, Tensor)
    return mean, var


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


def test_one_batch_is_exact() -> None:
    model, data = Toy(), toy_data(11)
    z = Slow.like(model).convolved(flat(model), data.images)
    mean, var = moments(z)
    count = z.numel() / FEATURES
    recalibrate(model, data)
    close(statistics(model.bn)[0], mean)
    close(statistics(model.bn)[1], var * count / (count - 1))


@pytest.mark.parametrize("size", [1, 4, 6, 9])
def test_batches_of_unequal_size(size: int) -> None:
    """With 11 images the last batch is smaller, and counts by its size."""
    model, data = Toy(), toy_data(11)
    z = Slow.like(model).convolved(flat(model), data.images)
    recalibrate(model, data, batch_size=size)
    overall, total_variance = moments(z)
    close(statistics(model.bn)[0], overall)  # exact
    within = torch.zeros(FEATURES, dtype=torch.float64)
    between = torch.zeros(FEATURES, dtype=torch.float64)
    unbiased = torch.zeros(FEATURES, dtype=torch.float64)
    for part in torch.split(z, size):
        mean, var = moments(part)
        count = part.numel() / FEATURES
        within += len(part) / 11 * var
        between += len(part) / 11 * (mean - overall) ** 2
        unbiased += len(part) / 11 * var * count / (count - 1)
    close(statistics(model.bn)[1], unbiased)
    close(within + between, total_variance)  # so what is missing is the variance between batches
    error = (statistics(model.bn)[1] / total_variance - 1).abs()
    assert float(error.max()) < (0.1 if size > 1 else 0.3)


@pytest.mark.parametrize(("count", "size"), [(3, 2), (7, 2), (11, 5), (11, 10)])
def test_no_image_is_left_over_alone(count: int, size: int) -> None:
    """The last map is one pixel, so that batch norm cannot train on a single image."""
    model = build_model("resnet18:2", classes=3, shape=(1, 8, 8), mean=(0.5,), std=(0.5,))
    images = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    recalibrate(model, LabelledImages(images, torch.zeros(count, dtype=torch.int64)), size)
    assert all(layer.num_batches_tracked for layer in batchnorm_layers(model))


def test_a_deeper_layer_is_exact_with_one_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    model = nn.Sequential(first, nn.Tanh(), second).double()
    images = torch.rand(7, 2, 3, 3, generator=generator, dtype=torch.float64)
    recalibrate(model, LabelledImages(images, torch.zeros(7, dtype=torch.int64)))
    mean, var = moments(images)
    normal = (images - mean.view(1, 2, 1, 1)) / (var.view(1, 2, 1, 1) + 1e-5).sqrt()
    deep_mean, deep_var = moments(normal.tanh())
    close(statistics(second)[0], deep_mean)
    close(statistics(second)[1], deep_var * 63 / 62)


def test_what_was_there_before_does_not_matter_and_state_is_put_back() -> None:
    one, two, data = Toy(), Toy(), toy_data(11)
    with torch.no_grad():
        two.bn.running_mean.add_(100)  # type: ignore[union-attr]
        two.bn.running_var.mul_(1e6)  # type: ignore[union-attr]
    one.train()
    two.eval()
    for model in (one, two):
        recalibrate(model, data, batch_size=4)
    assert torch.equal(statistics(one.bn)[0], statistics(two.bn)[0])
    assert torch.equal(statistics(one.bn)[1], statistics(two.bn)[1])
    assert (one.training, two.training) == (True, False)
    assert one.bn.momentum == two.bn.momentum == 0.1
    assert torch.equal(flat(one), flat(Toy())), "the weights stay"


def test_state_is_put_back_after_an_error() -> None:
    class Broken(Toy):
        def head(self, features: Tensor) -> Tensor:
            raise RuntimeError("broken")

    model = Broken().eval()
    with pytest.raises(RuntimeError, match="broken"):
        recalibrate(model, toy_data(5), batch_size=2)
    assert model.bn.momentum == 0.1
    assert not model.training


def test_frozen_statistics() -> None:
    model, data = Toy(), toy_data(6)
    before = [value.clone() for value in statistics(model.bn)]
    wanted = Slow.like(model).logits(flat(model), data.images)  # with the batch's own statistics
    model.train()
    with frozen_statistics(model):
        close(model(data.images).detach(), wanted)
    assert torch.equal(statistics(model.bn)[0], before[0])
    assert torch.equal(statistics(model.bn)[1], before[1])
    model(data.images)
    assert not torch.equal(statistics(model.bn)[0], before[0]), "afterwards they move again"
