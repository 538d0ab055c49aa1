"""The structure of models, and the refusal of methods where a model lacks a part."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn

import remission
from remission.data import load_dataset
from remission.errors import SpecError
from remission.grid.spec import methods as spec_methods
from remission.grid.spec import spec as specs
from remission.grid.spec.fits_data import check_against
from remission.method import method
from remission.models import MODELS, Classifier, check_needs, traits
from remission.models.tracing.structure import has_batch_norm, has_convolutions
from remission.purifiers import FST, CleanPurifier
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.unit.models.zoo import SMALL, TRANSFORMERS, built


@method
class Pruning(CleanPurifier):
    """A method that sets the first scale of batch norm to zero."""

    name: ClassVar[str] = "pruning"
    paper: ClassVar[str] = "none"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "batch norm")

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        first = next(layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d))
        with torch.no_grad():
            first.weight[0] = 0
        return model


@method
class Filtering(Pruning):
    """The same for a method about filters."""

    name: ClassVar[str] = "filtering"
    needs: ClassVar[tuple[str, ...]] = ("clean images", "convolutions")


def clean() -> LabelledImages:
    return LabelledImages(torch.rand(8, 3, 16, 16), torch.arange(8) % 5)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_method_that_needs_batch_norm_says_so_when_called(name: str) -> None:
    model = built(SMALL[name])
    if name not in TRANSFORMERS:
        assert (
            float(
                next(iter(norms(Pruning()(model, clean(), seed=Seed(0)).model))).weight[0].detach()
            )
            == 0
        )
        return
    with pytest.raises(SpecError) as error:
        Pruning()(model, clean(), seed=Seed(0))
    assert str(error.value) == (
        f"pruning needs batch norm, and {model.arch} has none; leave out pruning, or use a model "
        "with batch norm, for example resnet18"
    )
    with pytest.raises(SpecError, match=f"filtering needs convolutions, and {model.arch} has none"):
        Filtering()(model, clean(), seed=Seed(0))


def norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]


def test_other_needs_are_no_matter_of_the_model() -> None:
    check_needs(FST(), built("vit_tiny:12"))


@pytest.mark.parametrize(("arch", "fits"), [("vit_tiny:12", False), ("vgg19_bn:2", True)])
def test_a_spec_is_refused_before_anything_is_computed(
    arch: str, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {
        "name": "x",
        "dataset": "digits",
        "arch": arch,
        "attack": [{"method": "badnets", "size": 2}],
        "purifier": [{"method": "ft"}, {"method": "pruning"}],
    }
    monkeypatch.setattr(
        spec_methods,
        "make_purifier",
        lambda table: Pruning() if table["method"] == "pruning" else FST(),
    )
    spec = specs.parse_spec(table)
    if fits:
        check_against(spec, load_dataset("digits"))
        return
    with pytest.raises(SpecError, match=f"pruning needs batch norm, and {arch} has none"):
        check_against(spec, load_dataset("digits"))


def test_an_attacker_without_images_outside_the_target_class_is_refused() -> None:
    """Where nearly all images are of the target class, so are the attacker's few."""
    digits = load_dataset("digits")
    others = (digits.train.labels != 3).nonzero().flatten()[:5]
    some = torch.cat([(digits.train.labels == 3).nonzero().flatten(), others])
    lopsided = replace(digits, train=digits.train[some])
    table = {
        "name": "x",
        "dataset": "digits",
        "arch": "resnet18:2",
        "split": {"defender": 4, "attacker": 3},
        "attack": [{"method": "badnets", "size": 2, "target": 3, "poison_rate": 0.01}],
        "reactivation": [{"method": "oba"}],
    }
    with pytest.raises(SpecError, match=r"oba: all of the attacker's 3 images are of the target"):
        check_against(specs.parse_spec(table), lopsided)


def test_layers_are_found_by_what_they_do() -> None:
    patches, plain = nn.Conv2d(3, 4, 4, 4), nn.Conv2d(3, 4, 3, padding=1)
    assert not has_convolutions(nn.Sequential(patches, nn.Conv2d(4, 4, 1)))
    assert has_convolutions(nn.Sequential(patches, plain))
    assert has_batch_norm(nn.Sequential(nn.BatchNorm1d(3)))
    assert not has_batch_norm(nn.BatchNorm2d(3, track_running_stats=False))
    assert not has_batch_norm(nn.BatchNorm2d(3, affine=False))
    assert not has_batch_norm(nn.Sequential(nn.LayerNorm(3), nn.InstanceNorm2d(3)))
    assert traits(nn.Linear(2, 2)) == ()


LAYERS = {"conv1", "bn1", "linear", "fc", "classifier", "patch_embed", "blocks", "pos_embed"}


def test_nobody_outside_the_models_knows_their_layers_by_name() -> None:
    root = Path(remission.__file__).parent
    for file in root.rglob("*.py"):
        if file.is_relative_to(root / "models"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                known = node.value.id in ("model", "victim", "purified")
                assert not (known and node.attr in LAYERS), f"{file}:{node.lineno}"


def test_the_catalogue_tells_width_and_structure() -> None:
    from remission.registry import catalogue

    found = {entry["name"]: entry for entry in catalogue()["models"]}
    assert {*MODELS, "timm:NAME", "torchvision:NAME"} == set(found)
    assert found["resnet18"]["has"] == ["batch norm", "convolutions"]
    assert found["swin_t"]["has"] == []
    for name, known in MODELS.items():
        (width,) = found[name]["parameters"]
        assert (width["name"], width["default"]) == ("width", known.width)
        assert f"'{name}:16' has 16" in width["meaning"]
        assert len(found[name]["paper"].split()) >= 3
