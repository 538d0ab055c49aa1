"""A purifier that returned the victim unchanged is not applied, with all seeds or with some."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remission.records import Cell
from remission.report.groups.group import Group
from remission.report.groups.results import summarise
from remission.report.groups.sentences import headline, sentence
from remission.report.groups.verdict import Verdict
from remission.report.measures.scores import scores
from remission.report.page.page import build_page
from remission.report.tables.render import render
from tests.unit.report.report_factory import cell, failed, record, records

BUDGETS = (1, 100)
FT: dict[str, Any] = {"purifier": "ft"}
CONTROL: dict[str, Any] = {"purifier": "control"}


def retuned(asr: float, **more: Any) -> list[Cell]:  # noqa: ANN401  # any field
    return [cell(asr=asr, reactivation="retuning", budget=n, **more) for n in BUDGETS]


def with_seed(seed: int, applied: bool | None, asr: float, back: float) -> list[Cell]:
    """Returns a victim, a control that learns nothing, and a model of O-ASR and P-ASR."""
    return [
        cell(seed=seed, asr=0.99),
        cell(seed=seed, asr=0.01, **CONTROL),
        *retuned(0.05, seed=seed, **CONTROL),
        cell(seed=seed, asr=asr, applied=applied, **FT),
        *retuned(back, seed=seed, **FT),
    ]


def judged(made: list[Cell]) -> tuple[Group, Verdict]:
    (group,) = summarise(records(*made))
    row = group.row("ft")
    assert row is not None
    return group, group.verdict(row)


UNCHANGED = with_seed(0, False, 0.99, 0.99)


def test_an_unchanged_victim_is_no_unpurified_model() -> None:
    group, verdict = judged(UNCHANGED)
    assert verdict.outcome == "not applied"
    assert verdict.text == "not applied: the purifier returned the victim unchanged"
    assert verdict.not_applied == (1, 1)
    assert verdict.not_purified == (0, 0)
    assert "Not applied, since the purifier returned the victim unchanged: ft." in sentence(group)
    assert "survived" not in sentence(group)
    assert scores(group) == []


def test_an_older_record_is_judged_by_its_asr() -> None:
    _, verdict = judged(with_seed(0, None, 0.99, 0.99))
    assert verdict.outcome == "survived"
    assert verdict.not_applied == (0, 1)


def test_seeds_with_which_it_was_not_applied_are_in_no_gap_and_counted() -> None:
    made = [*with_seed(0, True, 0.02, 0.54), *with_seed(1, True, 0.02, 0.56)]
    made += with_seed(2, False, 0.99, 0.99)
    group, verdict = judged(made)
    assert verdict.text == "relapses: retuning at n=1, 100; not applied with 1 of 3 seeds"
    row = group.row("ft")
    assert row is not None
    assert verdict.largest is not None
    assert verdict.largest.gap.mean == pytest.approx(0.5), "0.49 and 0.51, and not 0.94"
    assert verdict.not_purified == (0, 2)
    (score,) = scores(group)
    assert score.gap.mean == pytest.approx(0.5)
    assert score.gap.n == 2
    text = " ".join(render(records(*made), "summary", "text").split())
    assert "returned the victim unchanged: ft (1 of 3 seeds); these seeds count in the" in text
    assert "2 of 3 (1 not applied)" in text
    assert "[1/3 not applied]" in render(records(*made), "overview", "text")
    assert "seeds with which ft changed nothing" in " ".join(
        render(records(*made), "scores", "text").split()
    )


def test_other_seeds_that_were_not_purified_decide() -> None:
    _, verdict = judged([*UNCHANGED, *with_seed(1, True, 0.7, 0.99)])
    assert verdict.text == (
        "not purified: O-ASR 69.0 points above the control's; not applied with 1 of 2 seeds"
    )


def test_a_broken_model_beside_it_is_counted() -> None:
    broken = [
        replace(one, clean_acc=0.5) if one.purifier == "ft" else one
        for one in with_seed(1, True, 0.0, 0.0)
    ]
    _, verdict = judged([*UNCHANGED, *broken])
    assert verdict.text == (
        "not applied: the purifier returned the victim unchanged; broken with 1 of 2 seeds"
    )


def test_a_failed_attack_comes_first() -> None:
    made = [replace(one, asr=0.1) if one.purifier == "none" else one for one in UNCHANGED]
    assert judged(made)[1].outcome == "no backdoor"
    _, verdict = judged([*[replace(one, seed=1, id=f"{one.id}b") for one in made], *UNCHANGED])
    assert verdict.text.endswith("unchanged; the attack failed with 1 of 2 seeds")


def test_a_seed_whose_purifier_failed_is_not_called_unchanged() -> None:
    made = [one for one in with_seed(1, True, 0.0, 0.0) if one.purifier != "ft"]
    assert judged([*UNCHANGED, *made, failed(seed=1, **FT)])[1].outcome == "failed"


def test_every_format_says_it() -> None:
    made = records(*UNCHANGED)
    (line,) = json.loads(render(made, "overview", "json"))
    assert (line["outcome"], line["survived"]) == ("not applied", False)
    assert (line["cells"], line["cells_purified"], line["cells_not_applied"]) == (1, 0, 1)
    (group,) = json.loads(render(made, "summary", "json"))
    row = group["rows"][-1]
    assert (row["outcome"], row["cells_not_applied"]) == ("not applied", 1)
    assert group["rows"][0]["cells_not_applied"] is None
    assert "not applied: the purifier returned" in render(made, "summary", "csv")
    assert "not applied" in render(made, "overview", "csv")
    assert "| ft | not applied | 0 of 1 (1 not applied) | – |" in render(
        made, "overview", "markdown"
    )


def test_the_page_says_it_in_the_table_the_caption_and_the_overview(tmp_path: Path) -> None:
    other = [replace(one, attack="sig", id=f"{one.id}b") for one in with_seed(0, True, 0.02, 0.04)]
    page = build_page(records(*UNCHANGED, *other), tmp_path)
    assert '<td class="verdict not-applied">not applied: the purifier returned' in page
    assert "where the purifier returned it unchanged: ft." in page
    assert "1 of 2<br><small>1 not applied</small>" in page
    assert "all attacks" not in build_page(records(*UNCHANGED), tmp_path)
    groups = summarise(records(*UNCHANGED, *other))
    assert "1 to which the purifier was not applied, since it returned" in headline(groups)


def innocent(name: str, clean: float, applied: bool | None, seed: int = 0) -> Any:  # noqa: ANN401
    nobody: dict[str, Any] = {"attack": "none", "attack_params": {}, "target": None}
    measured = cell(
        **nobody, poison_rate=0.0, asr=None, asr_interval=None, n_triggered=0,
        purifier=name, clean_acc=clean, seed=seed, applied=applied,
    )  # fmt: skip
    return record(measured, kind="innocent")


def test_on_a_model_without_a_backdoor_it_is_right() -> None:
    made = [innocent("control", 0.92, None), innocent("nc", 0.92, False)]
    made += [innocent("ft", 0.90, True), innocent("anp", 0.92, False)]
    made += [innocent("control", 0.92, None, 1), innocent("anp", 0.9, True, 1)]
    text = render(made, "innocent", "text")
    rows = {line.split()[0]: line for line in text.splitlines() if line}
    assert "which is right here, since there is no backdoor to remove" in " ".join(text.split())
    assert " no " in rows["nc"]
    assert " yes " in rows["ft"]
    assert " with 1 of 2 seeds " in rows["anp"]
    lines = json.loads(render(made, "innocent", "json"))
    assert [line["applied"] for line in lines if line["purifier"] == "nc"] == [False]
    older = [innocent("control", 0.92, None), innocent("nc", 0.92, None)]
    assert "model changed" not in render(older, "innocent", "text")
