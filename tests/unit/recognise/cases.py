"""One network of each family, small, with what shall be recognised."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tests.unit.recognise import foreign, foreign_tokens
from tests.unit.recognise.foreign import Formula, Tape

CIFAR = ("shortcut", "linear")
TORCHVISION = ("downsample", "fc")
RESNET_OF_TRANSFORMERS = (
    *((rf"^layer{i + 1}\.", f"resnet.encoder.stages.{i}.layers.") for i in range(4)),
    (r"^conv1\.", "resnet.embedder.embedder.convolution."),
    (r"^bn1\.", "resnet.embedder.embedder.normalization."),
    *((rf"\.conv{i + 1}\.", f".layer.{i}.convolution.") for i in range(3)),
    *((rf"\.bn{i + 1}\.", f".layer.{i}.normalization.") for i in range(3)),
    (r"\.shortcut\.0\.", ".shortcut.convolution."),
    (r"\.shortcut\.1\.", ".shortcut.normalization."),
    (r"^linear\.", "classifier.1."),
)
PLAN = "11M22M44M88M88M"


@dataclass(frozen=True)
class Case:
    """A formula, the images that it takes, and the name of its architecture."""

    formula: Formula
    arch: str
    side: int = 32
    channels: int = 3
    says_size: bool = False
    names: tuple[tuple[str, str], ...] = ()


CASES = {
    "cifar resnet18": Case(
        foreign.residual((2, 2, 2, 2), 3, names=CIFAR, deep=False), "resnet18:3", channels=1
    ),
    "cifar resnet34": Case(
        foreign.residual((3, 4, 6, 3), 2, names=CIFAR, deep=False), "resnet34:2", 16
    ),
    "cifar resnet50": Case(
        foreign.residual((3, 4, 6, 3), 2, names=CIFAR, deep=True), "resnet50:2", 16
    ),
    "cifar preactresnet18": Case(foreign.preactivated, "preactresnet18:3"),
    "cifar vgg": Case(foreign.vgg(PLAN, {"classifier": 7}, 1), "vgg13_bn:3"),
    "cifar densenet": Case(foreign.dense_cifar, "densenet-2-3-1-2:2", 16),
    "torchvision resnet18": Case(
        foreign.residual((2, 2, 2, 2), 3, names=TORCHVISION, deep=False, stem="7x7"),
        "torchvision/resnet18:3",
        64,
    ),
    "torchvision resnet50": Case(
        foreign.residual((3, 4, 6, 3), 2, names=TORCHVISION, deep=True, stem="7x7"),
        "torchvision/resnet50:2",
    ),
    "torchvision resnet18, 3x3 stem": Case(
        foreign.residual((2, 2, 2, 2), 3, names=TORCHVISION, deep=False),
        "torchvision/resnet18+stem3x3:3",
    ),
    "torchvision resnet18, 3x3 stem, pooling": Case(
        foreign.residual((2, 2, 2, 2), 3, names=TORCHVISION, deep=False, stem="3x3, pooling"),
        "torchvision/resnet18+stem3x3+pool:3",
    ),
    "transformers resnet18": Case(
        foreign.residual((2, 2, 2, 2), 3, names=CIFAR, deep=False, stem="7x7"),
        "transformers/resnet18:3",
        64,
        names=RESNET_OF_TRANSFORMERS,
    ),
    "transformers resnet50": Case(
        foreign.residual((3, 4, 6, 3), 2, names=CIFAR, deep=True, stem="7x7"),
        "transformers/resnet50:2",
        names=RESNET_OF_TRANSFORMERS,
    ),
    "torchvision vgg": Case(
        foreign.vgg(PLAN, {"classifier.0": 9, "classifier.3": 8, "classifier.6": 7}, 7),
        "torchvision/vgg13_bn:3",
        64,
    ),
    "vgg without norm": Case(
        foreign.vgg(PLAN, {"classifier.1": 9, "classifier.4": 7}, 1, norm=False),
        "torchvision/vgg13:3",
    ),
    "torchvision densenet": Case(foreign.dense_torchvision, "torchvision/densenet-2-1-2-1:2", 64),
    "torchvision mobilenet_v2": Case(foreign.mobilenet, "torchvision/mobilenet_v2:4"),
    "torchvision efficientnet_b0": Case(
        foreign.efficientnet((1, 2, 2, 3, 3, 4, 1)), "torchvision/efficientnet_b0:4"
    ),
    "torchvision efficientnet_b5": Case(
        foreign.efficientnet((3, 5, 5, 7, 7, 9, 3), eps=1e-3), "torchvision/efficientnet_b5:4"
    ),
    "torchvision vit": Case(
        foreign_tokens.vit("torchvision", width=128),
        "torchvision/vit-2:128_patch4_16",
        16,
        says_size=True,
    ),
    "timm vit": Case(
        foreign_tokens.vit("timm", width=8), "timm/vit-2:8_patch4_16", 16, 1, says_size=True
    ),
    "timm vit, mean": Case(
        foreign_tokens.vit("timm", width=8, pool="mean"),
        "timm/vit-2:8_patch4_16",
        16,
        says_size=True,
    ),
    "timm vit, mean, no token": Case(
        foreign_tokens.vit("timm", width=8, pool="mean", token=False),
        "timm/vit-2:8_patch4_16",
        16,
        says_size=True,
    ),
    "transformers vit": Case(
        foreign_tokens.vit("transformers", width=128),
        "transformers/vit-2:128_patch4_16",
        16,
        says_size=True,
    ),
    "timm swin": Case(foreign_tokens.swin("timm", 4), "timm/swin_2-2:4", 20),
    "timm swin, small images": Case(
        foreign_tokens.swin("timm", 4), "timm/swin_2-2:4", 16, says_size=True
    ),
    "transformers swin": Case(
        foreign_tokens.swin("transformers", 4),
        "transformers/swin_2-2:4",
        16,
        names=foreign_tokens.SWIN_OF_TRANSFORMERS,
    ),
    "torchvision swin": Case(foreign_tokens.swin("torchvision", 4), "torchvision/swin-2-2:4", 16),
    "timm convnext": Case(foreign_tokens.convnext("timm"), "timm/convnext-1-2-1-1:3"),
    "torchvision convnext": Case(
        foreign_tokens.convnext("torchvision"), "torchvision/convnext-1-2-1-1:3"
    ),
    "transformers convnext": Case(
        foreign_tokens.convnext("transformers"), "transformers/convnext-1-2-1-1:3"
    ),
    "convnext of its authors": Case(
        foreign_tokens.convnext("authors"), "authors/convnext-1-2-1-1:3"
    ),
}


@cache
def tape(name: str) -> Tape:
    case = CASES[name]
    return Tape(case.formula, (case.channels, case.side, case.side), case.names)
