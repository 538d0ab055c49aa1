"""Every method on a pretended device: it puts nothing where it does not belong."""

from __future__ import annotations

import builtins
import dataclasses
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from torch import Tensor

from remission.errors import SpecError
from remission.models import Precision
from remission.reactivations import access
from remission.seeding import Seed
from tests.contract.cases import CASES, KINDS, Case, call, clean_images, subject
from tests.device.pretended import GIB, pretended_device
from tests.device.tensor import DeviceTensor

FEW = slice(0, 16)
"""One batch: what matters here does not depend on the number of steps."""
NO_ROOM = pytest.param(0, marks=pytest.mark.claims, id="images on the CPU")

LONG = (
    "purifier-undo-ep",
    "purifier-undo-pam",
    "reactivation-oba-transfer",
    "reactivation-qra_blackbox-labels",
)
"""Cases that take long, of methods that other cases try."""
every_case = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.id, marks=[pytest.mark.claims] * (case.id in LONG))
        for case in CASES
    ],
)


@pytest.fixture(autouse=True)
def _plain_for_oracles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets an oracle, which answers plain tensors alone, take a pretended one for a real one."""

    def seen(value: object) -> type:
        return Tensor if isinstance(value, DeviceTensor) else builtins.type(value)

    monkeypatch.setattr(access, "type", seen, raising=False)


def on_the_device(case: Case, precision: Precision, memory: int) -> dict[str, Tensor]:
    """Returns what a case makes on the pretended device, on the CPU."""
    with pretended_device(memory) as drawn:
        data = clean_images()[FEW].to("cuda")
        assert data.labels.device.type == "cuda"
        assert data.images.device.type == ("cuda" if memory else "cpu")
        outcome = call(case, subject(precision).to("cuda"), data, Seed(0))
        assert not drawn, "numbers are drawn on the CPU: else they depend on the device"
        assert {value.device.type for value in outcome.module.state_dict().values()} == {"cuda"}
        return {key: value.cpu() for key, value in outcome.tensors().items()}


def assert_same(case: Case, precision: Precision, memory: int) -> None:
    try:
        wanted = call(case, subject(precision), clean_images()[FEW], Seed(0)).tensors()
    except SpecError as error:
        pytest.skip(f"refused on the processor too: {error.problem}")
    found = on_the_device(case, precision, memory)
    assert found.keys() == wanted.keys()
    assert [key for key in wanted if not torch.equal(found[key], wanted[key])] == []


@pytest.mark.parametrize("memory", [pytest.param(GIB, id="images there"), NO_ROOM])
@every_case
def test_a_method_on_a_device(case: Case, memory: int) -> None:
    """The same bits as on the processor, so that nothing was changed in a copy and then lost."""
    assert_same(case, "fp32", memory)


def words(hint: object) -> list[str]:
    """Returns the words that a parameter of this type may be."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [word for part in get_args(hint) for word in words(part)]


HOST_ONLY = ("schedule", "trigger", "base")
"""Parameters that are numbers of the host alone, or of which every value has a case."""


def variants() -> Iterator[Case]:
    """Yields each case with each other word, or with the other of yes and no, of each parameter."""
    for case in CASES:
        method, hints = case.make(), get_type_hints(case.cls)
        for each in dataclasses.fields(case.cls):
            now = getattr(method, each.name)
            others = [not now] if isinstance(now, bool) else words(hints[each.name])
            for other in others if each.name not in HOST_ONLY else ():
                value = (other,) if get_origin(hints[each.name]) is tuple else other
                parameters = {**case.parameters, each.name: value}
                with suppress(SpecError, ValueError):
                    if value not in (now, "victim", "crop") and case.cls(**parameters):
                        yield Case(case.kind, case.name, parameters, case.drawn)


@pytest.mark.claims
@pytest.mark.parametrize("case", list(variants()), ids=lambda case: case.id)
def test_every_choice_on_a_device(case: Case) -> None:
    """The same with each choice that a parameter offers."""
    assert_same(case, "fp32", 0)


def test_every_registered_method_has_a_case() -> None:
    assert {(case.kind, case.name) for case in CASES} == {
        (kind, name) for kind, methods in KINDS.items() for name in methods
    }


IN_BF16 = ("purifier-pam-inverted", "reactivation-qra-conv")
"""Autocast in a classifier, and in a generator that is trained."""


@pytest.mark.parametrize("case", [each for each in CASES if each.id in IN_BF16], ids=IN_BF16)
def test_autocast_is_that_of_the_device(case: Case) -> None:
    assert_same(case, "bf16", GIB)
