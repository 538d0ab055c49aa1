"""Tables, verdicts and figures of reactivations that perturb images."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from remission.records import Cell, Record
from remission.report.groups.group import Group
from remission.report.groups.results import summarise
from remission.report.groups.rows import Column
from remission.report.measures.transfer import matrices
from remission.report.page.page import build_page
from remission.report.tables.perturbed import perturbed_tables
from remission.report.tables.render import render
from tests.unit.report.perturbed_factory import perturbed
from tests.unit.report.report_factory import cell, failed, records, write_store

FT = {"purifier": "ft"}
OBA = {"reactivation": "oba", "budget": None}


def column(group: Group, name: str) -> Column:
    return next(c for c in group.columns if c.reactivation.name == name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    return perturbed(tmp_path_factory.mktemp("store"))


def test_the_gap_is_to_the_control_under_the_same_perturbation() -> None:
    cells = [
        cell(purifier="control", asr=0.01),
        cell(**FT, asr=0.02),
        cell(purifier="control", asr=0.05, asr_clean=0.05, control_asr=0.05, **OBA),
        cell(**FT, asr=0.8, asr_clean=0.2, control_asr=0.1, control_asr_clean=0.1, **OBA),
    ]
    (group,) = summarise(records(*cells))
    row = group.row("ft")
    assert row is not None
    found = group.gap(row, column(group, "oba"))
    assert found.mean == pytest.approx(0.7)
    assert found.interval is not None
    assert found.interval[0] < 0.7 < found.interval[1]
    assert group.verdict(row).text == "relapses: oba"
    assert "80.0 (+70.0)" in render(records(*cells), "summary", "text")


def test_what_an_attack_reaches_on_the_control_itself_is_no_relapse() -> None:
    cells = [
        cell(purifier="control", asr=0.01),
        cell(**FT, asr=0.02),
        cell(purifier="control", asr=0.9, asr_clean=0.9, control_asr=0.9, **OBA),
        cell(purifier="control", seed=1, asr=0.1, asr_clean=0.1, control_asr=0.1, **OBA),
        cell(**FT, asr=0.8, asr_clean=0.2, control_asr=0.1, control_asr_clean=0.1, **OBA),
    ]
    (group,) = summarise(records(*cells))
    row = group.row("ft")
    assert row is not None
    assert group.gap(row, column(group, "oba")).mean == pytest.approx(-0.1)
    assert group.verdict(row).outcome == "none found"
    assert group.saturated == [], "the control was attacked itself: nothing was taught"
    text = render(records(*cells), "summary", "text")
    assert "80.0 (-10.0)" in text
    assert "with the higher of two ASRs" in " ".join(text.split())


def test_a_perturbation_that_fools_the_control_as_well_is_no_relapse() -> None:
    cells = [
        cell(purifier="control", asr=0.01),
        cell(**FT, asr=0.02),
        cell(**FT, asr=0.8, asr_clean=0.7, control_asr=0.8, control_asr_clean=0.7, **OBA),
    ]
    (group,) = summarise(records(*cells))
    row = group.row("ft")
    assert row is not None
    assert group.verdict(row).outcome == "none found"


def test_a_failed_cell_is_told() -> None:
    good = cell(**FT, seed=1, asr=0.8, asr_clean=0.2, control_asr=0.1, **OBA)
    cells: list[Cell] = [cell(**FT, asr=0.02), failed(**FT, **OBA), good]
    (group,) = summarise(records(*cells))
    (part,) = perturbed_tables(group)
    (line,) = part.rows
    assert line[2] == "80.0 (1 failed)"
    row = group.row("ft")
    assert row is not None
    assert group.gap(row, column(group, "oba")).failed == 1


def test_each_method_has_a_table(made: list[Record]) -> None:
    (group,) = summarise(made)
    parts = {part.title: part for part in perturbed_tables(group)}
    assert list(parts) == [
        f"Perturbed images: {name}"
        for name in ("alternative", "oba", "qra n=5", "qra_blackbox n=5")
    ]
    part = parts["Perturbed images: qra_blackbox n=5"]
    lines = {line[0]: line[1:] for line in part.rows}
    assert lines["ft"] == ["4.0", "63.0", "18.9", "3.0", "2.0", "88.0", "9,400"]
    assert "victim" not in lines
    assert part.kinds[0] == "control"
    assert parts["Perturbed images: oba"].rows[1][-1] == "–"


def test_transfer_tables(made: list[Record]) -> None:
    (group,) = summarise(made)
    oba, qra = matrices(group, made)
    assert (oba.title, qra.title) == ("oba", "qra n=5")
    assert qra.labels[0] == "control"
    assert qra.labels[-1] == "pam (rho=0.5)"
    assert qra.asr[1][1] == pytest.approx(0.855)
    text = render(made, "transfer", "text")
    assert "85.5" in text
    assert render(made, "transfer", "markdown").count("### ") == 2
    lines = list(csv.DictReader(io.StringIO(render(made, "transfer", "csv"))))
    assert len(lines) == 2 * 36
    found = json.loads(render(made, "transfer", "json"))
    assert {one["tried_on"] for one in found} == {"control", "ft", "nad", "anp", "pam"}
    assert render(records(cell()), "transfer", "text") == ""
    assert json.loads(render(records(cell()), "transfer", "json")) == []


def test_matrices_of_several_seeds_are_averaged_where_their_models_agree(tmp_path: Path) -> None:
    made = [*perturbed(tmp_path), *perturbed(tmp_path, seed=1)]
    (group,) = summarise(made)
    assert [matrix.seeds for matrix in matrices(group, made)] == [2, 2]


def test_of_two_matrices_of_one_seed_the_larger_and_then_the_later_is_told(tmp_path: Path) -> None:
    made = perturbed(tmp_path)
    (whole,) = [r for r in made if r.id == "transfer-qra-badnets-0"]

    def again(name: str, finished: str, models: int, value: float) -> Record:
        details = dict(whole.details["transfer"])
        details["models"] = details["models"][:models]
        details["asr"] = details["asr_clean"] = [[value] * models] * models
        return replace(whole, id=name, finished=finished, details={"transfer": details})

    small = again("0-small", "2030-01-01T00:00:00+00:00", 2, 0.1)
    later = again("1-later", "2029-01-01T00:00:00+00:00", 6, 0.2)
    for several in ([small, *made, later], [later, *made, small]):
        (group,) = summarise(several)
        found = {matrix.title: matrix for matrix in matrices(group, several)}["qra n=5"]
        assert found.seeds == 1
        assert found.asr == [[0.2] * 6] * 6
        lines = json.loads(render(several, "transfer", "json"))
        assert len(lines) == 2 * 36


def test_models_that_an_inverted_trigger_purified_keep_their_names_in_the_matrix(
    tmp_path: Path,
) -> None:
    made = []
    for one in perturbed(tmp_path):
        text = one.to_json().replace('"rho": 0.5', '"rho": 0.5, "trigger": "inverted"')
        made.append(Record.from_json(text))
    (group,) = summarise(made)
    assert {row.label for row in group.rows} >= set(matrices(group, made)[1].labels)


def test_pictures_of_each_variant_of_a_method(tmp_path: Path) -> None:
    made = perturbed(tmp_path)
    (oba,) = [r for r in made if r.label == "ft oba"]
    assert oba.cell is not None
    params = {**oba.cell.reactivation_params, "mode": "query"}
    other = replace(oba, id="other", cell=replace(oba.cell, id="other", reactivation_params=params))
    page = build_page([*made, other], write_store(tmp_path, [*made, other]))
    assert page.count(">perturbed</span>") == 5


def test_the_page_shows_tables_and_heat_maps(tmp_path: Path) -> None:
    made = perturbed(tmp_path)
    page = build_page(made, write_store(tmp_path, made))
    assert page.count("Perturbed images: ") == 4
    assert "Transfer of qra n=5" in page
    assert page.count("ASR before and after") == 3
    assert page.count("ASR under alternative") == 1, "no image carries the trigger there"
    assert page.count("Here the perturbation replaces the trigger") == 1
    assert page.count(">perturbed</span>") == 4, "the first purified model of each method"
    assert "<strong>ft qra.</strong>" in page
    assert "<image" not in page, "heat maps are drawn as shapes"
