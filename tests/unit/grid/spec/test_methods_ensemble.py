"""Mistakes in the tables [[ensemble]] are named before anything is computed."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from remission.data import load_dataset
from remission.errors import SpecError
from remission.grid.spec.fits_data import check_against
from remission.grid.spec.spec import parse_spec
from tests.unit.grid.plan.test_ensembles import table
from tests.unit.grid.small import SPEC

SIG = {"method": "sig", "frequency": 2, "poison_rate": 0.05, "target": 0}
"""6 of 120 images."""


def test_it_needs_images_of_a_validation() -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec({**tomllib.loads(SPEC), "ensemble": [{"budgets": [3]}]})
    assert "worst retuning" in caught.value.problem
    assert "validation = 1000" in caught.value.remedy


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"lr": -1.0}, r"^\[ensemble\] retuning: 'lr' is -1"),
        ({"rate": 1.0}, r"^\[ensemble\] retuning: unknown key 'rate'"),
        ({"method": "qra"}, r"^\[ensemble\]: 'method' is 'qra', and an ensemble consists of"),
        ({"attacks": ["sig"]}, r"^\[ensemble\] retuning: 'attacks' is \['sig'\]; list some"),
        ({"budgets": [0], "clean": "none"}, "a budget of 0 poisoned images"),
        ({"sweep": {"lr": 0.1}}, r"^\[ensemble\]: 'sweep.lr' is 0.1"),
    ],
)
def test_a_mistake_in_a_table_is_named(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_spec(table(entry))


def test_one_table_is_no_list() -> None:
    with pytest.raises(SpecError, match=r"write a table \[\[ensemble\]\] for each"):
        parse_spec({**table(), "ensemble": {"lr": 0.1}})


def check(*ensemble: dict[str, Any], **more: Any) -> None:  # noqa: ANN401  # any section
    check_against(parse_spec(table(*ensemble, **more)), load_dataset("digits"))


def test_budgets_above_the_attackers_images() -> None:
    check({"budgets": [30]})
    with pytest.raises(SpecError, match=r"^\[ensemble\] retuning: a budget of 41 poisoned images"):
        check({"budgets": [3]}, {"budgets": [41]})


def test_budgets_above_the_crafted_images() -> None:
    check({"budgets": [6]}, attack=[SIG])
    check({"budgets": [7], "poisons": "relabelled"}, attack=[SIG])
    with pytest.raises(SpecError, match=r"^\[ensemble\] retuning: a budget of 7 .* after sig"):
        check({"budgets": [7]}, attack=[SIG])
