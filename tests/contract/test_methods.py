"""Guarantees of every method."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from remission.catalogue import methods_by_kind
from remission.models import resolve_precision
from remission.progress import listening
from remission.reactivations import InputReactivation
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.contract.cases import CASES, KINDS, Case, Outcome, call, clean_images, subject

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
given_a_model = pytest.mark.parametrize(
    "case", [case for case in CASES if case.kind != "attack"], ids=lambda case: case.id
)
"""An attack trains the model that it is given; all others leave it as it is."""

HAS_BF16 = resolve_precision("auto", torch.device("cpu")) == "bf16"
needs_bf16 = pytest.mark.skipif(not HAS_BF16, reason="this processor does not multiply bf16")
precisions = pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_bf16)])


def without_passes() -> list[Case]:
    """Returns each case with each number of passes or steps that may be 0 set to 0."""
    may_be_0 = {
        (kind.removesuffix("s"), entry["name"]): [
            p["name"]
            for p in entry["parameters"]
            if p["name"].endswith(("epochs", "steps")) and p["allowed"].startswith("integer >= 0")
        ]
        for kind, entries in methods_by_kind().items()
        for entry in entries
    }
    return [
        replace(case, parameters={**case.parameters, name: 0})
        for case in CASES
        for name in may_be_0[case.kind, case.name]
        if name in {field.name for field in fields(case.cls)}
    ]


@pytest.mark.parametrize("case", without_passes(), ids=lambda case: case.id)
def test_no_passes_are_no_mistake(case: Case) -> None:
    module = call(case, subject(), clean_images(), Seed(0)).module
    assert all(value.isfinite().all() for value in module.state_dict().values())


def test_every_registered_method_has_a_case() -> None:
    listed = {(case.kind, case.name) for case in CASES}
    registered = {(kind, name) for kind, table in KINDS.items() for name in table}
    assert registered == listed, "give each method of the registry a case in tests/contract/cases"


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Returns all that a method could change in a model: values, modes, hooks, requires_grad."""
    values: dict[str, Tensor] = {
        **{f"parameter {key}": value for key, value in model.named_parameters()},
        **{f"buffer {key}": value for key, value in model.named_buffers()},
    }
    return {
        "values": {key: value.detach().clone() for key, value in values.items()},
        "pointers": {key: value.data_ptr() for key, value in values.items()},
        "requires_grad": {key: value.requires_grad for key, value in values.items()},
        "gradients": [key for key, value in values.items() if value.grad is not None],
        "training": {key: module.training for key, module in model.named_modules()},
        "momenta": [getattr(module, "momentum", None) for module in model.modules()],
        "hooks": hooks(model),
    }


def hooks(model: nn.Module) -> int:
    """Returns the number of hooks on a model's modules and parameters."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    on_modules = sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)
    return on_modules + sum(len(p._backward_hooks or ()) for p in model.parameters())


def assert_unchanged(model: nn.Module, before: dict[str, Any]) -> None:
    after = snapshot(model)
    for key, value in before.pop("values").items():
        assert torch.equal(after["values"][key], value), f"{key} was changed"
    after.pop("values")
    assert after == before


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@given_a_model
def test_the_model_stays_as_it_is(case: Case, training: bool) -> None:
    model = subject().train(training)
    model.conv1.requires_grad_(False)
    before = snapshot(model)
    call(case, model, clean_images(), Seed(0))
    assert_unchanged(model, before)


@dataclass(frozen=True)
class Observed:
    """One call of a case's method with seed 0, which several tests look at.

    Args:
        outcome: its result.
        data: the images that it was given, afterwards.
        steps: how often it reported its progress.
        random_state: the state of torch's global generator before and after.
    """

    outcome: Outcome
    data: LabelledImages
    steps: int
    random_state: tuple[Tensor, Tensor]


@cache
def observed(case: Case) -> Observed:
    """Returns the one call."""
    data, steps = clean_images(), 0

    def listener(what: str, done: int, total: int) -> None:
        nonlocal steps
        del what, done, total
        steps += 1

    before = torch.get_rng_state()
    with listening(listener):
        outcome = call(case, subject(), data, Seed(0))
    return Observed(outcome, data, steps, (before, torch.get_rng_state()))


class StopError(Exception):
    """Raised in the middle of a method."""


@pytest.mark.parametrize("where", [0.0, 0.5, 1.0], ids=["at once", "midway", "at the end"])
@given_a_model
def test_the_model_stays_as_it_is_when_the_method_raises(case: Case, where: float) -> None:
    model, left = subject().train(), max(1, round(where * observed(case).steps))
    before, state = snapshot(model), torch.get_rng_state()

    def listener(what: str, done: int, total: int) -> None:
        nonlocal left
        del what, done, total
        left -= 1
        if left <= 0:
            raise StopError

    with listening(listener), pytest.raises(StopError):
        call(case, model, clean_images(), Seed(0))
    assert_unchanged(model, before)
    assert torch.equal(torch.get_rng_state(), state)


@every_case
def test_the_images_stay_as_they_are(case: Case) -> None:
    seen, again = observed(case), clean_images()
    assert torch.equal(seen.data.images, again.images)
    assert torch.equal(seen.data.labels, again.labels)


@every_case
def test_the_result(case: Case) -> None:
    outcome = observed(case).outcome
    found, wanted = outcome.module.state_dict(), outcome.like.state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in wanted.items()}
    assert {k: v.dtype for k, v in found.items()} == {k: v.dtype for k, v in wanted.items()}
    assert all(bool(torch.isfinite(value).all()) for value in found.values())
    assert hooks(outcome.module) == 0
    frozen = issubclass(case.cls, InputReactivation)
    assert all(p.requires_grad != frozen for p in outcome.module.parameters())
    if case.kind != "attack":
        assert not any(module.training for module in outcome.module.modules())


def same(one: Outcome, two: Outcome) -> bool:
    a, b = one.tensors(), two.tensors()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@precisions
@every_case
def test_the_seed_decides_everything(case: Case, precision: Any) -> None:  # noqa: ANN401
    def run(number: int) -> Outcome:
        return call(case, subject(precision), clean_images(), Seed(number))

    first = observed(case).outcome if precision == "fp32" else run(0)
    torch.rand(7)  # what else is drawn in the process does not matter
    assert same(first, run(0))
    assert same(first, run(1)) != case.drawn


@pytest.mark.skipif(not HAS_BF16, reason="this processor does not multiply bf16")
@every_case
def test_weights_stay_fp32_in_bf16(case: Case) -> None:
    outcome = call(case, subject("bf16"), clean_images(), Seed(0))
    for key, value in outcome.module.state_dict().items():
        assert value.dtype in (torch.float32, torch.int64), key


@every_case
def test_global_random_state_stays(case: Case) -> None:
    before, after = observed(case).random_state
    assert torch.equal(before, after)


@every_case
def test_memory_format_stays(case: Case) -> None:
    """Convolutions keep their channels-last weights: else every further pass is slower."""
    outcome = observed(case).outcome
    for key, value in outcome.module.state_dict().items():
        if value.ndim == 4:
            assert value.is_contiguous(memory_format=torch.channels_last), key
