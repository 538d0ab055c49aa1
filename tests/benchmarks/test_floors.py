"""The passes that each method makes, counted as they are made, and those of its floor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from floors import CELLS, NoFloorError, build, cell, methods
from methods import call, work_of
from passes import Passes
from remission.models import Classifier
from remission.reactivations import access
from remission.registry import PURIFIERS
from tests.contract.cases import TARGET, clean_images, subject, true_trigger

BATCH = 16
MIDDLE = (4, 2, 3, 3)
"""The shape of ``layer2.0.conv1.weight`` of resnet18:2, which no other layer has."""
aten = torch.ops.aten


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts images of which one convolution computes the output, and each of the gradients.

    It sees what runs in this thread, so also both passes of second derivatives.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = [0, 0, 0]

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        if func in (aten.convolution.default, aten.conv2d.default) and args[1].shape == MIDDLE:
            self.counts[0] += len(args[0])
        if func == aten.convolution_backward.default and args[2].shape == MIDDLE:
            for place, wanted in enumerate(args[-1][:2], start=1):
                self.counts[place] += len(args[0]) * wanted
        return func(*args, **(kwargs or {}))


@contextmanager
def counting(patch: pytest.MonkeyPatch) -> Iterator[Counter]:
    """Counts in this thread, and in that in which an oracle answers."""
    counter, ask = Counter(), access._ask

    def counted(model: Classifier, images: Tensor, answers: access.Answers) -> Tensor:
        with counter:
            return ask(model, images, answers)

    patch.setattr(access, "_ask", counted)
    with counter:
        yield counter


@pytest.mark.parametrize(("kind", "name"), methods())
def test_a_method_makes_the_passes_of_its_floor(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = build(kind, name, BATCH)
    with counting(monkeypatch) as counter:
        call(method, subject(), clean_images(), true_trigger(), TARGET)
    work = work_of(subject(), clean_images(), TARGET)
    assert tuple(counter.counts) == cell(kind, name).floor(method, work).convolutions()


def test_the_counter_counts_each_part_of_a_pass() -> None:
    model, images = subject().eval(), clean_images().floats(torch.arange(5))
    with Counter() as counter:
        model(images).sum().backward()
        with torch.inference_mode():
            model(images[:3])
        images.requires_grad_(True)
        torch.autograd.grad(model(images[:2]).sum(), images)
    assert counter.counts == [10, 7, 5]


def test_a_method_without_a_floor_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PURIFIERS, "ours", PURIFIERS["ft"])
    assert ("purifier", "ours") in methods()
    with pytest.raises(NoFloorError, match="the purifier 'ours' has no floor: count how"):
        build("purifier", "ours", BATCH)


def test_every_cell_belongs_to_a_method() -> None:
    assert {f"{kind} {name}" for kind, name in methods()} == set(CELLS)


def test_passes_add_up() -> None:
    both = Passes(forward=2, step=3) + Passes(step=1, to_images=4)
    assert both == Passes(forward=2, step=4, to_images=4)
    assert both.seconds({"forward": 0.5, "step": 3.0, "to_images": 1.0}) == 17.0
    assert both.convolutions() == (10, 8, 4)
    assert isinstance(subject().get_submodule("layer2.0.conv1"), nn.Conv2d)
