"""Models, snapshots, retunings as one batch job and what is measured, on a pretended device."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from remission.grid.stages import snapshots
from remission.grid.stages.snapshots import StoredSnapshots
from remission.models import MODELS, Classifier, build_model
from remission.models.checkpoint import pack, unpack
from remission.progress import listening
from remission.reactivations import Retuning
from remission.recognise.any_network import wrap
from remission.records import Store
from remission.seeding import Seed
from remission.stealth import measure_stealth
from remission.training import Recipe, evaluate, fit, predict, recalibrate
from remission.training.snapshots import keeping
from remission.types import LabelledImages
from tests.contract.cases import CLASSES, SHAPE, TARGET, clean_images, subject, true_trigger
from tests.contract.test_models import ARCHS
from tests.device.pretended import GIB, pretended_device
from tests.unit.models.plain import Residual, Stochastic
from tests.unit.training.test_snapshots import RECIPES, PowerCutError

FEW = slice(0, 16)
STEP = Recipe(epochs=1, lr=0.1, batch_size=16, augment="crop_flip")

every_memory = pytest.mark.parametrize(
    "memory", [GIB, 0], ids=["images there", "images on the CPU"]
)


def trained(model: Classifier, data: LabelledImages) -> tuple[dict[str, Tensor], Tensor]:
    """Trains a step, collects statistics and predicts; returns weights and classes, on the CPU."""
    fit(model, data, STEP, seed=Seed(0))
    recalibrate(model, data)
    classes = predict(model, data, trigger=true_trigger().to(data.labels.device))
    return {key: value.cpu() for key, value in model.state_dict().items()}, classes.cpu()


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert [key for key in wanted if not torch.equal(found[key], wanted[key])] == []


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_architecture(name: str) -> None:
    model = build_model(
        ARCHS[name], classes=CLASSES, shape=SHAPE, mean=(0.5,), std=(0.3,), seed=Seed(1)
    )
    wanted = trained(copy.deepcopy(model), clean_images()[FEW])
    with pretended_device(0) as drawn:
        found = trained(model.to("cuda"), clean_images()[FEW].to("cuda"))
        assert not drawn
    assert_same(found[0], wanted[0])
    assert torch.equal(found[1], wanted[1])


@pytest.mark.parametrize("network", [Residual, Stochastic])
def test_a_network_of_unknown_code(network: type[nn.Module]) -> None:
    torch.manual_seed(0)
    draws = torch.Generator().manual_seed(1)
    images = LabelledImages(torch.rand(8, 3, 16, 16, generator=draws), torch.arange(8))
    model = wrap(network(), mean=(0.5,) * 3, std=(0.2,) * 3, shape=(3, 16, 16), classes=10)
    wanted = predict(model, images)
    with pretended_device():
        there = model.to("cuda")
        assert torch.equal(predict(there, images.to("cuda")).cpu(), wanted)
        again = wrap(there, mean=(0.0,) * 3, std=(1.0,) * 3, shape=(3, 16, 16), classes=10)
        assert torch.equal(predict(again, images), wanted)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_training_goes_on_there(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot of a training on the device, read anew, ends with the bits of the processor."""
    monkeypatch.setattr(snapshots, "EVERY", 0.0)
    Store(tmp_path)
    data, whole = clean_images()[FEW], subject()
    losses = fit(whole, data, recipe, seed=Seed(3)).losses

    def heard(what: str, done: int, total: int) -> None:
        if done == 2:
            raise PowerCutError

    with pretended_device():
        cut = keeping(StoredSnapshots(tmp_path, "training"))
        with cut, listening(heard), pytest.raises(PowerCutError):
            fit(subject().to("cuda"), data.to("cuda"), recipe, seed=Seed(3))
        again = StoredSnapshots(tmp_path, "training")
        resumed = subject().to("cuda")
        with keeping(again):
            assert fit(resumed, data.to("cuda"), recipe, seed=Seed(3)).losses == losses
        assert again.spent.seconds > 0, "the snapshot is used"
        resumed.cpu()
    assert_same(resumed.state_dict(), whole.state_dict())


def test_retunings_as_one_batch_job() -> None:
    method, budgets = Retuning(epochs=1, batch_size=8), (4, 0)
    data = clean_images()[FEW]

    def together(model: Classifier, data: LabelledImages) -> list[dict[str, Tensor]]:
        trigger = true_trigger().to(data.labels.device)
        models = method.batch_job(model, data, trigger, TARGET, budgets=budgets, seed=Seed(5))
        return [{k: v.cpu() for k, v in each.state_dict().items()} for each in models]

    wanted = together(subject(), data)
    with pretended_device():
        found = together(subject().to("cuda"), data.to("cuda"))
    for ours, theirs in zip(found, wanted, strict=True):
        assert_same(ours, theirs)


@every_memory
def test_what_is_measured(memory: int) -> None:
    model, data, trigger = subject().eval(), clean_images(), true_trigger()
    rates, stealth = evaluate(model, data, trigger, TARGET), measure_stealth(data, trigger)
    with pretended_device(memory):
        data, trigger = data.to("cuda"), trigger.to("cuda")
        assert evaluate(model.to("cuda"), data, trigger, TARGET) == rates
        assert measure_stealth(data, trigger) == stealth


def test_weights_go_to_a_file_and_back() -> None:
    model = subject()
    content = pack(model)
    with pretended_device():
        there = model.to("cuda")
        assert pack(there) == content
        other = build_model(
            "resnet18:2", classes=CLASSES, shape=SHAPE, mean=(0.5,), std=(0.3,), seed=Seed(9)
        ).to("cuda")
        unpack(other, content, "file")
        assert pack(other) == content
