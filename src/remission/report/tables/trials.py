"""The view ``trials``: all settings of each purifier on the validation images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remission.records import Json
from remission.report.groups.estimates import points
from remission.report.groups.group import Group
from remission.report.groups.results import Results
from remission.report.groups.thresholds import MARGIN
from remission.report.groups.titles import comparison_title
from remission.report.measures.trials import MOST_LOST, Trial, trials
from remission.report.tables.columns import TableColumn, objects_of_overviews, table_of
from remission.report.tables.formats import Table
from remission.report.tables.views import View, register_view


@dataclass(frozen=True, kw_only=True)
class GroupsTrial:
    """A trial, with the groups that it belongs to."""

    groups: Sequence[Group]
    trial: Trial


COLUMNS: list[TableColumn[GroupsTrial, GroupsTrial]] = [
    TableColumn(key="family", value=lambda line: line.trial.family),
    TableColumn(key="purifier", value=lambda line: line.trial.purifier.name),
    TableColumn(key="purifier_params", value=lambda line: line.trial.purifier.parameters),
    TableColumn(
        header="purifier",
        text=lambda line: line.trial.label,
        key="label",
        value=lambda line: line.trial.label,
    ),
    TableColumn(
        header="chosen",
        text=lambda line: "chosen" if line.trial.chosen else "",
        key="chosen",
        value=lambda line: line.trial.chosen,
    ),
    TableColumn(
        header="criterion met",
        text=lambda line: f"{line.trial.met} of {line.trial.total}",
        key="met",
        value=lambda line: line.trial.met,
    ),
    TableColumn(key="cells", value=lambda line: len(line.trial.cells)),
    TableColumn(key="cells_total", value=lambda line: line.trial.total),
    TableColumn(
        header="C-Acc lost",
        text=lambda line: points(line.trial.loss),
        key="clean_acc_lost",
        value=lambda line: line.trial.loss,
    ),
    TableColumn(
        header="O-ASR above control",
        text=lambda line: points(line.trial.gap),
        key="gap_to_control",
        value=lambda line: line.trial.gap,
    ),
    TableColumn(
        header="largest",
        text=lambda line: points(max(cell.gap for cell in line.trial.cells)),
        key="largest_gap_to_control",
        value=lambda line: max(cell.gap for cell in line.trial.cells),
    ),
]
_NOTE = (
    "in points, on the validation images, before any reactivation. The criterion is met in "
    f"a cell, one attack with one seed, where the O-ASR is at most {100 * MARGIN:.0f} points above "
    f"the control's and clean accuracy at most {100 * MOST_LOST:.0f} points below the victim's. "
    "Chosen is the setting that meets it in the most cells, among those the one that loses the "
    "least clean accuracy on average. No ASR after a reactivation takes part"
)


def _lines(groups: Sequence[Group]) -> list[GroupsTrial]:
    return [GroupsTrial(groups=groups, trial=trial) for trial in trials(groups)]


def trial_tables(results: Results) -> list[Table]:
    """Builds one table per data set, model and setting."""
    tables = []
    for groups, setting in zip(results.overviews, results.overview_settings, strict=True):
        if lines := _lines(groups):
            key = groups[0].key
            title = comparison_title(key.dataset, key.arch, "trials", setting)
            tables.append(table_of(COLUMNS, lines, title=title, notes=[_NOTE]))
    return tables


def _objects(results: Results) -> list[Json]:
    """Builds one object per setting of a purifier."""
    return objects_of_overviews(COLUMNS, _lines, results)


register_view(
    View(
        name="trials",
        summary="all settings of each purifier on the validation images, one chosen",
        empty="no purified model was measured on validation images: [split] validation",
        tables=trial_tables,
        objects=_objects,
        columns=COLUMNS,
    )
)
