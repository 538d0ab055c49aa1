"""What is said of how a model was read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remission.report.suspect.sentences import contradicts, reading_lines
from tests.unit.report.suspect.suspect_factory import READING


@pytest.mark.parametrize(
    ("stated", "arch", "contradicted"),
    [
        ("", "torchvision/resnet50", False),
        ("resnet50", "torchvision/resnet50", False),
        ("resnet50.a1_in1k", "timm/resnet50", False),
        ("resnetblur50", "torchvision/resnet50", True),
        ("resnetaa50", "torchvision/resnet50", True),
        ("ResNetForImageClassification", "transformers/resnet50", False),
        ("ViTForImageClassification", "transformers/vit_base_patch16_224", False),
        ("SwinForImageClassification", "transformers/vit_base_patch16_224", True),
        ("PreActResNet18", "preactresnet18", False),
        ("ResNet-18", "resnet18:16", False),
        ("efficientnet_b1", "torchvision/efficientnet_b1 or b2", False),
        ("mine", "net.py:network", False),
    ],
)
def test_another_architecture_than_the_file_states(
    stated: str, arch: str, contradicted: bool
) -> None:
    assert contradicts(stated, arch) == contradicted
    lines = list(reading_lines(replace(READING, stated=stated, arch=arch)))
    assert any(f"states another architecture: '{stated}'" in line for line in lines) == contradicted


def test_what_a_file_states_cannot_act_at_a_terminal() -> None:
    lines = "\n".join(reading_lines(replace(READING, stated="\x1b[31mnet")))
    assert "\x1b" not in lines
    assert r"\x1b[31mnet" in lines
