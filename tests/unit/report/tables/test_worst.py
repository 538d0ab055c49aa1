"""The view ``worst``, its heat map, and the column of the overview."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from remission.records import Record
from remission.report.figures.ensemble import ensemble_figure
from remission.report.groups.estimates import Estimate
from remission.report.groups.results import Results
from remission.report.measures.retuning_map import RetuningCell, retuning_map
from remission.report.measures.retunings import RetuningNames
from remission.report.page.page import build_page
from remission.report.tables.purified import gap_text
from remission.report.tables.render import render
from remission.report.tables.worst import worst_lines
from tests.unit.report.ensemble_factory import ensemble_of, entry, measured
from tests.unit.report.report_factory import cell, records


def model(
    purifier: str,
    asr: float,
    rates: list[float | None],
    accuracies: list[float],
    **more: Any,  # noqa: ANN401  # any field
) -> list[Record]:
    """Returns a model with its ensemble of three retunings."""
    settings: list[dict[str, Any]] = [{"lr": 0.01}, {"lr": 0.1}, {"lr": 0.1, "layers": "head"}]
    entries = [
        entry(rate, None, accuracy, budget=20, **setting)
        for rate, accuracy, setting in zip(rates, accuracies, settings, strict=True)
    ]
    before = measured(purifier, asr, 0.9, **more)
    return [*records(before), ensemble_of(before, *entries)]


def made(**more: Any) -> list[Record]:  # noqa: ANN401  # any field
    victim = cell(asr=0.99, validation_asr=0.99, clean_acc=0.9, validation_clean_acc=0.9, **more)
    return [
        *records(victim),
        *model("control", 0.01, [0.02, 0.1, 0.05], [0.9, 0.89, 0.9], **more),
        *model("ft", 0.05, [0.6, 1.0, None], [0.89, 0.8, 0.9], **more),
        *model("ep", 0.03, [0.05, 0.3, 0.2], [0.9, 0.9, 0.9], **more),
        *model("nad", 0.8, [0.8, 0.2, 0.2], [0.9, 0.9, 0.9], **more),
    ]


def test_people_see_gap_retuning_and_order() -> None:
    text = render(made(), "worst", "markdown")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    header, _, *lines = rows
    assert [line[0] for line in lines] == ["ep", "ft", "nad"], "purified ones, by the worst gap"
    by = dict(zip(header, lines[1], strict=True))
    assert by["purified"] == "1 of 1"
    assert by["at 3"].startswith("+50.0 ")
    assert by["worst retuning at 3"] == "lr=0.01, n=20"
    assert by["control's worst"] == "lr=0.1, n=20"
    assert (by["ASR at 3"], by["control's ASR"]) == ("60.0", "10.0")
    assert "Rows are in the order of the attack" in text
    assert "Of 3 retunings, which have epochs=5, layers=all unless" in text


def test_programs_get_every_retuning() -> None:
    objects = json.loads(render(made(), "worst", "json"))
    ft = next(line for line in objects if line["label"] == "ft")
    assert (ft["attack"], ft["purifier"], ft["cells_purified"]) == ("badnets", "ft", 1)
    assert [at["worst_gap"] for at in ft["worst"]] == pytest.approx([0.5, 0.5, 0.5])
    (seed,) = ft["worst"][1]["seeds"]
    assert (seed["retuning"], seed["budget"], seed["control_asr"]) == ("lr=0.01, n=20", 20, 0.1)
    (ensemble,) = ft["ensemble"]
    assert [one["label"] for one in ensemble["retunings"]] == [
        *("lr=0.01, n=20", "lr=0.1, n=20"),
        "lr=0.1, layers=head, n=20",
    ]
    assert "error" in ensemble["retunings"][2]
    lines = list(csv.DictReader(io.StringIO(render(made(), "worst", "csv"))))
    assert len(lines) == 3 * 3, "purifiers times bounds, with one seed"
    nad = next(line for line in lines if line["label"] == "nad" and line["bound"] == "0.03")
    assert (float(nad["asr"]), float(nad["control_asr"])) == (0.8, 0.1)
    assert nad["worst_gap_of_purified"] == "", "it was not purified"


def test_of_several_seeds_the_most_frequent_retuning_is_named() -> None:
    one = made(seed=0) + made(seed=1)
    other = model("ft", 0.05, [0.1, 0.9, None], [0.89, 0.89, 0.9], seed=2)
    rest = [r for r in made(seed=2) if "ft" not in (r.cell.purifier if r.cell else "")]
    rest = [r for r in rest if r.details.get("purifier") != "ft"]
    text = render([*one, *rest, *other], "worst", "markdown")
    assert "lr=0.01, n=20 \\[2/3\\]" in text
    assert " ± " in text


def test_without_an_ensemble_the_view_is_empty_and_the_overview_as_before() -> None:
    without = [record for record in made() if record.kind != "ensemble"]
    assert render(without, "worst", "json") == "[]"
    assert "worst gap" not in render(without, "overview", "text")


def test_the_overview_has_the_worst_gap_of_purified_models() -> None:
    text = render([*made(), *made(attack="wanet")], "overview", "markdown")
    table = [line for line in text.splitlines() if line.startswith("| ")]
    header = [cell.strip() for cell in table[0].strip("|").split("|")]
    assert header[-1] == "worst gap of those"
    last = {
        line.split("|")[1].strip(): line.strip("|").split("|")[-1].strip() for line in table[2:]
    }
    assert last == {"control": "–", "ft": "+50.0 ± 0.0", "ep": "+20.0 ± 0.0", "nad": "–"}
    objects = json.loads(render(made(), "overview", "json"))
    gaps = {line["label"]: line["worst_gap_of_purified"] for line in objects}
    assert gaps == pytest.approx({"ft": 0.5, "ep": 0.2, "nad": None})


def test_the_map_has_the_control_first_and_marks_what_was_chosen() -> None:
    (lines,) = worst_lines(Results.of(made()))
    found = retuning_map([line.worst for line in lines], lines[0].names)
    assert found.models == ["control", "ep", "ft", "nad"]
    ft = [cells[2] for cells in found.cells]
    assert ft == [
        RetuningCell(asr=0.6, costly=False, worst=True),
        RetuningCell(asr=1.0, costly=True, worst=False),
        None,
    ]
    svg = ElementTree.fromstring(ensemble_figure(found))
    texts = [element.text for element in svg.iter() if element.tag.endswith("text")]
    assert texts[:4] == found.models
    assert texts.count("lr=0.1, layers=head, n=20") == 1
    assert len(texts) == 4 + 3 + 11, (
        "one number per model and retuning, but for the one that failed"
    )


def test_a_costly_retuning_is_hatched_and_the_worst_framed() -> None:
    (lines,) = worst_lines(Results.of(made()))
    svg = ensemble_figure(retuning_map([line.worst for line in lines], lines[0].names))
    paths = [e for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("path")]
    hatched = [path for path in paths if path.get("opacity") == "0.55"]
    framed = [path for path in paths if path.get("stroke-width") == "1.5"]
    assert len(hatched) == 1, "ft after a rate of 0.1 lost ten points"
    assert len(framed) == 4, "one per model"


def test_a_half_width_beyond_all_gaps_is_not_written() -> None:
    assert gap_text(Estimate(mean=0.1, half_width=1.5, n=2)) == "+10.0 ± >100"
    assert gap_text(Estimate(mean=0.1, half_width=0.02, n=2)) == "+10.0 ± 2.0"
    assert gap_text(Estimate(mean=0.1, n=1, interval=(0.05, 0.2))) == "+10.0 [+5.0, +20.0]"
    assert gap_text(Estimate()) == "–"


def test_a_parameter_that_some_records_leave_out() -> None:
    entries = [entry(0.1), entry(0.1, schedule="cosine"), entry(0.1, lr=0.1)]
    names = RetuningNames.of(entries)
    assert [names.name(one) for one in entries] == [
        *("lr=0.01, n=5", "lr=0.01, schedule=cosine, n=5", "lr=0.1, n=5")
    ]
    assert names.common == "epochs=5, layers=all"
    usual = RetuningNames.of([entry(0.1, schedule="cosine"), entry(0.1, lr=0.1, schedule="cosine")])
    assert usual.name(entry(0.1)) == "lr=0.01, schedule=default, n=5"


def test_the_page_draws_a_map_per_attack(tmp_path: Path) -> None:
    page = build_page([*made(), *made(attack="wanet")], tmp_path)
    assert "worst retuning" in page
    for attack in ("badnets", "wanet"):
        assert page.count(f"<figcaption>{attack}: The ASR in percent after each retuning") == 1
