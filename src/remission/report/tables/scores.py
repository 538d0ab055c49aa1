"""The view ``scores``: each relapse curve in single numbers, one row per purifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from remission.records import Json
from remission.report.groups.estimates import FAILED, MISSING, Estimate
from remission.report.groups.group import Group
from remission.report.groups.results import Results
from remission.report.groups.sentences import listed
from remission.report.groups.thresholds import LOSS, MARGIN
from remission.report.measures.purified import PurifiedCells
from remission.report.measures.relapse_gap import Bound
from remission.report.measures.scores import Reach, Score, scores
from remission.report.tables.columns import TableColumn, objects_of, table_of
from remission.report.tables.formats import Table
from remission.report.tables.purified import counts_of, purified_text
from remission.report.tables.views import View, register_view


@dataclass(frozen=True, kw_only=True)
class GroupScore:
    """A score with the group that it belongs to."""

    group: Group
    score: Score


def _gap(number: Estimate, seeds: int) -> str:
    if number.mean is None:
        return FAILED if number.failed else MISSING
    text = _signed(number.mean)
    if number.half_width is not None:
        text += f" ± {number.half_width:.2f}"
    elif number.interval:
        text += f" [{_signed(number.interval[0])}, {_signed(number.interval[1])}]"
    notes = [f"n={number.n}"] if number.n != seeds else []
    notes += [f"{number.failed} failed"] if number.failed else []
    return f"{text} ({', '.join(notes)})" if notes else text


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}"  # + 0.0 turns -0.0 into 0.0


def _reach(reach: Reach | None) -> str:
    if reach is None:
        return MISSING
    if str(reach.first) == str(reach.last):
        return str(reach.at)
    return f"{reach.at} [{reach.first}, {reach.last}]"


ScoreColumn = TableColumn[GroupScore, GroupScore]


def _bound(key: str, bound: Callable[[Score], Bound | None]) -> list[ScoreColumn]:
    """Returns the two columns of a number that may be known as a bound alone."""

    def value(line: GroupScore) -> float | None:
        return number.value if (number := bound(line.score)) else None

    def relation(line: GroupScore) -> str | None:
        return number.relation if (number := bound(line.score)) else None

    return [
        ScoreColumn(key=key, value=value),
        ScoreColumn(key=f"{key}_relation", value=relation),
    ]


def _reaches(key: str, reach: Callable[[Score], Reach | None]) -> list[ScoreColumn]:
    """Returns the columns of a budget: for the mean curve, and for the ends of the intervals."""

    def of(name: str) -> Callable[[Score], Bound | None]:
        return lambda score: getattr(reach(score), name) if reach(score) else None

    return [
        *_bound(key, of("at")),
        *_bound(f"{key}_first", of("first")),
        *_bound(f"{key}_last", of("last")),
    ]


def _counts() -> list[ScoreColumn]:
    """Returns the columns of the numbers of cells, one for each entry of :func:`counts_of`."""

    def of(key: str) -> Callable[[GroupScore], int]:
        return lambda line: counts_of(line.score.cells)[key]

    return [ScoreColumn(key=key, value=of(key)) for key in counts_of(PurifiedCells())]


COLUMNS: list[ScoreColumn] = [
    ScoreColumn(key="purifier", value=lambda line: line.score.row.purifier.name),
    ScoreColumn(key="purifier_params", value=lambda line: line.score.row.purifier.parameters),
    ScoreColumn(
        header="purifier",
        text=lambda line: line.score.row.label,
        key="label",
        value=lambda line: line.score.row.label,
    ),
    ScoreColumn(
        header="reactivation",
        text=lambda line: line.score.column.label,
        varies=True,
        key="reactivation",
        value=lambda line: line.score.column.reactivation.name,
    ),
    ScoreColumn(
        key="reactivation_params", value=lambda line: line.score.column.reactivation.parameters
    ),
    ScoreColumn(key="budgets", value=lambda line: list(line.score.budgets)),
    ScoreColumn(header="purified", text=lambda line: purified_text(line.score.cells)),
    *_counts(),
    ScoreColumn(
        header="relapse gap of those",
        text=lambda line: _gap(line.score.purified_gap, line.group.seeds),
        key="relapse_gap_of_purified",
        value=lambda line: line.score.purified_gap.mean,
    ),
    ScoreColumn(
        key="relapse_gap_of_purified_half_width",
        value=lambda line: line.score.purified_gap.half_width,
    ),
    ScoreColumn(
        key="relapse_gap_of_purified_low", value=lambda line: _end(line.score.purified_gap, 0)
    ),
    ScoreColumn(
        key="relapse_gap_of_purified_high", value=lambda line: _end(line.score.purified_gap, 1)
    ),
    ScoreColumn(key="seeds_of_purified", value=lambda line: line.score.purified_gap.n),
    ScoreColumn(
        header="relapse gap of all",
        text=lambda line: _gap(line.score.gap, line.group.seeds),
        key="relapse_gap",
        value=lambda line: line.score.gap.mean,
    ),
    ScoreColumn(key="relapse_gap_half_width", value=lambda line: line.score.gap.half_width),
    ScoreColumn(key="relapse_gap_low", value=lambda line: _end(line.score.gap, 0)),
    ScoreColumn(key="relapse_gap_high", value=lambda line: _end(line.score.gap, 1)),
    ScoreColumn(key="seeds", value=lambda line: line.score.gap.n),
    ScoreColumn(key="failed", value=lambda line: line.score.gap.failed),
    ScoreColumn(header="n at ASR 50 %", text=lambda line: _reach(line.score.purified)),
    *_reaches("half_at", lambda score: score.purified),
    ScoreColumn(header="control's n", text=lambda line: _reach(line.score.control)),
    *_reaches("control_half_at", lambda score: score.control),
    ScoreColumn(
        header="ratio", text=lambda line: str(line.score.ratio) if line.score.ratio else MISSING
    ),
    *_bound("ratio", lambda score: score.ratio),
]


def _end(number: Estimate, side: int) -> float | None:
    return number.interval[side] if number.interval else None


def _note(group: Group, lines: Sequence[GroupScore]) -> str:
    budgets = [line.score.budgets for line in lines]
    spans = sorted({f"{row[0]} to {row[-1]}" for row in budgets})
    over = (
        "± half width of the 95 % Student-t interval over the seeds"
        if any(line.score.gap.half_width is not None for line in lines)
        else "in brackets the 95 % interval from the number of test images"
    )
    unapplied = [row.label for row in group.purified if group.unapplied_seeds(row)]
    return (
        f"purified: with how many seeds the O-ASR is at most {100 * MARGIN:.0f} points above the "
        "control's, of all seeds whose victim has a working backdoor; relapse gap: mean distance "
        "of the ASR above the control's over the logarithm of the number of poisoned images n (n = "
        f"{', '.join(spans)}), between -1 and 1, {over}, once over the seeds that were purified "
        "(“of those”) and once over all seeds with a curve (“of all”), as are the next columns; "
        "n at ASR 50 %: the smallest n that brings half of the backdoor back, interpolated, and in "
        "brackets the same for the ends of the ASRs' intervals; ratio: the control's n over it; "
        f"models that lost more than {100 * LOSS:.0f} points of clean accuracy are left out"
        + (f", and seeds with which {listed(unapplied)} changed nothing" if unapplied else "")
        + "; rows are in the order of their names, which is no ranking"
    )


def _scores(group: Group) -> list[GroupScore]:
    return [GroupScore(group=group, score=score) for score in scores(group)]


def score_table(group: Group) -> Table | None:
    """Builds the scores of a group; None where no relapse curve has two budgets."""
    lines = _scores(group)
    return (
        table_of(COLUMNS, lines, title=group.title, notes=[_note(group, lines)]) if lines else None
    )


def _tables(results: Results) -> list[Table]:
    """Builds one table per group."""
    return [table for group in results.groups if (table := score_table(group))]


def _objects(results: Results) -> list[Json]:
    """Builds one object per purifier, attack and reactivation."""
    return [
        group.subject() | entries
        for group in results.groups
        for entries in objects_of(COLUMNS, _scores(group))
    ]


register_view(
    View(
        name="scores",
        summary="relapse curves in single numbers",
        empty="no purified model is retuned at two budgets yet, which a curve needs",
        tables=_tables,
        objects=_objects,
        columns=COLUMNS,
    )
)
