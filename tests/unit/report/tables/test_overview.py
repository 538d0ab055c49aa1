"""All attacks in one table, the cost of purifiers, and models that were never backdoored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remission.records import Cell, Record
from remission.report.groups.results import summarise
from remission.report.page.page import build_page
from remission.report.tables.render import render
from tests.unit.report.report_factory import cell, failed, record, records

RETUNED: dict[str, Any] = {"reactivation": "retuning"}
FT: dict[str, Any] = {"purifier": "ft", "purifier_params": {"epochs": 4}}
PAM: dict[str, Any] = {"purifier": "pam"}


def attacked(
    attack: str, *, ft: dict[int, float], pam: dict[int, float], seed: int = 0
) -> list[Cell]:
    """Returns two purifiers' P-ASR by budget, and a control that learns the backdoor at 20."""
    common: dict[str, Any] = {"attack": attack, "seed": seed, "attack_params": {}}
    control = {5: 0.02, 20: 0.50}
    made = [
        cell(**common, asr=0.99, clean_acc=0.92),
        cell(**common, purifier="control", asr=0.01),
        cell(**common, **FT, asr=0.04, clean_acc=0.91, seconds=9.0, cpu_seconds=2.0),
        cell(**common, **PAM, asr=0.03, clean_acc=0.90, seconds=1.0, cpu_seconds=11.0),
    ]
    for name, rates in (("control", control), ("ft", ft), ("pam", pam)):
        params = FT["purifier_params"] if name == "ft" else {}
        made += [
            cell(**common, **RETUNED, purifier=name, purifier_params=params, budget=n, asr=rate)
            for n, rate in rates.items()
        ]
    return made


def overview(made: list[Cell]) -> dict[tuple[str, str], dict[str, Any]]:
    lines = json.loads(render(records(*made), "overview", "json"))
    return {(line["purifier"], line["attack"]): line for line in lines}


def test_the_largest_gap_counts_not_the_largest_rate() -> None:
    made = attacked("badnets", ft={5: 0.62, 20: 0.90}, pam={5: 0.03, 20: 0.45})
    lines = overview(made)
    ft, pam = lines["ft", "badnets"], lines["pam", "badnets"]
    assert (ft["gap_to_control"], ft["budget"]) == (pytest.approx(0.60), 5)
    assert (pam["gap_to_control"], pam["budget"]) == (pytest.approx(0.01), 5)
    assert ft["clean_acc_change"] == pytest.approx(-0.01)
    assert ft["o_asr"] == 0.04
    assert not ft["survived"]


@pytest.mark.parametrize(("kept", "survived", "shown"), [(1, False, "[1/3]"), (3, True, "not pur")])
def test_seeds_with_which_nothing_was_purified_are_counted(
    tmp_path: Path, kept: int, survived: bool, shown: str
) -> None:
    made = []
    for seed in range(3):
        alive = (0.95, 0.3, 0.2)[seed] if seed < kept else 0.02
        made += [
            replace(one, asr=alive) if one.purifier == "ft" and one.budget is None else one
            for one in attacked("badnets", ft={5: 0.9}, pam={5: 0.02}, seed=seed)
        ]
    line = overview(made)["ft", "badnets"]
    assert (line["survived"], line["seeds_survived"]) == (survived, kept)
    text = render(records(*made), "overview", "text").splitlines()
    assert shown in next(line for line in text if line.startswith("ft"))
    assert "[" not in next(line for line in text if line.startswith("pam"))
    made += attacked("blended", ft={5: 0.9}, pam={5: 0.02})  # one attack alone has no such table
    page = build_page(records(*made), tmp_path)
    assert ("n=5 [1/3]</small>" in page) is not survived


def test_one_seed_that_is_uncertain_is_not_called_unpurified() -> None:
    made = [
        replace(one, asr=0.14, asr_interval=(0.0, 0.5))
        if one.purifier == "ft" and one.budget is None
        else one
        for one in attacked("badnets", ft={5: 0.9}, pam={5: 0.02})
    ]
    line = overview(made)["ft", "badnets"]
    assert (line["survived"], line["seeds_survived"]) == (False, 1)
    assert "[1/1]" not in render(records(*made), "overview", "text")


def test_a_cost_is_told_in_epochs_of_fine_tuning_by_processor_time() -> None:
    made = attacked("badnets", ft={5: 0.6}, pam={5: 0.1})
    lines = overview(made)
    assert lines["ft", "badnets"]["ft_epochs"] == pytest.approx(4)
    assert lines["pam", "badnets"]["ft_epochs"] == pytest.approx(22)
    text = render(records(*made), "summary", "text")
    assert [line.split()[-1] for line in text.splitlines() if line.startswith("pam")] == ["22.0"]
    older = [one for one in made if one.purifier != "ft"]
    assert overview(older)["pam", "badnets"]["ft_epochs"] is None
    (group,) = summarise(records(*older))
    assert not any(group.cost(row).known for row in group.rows)


def test_the_purifier_that_relapses_least_over_the_attacks_comes_first() -> None:
    made = attacked("badnets", ft={5: 0.9}, pam={5: 0.1})
    made += attacked("sig", ft={5: 0.1}, pam={5: 0.7})
    for pam_at_sig, first in ((0.7, "pam"), (0.99, "ft")):
        made[-1] = cell(
            attack="sig", attack_params={}, **RETUNED, **PAM, purifier_params={}, budget=5,
            asr=pam_at_sig,
        )  # fmt: skip
        text = render(records(*made), "overview", "markdown").splitlines()
        rows = [line.split("|")[1].strip() for line in text if line.startswith(("| ft", "| pam"))]
        assert rows[0] == first, text
        header = next(line for line in text if line.startswith("| purifier"))
        assert [name.strip() for name in header.split("|")[2:4]] == ["badnets", "sig"]


def test_seeds_are_averaged_and_failures_told() -> None:
    made = attacked("badnets", ft={5: 0.8}, pam={5: 0.1})
    made += attacked("badnets", ft={5: 0.4}, pam={5: 0.2}, seed=1)
    line = overview(made)["ft", "badnets"]
    assert (line["gap_to_control"], line["seeds"]) == (pytest.approx(0.58), 2)
    assert line["gap_half_width"] is not None
    broken = [one for one in made if one.purifier != "pam" or one.budget is None]
    broken.append(failed(attack="badnets", attack_params={}, **PAM, **RETUNED, budget=5))
    text = render(records(*broken), "overview", "text")
    assert "failed" in next(line for line in text.splitlines() if line.startswith("pam"))


def test_a_backdoor_that_outlives_the_purifier_is_not_a_relapse() -> None:
    made = attacked("badnets", ft={5: 0.9}, pam={5: 0.1})
    alive = [
        cell(attack="badnets", attack_params={}, **FT, asr=0.97)
        if (one.purifier, one.budget) == ("ft", None)
        else one
        for one in made
    ]
    assert overview(alive)["ft", "badnets"]["survived"]
    text = render(records(*alive), "overview", "text")
    rows = [line for line in text.splitlines() if line.startswith(("ft", "pam"))]
    assert "not purified" in rows[-1]
    alive[-1] = cell(attack="badnets", attack_params={}, **PAM, **RETUNED, budget=5, asr=0.98)
    rows = render(records(*alive), "overview", "text").splitlines()
    assert rows[-1].startswith("ft"), "a backdoor that never went ranks behind any relapse"


def test_broken_models_and_failed_attacks_are_told() -> None:
    made = [
        one
        for attack, asr, clean in (("badnets", 0.99, 0.6), ("blended", 0.07, 0.91))
        for one in (
            cell(attack=attack, asr=asr),
            cell(attack=attack, purifier="control", asr=0.01),
            cell(attack=attack, purifier="control", asr=0.02, reactivation="qra"),
            cell(attack=attack, purifier="ft", asr=0.02, clean_acc=clean),
            cell(attack=attack, purifier="ft", asr=0.9, reactivation="qra"),
        )
    ]
    text = render(records(*made), "overview", "markdown")
    assert "| ft | broken | attack failed |" in text


def test_one_attack_at_two_rates_has_two_columns() -> None:
    made = attacked("badnets", ft={5: 0.9}, pam={5: 0.1})
    made += [
        Cell(**{**vars(one), "poison_rate": 0.1, "id": f"{one.id}b"}) for one in made
    ]  # fmt: skip
    names = {line["attack"] for line in json.loads(render(records(*made), "overview", "json"))}
    assert names == {"badnets, 5 %, target 0", "badnets, 10 %, target 0"}


def innocent(name: str, clean: float, seed: int = 0, **details: Any) -> Record:  # noqa: ANN401
    nobody: dict[str, Any] = {"attack": "none", "attack_params": {}, "target": None}
    measured = cell(
        **nobody, poison_rate=0.0, asr=None, asr_interval=None, n_triggered=0,
        purifier=name, clean_acc=clean, seed=seed,
    )  # fmt: skip
    return record(measured, kind="innocent", details=details)


def test_never_backdoored_models_have_a_table_of_their_own() -> None:
    claim = {"target": 3, "target_share": 0.5, "change": 0.01, "lead": 1.25}
    made = [innocent("control", 0.92), innocent("ft", 0.915), innocent("pam", 0.9, inversion=claim)]
    assert summarise(made) == []
    lines = {line["purifier"]: line for line in json.loads(render(made, "innocent", "json"))}
    assert lines["pam"]["inversion_lead"] == 1.25
    assert lines["ft"]["control_clean_acc"] == 0.92
    text = render(made, "summary", "text").splitlines()
    (pam,) = (line.split() for line in text if line.startswith("pam"))
    assert pam == ["pam", "90.0", "-2.0", "3", "50.0", "1.2", "12.5"]


def test_the_page_tells_of_them_and_does_not_judge_them(tmp_path: Any) -> None:  # noqa: ANN401
    made = [innocent("control", 0.92), innocent("ft", 0.915)]
    made += records(*attacked("badnets", ft={5: 0.9}, pam={5: 0.1}))
    page = build_page(made, tmp_path)
    assert "never backdoored" in page
    assert "1 of 2 purified models" in page
