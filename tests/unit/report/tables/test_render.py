from __future__ import annotations

import csv
import dataclasses
import io
import json
import math

import pytest

from remission.errors import UserError
from remission.records import Cell, PathCurve, Record
from remission.report.groups.estimates import Estimate, estimate, gap, show
from remission.report.groups.labels import MethodKey, label_methods
from remission.report.groups.results import summarise
from remission.report.tables.render import render
from tests.unit.report.report_factory import cell, curve, failed, grid, record, records

CONTRACT_CELL = {
    *("dataset", "arch", "attack", "attack_params", "poison_rate", "target", "seed", "purifier"),
    *("purifier_params", "reactivation", "reactivation_params", "budget", "clean_acc", "asr"),
    *("robust_acc", "seconds", "id"),
}
CONTRACT_PATH = {
    *("dataset", "arch", "attack", "seed", "purifier", "batchnorm", "t", "asr", "clean_acc"),
}
FT = {"purifier": "ft"}
RETUNED = {"reactivation": "retuning", "budget": 5}


def three_seeds() -> list[Record]:
    made: list[Cell] = []
    for seed, (ours, theirs) in enumerate([(0.80, 0.10), (0.84, 0.12), (0.88, 0.08)]):
        made += [
            cell(seed=seed, asr=0.99),
            cell(seed=seed, purifier="control", asr=0.0),
            cell(seed=seed, purifier="control", asr=theirs, **RETUNED),
            cell(seed=seed, asr=0.02, **FT),
            cell(seed=seed, asr=ours, **FT, **RETUNED),
        ]
    return records(*made)


def test_one_seed_shows_the_value_alone() -> None:
    number = estimate([cell(asr=0.9123)], "asr")
    assert (number.mean, number.half_width, number.n) == (0.9123, None, 1)
    assert number.interval is not None
    assert number.interval[0] < 0.9123 < number.interval[1]
    assert show(number, seeds=1) == "91.2"


def test_gap_is_paired_by_seed() -> None:
    ours = [cell(seed=s, asr=a) for s, a in enumerate([0.80, 0.84, 0.88])]
    theirs = [cell(seed=s, asr=a) for s, a in enumerate([0.10, 0.14, 0.18])]
    number = gap(ours, theirs)
    assert number.mean == pytest.approx(0.7)
    assert number.half_width == pytest.approx(0.0, abs=1e-12)
    assert gap(ours, [cell(seed=7, asr=0.1)]) == Estimate()


def test_single_seed_gap_has_newcombes_interval() -> None:
    ours = cell(asr=0.5, asr_interval=(0.4, 0.6))
    theirs = cell(asr=0.1, asr_interval=(0.07, 0.14))
    interval = gap([ours], [theirs]).interval
    assert interval is not None
    assert interval[0] == pytest.approx(0.4 - math.hypot(0.1, 0.04))
    assert interval[1] == pytest.approx(0.4 + math.hypot(0.1, 0.03))


def test_cells_of_one_seed_count_once_and_are_told() -> None:
    made = records(cell(asr=0.2, seed=0), cell(asr=0.4, seed=0), cell(asr=0.9, seed=1))
    (group,) = summarise(made)
    number = group.rows[0].number("asr")
    assert number.n == 2
    assert number.mean == pytest.approx(0.6)
    assert group.repeated == 1
    assert "1 cell is averaged with another of the same row, column and seed:" in render(
        made, "summary", "text"
    )


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Estimate(), "–"),
        (Estimate(failed=1), "failed"),
        (Estimate(mean=0.912, half_width=0.003, n=3), "91.2 ± 0.3"),
        (Estimate(mean=0.912, half_width=0.003, n=2, failed=1), "91.2 ± 0.3 (2 seeds, 1 failed)"),
        (Estimate(mean=0.5, half_width=6.29, n=2), "50.0 ± >100 (2 seeds)"),
        (Estimate(mean=0.912, n=1), "91.2"),
        (Estimate(mean=-0.00001, n=3), "0.0"),
    ],
)
def test_numbers_for_people(number: Estimate, text: str) -> None:
    assert show(number, seeds=3) == text


def test_summary_json_holds_the_papers_columns() -> None:
    (group,) = json.loads(render(three_seeds(), "summary", "json"))
    assert [row["label"] for row in group["rows"]] == ["victim", "control", "ft"]
    row = group["rows"][2]
    assert row["o_asr"]["mean"] == pytest.approx(0.02)
    (after,) = row["reactivations"]
    assert (after["reactivation"], after["budget"], after["label"]) == (
        "retuning",
        5,
        "retuning n=5",
    )
    assert after["p_asr"]["mean"] == pytest.approx(0.84)
    assert after["p_asr"]["half_width"] == pytest.approx(4.302653 * 0.04 / math.sqrt(3), rel=1e-5)
    assert after["gap_to_control"]["mean"] == pytest.approx(0.74)
    # the differences 0.70, 0.72, 0.80 have the standard deviation sqrt(0.0028)
    by_hand = 4.302653 * math.sqrt(0.0028) / math.sqrt(3)
    assert after["gap_to_control"]["half_width"] == pytest.approx(by_hand, rel=1e-5)


def test_summary_csv_has_fractions_and_text_percentages() -> None:
    lines = list(csv.DictReader(io.StringIO(render(three_seeds(), "summary", "csv"))))
    assert float(lines[2]["p_asr retuning n=5"]) == pytest.approx(0.84)
    assert lines[2]["p_asr retuning n=5 n"] == "3"
    text = render(three_seeds(), "summary", "text")
    assert "84.0 ± 9.9" in text
    assert "over 3 seeds" in text
    markdown = render(three_seeds(), "summary", "markdown")
    assert "| P-ASR retuning n=5 |" in markdown
    assert "| 84.0 ± 9.9 (+74.0 ± 13.1) |" in markdown


def test_budgets_are_sorted_as_numbers() -> None:
    made = [cell(asr=0.1, **FT, reactivation="retuning", budget=n) for n in (100, 5, 20, 1)]
    (group,) = summarise(records(*made))
    assert [column.budget for column in group.columns] == [1, 5, 20, 100]


def test_failed_and_missing_cells_are_told_apart() -> None:
    made = records(
        cell(), cell(asr=0.1, **FT), failed(**FT, **RETUNED), cell(purifier="nad", asr=0.2)
    )
    made.append(record(kind="inversion", label="an inversion", status="failed", error="no memory"))
    text = render(made, "summary", "text")
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert "failed" in lines["ft"]
    assert "failed" not in lines["nad"]
    assert "–" in lines["nad"]
    assert "a record: the loss became NaN in step 7" in text
    assert "an inversion: no memory" in text
    assert "failed" in render(made, "cells", "text")
    assert ",failed," in render(made, "summary", "csv")


def test_labels_show_only_differing_parameters() -> None:
    weak = MethodKey.of("pam", {"rho": 0.3, "epochs": 5, "inner": {"steps": 2}})
    strong = MethodKey.of("pam", {"rho": 0.5, "epochs": 5, "inner": {"steps": 3}})
    alone = MethodKey.of("ft", {"epochs": 10})
    assert label_methods([weak, strong, alone]) == {
        weak: "pam (inner.steps=2, rho=0.3)",
        strong: "pam (inner.steps=3, rho=0.5)",
        alone: "ft",
    }
    bare = MethodKey.of("pam", {})
    assert label_methods([bare, MethodKey.of("pam", {"rho": 1})])[bare] == "pam"


def test_reactivations_with_different_parameters_are_distinct_columns() -> None:
    made = [
        cell(asr=0.1, **FT, **RETUNED, reactivation_params={"epochs": e, "budgets": [e]})
        for e in (1, 2)
    ]
    (group,) = summarise(records(*made))
    titles = [column.title for column in group.columns]
    assert titles == ["retuning (epochs=1) n=5", "retuning (epochs=2) n=5"]


def test_cells_json_has_exactly_the_fields_of_the_contract() -> None:
    found = json.loads(render(three_seeds(), "cells", "json"))
    assert set(found[0]) >= CONTRACT_CELL
    assert set(found[0]) == {f.name for f in dataclasses.fields(Cell)} | {"setting"}
    assert found[0]["purifier"] == "none"
    assert found[0]["asr_interval"] == list(found[0]["asr_interval"])
    assert all(0 <= one["asr"] <= 1 for one in found)


def test_paths_json_has_exactly_the_fields_of_the_contract() -> None:
    made = [record(kind="path", paths=(curve(),))]
    (found,) = json.loads(render(made, "paths", "json"))
    assert set(found) >= CONTRACT_PATH
    derived = {"mean_backdoor_error", "t_back", "barriers", "setting"}
    assert set(found) == {f.name for f in dataclasses.fields(PathCurve)} | derived
    assert found["t_back"] == pytest.approx(0.25)
    assert found["barriers"]["backdoor_error"] == pytest.approx(0.0)
    assert len(found["t"]) == len(found["asr"]) == len(found["clean_acc"]) == 3
    lines = list(csv.DictReader(io.StringIO(render(made, "paths", "csv"))))
    assert [line["t"] for line in lines] == ["0.0", "0.5", "1.0"]


def test_paths_stand_with_the_models_of_their_poison_rate() -> None:
    low, high = cell(poison_rate=0.01), cell(poison_rate=0.1)
    walk = record(kind="path", id="walk", paths=(curve(poison_rate=0.1),))
    groups = summarise([*records(low, high), walk])
    assert [(g.key.poison_rate, len(g.paths)) for g in groups] == [(0.01, 0), (0.1, 1)]
    (orphan,) = summarise([record(kind="path", paths=(curve(),))])
    assert (orphan.key.poison_rate, orphan.rows, len(orphan.paths)) == (0.05, (), 1)


@pytest.mark.parametrize("view", ["summary", "cells", "paths"])
@pytest.mark.parametrize("format", ["text", "markdown"])
def test_nothing_is_cut(view: str, format: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = grid(tmp_path_factory.mktemp("store"))
    long = cell(purifier="x" * 300, dataset="d" * 200)
    made.append(record(long, paths=(curve(purifier="x" * 300),)))
    text = render(made, view, format)
    assert "…" not in text
    assert "x" * 300 in text
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_markup_and_control_characters_in_names_are_shown_as_they_are() -> None:
    made = records(cell(purifier="[red]a|b\x1b[31m\nc"))
    assert "[red]a|b\\x1b[31m\\nc" in render(made, "cells", "text")
    line = render(made, "cells", "markdown").splitlines()[2]
    assert "\\[red\\]a\\|b" in line


def test_an_unknown_view_or_format_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="did you mean 'cells'"):
        render([], "cell", "text")
    with pytest.raises(UserError, match="known: csv, json, markdown, text"):
        render([], "cells", "xml")


def test_rows_of_two_inversions_say_which() -> None:
    asked = {"trigger": "inverted"}
    made = [cell(purifier="pam", purifier_params=asked, seed=seed) for seed in (0, 1)]
    made.append(cell(purifier="pam", purifier_params={**asked, "inversion": "universal"}))
    made.append(cell(purifier="pam", purifier_params={"trigger": "true"}))
    (group,) = summarise(records(*made))
    assert [row.label for row in group.rows] == [
        "pam (inversion=bti_dbf, trigger=inverted)",
        "pam (inversion=universal, trigger=inverted)",
        "pam (trigger=true)",
    ]
