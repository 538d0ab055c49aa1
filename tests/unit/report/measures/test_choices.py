"""A purifier at its published setting, at the one chosen on other victims, and at its best."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from remission.cli import app
from remission.errors import UserError
from remission.records import Cell
from remission.report.groups.labels import MethodKey
from remission.report.groups.results import Results, summarise
from remission.report.measures.choices import SettingChoice, choices, is_own_default, is_published
from remission.report.tables.render import render
from tests.unit.report.measures.test_trials import seen, setting, victims
from tests.unit.report.report_factory import records

PUBLISHED_FT = {
    "epochs": 10,
    "lr": 0.01,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "schedule": "cosine",
    "batch_size": 128,
}


def ft(lr: float) -> MethodKey:
    return MethodKey.of("ft", {"lr": lr})


def found(*cells: Cell, chosen: list[MethodKey] | None = None) -> dict[str, SettingChoice]:
    return {c.name: c for c in choices(summarise(records(*cells)), chosen or [])}


def after(lr: float, budget: int, asr: float, **more: Any) -> Cell:  # noqa: ANN401  # any field
    params = {"purifier": "ft", "purifier_params": {"lr": lr}} if lr else {"purifier": "control"}
    return seen(0.91, asr, test_asr=asr, reactivation="retuning", budget=budget, **params, **more)


def test_a_setting_is_published_where_every_parameter_of_its_paper_is_the_default() -> None:
    def key(**changes: object) -> MethodKey:
        return MethodKey.of("ft", PUBLISHED_FT | changes)

    assert is_published(key())
    assert is_published(key(augment="crop_flip"))  # the spec's, and no paper's
    assert not is_published(key(lr=0.03))
    assert not is_published(key(epochs=11))
    assert not is_published(MethodKey.of("somebody's", {}))
    pam = {"trigger": "true", "inversion": "universal"}
    assert is_published(MethodKey.of("pam", pam))
    assert not is_published(MethodKey.of("pam", pam | {"rho": 0.9}))
    ours = MethodKey.of("pam_path", {"trigger": "inverted"})  # chosen by who knew the results
    assert not is_published(ours)
    assert is_own_default(ours)
    assert not is_own_default(MethodKey.of("pam_path", {"lr": 0.5}))
    assert not is_own_default(key())


def test_the_best_has_the_lowest_asr_of_the_validation_among_those_that_cost_little() -> None:
    cells = [
        *victims("bpp"),
        setting(0.1, 0.905, 0.30, attack="bpp", test_asr=0.01),
        setting(0.2, 0.885, 0.05, attack="bpp", test_asr=0.20),
        setting(0.3, 0.870, 0.02, attack="bpp", test_asr=0.02),  # 4 points lost
    ]
    best = found(*cells)["best"]
    assert best.settings == {"bpp": ft(0.2)}
    assert best.tried == 3
    assert best.largest_o_asr == pytest.approx(0.20)


def test_the_best_is_chosen_per_attack_and_over_its_seeds() -> None:
    cells = [
        *victims("bpp"),
        *victims("bpp", seed=1),
        *victims("sig"),
        *[setting(0.1, 0.9, 0.04, attack="bpp", seed=s) for s in (0, 1)],
        setting(0.2, 0.9, 0.02, attack="bpp"),
        setting(0.2, 0.9, 0.90, attack="bpp", seed=1),
        setting(0.1, 0.9, 0.50, attack="sig"),
        setting(0.2, 0.9, 0.10, attack="sig"),
    ]
    best = found(*cells)["best"]
    assert best.settings == {"bpp": ft(0.1), "sig": ft(0.2)}


def test_where_all_cost_too_much_the_best_is_the_gentlest() -> None:
    cells = [
        *victims("bpp"),
        setting(0.1, 0.86, 0.40, attack="bpp"),
        setting(0.2, 0.80, 0.02, attack="bpp"),
    ]
    assert found(*cells)["best"].settings == {"bpp": ft(0.1)}


def test_a_single_setting_has_no_best_and_an_unknown_one_is_not_chosen() -> None:
    cells = [*victims("bpp"), setting(0.1, 0.9, 0.02, attack="bpp")]
    assert found(*cells) == {}
    assert found(*cells, chosen=[ft(0.3)]) == {}
    assert found(*cells, chosen=[ft(0.1)])["chosen"].settings == {"bpp": ft(0.1)}


def test_the_relapse_is_that_of_purified_cells_at_each_budget() -> None:
    cells = [
        *victims("bpp"),
        *victims("sig"),
        setting(0.1, 0.9, 0.03, attack="bpp", test_asr=0.03),
        setting(0.1, 0.9, 0.60, attack="sig", test_asr=0.60),  # not purified
        *[after(0.0, n, 0.05, attack=a) for n in (5, 20) for a in ("bpp", "sig")],
        *[after(0.1, n, asr, attack="bpp") for n, asr in ((5, 0.25), (20, 0.85))],
        *[after(0.1, n, 0.99, attack="sig") for n in (5, 20)],
    ]
    chosen = found(*cells, chosen=[ft(0.1)])["chosen"]
    assert (chosen.cells.purified, chosen.cells.cells) == (1, 2)
    assert chosen.cells.relapse.mean == pytest.approx(0.80)
    at = {column.budget: chosen.cells_at(column).relapse.mean for column in chosen.columns}
    assert at == {5: pytest.approx(0.20), 20: pytest.approx(0.80)}
    assert chosen.loss.mean == pytest.approx(0.0)  # clean accuracy on test images is equal


def stored() -> Results:
    """Returns a comparison of three settings, and trials that chose the second one."""
    tried = [
        *victims("bpp", seed=7),
        setting(0.1, 0.91, 0.9, attack="bpp", seed=7),
        setting(0.2, 0.90, 0.02, attack="bpp", seed=7),
    ]
    published = seen(
        0.9, 0.05, attack="sig", purifier="ft", purifier_params=PUBLISHED_FT | {"augment": "none"}
    )
    cells = [
        *victims("sig"),
        published,
        setting(0.1, 0.9, 0.01, attack="sig"),
        setting(0.2, 0.9, 0.03, attack="sig"),
    ]
    return Results(records(*cells), trials=Results(records(*tried)))


def test_the_view() -> None:
    objects = json.loads(render(stored(), "choices", "json"))
    assert [(o["choice"], o["settings"]["sig"].get("lr")) for o in objects] == [
        ("published", 0.01),
        ("chosen", 0.2),
        ("best", 0.1),
    ]
    assert [o["cells"]["cells"] for o in objects] == [1, 1, 1]
    text = render(stored(), "choices", "text")
    assert "best of 3" in text
    assert json.loads(render(Results(stored()), "choices", "json"))[-1]["choice"] == "best"


def test_trials_belong_to_this_view_alone(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["table", "results/quickstart", "--trials", str(tmp_path)])
    assert isinstance(result.exception, UserError)
    assert result.exception.remedy == "use it with --view choices"


def test_the_chosen_settings_are_read_from_the_other_store() -> None:
    arguments = ["table", "results/development", "--view", "choices", "--format", "json"]
    result = CliRunner().invoke(app, [*arguments, "--trials", "results/development"])
    assert result.exit_code == 0, result.output
    chosen = {
        o["family"]: o["settings"] for o in json.loads(result.stdout) if o["choice"] == "chosen"
    }
    assert {s["lr"] for s in chosen["ft_sam"].values()} == {0.03}
    assert {s["share"] for s in chosen["ep"].values()} == {0.2}
