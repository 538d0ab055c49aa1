"""A setting is chosen by validation images: the gentlest that meets the criterion."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from remission.records import Cell
from remission.report.groups.results import summarise
from remission.report.measures.trials import Trial, trials
from remission.report.tables.render import render
from tests.unit.report.report_factory import cell, failed, records


def seen(accuracy: float, asr: float, **more: Any) -> Cell:  # noqa: ANN401  # any field
    """Returns a cell whose rates on test images say the opposite of those on validation images."""
    return cell(
        validation_clean_acc=accuracy,
        validation_asr=asr,
        n_validation=2000,
        n_validation_triggered=1800,
        clean_acc=0.9,
        asr=more.pop("test_asr", 1 - asr),
        **more,
    )


def setting(lr: float, accuracy: float, asr: float, **more: Any) -> Cell:  # noqa: ANN401
    return seen(accuracy, asr, purifier="ft", purifier_params={"lr": lr}, **more)


def victims(attack: str = "bpp", **more: Any) -> list[Cell]:  # noqa: ANN401  # any field
    return [
        seen(0.91, 0.99, attack=attack, test_asr=0.99, **more),
        seen(0.91, 0.02, attack=attack, purifier="control", test_asr=0.02, **more),
    ]


def tried(*cells: Cell) -> dict[Any, Trial]:
    found = trials(summarise(records(*cells)))
    return {trial.purifier.parameters["lr"]: trial for trial in found}


def chosen(*cells: Cell) -> list[float]:
    return [lr for lr, trial in tried(*cells).items() if trial.chosen]


def test_the_gentlest_that_meets_the_criterion_is_chosen() -> None:
    cells = [
        *victims(),
        setting(0.1, 0.905, 0.13, attack="bpp"),  # 11 points above the control's
        setting(0.2, 0.90, 0.11, attack="bpp"),
        setting(0.3, 0.89, 0.02, attack="bpp"),
        setting(0.4, 0.87, 0.02, attack="bpp"),  # 4 points lost
    ]
    assert chosen(*cells) == [0.2]
    found = tried(*cells)
    assert [trial.met for trial in found.values()] == [0, 1, 1, 0]
    assert [trial.total for trial in found.values()] == [1] * 4
    assert found[0.2].gap == pytest.approx(0.09)
    assert found[0.2].loss == pytest.approx(0.01)
    assert {trial.family for trial in found.values()} == {"ft"}


def test_the_bounds_themselves_meet_the_criterion() -> None:
    assert chosen(*victims(), setting(0.1, 0.88, 0.12, attack="bpp")) == [0.1]


def test_most_cells_come_before_the_loss() -> None:
    cells = [
        *victims("bpp"),
        *victims("low_frequency"),
        setting(0.1, 0.91, 0.02, attack="bpp"),
        setting(0.1, 0.91, 0.90, attack="low_frequency"),
        setting(0.2, 0.885, 0.02, attack="bpp"),
        setting(0.2, 0.885, 0.02, attack="low_frequency"),
    ]
    assert chosen(*cells) == [0.2]
    assert {lr: (trial.met, trial.total) for lr, trial in tried(*cells).items()} == {
        0.1: (1, 2),
        0.2: (2, 2),
    }


def test_nothing_is_chosen_where_nothing_meets_the_criterion() -> None:
    assert chosen(*victims(), setting(0.1, 0.91, 0.9, attack="bpp")) == []


def test_a_setting_that_failed_does_not_meet_the_criterion() -> None:
    broken = failed(attack="bpp", seed=1, purifier="ft", purifier_params={"lr": 0.1})
    cells = [
        *victims(),
        *victims(seed=1),
        setting(0.1, 0.91, 0.02, attack="bpp"),
        broken,
        setting(0.2, 0.90, 0.02, attack="bpp"),
        setting(0.2, 0.90, 0.02, attack="bpp", seed=1),
    ]
    assert chosen(*cells) == [0.2]
    assert tried(*cells)[0.1].met == 1
    assert tried(*cells)[0.1].total == 2


def test_an_asr_after_a_reactivation_plays_no_part() -> None:
    after = {"reactivation": "retuning", "budget": 5}
    gentle, strong = setting(0.1, 0.90, 0.02, attack="bpp"), setting(0.2, 0.89, 0.02, attack="bpp")
    for rates in ((0.01, 0.99), (0.99, 0.01)):
        cells = [
            seen(0.9, rate, attack="bpp", purifier="ft", purifier_params={"lr": lr}, **after)
            for lr, rate in zip((0.1, 0.2), rates, strict=True)
        ]
        assert chosen(*victims(), gentle, strong, *cells) == [0.1]


def test_victims_without_a_backdoor_and_cells_without_a_validation_are_left_out() -> None:
    without = [
        seen(0.91, 0.02, attack="bpp", seed=1, test_asr=0.02),
        seen(0.91, 0.02, attack="bpp", seed=1, purifier="control", test_asr=0.02),
        setting(0.1, 0.91, 0.02, attack="bpp", seed=1),
    ]
    found = tried(*victims(), *without, setting(0.1, 0.91, 0.9, attack="bpp"))
    assert (found[0.1].met, found[0.1].total) == (0, 1)
    plain = [cell(), cell(purifier="control", asr=0.01), cell(purifier="ft", asr=0.01)]
    assert trials(summarise(records(*plain))) == []


def test_a_family_for_each_inversion_and_trigger() -> None:
    def pam(trigger: str, rho: float) -> Cell:
        params = {"trigger": trigger, "rho": rho}
        return seen(0.90, 0.02, attack="bpp", purifier="pam", purifier_params=params)

    cells = [*victims(), pam("true", 0.3), pam("true", 0.5), pam("inverted", 0.5)]
    found = trials(summarise(records(*cells)))
    assert sum(trial.chosen for trial in found) == 2
    assert len({trial.family for trial in found}) == 2


def test_the_view() -> None:
    rows = records(
        *victims(), setting(0.2, 0.90, 0.11, attack="bpp"), setting(0.1, 0.91, 0.4, attack="bpp")
    )
    objects = json.loads(render(rows, "trials", "json"))
    assert [(each["label"], each["chosen"], each["met"]) for each in objects] == [
        ("ft (lr=0.1)", False, 0),
        ("ft (lr=0.2)", True, 1),
    ]
    assert objects[1]["purifier_params"] == {"lr": 0.2}
    assert objects[1]["clean_acc_lost"] == pytest.approx(0.01)
    text = render(rows, "trials", "text")
    assert "ft (lr=0.2)   chosen      1 of 1    +1.0      +9.0      +9.0" in text
    lines = list(csv.DictReader(io.StringIO(render(rows, "trials", "csv"))))
    assert [line["chosen"] for line in lines] == ["False", "True"]
