"""Every attack on every kind of image: grey and colour, small and large, few and many classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from remission.attacks import Attack, CleanLabel, Victim
from remission.errors import SpecError
from remission.method import describe
from remission.metrics import goals
from remission.models import TRAITS, build_model, load_weights, save_weights
from remission.seeding import Seed
from remission.training import Recipe
from remission.types import LabelledImages, as_float
from tests.contract.cases import CASES, Case

Shape = tuple[int, int, int]

ATTACKS = [case for case in CASES if case.kind == "attack"]
every_attack = pytest.mark.parametrize("case", ATTACKS, ids=lambda case: case.name)
every_size = pytest.mark.parametrize(
    ("shape", "classes"),
    [((1, 28, 28), 2), ((3, 32, 32), 2), ((3, 32, 32), 43), ((3, 64, 64), 43)],
    ids=str,
)

COUNT, RECIPE = 86, Recipe(epochs=1, lr=0.05, batch_size=21)  # the last batch has 2 images


def some_images(shape: Shape, classes: int) -> LabelledImages:
    """Returns random images that are smooth like photographs, for attacks that learn from them."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(COUNT, shape[0], 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, shape[1:], mode="bilinear")
    return LabelledImages((smooth * 255).to(torch.uint8), torch.arange(COUNT) % classes)


def attack_of(case: Case, classes: int, **more: Any) -> Attack:  # noqa: ANN401
    """Returns the case's attack, with a target other than 0 and a rate that its class allows."""
    rate = 0.9 / classes if issubclass(case.cls, CleanLabel) else 0.2
    made: Attack = case.cls(**{**case.parameters, "poison_rate": rate, "target": 1, **more})
    return made


def implant(attack: Attack, data: LabelledImages, classes: int) -> Victim:
    channels = data.shape[0]
    model = build_model(
        "resnet18:2",
        classes=classes,
        shape=data.shape,
        mean=(0.5,) * channels,
        std=(0.3,) * channels,
        seed=Seed(1),
    )
    return attack(model, data, RECIPE, seed=Seed(4))


def triggered(victim: Victim, images: Tensor) -> Tensor:
    with torch.inference_mode():
        found: Tensor = victim.trigger(images)
    return found


@every_attack
@every_size
def test_a_victim(case: Case, shape: Shape, classes: int, tmp_path: Path) -> None:
    data, attack = some_images(shape, classes), attack_of(case, classes)
    before = data.images.clone()
    victim = implant(attack, data, classes)
    assert torch.equal(data.images, before)
    assert victim.target == 1

    chosen = victim.poisoned
    assert len(chosen) == len(set(chosen.tolist())) == round(attack.poison_rate * COUNT)
    clean_label = isinstance(attack, CleanLabel)
    assert bool(((data.labels[chosen] == 1) == clean_label).all())

    x = as_float(data.images[:8])
    shown = triggered(victim, x)
    assert shown.shape == x.shape
    assert shown.dtype == torch.float32
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1
    moved = (shown - x).abs().amax((1, 2, 3))
    assert bool((moved >= 0.5 / 255).all()), "each image carries something that 8 bits keep"
    alone = torch.cat([triggered(victim, x[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(alone, shown, rtol=0, atol=2e-3)

    save_weights(victim.trigger, tmp_path / "trigger.safetensors")
    rebuilt = attack.trigger(shape, Seed(99))
    load_weights(rebuilt, tmp_path / "trigger.safetensors")
    again = dataclasses.replace(victim, trigger=rebuilt.eval())
    assert torch.equal(triggered(again, x), shown), "what is stored is the whole trigger"


@every_attack
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 16), (3, 33, 47), (3, 224, 224)], ids=str)
def test_a_trigger_of_any_size(case: Case, shape: Shape) -> None:
    """Before any training: keys and shapes depend on the images' shape alone."""
    attack = attack_of(case, 10)
    trigger = attack.trigger(shape, Seed(0))
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        shown = trigger.eval()(x)
    assert shown.shape == x.shape
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1
    again = attack.trigger(shape, Seed(1)).state_dict()
    assert {k: v.shape for k, v in trigger.state_dict().items()} == {
        k: v.shape for k, v in again.items()
    }


@every_attack
def test_all_to_all_where_the_attack_allows_it(case: Case) -> None:
    data = some_images((1, 16, 16), 3)
    parameters = {each["name"]: each["allowed"] for each in describe(case.cls)["parameters"]}
    if "all-to-all" not in parameters["target"]:  # and the catalogue says so
        with pytest.raises(ValueError, match="target"):
            attack_of(case, 3, target="all-to-all")
        return
    attack = attack_of(case, 3, target="all-to-all")
    victim = implant(attack, data, 3)
    assert victim.target == "all-to-all"
    wanted = goals(data.labels, "all-to-all", 3)
    assert bool((wanted[victim.poisoned] != data.labels[victim.poisoned]).all())
    assert set(data.labels[victim.poisoned].tolist()) == {0, 1, 2}


@every_attack
def test_what_cannot_be_poisoned_is_the_users_mistake(case: Case) -> None:
    data = some_images((1, 16, 16), 3)
    with pytest.raises(SpecError, match="target is 7, the data set has 3 classes"):
        implant(attack_of(case, 3, target=7), data, 3)
    with pytest.raises(SpecError, match=r"poison_rate 0\.99 means 85 of 86 images"):
        implant(attack_of(case, 3, poison_rate=0.99), data, 3)


@every_attack
def test_the_threat_model_is_declared(case: Case) -> None:
    powers = {"training images", "training labels", "training process"}
    assert powers & set(case.cls.needs)
    assert set(case.cls.needs) <= powers | set(TRAITS)
