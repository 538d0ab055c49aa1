"""What files say about a model, in each of the usual forms; nonsense is passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remission.audit.suspect.declared import Declared, declared
from remission.audit.suspect.folder_files import ModelFiles
from remission.checkpoints import Opaque


def said(tree: object = None, **configs: dict[str, Any]) -> Declared:
    names = {"config": "config.json", "images": "preprocessor_config.json"}
    names["reduced"] = "reduced-config.json"
    return declared(tree, ModelFiles(Path("f"), {names[key]: v for key, v in configs.items()}))


def test_transformers() -> None:
    found = said(
        config={
            "architectures": ["ResNetForImageClassification"],
            "id2label": {"1": "bee", "0": "ant"},
            "image_size": 224,
        },
        images={
            "do_normalize": True, "size": {"height": 48, "width": 32},
            "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6],
        },
    )  # fmt: skip
    assert found.arch == "ResNetForImageClassification"
    assert found.names == ("ant", "bee")
    assert found.size == (48, 32)
    assert (found.mean, found.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_images_that_are_not_normalised() -> None:
    found = said(images={"do_normalize": False, "image_mean": [0.1], "image_std": [0.4]})
    assert (found.mean, found.std) == ((0.0,), (1.0,))


@pytest.mark.parametrize("nested", [True, False])
def test_timm_new_and_old(nested: bool) -> None:
    of_images = {"input_size": [3, 32, 48], "mean": [0.5] * 3, "std": [0.25] * 3}
    config = {"architecture": "resnet18", "label_names": ["ant", "bee"]}
    found = said(config={**config, **({"pretrained_cfg": of_images} if nested else of_images)})
    assert (found.arch, found.names, found.size) == ("resnet18", ("ant", "bee"), (32, 48))
    assert (found.mean, found.std) == ((0.5,) * 3, (0.25,) * 3)


def test_backdoorbench() -> None:
    tree = {"model_name": "preactresnet18", "img_size": (64, 32, 3), "clean_data": "tiny"}
    found = said(tree)
    assert (found.arch, found.size, found.data) == ("preactresnet18", (64, 32), "tiny")


@pytest.mark.parametrize(
    "tree",
    [
        {"arch": "vgg19_bn"},
        {"args": Opaque("argparse", "Namespace", (), {"model": "vgg19_bn", "lr": 1})},
        {"hyper_parameters": {"model": "vgg19_bn"}},
    ],
)
def test_trainings_name_their_architecture(tree: dict[str, Any]) -> None:
    assert said(tree).arch == "vgg19_bn"


def test_trojai() -> None:
    found = said(reduced={"model_architecture": "classification:mobilenet_v2"})
    assert (found.arch, found.by) == ("classification:mobilenet_v2", ("reduced-config.json",))


@pytest.mark.parametrize(
    "config",
    [
        {"id2label": {"0": "ant", "2": "bee"}, "label_names": [1, 2], "labels": []},
        {"id2label": [], "image_size": "large", "architectures": [3]},
        {"mean": [True], "std": [1.0], "input_size": [3, -1, 5]},
        {"mean": [0.5] * 9, "std": [0.5] * 9, "pretrained_cfg": 3, "size": [1.5, 2]},
        {"mean": [0.5], "size": {"height": "7", "width": 3}},
        {"mean": [float("nan")], "std": [0.5]},
        {"mean": [0.5], "std": [float("inf")]},
        {"mean": [int("9" * 400)], "std": [0.5]},
    ],
)
def test_nonsense_is_passed_over(config: dict[str, Any]) -> None:
    assert said([1, 2], config=config) == Declared()
