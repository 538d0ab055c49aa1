"""Every parameter is checked, and every method is documented."""

from __future__ import annotations

import dataclasses
import json
import math
from importlib import resources
from typing import Any

import pytest
from pydantic import TypeAdapter

from remission.errors import SpecError
from remission.method import from_table
from remission.registry import (
    catalogue,
    make_attack,
    make_inversion,
    make_purifier,
    make_reactivation,
)
from tests.contract.cases import KINDS, REQUIRED

METHODS = [(kind, name) for kind, table in KINDS.items() for name in table]
PARAMETERS = [
    pytest.param(kind, name, each.name, id=f"{kind}-{name}-{each.name}")
    for kind, name in METHODS
    for each in dataclasses.fields(KINDS[kind][name])
]
MAKERS = {
    "attack": make_attack,
    "inversion": make_inversion,
    "purifier": make_purifier,
    "reactivation": make_reactivation,
}
every_method = pytest.mark.parametrize(("kind", "name"), METHODS, ids=lambda value: value)

BAD: dict[str, list[Any]] = {
    "alpha": [-0.1],
    "amplitude": [0.0, 1.1],
    "anomaly": [-0.1],
    "area": [0.0, 1.1],
    "batch_size": [1, 0, 2.5],
    "beside": [(), ("nonsense",), 5, ("badnets", "blended", "sig", "wanet")],
    "beside_targets": [(), (-1,), (1.5,), 5],
    "betas": [(), (-1.0,), 5],
    "base": [{"method": "ft"}],
    "beta": [-0.1],
    "bit_epochs": [-1, 1.0],
    "bit_weight": [0.0, -1.0],
    "bits": [0, 1001],
    "bound": [0.0, 1.1],
    "budgets": [(), (-1,), (1.5,), 5],
    "classes_at_once": [0, 1.5],
    "classifier_lr": [0.0, -0.1],
    "channels": [-1, 1.5],
    "clean_epochs": [0, 1.0],
    "clean_lr": [0.0, -0.1],
    "clean_share": [0.0, 1.0],
    "clip": [0.0, -1.0],
    "conservatism": [0.0, 1.1],
    "cost": [0.0, -1.0],
    "cross_ratio": [-0.1],
    "decoy": [-1, 1.5],
    "delta": [0.0, -1.0, 256.0],
    "epochs": [0, -1, 1.0],
    "eps": [0.0, -0.1, 1.1],
    "epsilon": [0.0, -1.0],
    "eta": [0.0, -0.1],
    "ewc": [-0.1],
    "faintest": [-0.1, 1.1],
    "feature_bound": [0.0, -1.0],
    "filters": [0],
    "fisher_images": [0, 1.5],
    "flow": [0.0, -0.1],
    "frequencies": [1, 2.5],
    "frequency": [0, -1],
    "generator_lr": [0.0, -0.1],
    "grid": [0, 65],
    "held_out": [0.0, 1.0],
    "image": ["cat.png", "data:image/png;base64,AAAA", "data:image/png;base64,\xe9"],
    "image_bound": [0.0, -1.0],
    "image_weight": [-1.0],
    "images": [0, 1.5],
    "incomplete": [-0.1, 1.0],
    "incomplete_ratio": [-0.1],
    "inner_epochs": [0, 1.0],
    "inner_lr": [0.0, -0.1],
    "iterations": [0, 1.5],
    "k": [1, 225],
    "label_smoothing": [-0.1, 1.0],
    "lambda_1": [-0.1],
    "lambda_2": [-0.1],
    "lambda_3": [-0.1],
    "lambda_4": [-0.1],
    "lambda_clean": [0.0, -0.1],
    "lambda_div": [-0.1],
    "lambda_norm": [-0.1],
    "levels": [0, 7],
    "lr": [0.0, -0.1],
    "lure_ratio": [0.0, -0.1],
    "margin": [-1],
    "mask_density": [0.0, 1.0],
    "mask_epochs": [0],
    "mask_lr": [0.0, -0.1],
    "masked": [-0.1, 1.0],
    "max_drop": [-0.1, 1.1],
    "momentum": [-0.1, 1.0],
    "negative_ratio": [-0.1],
    "neurons": [0, 1.5],
    "norm_bound": [0.0, -1.0],
    "passes": [0, 1.5],
    "patience": [0, 1.5],
    "penalty": [-0.1],
    "planted_alpha": [0.0, 1.1],
    "poison_rate": [0.0, 1.0, -0.5, 1.5],
    "pretrain_epochs": [-1],
    "rho": [0.0, -1.0],
    "average": [-0.1, 1.0],
    "along": [0.0, 1.0],
    "flow_lr": [0.0, -0.1],
    "reach": [0.0, 1.0],
    "refined_reach": [0.0, 1.0],
    "strength": [0.9],
    "t_max": [0.0, 1.1],
    "temperature": [0.0, -1.0],
    "robust_steps": [-1],
    "rounds": [0],
    "s": [0.0, -0.5],
    "seed": [-1, 1.5],
    "queries": [0, 1.5],
    "surrogate_epochs": [0, 1.0],
    "surrogate_lr": [0.0, -0.1],
    "surrogates": [(), ("nonsense",), 5],
    "teacher_lr": [0.0, -0.1],
    "width": [0, 1.5],
    "share": [0.0, 1.1],
    "sigma": [0.0, -0.1],
    "size": [0],
    "squeeze_num": [1, 129],
    "stage_one_epochs": [0],
    "step_size": [0.0, 1.1],
    "steps": [0],
    "success": [-0.1, 1.1],
    "t": [0.0, 1.0],
    "target": [-1],
    "target_epochs": [-1],
    "target_value": [0.0, -1.0],
    "teacher_epochs": [0, 1.0],
    "test_amplitude": [0.0, 1.1],
    "test_gain": [0.0, -1.0],
    "threshold": [-0.1, 1.1],
    "transparency": [-0.1, 1.0],
    "u": [-0.1],
    "unlearn_acc": [-0.1, 1.0],
    "unlearn_epochs": [0],
    "margin_lr": [0.0, -0.1],
    "margin_steps": [0, 1.0],
    "noise": [0.0, -0.1],
    "reference_augment": ["victim", True],
    "reference_epochs": [0, 1.0],
    "references": [1, 2.0],
    "rivals": [1, 2.0],
    "short_steps": [0, 1.0],
    "starts": [0, 1.0],
    "unlearn_lr": [0.0, -0.1],
    "unlearn_weight_decay": [-1e-9],
    "tune_epochs": [-1],
    "tune_lr": [0.0, -0.1],
    "warmup": [-0.1, 1.0],
    "weight": [-1.0],
    "weight_decay": [-1e-9],
}
"""Parameter -> values out of its range, in every method that has it."""
BAD_HERE: dict[tuple[str, str], list[Any]] = {
    ("undo", "epochs"): [-1, 1.0],
    ("voted", "threshold"): [-0.1, True],
}
"""Method and parameter -> values out of its range, where this method allows more than others."""


CATALOGUE = catalogue()


def default(kind: str, name: str, **parameters: Any) -> Any:  # noqa: ANN401
    """Returns a method with the default of all parameters that have one, but for these."""
    return KINDS[kind][name](**{**REQUIRED.get(name, {}), **parameters})


def entry(kind: str, name: str) -> dict[str, Any]:
    return next(found for found in CATALOGUE[f"{kind}s"] if found["name"] == name)


def bad_values(kind: str, name: str, parameter: str) -> list[Any]:
    """Returns values that the parameter must refuse: a wrong type, no number, out of range."""
    schema = TypeAdapter(KINDS[kind][name]).json_schema()["properties"][parameter]
    if schema.get("type") == "boolean":
        return ["yes", 1]
    if "enum" in schema or "const" in schema:
        return ["nonsense", 1]
    values: list[Any] = [
        "1",
        None,
        True,
        math.nan,
        *BAD_HERE.get((name, parameter), BAD[parameter]),
    ]
    return values


def test_the_bad_values_are_those_of_existing_parameters() -> None:
    names = {each.name for kind, name in METHODS for each in dataclasses.fields(KINDS[kind][name])}
    assert set(BAD) <= names, "no method has such a parameter any more"


@pytest.mark.parametrize(("kind", "name", "parameter"), PARAMETERS)
def test_a_bad_value_is_refused_and_the_message_names_the_parameter(
    kind: str, name: str, parameter: str
) -> None:
    cls = KINDS[kind][name]
    for value in bad_values(kind, name, parameter):
        with pytest.raises(ValueError, match=rf"(?m)^{parameter}(\.|$)"):
            cls(**{parameter: value})
        table = {**REQUIRED.get(name, {}), parameter: value}
        with pytest.raises(SpecError, match=rf"'{parameter}(\.\d+)?' is ") as caught:
            from_table(cls, table, f"[{kind}] {name}")
        assert str(caught.value).startswith(f"[{kind}] {name}: ")
        assert caught.value.remedy


@pytest.mark.parametrize(("kind", "name", "parameter"), PARAMETERS)
def test_the_default_is_allowed_and_documented(kind: str, name: str, parameter: str) -> None:
    found = next(p for p in entry(kind, name)["parameters"] if p["name"] == parameter)
    if parameter not in REQUIRED.get(name, {}):
        stored = json.loads(json.dumps(default(kind, name).parameters()))
        made = MAKERS[kind]({"method": name, **stored, parameter: found["default"]})
        assert made == default(kind, name)
    assert len(found["meaning"].split()) >= 2, "a docstring below the field"
    assert found["allowed"]


@every_method
def test_every_parameter_comes_back_from_its_own_table(kind: str, name: str) -> None:
    made = default(kind, name)
    assert MAKERS[kind](json.loads(json.dumps({"method": name, **made.parameters()}))) == made


@every_method
def test_an_unknown_parameter_is_refused(kind: str, name: str) -> None:
    with pytest.raises(ValueError, match="no_such_thing"):
        KINDS[kind][name](no_such_thing=1)
    with pytest.raises(SpecError, match="unknown key 'no_such_thing'"):
        MAKERS[kind]({"method": name, "no_such_thing": 1})


@every_method
def test_a_mistyped_parameter_is_recognised(kind: str, name: str) -> None:
    first = dataclasses.fields(KINDS[kind][name])[0].name
    with pytest.raises(SpecError, match=f"did you mean '{first}'"):
        MAKERS[kind]({"method": name, f"{first}x": 1})


@every_method
def test_a_method_is_a_frozen_value(kind: str, name: str) -> None:
    made = default(kind, name)
    first = dataclasses.fields(made)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, first, getattr(made, first))
    assert made == default(kind, name)


@every_method
def test_parameters_are_given_by_keyword_only(kind: str, name: str) -> None:
    for parameter in entry(kind, name)["parameters"]:
        with pytest.raises(ValueError, match="positional"):
            KINDS[kind][name](parameter["default"])


@every_method
def test_a_method_is_documented(kind: str, name: str) -> None:
    found = entry(kind, name)
    assert len(found["summary"].split()) >= 4
    assert found["summary"].endswith(".")
    assert any(part.isdigit() and len(part) == 4 for part in found["paper"].split()) or (
        "arXiv" in found["paper"]
    ), "where it was published, with the year or the arXiv number"
    assert KINDS[kind][name].name == name
    if kind != "attack":
        assert found["needs"], "what it must be given"


def test_an_unknown_method_is_refused() -> None:
    for kind, make in MAKERS.items():
        first = next(iter(KINDS[kind]))
        with pytest.raises(SpecError, match=f"unknown {kind} '{first}x'; did you mean '{first}'"):
            make({"method": f"{first}x"})
        with pytest.raises(SpecError, match="has no 'method'"):
            make({})


def test_the_stored_catalogue_is_up_to_date() -> None:
    text = resources.files("remission").joinpath("catalogue.json").read_text(encoding="utf-8")
    assert json.loads(text) == CATALOGUE, "catalogue.json is out of date: run 'make docs'"
