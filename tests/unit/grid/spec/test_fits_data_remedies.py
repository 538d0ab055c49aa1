"""Remedies help: each proposal is tried, and a message proposes nothing where nothing helps."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from remission.attacks import BadNets
from remission.attacks.poison_rate import possible_rates
from remission.errors import UserError
from remission.grid.spec.fits_data import check_against, remarks
from remission.grid.spec.spec import Spec, parse_spec
from remission.seeding import Seed
from remission.types import Dataset, LabelledImages


def images(labels: list[int]) -> LabelledImages:
    pixels = torch.zeros(len(labels), 1, 8, 8, dtype=torch.uint8)
    return LabelledImages(pixels, torch.tensor(labels, dtype=torch.int64))


def dataset(train: list[int], test: list[int], classes: int) -> Dataset:
    names = tuple(f"class{i}" for i in range(classes))
    return Dataset(
        name="made", train=images(train), test=images(test), classes=names, mean=(0.5,), std=(0.2,)
    )


def spec_with(attack: dict[str, Any] | None = None, **changes: Any) -> Spec:  # noqa: ANN401
    table: dict[str, Any] = {
        "name": "made",
        "dataset": "made",
        "arch": "resnet18:2",
        "attack": [{"method": "badnets", "size": 2, **(attack or {})}],
        "split": {"defender": 4, "attacker": 4},
        "purifier": [{"method": "ft"}],
    }
    return parse_spec(table | changes)


def complaint(spec: Spec, data: Dataset) -> UserError:
    with pytest.raises(UserError) as caught:
        check_against(spec, data)
    return caught.value


HALVES = [0, 1] * 20


def test_one_class_needs_another_and_no_rate() -> None:
    error = complaint(spec_with(), dataset([0] * 40, [0] * 8, 1))
    assert error.problem == "'made' has one class, 'class0'"
    assert error.remedy.startswith("add images of another class")
    with pytest.raises(UserError, match="add images of another class"):
        BadNets().select(torch.zeros(40, dtype=torch.int64), 1, Seed(0))
    check_against(spec_with(), dataset(HALVES, HALVES, 2))


@pytest.mark.parametrize("total", [0, 1, 5, 6])
def test_too_few_images_for_any_split(total: int) -> None:
    split = {"defender": 3, "attacker": 2}
    error = complaint(spec_with(split=split), dataset(HALVES[:total], HALVES, 2))
    assert error.problem == f"'made' has {total} training images, too few for any split"
    assert error.remedy == "add images: the defender needs 3, attacker and victim two each"


def test_as_many_images_as_it_says_are_enough() -> None:
    spec = spec_with({"poison_rate": 0.99}, split={"defender": 3, "attacker": 2})
    check_against(spec, dataset([1] * 7, HALVES, 2))


@pytest.mark.parametrize(
    ("total", "allowed", "told"),
    [
        (40, 20, "use a rate from 0.025 to 0.5"),
        (3, 2, "use a rate from 0.3334 to 0.6666"),
        (7, 7, "use a rate from 0.1429 to 1"),
        (54876, 49388, "use a rate from 0.000018224 to 0.89999271"),
        (9, 0, "choose another target, or give the victim other images in [split]"),
    ],
)
def test_the_rates_that_are_possible(total: int, allowed: int, told: str) -> None:
    remedy = possible_rates(total, allowed)
    if allowed:
        low, high = map(float, re.findall(r"[\d.e-]+", remedy.removeprefix("use a rate from ")))
        assert 1 <= round(low * total) <= allowed
        assert 1 <= round(high * total) <= allowed
        assert low == pytest.approx(1 / total, rel=1e-3)
        assert high == pytest.approx(allowed / total, rel=1e-3)
        assert low * total >= 1
        assert high * total <= allowed
    if total < 1000:
        assert remedy == told


@pytest.mark.parametrize("rate", [0.001, 0.9])
def test_a_rate_that_takes_too_few_or_too_many(rate: float) -> None:
    data = dataset(HALVES, HALVES, 2)
    error = complaint(spec_with({"poison_rate": rate}), data)
    rates = re.findall(r"0\.\d+", error.remedy)
    assert len(rates) == 2, error.remedy
    for good in rates:
        check_against(spec_with({"poison_rate": float(good)}), data)


def test_no_image_to_poison_is_no_matter_of_the_rate() -> None:
    data = dataset([0] * 36 + [1] * 4, HALVES, 2)
    spec = spec_with(split={"defender": 10, "attacker": 10, "victim": 4})
    error = complaint(spec, data)
    assert "4 images, and 0 are not of the target class" in error.problem
    assert "rate" not in error.remedy
    check_against(spec_with({"target": 1, "poison_rate": 0.3}, split=spec.split.model_dump()), data)


def retuned(budget: int, attacker: int, **changes: Any) -> Spec:  # noqa: ANN401
    table = {"method": "retuning", "budgets": [budget]}
    return spec_with(split={"defender": 4, "attacker": attacker}, reactivation=[table], **changes)


@pytest.mark.parametrize(
    ("budget", "remedy"),
    [
        (5, "use smaller budgets, 2 at most, or give the attacker more images in [split]"),
        (20, "use smaller budgets, 2 at most"),
        (5000, "use smaller budgets, 2 at most"),
    ],
)
def test_a_budget_that_is_too_large(budget: int, remedy: str) -> None:
    data = dataset(HALVES, HALVES, 2)
    error = complaint(retuned(budget, 4), data)
    assert error.remedy == remedy
    check_against(retuned(2, 4), data)
    if "[split]" in remedy:
        check_against(retuned(budget, 10), data)


def test_an_attacker_without_images_to_poison() -> None:
    data = dataset([0] * 35 + [1] * 5, HALVES, 2)
    spec = {"attack": {"poison_rate": 0.06}}
    error = complaint(retuned(3, 2, **spec), data)
    assert error.remedy == "give the attacker more images in [split]"
    check_against(retuned(3, 26, **spec), data)


def test_test_images_of_the_target_class_alone() -> None:
    error = complaint(spec_with(), dataset(HALVES, [0] * 8, 2))
    assert error.remedy == "choose another target, or add test images of other classes"
    check_against(spec_with({"target": 1}), dataset(HALVES, [0] * 8, 2))
    split = {"defender": 4, "attacker": 4, "test": 1}
    some = dataset(HALVES, [0] * 30 + [1] * 2, 2)
    error = complaint(spec_with(split=split), some)
    assert error.remedy == "use more test images in [split], or another target"
    check_against(spec_with(split=split | {"test": 32}), some)
    check_against(spec_with({"target": 1}, split=split), some)


def test_classes_that_a_set_lacks_are_said_once() -> None:
    many = dataset([i % 300 for i in range(1200)], [i % 300 for i in range(300)], 300)
    (line,) = remarks(spec_with(split={"defender": 60, "attacker": 24}, seeds=[0, 1]), many)
    assert line == (
        "of the 300 classes defender (60 images) lacks 240, attacker (24 images) lacks 276; larger "
        "numbers in [split], of at least 300 images, reach all of them where the data set has as "
        "many"
    )
    assert remarks(spec_with(split={"defender": 300, "attacker": 300}), many) == []
    (line,) = remarks(spec_with(split={"defender": 300, "attacker": 300, "test": 200}), many)
    assert line.startswith("of the 300 classes test (200 images) lacks 100; ")
    (line,) = remarks(spec_with(split={"defender": 300, "attacker": 300, "victim": 10}), many)
    assert line.startswith("of the 300 classes victim (10 images) lacks 290; ")
    assert remarks(spec_with(), dataset(HALVES, HALVES, 2)) == []
