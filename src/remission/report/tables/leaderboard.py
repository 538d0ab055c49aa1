"""The columns of the leaderboard, for its page and for the CSV file beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from remission.records import Json
from remission.report.groups.estimates import MISSING, plus_minus, points
from remission.report.groups.thresholds import MARGIN
from remission.report.groups.titles import comparison_title
from remission.report.measures.board_numbers import (
    CHANGE,
    EPOCHS,
    GAP,
    O_ASR,
    SECONDS,
    BoardNumber,
    at_bound,
    at_budget,
)
from remission.report.measures.leaderboard import ALL, Board, BoardRow, differences
from remission.report.measures.worst_gap import BOUNDS
from remission.report.tables.formats import Table
from remission.report.tables.overview import KNOWS
from remission.report.tables.purified import counts_of, gap_text, purified_text

BUDGET, BOUND = "budget", "bound"
"""The switches of the page: which budget, and which bound of clean accuracy, is shown."""
ALL_BUDGETS = "all budgets"

NOTES = (
    "in points, except for rates, CPU seconds and epochs. A cell is one attack with one seed. "
    "Standard gap: the relapse gap after the paper's retuning, which is the mean distance of the "
    "ASR above the control's over the logarithm of the number n of poisoned images; 0 is the "
    "control's. Gap at n: the same distance after the retuning with n images. Each is the mean "
    "over the cells, ± half width of the 95 % Student-t interval over them; of a single cell, in "
    "brackets, the interval from the number of test images. In a cell that the purifier lost (it "
    "failed, returned the victim unchanged, or broke the model) the ASR counts as 100 after every "
    "retuning",
    "Worst gap: the ASR after the worst of many retunings minus the control's after its own worst, "
    "among those that cost at most 1, 3 or 5 points of clean accuracy, where a store has such an "
    "ensemble",
    f"Purified: in how many cells the O-ASR is at most {100 * MARGIN:.0f} points above the "
    "control's. Largest O-ASR: the highest mean over seeds among the attacks, in percent. C-Acc "
    "change: compared with the victim, where the purifier was applied. Seconds: processor time per "
    "model, inversion included; in epochs of plain fine-tuning where the store holds ft",
    "Attacks held out: how many of the attacks had no part in the choice of the setting. Chosen: "
    "on other victims, by validation images and no ASR after a reactivation. Published: all "
    "parameters are the method's defaults. Given: what the purifier has besides the victim's "
    "weights; with the true trigger (†) it is no defence",
    "Rows are ordered by the standard gap, the smallest first. Two rows differ only where the "
    "interval of their paired difference excludes 0",
)
"""How to read the table; no full stop at their ends."""


@dataclass(frozen=True, kw_only=True)
class BoardColumn:
    """A column of the page.

    Args:
        header: its name.
        text: returns the text of a row.
        number: the name of the number that it shows, whose records the page links to; empty: it
            shows none.
        sort: returns the value that rows are sorted by; None: the text.
        shade: whether it is shaded by the mean of the number.
        wordy: whether it holds words and no numbers.
        switches: switch of the page -> the value at which the column is shown.
        applies: returns whether the column is shown for these rows.
    """

    header: str
    text: Callable[[BoardRow], str]
    number: str = ""
    sort: Callable[[BoardRow], float | None] | None = None
    shade: bool = False
    wordy: bool = False
    switches: Mapping[str, str] = field(default_factory=dict)
    applies: Callable[[Sequence[BoardRow]], bool] = lambda rows: True


def columns(boards: Sequence[Board]) -> list[BoardColumn]:
    """Returns the columns that these boards need."""
    rows = [row for board in boards for row in board.rows]
    numbers = [
        _gap("standard gap", GAP, {BUDGET: ALL_BUDGETS}),
        *(_gap(f"gap at n={n}", at_budget(n), {BUDGET: f"n = {n}"}) for n in budgets(rows)),
        *(
            _gap(f"worst gap at {100 * bound:g}", at_bound(bound), {BOUND: bound_text(bound)})
            for bound in BOUNDS
            if any(row.number(at_bound(bound)).cells for row in rows)
        ),
    ]
    return [column for column in [*_FIRST, *numbers, *_LAST] if column.applies(rows)]


def budgets(rows: Sequence[BoardRow]) -> list[int]:
    """Returns the budgets of the paper's retuning in these rows, the smallest first."""
    prefix = at_budget(0).removesuffix("0")
    names = {name for row in rows for name, number in row.numbers.items() if number.cells}
    return sorted(int(name.removeprefix(prefix)) for name in names if name.startswith(prefix))


def bound_text(bound: float) -> str:
    """Returns a bound of clean accuracy for people: ``3 points``."""
    return f"{100 * bound:g} point{'' if bound == BOUNDS[0] else 's'}"


def _gap(header: str, name: str, switches: Mapping[str, str]) -> BoardColumn:
    return BoardColumn(
        header=header,
        text=lambda row: gap_text(row.number(name).estimate),
        number=name,
        sort=lambda row: row.number(name).estimate.mean,
        shade=True,
        switches=switches,
    )


def _varies(of: Callable[[BoardRow], str]) -> Callable[[Sequence[BoardRow]], bool]:
    return lambda rows: len({of(row) for row in rows}) > 1


def attack_text(row: BoardRow) -> str:
    """Returns the attack of a row, or over how many of the attacks it is."""
    if row.attack != ALL:
        return row.attack
    count, total = row.attacks, row.attacks_of_board
    return ALL if count == total else f"{count} of {total} attacks"


def held_out_text(row: BoardRow) -> str:
    """Returns how many attacks had no part in the choice of the setting."""
    if not row.trials.known:
        return MISSING
    origin = row.trials.origin(row.purifier)
    if not origin:
        return "not shown"
    count = row.trials.held_out(row.purifier, row.names_of_attacks)
    share = {0: "no", row.attacks: "yes"}.get(count, f"{count} of {row.attacks}")
    return f"{share} ({origin})"


def _seconds(row: BoardRow) -> str:
    seconds, epochs = (row.number(name).estimate.mean for name in (SECONDS, EPOCHS))
    if seconds is None:
        return MISSING
    return f"{seconds:.0f}" + ("" if epochs is None else f" ({epochs:.0f} epochs)")


def _o_asr(row: BoardRow) -> str:
    largest = row.number(O_ASR).largest
    return MISSING if largest is None else f"{100 * largest:.1f}"


_FIRST = [
    BoardColumn(
        header="purifier",
        text=lambda row: row.label + (KNOWS if row.knows_trigger else ""),
    ),
    BoardColumn(
        header="data set",
        wordy=True,
        text=lambda row: row.key.dataset,
        applies=_varies(lambda row: row.key.dataset),
    ),
    BoardColumn(
        header="model",
        wordy=True,
        text=lambda row: row.key.arch,
        applies=_varies(lambda row: row.key.arch),
    ),
    BoardColumn(
        header="runs",
        wordy=True,
        text=lambda row: row.setting or MISSING,
        applies=_varies(lambda r: r.setting),
    ),
    BoardColumn(header="attack", wordy=True, text=attack_text),
]
_LAST = [
    BoardColumn(header="purified", text=lambda row: purified_text(row.cells)),
    BoardColumn(
        header="largest O-ASR",
        text=_o_asr,
        number=O_ASR,
        sort=lambda row: row.number(O_ASR).largest,
    ),
    BoardColumn(
        header="C-Acc change",
        text=lambda row: gap_text(row.number(CHANGE).estimate),
        number=CHANGE,
        sort=lambda row: row.number(CHANGE).estimate.mean,
    ),
    BoardColumn(
        header="CPU seconds",
        text=_seconds,
        number=SECONDS,
        sort=lambda row: row.number(SECONDS).estimate.mean,
    ),
    BoardColumn(header="attacks held out", wordy=True, text=held_out_text),
    BoardColumn(
        header="threat model", wordy=True, text=lambda row: ", ".join(row.needs) or MISSING
    ),
]


def difference_table(board: Board) -> Table | None:
    """Builds the table of the paired differences over all attacks; None below two rows."""
    rows = board.overall
    if len(rows) < 2:
        return None
    texts = [[""] * len(rows) for _ in rows]
    for pair in differences(board):
        if pair.second < len(rows) and (value := pair.values[0]):
            mean, half, cells = value
            width = plus_minus(half)
            texts[pair.first][pair.second] = f"{points(mean)}{width} ({cells} cells)"
            texts[pair.second][pair.first] = f"{points(-mean)}{width} ({cells} cells)"
    key = board.groups[0].key
    return Table(
        title=comparison_title(key.dataset, key.arch, "paired differences", board.setting),
        notes=[
            "standard gap of the row minus that of the column, in points, over the cells of both, "
            "± half width of the 95 % Student-t interval of the differences; below 0 the row "
            "relapses less"
        ],
        header=["purifier", *(row.label for row in rows)],
        rows=[[row.label, *line] for row, line in zip(rows, texts, strict=True)],
    )


def board_objects(boards: Sequence[Board]) -> list[Json]:
    """Returns one object per row for programs, rates as fractions."""
    rows = [row for board in boards for row in board.rows]
    return [
        {
            "dataset": row.key.dataset,
            "arch": row.key.arch,
            "attack": row.attack,
            "attacks": row.attacks,
            "purifier": row.purifier.name,
            "purifier_params": row.purifier.parameters,
            "label": row.label,
            **_values("standard_gap", row.number(GAP)),
            **_several(row, {f"gap_n{n}": at_budget(n) for n in budgets(rows)}),
            **_several(row, {f"worst_gap_{100 * bound:g}": at_bound(bound) for bound in BOUNDS}),
            **counts_of(row.cells),
            "largest_o_asr": row.number(O_ASR).largest,
            **_values("clean_acc_change", row.number(CHANGE)),
            "cpu_seconds": row.number(SECONDS).estimate.mean,
            "ft_epochs": row.number(EPOCHS).estimate.mean,
            "setting_origin": row.trials.origin(row.purifier) if row.trials.known else None,
            "attacks_held_out": (
                row.trials.held_out(row.purifier, row.names_of_attacks)
                if row.trials.known
                else None
            ),
            "needs": list(row.needs),
            "setting": row.key.subject()["setting"],
            "records": sorted({name for one in row.numbers.values() for name in one.records}),
        }
        for row in rows
    ]


def _several(row: BoardRow, names: Mapping[str, str]) -> Json:
    parts = (_values(key, row.number(name)) for key, name in names.items())
    return {key: value for part in parts for key, value in part.items()}


def _values(key: str, number: BoardNumber) -> Json:
    estimate = number.estimate
    low, high = estimate.interval or (None, None)
    return {
        key: estimate.mean,
        f"{key}_low": low,
        f"{key}_high": high,
        f"{key}_cells": estimate.n,
    }
