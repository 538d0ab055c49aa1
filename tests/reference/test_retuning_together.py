"""Retunings as one batch job equal those one after the other, in float64 to the last digits."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import pytest
import torch

from remission.errors import DivergedError, SpecError
from remission.models import Classifier, Precision, build_model
from remission.reactivations import Retuning
from remission.seeding import Seed
from remission.triggers.patch import checkerboard
from remission.types import LabelledImages, Target

SHAPE, TARGET, BUDGETS = (2, 16, 16), 1, (4, 0, 1)
MODELS = ("resnet18:4", "preactresnet18:2", "vgg19_bn:2", "densenet161:2", "vit_tiny:8", "swin_t:8")


def build(arch: str) -> Classifier:
    """Builds a model in float64, with statistics that are not those of a new model."""
    made = build_model(arch, classes=4, shape=SHAPE, mean=(0.4, 0.6), std=(0.2, 0.3), seed=Seed(3))
    generator = torch.Generator().manual_seed(0)
    for key, value in made.named_buffers():
        if key.endswith(("running_mean", "running_var")):
            drawn = torch.rand(value.shape, generator=generator)
            value.copy_(0.5 + drawn if key.endswith("var") else drawn - 0.5)
    return made.double()


def attackers_images(count: int = 19) -> LabelledImages:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (count, *SHAPE), generator=generator, dtype=torch.uint8)
    return LabelledImages(images, torch.randint(4, (count,), generator=generator))


@pytest.mark.parametrize("arch", MODELS)
def test_every_architecture(arch: str) -> None:
    assert_alike(build(arch), Retuning(epochs=2, batch_size=8))


@pytest.mark.parametrize(
    "parameters",
    [
        {"layers": "head"},
        {"optimizer": "adam", "lr": 0.001},
        {"augment": "crop_flip"},
        {"momentum": 0.0, "lr": 0.05},
        {"layers": "norms"},
        {"optimizer": "adamw", "lr": 0.001, "weight_decay": 0.5, "warmup": 0.4},
        {"schedule": "one_cycle", "seed": 3},
        {"clean": "corrupted"},
    ],
    ids=str,
)
def test_every_way_to_retune(parameters: dict[str, Any]) -> None:
    assert_alike(build("resnet18:4"), Retuning(epochs=2, batch_size=8, **parameters))


@pytest.mark.parametrize("poisons", ["own", "relabelled"])
def test_after_a_clean_label_attack(poisons: Literal["own", "relabelled"]) -> None:
    method = Retuning(epochs=2, batch_size=8, poisons=poisons)
    images = 255 - attackers_images(6).images
    crafted = LabelledImages(images, torch.full((6,), TARGET))
    assert_alike(build("resnet18:4"), method, crafted=crafted)


def assert_alike(
    model: Classifier,
    method: Retuning,
    target: Target = TARGET,
    crafted: LabelledImages | None = None,
) -> None:
    """Checks weights, statistics, and that the argument is unchanged."""
    data, before = attackers_images(), {k: v.clone() for k, v in model.state_dict().items()}
    together = method.batch_job(
        model, data, checkerboard(SHAPE, 3, 0), target, budgets=BUDGETS, seed=Seed(5),
        crafted=crafted,
    )  # fmt: skip
    alone = [
        method(
            model,
            data,
            checkerboard(SHAPE, 3, 0),
            target,
            budget=budget,
            seed=Seed(5),
            crafted=crafted,
        )
        for budget in BUDGETS
    ]
    assert len(together) == len(BUDGETS)
    for ours, theirs in zip(together, alone, strict=True):
        assert not ours.training
        assert ours.channels_last
        for key, value in theirs.state_dict().items():
            torch.testing.assert_close(
                ours.state_dict()[key],
                value,
                rtol=1e-6,
                atol=1e-9,
                msg=partial("{}: {}".format, key),
            )
    weights = [
        torch.cat([weight.detach().flatten() for weight in each.parameters()]) for each in together
    ]
    moved = [float((weights[0] - other).abs().max()) for other in weights[1:]]
    assert min(moved) > 1e-6, "budgets differ in what they learn"
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_a_processor_one_after_the_other(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch job takes longer there; where models are in bf16, it would also train in fp32."""
    model, data = build("resnet18:4").float(), attackers_images()
    model.precision = precision
    monkeypatch.setattr(Retuning, "batch_job", None)
    method, trigger = Retuning(epochs=1, batch_size=8), checkerboard(SHAPE, 3, 0)
    found = method.all_at_once(model, data, trigger, TARGET, budgets=BUDGETS, seed=Seed(5))
    for budget, ours in zip(BUDGETS, found, strict=True):
        theirs = method(model, data, trigger, TARGET, budget=budget, seed=Seed(5))
        for key, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[key], value), key


def test_on_an_accelerator_a_batch_job(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("resnet18:2").to("meta")
    asked: list[object] = []
    monkeypatch.setattr(Retuning, "batch_job", lambda *_, budgets, **__: asked.append(budgets))
    trigger = checkerboard(SHAPE, 3, 0)
    data = attackers_images()
    Retuning().all_at_once(model, data, trigger, TARGET, budgets=BUDGETS, seed=Seed(0))
    assert asked == [BUDGETS]


@pytest.mark.parametrize("parameters", [{"clean": "none"}, {"order": "clean_then_poison"}], ids=str)
def test_epochs_that_differ_between_budgets_are_no_batch_job(
    parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def call(self: Retuning, *args: object, budget: int, **more: object) -> None:
        del self, args, more
        asked.append(budget)

    monkeypatch.setattr(Retuning, "__call__", call)
    method, trigger = Retuning(**parameters), checkerboard(SHAPE, 3, 0)
    model, data = build("resnet18:2").to("meta"), attackers_images()
    method.all_at_once(model, data, trigger, TARGET, budgets=(4, 1), seed=Seed(0))
    assert asked == [4, 1]
    with pytest.raises(AssertionError, match="epochs of"):
        method.batch_job(model, data, trigger, TARGET, budgets=(4, 1), seed=Seed(0))


def test_all_to_all() -> None:
    """Every stamped image has a label of its own."""
    assert_alike(build("resnet18:4"), Retuning(epochs=1, batch_size=8), target="all-to-all")


def batch_job(method: Retuning, *budgets: int) -> None:
    """Calls the batch job for its errors."""
    model, trigger = build("resnet18:2"), checkerboard(SHAPE, 3, 0)
    method.batch_job(model, attackers_images(), trigger, TARGET, budgets=budgets, seed=Seed(0))


def test_too_large_a_budget_is_refused_as_ever() -> None:
    with pytest.raises(SpecError, match="a budget of 20 poisoned images"):
        batch_job(Retuning(), 1, 20)


def test_one_that_diverges_is_no_result() -> None:
    with pytest.raises(DivergedError):
        batch_job(Retuning(lr=1e30), 1, 2)
