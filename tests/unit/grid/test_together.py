"""Retunings of one model as one batch job: the records that separate ones leave, all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from grid.small import assert_whole, by_label, computed, run, write_spec
from remission.reactivations import Retuning
from remission.records import Cell
from remission.training.together import pays

MORE = ("budgets = [0, 3]", "budgets = [0, 3, 6]")
RETUNED = [f"badnets/seed0/{model}/retuning-{n}" for model in ("control", "ft") for n in (0, 3, 6)]


@pytest.fixture
def batched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The budgets of each batch job, once this machine is said to gain by them."""
    asked: list[tuple[int, ...]] = []
    own: Callable[..., Any] = Retuning.side_by_side

    def heard(self: Retuning, *given: Any, **named: Any) -> Any:  # noqa: ANN401
        asked.append(tuple(named["budgets"]))
        return own(self, *given, **named)

    monkeypatch.setattr("remission.grid.local.pays", lambda _: True)
    monkeypatch.setattr(Retuning, "side_by_side", heard)
    return asked


def cell(store: Path, label: str) -> Cell:
    """The cell of a finished stage."""
    found = by_label(store)[label].cell
    assert found is not None
    return found


def test_a_processor_gains_nothing_and_is_spared() -> None:
    assert not pays(torch.device("cpu"))
    assert pays(torch.device("cuda"))


def test_the_same_cells_as_one_after_the_other(
    tmp_path: Path, batched: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, store, other = write_spec(tmp_path, MORE), tmp_path / "store", tmp_path / "other"
    told = run(spec, store, "--only", "*/ft*")
    assert told.status == 0, told.err
    assert batched == [(0, 3, 6)] * 2
    assert set(RETUNED) <= set(computed(told))
    assert_whole(store)
    monkeypatch.setattr("remission.grid.local.pays", lambda _: False)
    run(spec, other, "--only", "*/ft*")
    assert len(batched) == 2
    assert by_label(store).keys() == by_label(other).keys()
    for label in RETUNED:
        ours, theirs = cell(store, label), cell(other, label)
        assert ours.budget == theirs.budget
        assert ours.clean_acc == pytest.approx(theirs.clean_acc, abs=0.04)  # two images of 60
        assert ours.asr == pytest.approx(theirs.asr, abs=0.04)
        assert ours.seconds > 0


def test_only_what_is_missing_is_in_the_job(tmp_path: Path, batched: list[tuple[int, ...]]) -> None:
    store = tmp_path / "store"
    run(write_spec(tmp_path), store, "--only", "*/ft*")
    told = run(write_spec(tmp_path, ("[0, 3]", "[0, 3, 6, 9]")), store, "--only", "*/ft*")
    assert batched[2:] == [(6, 9)] * 2
    assert len(computed(told)) == 4


def test_a_job_that_fails_is_tried_one_by_one(
    tmp_path: Path, batched: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    store, alone = tmp_path / "store", Retuning.reactivate

    def unlucky(self: Retuning, *given: Any, budget: int, **named: Any) -> Any:  # noqa: ANN401
        if budget == 3:
            raise RuntimeError("three brings bad luck")
        return alone(self, *given, budget=budget, **named)

    monkeypatch.setattr(Retuning, "side_by_side", none)
    monkeypatch.setattr(Retuning, "reactivate", unlucky)
    told = run(write_spec(tmp_path, MORE), store, "--only", "*/control*")
    assert told.status == 1
    assert not batched
    found = {label: by_label(store)[label].status for label in RETUNED[:3]}
    assert list(found.values()) == ["done", "failed", "done"]
    assert "three brings bad luck" in told.err
    assert "out of memory" not in told.err
