"""How many cells were purified and how far these relapse, by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from remission.records import Cell
from remission.report.groups.results import summarise
from remission.report.measures.purified import PurifiedCells, purified, together
from remission.report.tables.render import render
from tests.unit.report.report_factory import cell, failed, records

CONTROL_AFTER = {1: 0.05, 100: 0.30}


def attacked(
    attack: str,
    o_asr: float | None,
    after: dict[int, float],
    *,
    seed: int = 0,
    victim: float = 0.99,
    purifier: str = "ft",
    **changes: Any,  # noqa: ANN401  # any field
) -> list[Cell]:
    """Returns a victim, its control and one purified model, before and after two retunings."""
    common: dict[str, Any] = {"attack": attack, "seed": seed}
    back: dict[str, Any] = {"reactivation": "retuning"}
    ours: dict[str, Any] = common | {"purifier": purifier}
    return [
        cell(**common, asr=victim),
        cell(**common, purifier="control", asr=0.01),
        *(
            cell(**common, **back, purifier="control", budget=n, asr=asr)
            for n, asr in CONTROL_AFTER.items()
        ),
        failed(**ours) if o_asr is None else cell(**ours, asr=o_asr, **changes),
        *(cell(**ours, **back, budget=n, asr=asr) for n, asr in after.items()),
    ]


def cells_of(made: list[Cell], purifier: str = "ft") -> PurifiedCells:
    unique = {one.id: one for one in made}
    return together(
        purified(group, row)
        for group in summarise(records(*unique.values()))
        for row in group.rows
        if row.purifier.name == purifier
    )


def test_cells_that_were_not_purified_are_in_no_relapse() -> None:
    made = [
        *attacked("badnets", 0.02, {1: 0.25, 100: 0.40}),  # gaps of 20 and 10 points
        *attacked("badnets", 0.95, {1: 0.99, 100: 0.99}, seed=1),
        *attacked("blended", 0.10, {1: 0.05, 100: 0.90}),  # gaps of 0 and 60 points
        *attacked("sig", 0.12, {1: 0.05, 100: 0.30}),  # an O-ASR 11 points above the control's
    ]
    cells = cells_of(made)
    assert (cells.purified, cells.cells, cells.share) == (2, 4, 0.5)
    assert cells.relapse.mean == pytest.approx(0.4)
    assert cells.relapse.n == 2
    # Student's t with one degree of freedom, 12.706, times 0.2 * sqrt(2) / sqrt(2)
    assert cells.relapse.half_width == pytest.approx(12.7062 * 0.2, rel=1e-4)
    assert cells.relapse.interval == (-1.0, 1.0)


def test_an_attack_with_many_seeds_weighs_as_much_as_any_other() -> None:
    made = [*attacked("blended", 0.02, {1: 0.05, 100: 0.90})]  # 60 points
    for seed, gap in enumerate((0.1, 0.2, 0.3)):
        made += attacked("badnets", 0.02, {1: 0.05 + gap}, seed=seed)
    assert cells_of(made).relapse.mean == pytest.approx((0.6 + 0.2) / 2)
    alone = cells_of([one for one in made if one.attack == "badnets"]).relapse
    assert alone.mean == pytest.approx(0.2)
    assert alone.n == 3
    assert alone.half_width == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-6)


def test_one_cell_has_the_interval_of_its_test_images() -> None:
    relapse = cells_of(attacked("badnets", 0.02, {1: 0.25, 100: 0.40})).relapse
    assert relapse.mean == pytest.approx(0.2)
    assert relapse.half_width is None
    assert relapse.interval is not None
    low, high = relapse.interval
    assert 0.18 < low < 0.2 < high < 0.22


def test_a_purifier_gains_nothing_by_breaking_models() -> None:
    made = [
        *attacked("badnets", 0.02, {1: 0.25}),
        *attacked("blended", 0.0, {1: 0.0}, clean_acc=0.5),
        *attacked("sig", 0.99, {1: 0.99}, applied=False),
    ]
    cells = cells_of(made)
    assert (cells.purified, cells.cells) == (1, 3)
    assert (cells.broken, cells.not_applied) == (1, 1)
    assert cells.relapse.mean == pytest.approx(0.2)


def test_what_is_no_cell() -> None:
    made = [
        *attacked("badnets", 0.02, {1: 0.25}),
        *attacked("badnets", None, {}, seed=1),
        *attacked("blended", 0.02, {1: 0.25}, victim=0.1),
        *attacked("sig", 0.02, {1: 0.25}, victim=0.1),
        *attacked("sig", 0.02, {}, seed=1),
    ]
    cells = cells_of(made)
    assert (cells.purified, cells.cells, cells.failed) == (2, 2, 1)
    assert cells.relapse.n == 1, "one of the two purified cells was not retuned"
    nothing = cells_of(attacked("blended", 0.02, {1: 0.25}, victim=0.1))
    assert (nothing.cells, nothing.share, nothing.relapse.mean) == (0, None, None)
    text = render(records(*{one.id: one for one in made}.values()), "overview", "markdown")
    assert "| 2 of 2 (1 failed) | +20.0 \\[" in text
    assert "(1 of 2 cells) |" in text


def purifiers() -> list[Cell]:
    """Returns three purifiers: one purifies and relapses, one purifies half, one nothing."""
    made = []
    for attack in ("badnets", "blended"):
        made += attacked(attack, 0.02, {1: 0.9}, purifier="bold")
        made += attacked(attack, 0.02, {1: 0.06}, purifier="calm")
        made += attacked(attack, 0.02 if attack == "badnets" else 0.9, {1: 0.05}, purifier="half")
        made += attacked(attack, 0.99, {1: 0.99}, purifier="anything")
    return list({one.id: one for one in made}.values())


def test_rows_are_ordered_as_the_note_says() -> None:
    text = render(records(*purifiers()), "overview", "text")
    names = ("bold", "calm", "half", "anything")
    rows = [line.split()[0] for line in text.splitlines() if line.startswith(names)]
    assert rows == ["calm", "bold", "half", "anything"]
    note = " ".join(text.split())
    assert "Rows are ordered by the share of cells that were purified and, where it is" in note
    assert "counts as 100" not in note


def test_programs_get_both_numbers_of_an_attack_and_of_all() -> None:
    found = json.loads(render(records(*purifiers()), "overview", "json"))
    lines = {(line["purifier"], line["attack"]): line for line in found}
    half = lines["half", "blended"]
    assert (half["cells"], half["cells_purified"], half["relapse_of_purified"]) == (1, 0, None)
    assert (half["overall_cells"], half["overall_cells_purified"]) == (2, 1)
    assert half["overall_relapse_of_purified"] == pytest.approx(0.0)
    bold = lines["bold", "badnets"]
    assert bold["overall_relapse_of_purified"] == pytest.approx(0.85)
    assert bold["relapse_of_purified_low"] < 0.85 < bold["relapse_of_purified_high"]
    header = render(records(*purifiers()), "overview", "csv").splitlines()[0].split(",")
    assert {"cells_purified", "overall_relapse_of_purified_half_width"} <= set(header)
