"""Values that hold tensors are compared by identity: a comparison of tensors is no yes or no."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator

import torch

import remission
from remission.types import LabelledImages


def classes_of_the_package() -> Iterator[type]:
    for module in pkgutil.walk_packages(remission.__path__, "remission."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and value.__module__ == module.name:
                yield value


def test_dataclasses_that_hold_tensors_are_compared_by_identity() -> None:
    holders = [
        cls
        for cls in classes_of_the_package()
        if dataclasses.is_dataclass(cls)
        and any(
            name in str(field.type) and "Callable" not in str(field.type)
            for field in dataclasses.fields(cls)
            for name in ("Tensor", "Direction", "LabelledImages", "Classifier", "Module")
        )
    ]
    assert LabelledImages in holders
    assert not [cls.__qualname__ for cls in holders if cls.__eq__ is not object.__eq__]


def test_equal_images_are_two_values() -> None:
    images, labels = torch.zeros(2, 1, 3, 3), torch.tensor([0, 1])
    one, other = LabelledImages(images, labels), LabelledImages(images, labels)
    assert one != other
    assert len({one, other, one}) == 2
