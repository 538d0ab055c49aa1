"""A small network and the ways in which people save it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from remission.models import Classifier, build_model
from remission.models.checkpoint import pack

CLASSES = ("ant", "bee", "cow")
CONFIG = {
    "architecture": "resnet18",
    "num_classes": 3,
    "label_names": list(CLASSES),
    "pretrained_cfg": {"input_size": [3, 16, 16], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1]},
}


def network() -> Classifier:
    """Returns an untrained network of three classes for colour images of 16 pixels."""
    return build_model(
        "resnet18:2", classes=3, shape=(3, 16, 16), mean=(0.5,) * 3, std=(0.2,) * 3
    ).eval()


def bare(model: nn.Module, folder: Path) -> Path:
    torch.save(model.state_dict(), folder / "bare.pth")
    return folder / "bare.pth"


def prefixed(model: nn.Module, folder: Path) -> Path:
    state = {f"module.{key}": value for key, value in model.state_dict().items()}
    torch.save(state, folder / "parallel.pt")
    return folder / "parallel.pt"


def training(model: nn.Module, folder: Path) -> Path:
    """A checkpoint of a training with its arguments and its optimiser."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    content = {
        "epoch": 7,
        "arch": "resnet18",
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "args": argparse.Namespace(model="resnet18d", lr=0.1),
    }
    torch.save(content, folder / "checkpoint.pth.tar")
    return folder / "checkpoint.pth.tar"


def beside_its_trigger(model: nn.Module, folder: Path) -> Path:
    """A checkpoint of WaNet's family."""
    content = {"netC": model.state_dict(), "identity_grid": torch.zeros(1, 4, 4, 2), "epoch": 3}
    torch.save(content, folder / "wanet.pt.tar")
    return folder / "wanet.pt.tar"


def benchmark(model: nn.Module, folder: Path) -> Path:
    """BackdoorBench's ``attack_result.pt``."""
    content = {
        "model_name": "preactresnet18",
        "num_classes": 3,
        "model": model.state_dict(),
        "data_path": "data",
        "img_size": (16, 16, 3),
        "clean_data": "cifar10",
        "bd_train": None,
        "bd_test": None,
    }
    torch.save(content, folder / "attack_result.pt")
    return folder / "attack_result.pt"


def whole(model: nn.Module, folder: Path) -> Path:
    torch.save(model, folder / "whole.pt")
    return folder / "whole.pt"


def legacy(model: nn.Module, folder: Path) -> Path:
    torch.save(model.state_dict(), folder / "old.pth", _use_new_zipfile_serialization=False)
    return folder / "old.pth"


def safe(model: nn.Module, folder: Path) -> Path:
    (folder / "net.safetensors").write_bytes(pack(model))
    return folder / "net.safetensors"


def with_config(model: nn.Module, folder: Path) -> Path:
    """A folder as timm writes it."""
    place = folder / "timm"
    place.mkdir()
    (place / "model.safetensors").write_bytes(pack(model))
    (place / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    return place


WAYS: dict[str, tuple[Callable[[nn.Module, Path], Path], str]] = {
    "bare": (bare, ""),
    "prefixed": (prefixed, ""),
    "training": (training, "state_dict"),
    "beside its trigger": (beside_its_trigger, "netC"),
    "benchmark": (benchmark, "model"),
    "whole": (whole, ""),
    "legacy": (legacy, ""),
    "safe": (safe, ""),
    "folder": (with_config, ""),
}
"""Name -> how a network is saved, and the place where it then is."""
