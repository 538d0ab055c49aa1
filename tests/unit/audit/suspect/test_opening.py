"""A trained model, saved in the usual ways, opened with images: the same answers come out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from remission.audit.suspect.opening import OpenedModel, find_model, image_size, open_model
from remission.audit.suspect.preprocessing import COLOUR, Preprocessing
from remission.errors import CheckpointError, DataError
from remission.models import Classifier, build_model
from remission.recognise import ArchitectureError
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.types import LabelledImages
from tests.unit.audit.suspect.models import CLASSES, CONFIG, WAYS, bare, network, with_config

WAY = Preprocessing(name="as trained", mean=(0.9, 0.2, 0.5), std=(0.1, 0.4, 0.9))
"""Far from all presets."""


def images(count: int = 90) -> LabelledImages:
    """Returns images of three shades of one colour, which only its normalisation tells apart."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    shade = torch.tensor([0.35, 0.5, 0.65])[labels].view(-1, 1, 1, 1)
    return LabelledImages(shade + 0.05 * torch.rand(count, 3, 16, 16, generator=draws), labels)


@pytest.fixture(scope="module")
def trained() -> Classifier:
    return trained_by(WAY)


def trained_by(way: Preprocessing) -> Classifier:
    """Returns a model that was trained under a normalisation."""
    model = network()
    way.apply(model)
    recipe = Recipe(epochs=12, lr=0.05, batch_size=30, schedule="one_cycle")
    fit(model, images(), recipe, seed=Seed(0), what="model")
    return model.eval()


def opened(path: Path, *, given: Preprocessing | None = WAY) -> OpenedModel:
    return open_model(find_model(path), images(), CLASSES, given=given)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_answers(way: str, trained: Classifier, tmp_path: Path) -> None:
    found = opened(WAYS[way][0](trained, tmp_path))
    x = images().images
    found.model.precision = "fp32"  # bf16 where the processor is quicker with it
    assert torch.equal(found.model(x), trained(x))
    assert found.attempts[0].clean_acc.value > 0.9
    assert not found.model.training


def test_a_normalisation_is_measured_where_nothing_says_it(tmp_path: Path) -> None:
    found = opened(bare(trained_by(COLOUR[0]), tmp_path), given=None)
    accuracies = [attempt.clean_acc.value for attempt in found.attempts]
    assert len(accuracies) > 10
    assert accuracies[1:] == sorted(accuracies[1:], reverse=True)
    assert accuracies[0] > max(accuracies) - 0.06
    assert found.model.mean.flatten().tolist() == pytest.approx(
        found.attempts[0].normalisation.mean
    )


def test_a_configuration_says_it(trained: Classifier, tmp_path: Path) -> None:
    folder = with_config(trained, tmp_path)
    config = {**CONFIG, "pretrained_cfg": {"mean": list(WAY.mean), "std": list(WAY.std)}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = opened(folder, given=None)
    assert [attempt.normalisation.name for attempt in found.attempts] == ["its configuration"]
    assert found.model.mean.flatten().tolist() == pytest.approx(WAY.mean)
    assert found.match.by == "name"


class Normaliser(nn.Module):
    """A layer as people put before their networks."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(WAY.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(WAY.std).view(1, 3, 1, 1))


def test_a_layer_among_the_weights_says_it(trained: Classifier, tmp_path: Path) -> None:
    state: dict[str, Tensor] = {f"0.{k}": v for k, v in Normaliser().state_dict().items()}
    state |= {f"1.{key}": value for key, value in trained.state_dict().items()}
    torch.save(state, tmp_path / "both.pt")
    found = opened(tmp_path / "both.pt", given=None)
    assert [attempt.normalisation.name for attempt in found.attempts] == ["a layer of the network"]
    x = images().images
    found.model.precision = "fp32"
    torch.testing.assert_close(found.model(x), trained(x))


def test_a_model_that_is_read_wrongly_is_refused(trained: Classifier, tmp_path: Path) -> None:
    far = Preprocessing(name="far", mean=(9.0,) * 3, std=(0.01,) * 3)
    with pytest.raises(CheckpointError, match="read in a wrong way"):
        opened(bare(trained, tmp_path), given=far)


def test_images_of_other_channels_are_refused(trained: Classifier, tmp_path: Path) -> None:
    found = find_model(bare(trained, tmp_path))
    two = LabelledImages(images().images[:, :2], images().labels)
    with pytest.raises(CheckpointError, match="3 channels, and these have 2"):
        open_model(found, two, CLASSES)


def test_grey_images_are_shown_to_a_colour_model_in_equal_channels(
    trained: Classifier, tmp_path: Path
) -> None:
    found = find_model(bare(trained, tmp_path))
    grey = LabelledImages(images().images[:, :1], images().labels)
    ready = open_model(found, grey, CLASSES, given=WAY)
    assert torch.equal(ready.clean.images, grey.images.expand(-1, 3, -1, -1))


def test_folders_of_other_classes_are_refused(trained: Classifier, tmp_path: Path) -> None:
    found = find_model(with_config(trained, tmp_path))
    with pytest.raises(DataError, match="no class 'dog'"):
        open_model(found, images(), ("ant", "bee", "dog"), given=WAY)
    assert image_size(found) == (16, 16)


def test_folders_in_another_order_are_brought_into_the_models(
    trained: Classifier, tmp_path: Path
) -> None:
    found = find_model(with_config(trained, tmp_path))
    turned = LabelledImages(images().images, (images().labels + 1) % 3)
    ready = open_model(found, turned, ("cow", "ant", "bee"), given=WAY)
    assert torch.equal(ready.clean.labels, images().labels)
    assert ready.attempts[0].clean_acc.value > 0.9


def test_a_model_is_read_like_the_one_that_it_was_made_of(
    trained: Classifier, tmp_path: Path
) -> None:
    """Its file says neither the names of the classes nor the normalisation."""
    folder = with_config(trained, tmp_path)
    config = {**CONFIG, "pretrained_cfg": {"mean": list(WAY.mean), "std": list(WAY.std)}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    turned = LabelledImages(images().images, (images().labels + 1) % 3)
    names = ("cow", "ant", "bee")
    suspect = open_model(find_model(folder), turned, names)
    alone = find_model(bare(trained, tmp_path))
    made = open_model(alone, turned, names, like=suspect)
    assert torch.equal(made.clean.labels, images().labels)
    assert made.model.mean.flatten().tolist() == pytest.approx(WAY.mean)
    assert len(made.attempts) == 1


def test_images_that_are_too_small_are_refused(tmp_path: Path) -> None:
    model = build_model("vgg19_bn:2", classes=3, shape=(3, 32, 32), mean=(0.5,) * 3, std=(0.2,) * 3)
    torch.save(model.state_dict(), tmp_path / "vgg.pth")
    with pytest.raises((CheckpointError, ArchitectureError)):
        open_model(find_model(tmp_path / "vgg.pth"), images(), CLASSES, given=WAY)
