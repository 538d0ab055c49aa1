"""More poisoned images than a clean-label attack crafts are refused before anything is computed."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from remission.data import load_dataset
from remission.errors import SpecError
from remission.grid.spec.fits_data import check_against
from remission.grid.spec.spec import parse_spec
from tests.unit.grid.small import SPEC

SIG = {"method": "sig", "frequency": 2, "poison_rate": 0.05, "target": 0}
"""6 of 120 images."""


def check(*reactivations: dict[str, Any], **more: Any) -> None:  # noqa: ANN401
    table = {**tomllib.loads(SPEC), "attack": [SIG], "reactivation": list(reactivations), **more}
    check_against(parse_spec(table), load_dataset("digits"))


@pytest.mark.parametrize("name", ["retuning", "qra", "qra_blackbox"])
def test_the_budgets_of_every_method_that_trains_on_them(name: str) -> None:
    check({"method": name, "budgets": [6]})
    with pytest.raises(SpecError) as caught:
        check({"method": name, "budgets": [1, 7]})
    assert caught.value.problem == (
        f"[reactivation] {name}: a budget of 7 poisoned images, and after sig the attacker has 6 "
        "crafted images of the target class"
    )
    assert "6 at most" in caught.value.remedy


def test_each_remedy_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    retuning = {"method": "retuning", "budgets": [7]}
    check({**retuning, "poisons": "relabelled"})
    check({"method": "retuning", "budgets": [6]})
    check(retuning, attack=[{**SIG, "poison_rate": 0.07}])
    monkeypatch.setattr("remission.grid.spec.fits_data.KEPT", 5)
    with pytest.raises(SpecError, match="has 5 crafted images"):
        check(retuning, attack=[{**SIG, "poison_rate": 0.07}])


def test_attacks_after_which_it_is_not_tried_do_not_count() -> None:
    badnets = {"method": "badnets", "size": 2, "poison_rate": 0.1}
    retuning = {"method": "retuning", "budgets": [20]}
    check({**retuning, "attacks": ["badnets"]}, attack=[badnets, SIG])
    with pytest.raises(SpecError, match="after sig"):
        check(retuning, attack=[badnets, SIG])


def test_a_path_to_the_retuned_model() -> None:
    retuning = {"method": "retuning", "budgets": [3]}
    check(retuning, path={"points": 2, "retuned": 6})
    with pytest.raises(SpecError, match=r"^\[path\]: retuned of 7 poisoned images, and after sig"):
        check(retuning, path={"points": 2, "retuned": 7})
    check({**retuning, "poisons": "relabelled"}, path={"points": 2, "retuned": 7})
    with pytest.raises(SpecError, match=r"^\[path\]: retuned: a budget of 0 poisoned images"):
        check({**retuning, "clean": "none"}, path={"points": 2, "retuned": 0})
