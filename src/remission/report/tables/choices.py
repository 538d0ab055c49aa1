"""The view ``choices``: each purifier as published, as chosen beforehand, and at its best."""

from __future__ import annotations

from collections.abc import Sequence

from remission.records import Json
from remission.report.groups.estimates import MISSING, points
from remission.report.groups.results import Results
from remission.report.groups.rows import Column
from remission.report.groups.thresholds import MARGIN
from remission.report.groups.titles import comparison_title
from remission.report.measures.choices import SettingChoice, choices
from remission.report.measures.held_out import Trials
from remission.report.measures.trials import MOST_LOST
from remission.report.tables.columns import TableColumn, objects_of_overviews, table_of
from remission.report.tables.formats import Table
from remission.report.tables.overview import KNOWS, KNOWS_NOTE
from remission.report.tables.purified import numbers_of, purified_text, relapse_text
from remission.report.tables.views import View, register_view

_NOTES = (
    "in points. Published: all parameters are the method's defaults, which are its paper's where "
    "the paper states them; of a method of this project, default. Chosen: on other victims, by "
    "validation images and no ASR after a reactivation. Best of k: under each attack the "
    f"setting with the lowest O-ASR of those that lose at most {100 * MOST_LOST:.0f} points of "
    "clean accuracy, both on validation images, among the k settings in this store; no "
    "defender can choose so, since it takes the attacker's trigger",
    "Purified: in how many cells, one attack with one seed each, the O-ASR is at most "
    f"{100 * MARGIN:.0f} points above the control's. Relapse of those: their ASR above the "
    "control's after the same retuning, the largest of all budgets or at one budget n, mean over "
    "the attacks of the mean over the seeds, ± half width of the 95 % Student-t interval over the "
    "attacks (with one attack: over its seeds; of a single cell, in brackets: the interval from "
    "the number of test images). Seconds: processor time per model, inversion included",
)

ChoiceColumn = TableColumn[SettingChoice, SettingChoice]


def _name(choice: SettingChoice) -> str:
    return f"best of {choice.tried}" if choice.name == "best" else choice.name


def _settings(choice: SettingChoice) -> str:
    """Returns the parameters by which the setting differs from the others of the table."""
    labels = [label.partition(" (")[2].removesuffix(")") for label in choice.labels]
    return " or ".join(labels) if len(labels) < 3 else f"{len(labels)} of them"


_COLUMNS: list[ChoiceColumn] = [
    TableColumn(
        header="purifier",
        text=lambda choice: choice.family + (KNOWS if choice.knows_trigger else ""),
        key="family",
        value=lambda choice: choice.family,
    ),
    TableColumn(key="purifier", value=lambda choice: choice.purifier.name),
    TableColumn(header="setting", text=_name, key="choice", value=lambda choice: choice.name),
    TableColumn(header="which", text=_settings),
    TableColumn(
        key="settings",
        value=lambda choice: {
            attack: setting.parameters for attack, setting in choice.settings.items()
        },
    ),
    TableColumn(key="settings_tried", value=lambda choice: choice.tried),
    TableColumn(
        header="C-Acc lost",
        text=lambda choice: MISSING if choice.loss.mean is None else points(choice.loss.mean),
        key="clean_acc_lost",
        value=lambda choice: choice.loss.mean,
    ),
    TableColumn(
        header="largest O-ASR",
        text=lambda choice: (
            MISSING if choice.largest_o_asr is None else f"{100 * choice.largest_o_asr:.1f}"
        ),
        key="largest_o_asr",
        value=lambda choice: choice.largest_o_asr,
    ),
    TableColumn(header="purified", text=lambda choice: purified_text(choice.cells)),
    TableColumn(
        header="relapse of those",
        text=lambda choice: relapse_text(choice.cells),
        shade=lambda choice: choice.cells.relapse.mean,
    ),
    TableColumn(key="cells", value=lambda choice: numbers_of(choice.cells)),
    TableColumn(
        key="relapse_at",
        value=lambda choice: [
            {
                "reactivation": column.reactivation.name,
                "reactivation_params": column.reactivation.parameters,
                "budget": column.budget,
                "relapse_of_purified": choice.cells_at(column).relapse.mean,
            }
            for column in choice.columns
        ],
    ),
    TableColumn(
        header="CPU seconds",
        text=lambda choice: MISSING if choice.cpu_seconds is None else f"{choice.cpu_seconds:.0f}",
        key="cpu_seconds",
        value=lambda choice: choice.cpu_seconds,
    ),
]


def _columns(shown: Sequence[SettingChoice]) -> list[ChoiceColumn]:
    """Returns the columns, with one per budget of the store before the last."""
    budgets = sorted(
        dict.fromkeys(column for choice in shown for column in choice.columns if column.budget),
        key=lambda column: (column.label, column.budget or 0),
    )
    several = len({column.label for column in budgets}) > 1
    return [*_COLUMNS[:-1], *(_at(column, several=several) for column in budgets), _COLUMNS[-1]]


def _at(column: Column, *, several: bool) -> ChoiceColumn:
    """Returns the column of one budget."""

    def text(choice: SettingChoice) -> str:
        mean = choice.cells_at(column).relapse.mean
        return MISSING if mean is None else points(mean)

    return TableColumn(header=column.title if several else f"n={column.budget}", text=text)


def _tables(results: Results) -> list[Table]:
    """Builds one table per data set, model and setting."""
    chosen, tables = Trials.of(results.trials).chosen, list[Table]()
    for groups, setting in zip(results.overviews, results.overview_settings, strict=True):
        if shown := choices(groups, chosen):
            key = groups[0].key
            title = comparison_title(key.dataset, key.arch, "choices of settings", setting)
            knows = [KNOWS_NOTE] if any(choice.knows_trigger for choice in shown) else []
            notes = [*_NOTES, *knows]
            tables.append(table_of(_columns(shown), shown, title=title, notes=notes))
    return tables


def _objects(results: Results) -> list[Json]:
    """Builds one object per purifier and choice."""
    chosen = Trials.of(results.trials).chosen
    return objects_of_overviews(_COLUMNS, lambda groups: choices(groups, chosen), results)


register_view(
    View(
        name="choices",
        summary="each purifier as published, as chosen on other victims, and at its best setting",
        empty="no purifier was run at its published setting or at several settings",
        tables=_tables,
        objects=_objects,
    )
)
