"""Models of other packages, tested with small packages of the same interface."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from remission.errors import SpecError
from remission.grid.spec.spec import parse_spec
from remission.models import Adapted, build_model, canonical_arch
from remission.seeding import Seed
from tests.unit.models.plain import ClassToken, convolution, sequential


def fake_torchvision() -> ModuleType:
    """``torchvision.models`` with two models, one of which has weights."""

    class Weights(enum.Enum):
        IMAGENET1K_V1 = "first"
        GONE = "gone"
        DEFAULT = IMAGENET1K_V1

        def get_state_dict(self, **asked: object) -> dict[str, Tensor]:
            if self is Weights.GONE:
                raise OSError("no route to host")
            assert asked == {"progress": False, "check_hash": True, "weights_only": True}
            with Seed(77).initialising():
                return sequential().state_dict()

        def transforms(self) -> SimpleNamespace:
            return SimpleNamespace(mean=[0.4, 0.5, 0.6], std=[0.1, 0.2, 0.3])

    def get_model(name: str, weights: object = None, **own: object) -> nn.Module:
        assert weights is None, "weights are loaded without unpickling"
        if name == "sized":
            return Sized(*(int(str(size)) for size in own.values()))
        if own:
            raise TypeError("ResNet.__init__() got an unexpected keyword argument 'image_size'")
        return sequential()

    def list_models(module: object) -> list[str]:
        assert module is package.models
        return ["net_a", "sized"]

    package: Any = ModuleType("torchvision")
    package.models = SimpleNamespace(
        get_model=get_model, list_models=list_models, get_model_weights=lambda name: Weights
    )
    return package  # type: ignore[no-any-return]


class Sized(ClassToken):
    """A model for one size of images, 32x32 by default."""

    def __init__(self, image_size: int = 32) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(1, (image_size // 4) ** 2 + 1, 6))
        self.image_size = image_size

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        torch._assert(x.shape[2] == self.image_size, "wrong height")  # type: ignore[no-untyped-call]
        return super().forward(x) + 0 * self.place.sum()


class TimmNet(nn.Module):
    """A model with timm's methods."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.body, self.fc = convolution(channels, 6), nn.Linear(6, classes)
        self.drop_rate, self.pretrained_cfg = 0.3, {"mean": (0.4, 0.5, 0.6), "std": (0.1, 0.2, 0.3)}

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the map of images."""
        found: Tensor = self.body(x)
        return found

    def forward_head(self, x: Tensor) -> Tensor:
        """Returns logits for a map."""
        pooled = nn.functional.dropout(x.mean((2, 3)), self.drop_rate, self.training)
        found: Tensor = self.fc(pooled)
        return found

    def get_classifier(self) -> nn.Module:
        """The head."""
        return self.fc

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits for images."""
        return self.forward_head(self.forward_features(x))


class TwoHeads(TimmNet):
    """A model with two heads, as timm's distilled transformers."""

    def get_classifier(self) -> Any:  # noqa: ANN401
        """Both heads."""
        return self.fc, self.fc


@dataclass
class Asked:
    """The calls of timm's ``create_model``, in order."""

    pretrained: list[bool] = field(default_factory=list)


def fake_timm(asked: Asked) -> ModuleType:
    def create_model(
        name: str, pretrained: bool, num_classes: int, in_chans: int, **own: object
    ) -> nn.Module:
        if own:
            raise TypeError("got an unexpected keyword argument 'img_size'")
        asked.pretrained.append(pretrained)
        if name == "gone.a1" and pretrained:
            raise RuntimeError("no pretrained weights exist for gone")
        return (TwoHeads if name == "twins" else TimmNet)(num_classes, in_chans)

    package: Any = ModuleType("timm")
    package.create_model = create_model
    package.list_models = lambda: ["net_a", "net_b", "twins", "gone"]
    package.is_model = lambda name: name.split(".")[0] in package.list_models()
    return package  # type: ignore[no-any-return]


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    asked = Asked()
    monkeypatch.setitem(sys.modules, "timm", fake_timm(asked))
    yield asked


@pytest.fixture
def _torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", fake_torchvision())


def built(arch: str, shape: tuple[int, int, int] = (3, 16, 16), seed: int = 0) -> Adapted:
    mean, std = (0.3,) * shape[0], (0.25,) * shape[0]
    model = build_model(arch, classes=7, shape=shape, mean=mean, std=std, seed=Seed(seed))
    assert isinstance(model, Adapted)
    assert model.arch == arch
    assert model.eval()(torch.rand(2, *shape)).shape == (2, 7)
    return model


ARCHS = ["torchvision:net_a", "torchvision:sized", "timm:net_b", "timm:net_a.a1_in1k"]


@pytest.mark.usefixtures("_torchvision", "timm")
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 20, 20)], ids=str)
@pytest.mark.parametrize("arch", ARCHS)
def test_a_model_is_built_for_the_images(arch: str, shape: tuple[int, int, int]) -> None:
    first, again, other = (built(arch, shape, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert any(not torch.equal(value, other[key]) for key, value in first.items())
    with torch.device("meta"):
        made = build_model(
            arch, classes=7, shape=shape, mean=(0.5,) * shape[0], std=(0.5,) * shape[0]
        )
    assert {v.device.type for v in made.state_dict().values()} == {"meta"}
    assert {k: v.shape for k, v in made.state_dict().items()} == {
        key: value.shape for key, value in first.items()
    }


@pytest.mark.usefixtures("_torchvision")
@pytest.mark.parametrize("weights", ["IMAGENET1K_V1", "DEFAULT"])
def test_pretrained_weights_of_torchvision(weights: str) -> None:
    model = built(f"torchvision:net_a@{weights}")
    with Seed(77).initialising():
        published = sequential().state_dict()
    own = model.net.state_dict()
    for key, value in published.items():
        assert key.startswith("4.") or torch.equal(own[key], value)  # 4: the head
    assert model.mean.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert model.std.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    grey = built(f"torchvision:net_a@{weights}", (1, 16, 16))
    assert grey.mean.flatten().tolist() == pytest.approx([0.5])
    torch.testing.assert_close(
        grey.net.state_dict()["0.0.weight"], published["0.0.weight"].sum(1, keepdim=True)
    )


def test_pretrained_weights_of_timm(timm: Asked) -> None:
    assert built("timm:net_a").mean.flatten().tolist() == pytest.approx([0.3] * 3)
    model = built("timm:net_a.a1_in1k@pretrained")
    assert model.mean.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])
    with torch.device("meta"):
        build_model("timm:net_a@pretrained", classes=7, shape=(3, 16, 16), mean=(0,), std=(1,))
    assert timm.pretrained == [False, True, False], "nothing is fetched to learn shapes"


@pytest.mark.usefixtures("_torchvision", "timm")
@pytest.mark.parametrize(
    ("arch", "told"),
    [
        ("torchvision:net_b", "torchvision has no model 'net_b'; did you mean net_a?"),
        ("torchvision:os.system", "torchvision has no model 'os.system'; use a name from its"),
        ("torchvision:models", "torchvision has no model 'models'; "),
        ("torchvision:__class__", "torchvision has no model '__class__'; "),
        ("torchvision:net_a@X", "has no weights 'X'; use one that exists (known: IMAGENET1K_V1"),
        ("torchvision:net_a@GONE", "GONE cannot be fetched (no route to host); check the network"),
        ("timm:nett_a", "timm has no model 'nett_a'; did you mean net_a"),
        ("timm:net_a@DEFAULT", "has no weights 'DEFAULT'; use one that exists (known: pretrained)"),
        ("timm:gone.a1@pretrained", "cannot be fetched (no pretrained weights exist for gone)"),
        ("timm:twins", "timm:twins cannot be used on images of 16x16: it has several heads"),
    ],
)
def test_what_a_package_does_not_have_is_refused(arch: str, told: str) -> None:
    with pytest.raises(SpecError) as error:
        built(arch)
    assert told in str(error.value)


@pytest.mark.usefixtures("_torchvision", "timm")
def test_weights_need_a_folder_where_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # a user without a home
    for name in ("HF_HOME", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    archs = {"timm:net_a@pretrained": "HF_HOME", "torchvision:net_a@DEFAULT": "TORCH_HOME"}
    for arch, variable in archs.items():
        assert built(arch.partition("@")[0])
        with pytest.raises(SpecError, match=f"has no home; set {variable} to a folder"):
            built(arch)
        monkeypatch.setenv(variable, "/somewhere")
        assert built(arch)


@pytest.mark.usefixtures("_torchvision")
def test_pretrained_models_made_for_one_size_say_so() -> None:
    with pytest.raises(SpecError, match=r"images of 16x24: .*wrong height; use images of the size"):
        built("torchvision:sized", (3, 16, 24))


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_a_package_that_is_not_there_is_told_how_to_get(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SpecError) as error:
        built(f"{package}:resnet18")
    assert f"{package} is not installed" in error.value.problem
    assert error.value.remedy == f"pip install 'remission[{package}]'"


def test_a_package_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    with pytest.raises(
        SpecError, match=r"its import fails \(operator nms .*install the build that"
    ):
        built("torchvision:resnet18")


HOSTILE = [
    "timm:", "timm:../x", "timm:/etc/passwd", "timm:hf-hub:evil/model", "timm:a b", "timm:a@",
    "timm:a@b@c", "timm:a@../b", "timm:résnet", "timm:x\n", "torchvision:", "torchvision:a;b",
    "torchvision:$(ls)", "torchvision:a@b-c", "torchvision:%s",
]  # fmt: skip


@pytest.mark.parametrize("arch", HOSTILE)
def test_a_hostile_name_is_refused_before_anything_is_imported(
    arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("timm", "torchvision"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SpecError) as error:
        built(arch)
    assert "names no model of" in str(error.value)
    assert "\n" not in str(error.value)
    assert "@" in error.value.remedy
    spec = {"name": "x", "dataset": "digits", "arch": arch, "attack": [{"method": "badnets"}]}
    with pytest.raises(SpecError, match=r"'arch'|names no model of"):
        parse_spec(spec)


@pytest.mark.parametrize(
    ("arch", "name"),
    [
        ("resnet18:064", "resnet18"),
        ("resnet18:16", "resnet18:16"),
        ("swin_t:096", "swin_t"),
        ("timm:resnet18.a1_in1k@pretrained", "timm:resnet18.a1_in1k@pretrained"),
        ("torchvision:swin_t", "torchvision:swin_t"),
    ],
)
def test_each_model_is_written_one_way(arch: str, name: str) -> None:
    assert canonical_arch(arch) == name
    spec = {"name": "x", "dataset": "digits", "arch": arch, "attack": [{"method": "badnets"}]}
    assert parse_spec(spec).arch == name
