"""What every retuning of an ensemble reaches on every model of one attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from remission.intervals import mean_of
from remission.records.ensemble import EnsembleDetails
from remission.report.groups.keys import CONTROL
from remission.report.groups.rows import Row
from remission.report.groups.thresholds import at_most
from remission.report.measures.retunings import RetuningNames
from remission.report.measures.worst_gap import BOUNDS, MIDDLE, Choice, WorstRow, before


@dataclass(frozen=True)
class RetuningCell:
    """One retuning of one model, over the seeds with which it did not fail.

    Args:
        asr: the mean ASR on test images.
        costly: whether it costs more clean accuracy than the bound, in the mean on the validation.
        worst: whether it is the worst retuning within the bound for some seed.
    """

    asr: float
    costly: bool
    worst: bool


@dataclass(frozen=True, kw_only=True)
class RetuningMap:
    """The retunings of one attack: one line per retuning, one column per model.

    Args:
        retunings: the names of the retunings, in the order of the spec.
        models: the labels of the models; the first is the control.
        cells: one list per retuning, in the order of the models; None where it failed or was not
            tried.
    """

    retunings: list[str]
    models: list[str]
    cells: list[list[RetuningCell | None]]


def retuning_map(rows: Sequence[WorstRow], names: RetuningNames) -> RetuningMap:
    """Returns the map of the purifiers of one attack.

    Args:
        rows: at least one; those that have another ensemble than most have no place in it.
        names: of the retunings.
    """
    lists = [[names.name(entry) for entry in row.entries] for row in rows]
    labels = max(lists, key=lambda listed: (lists.count(listed), len(listed)))
    alike = [row for row, listed in zip(rows, lists, strict=True) if listed == labels]
    alike.sort(key=lambda row: row.row.label)
    widest = max(alike, key=lambda row: len(row.control))
    control = widest.group.row(CONTROL)
    assert control is not None, "a worst gap is to the control"
    columns = [
        _column(control, widest.control, widest.at[MIDDLE].control),
        *(_column(row.row, row.ours, row.at[MIDDLE].ours) for row in alike),
    ]
    return RetuningMap(
        retunings=labels,
        models=[control.label, *(row.row.label for row in alike)],
        cells=[[column[index] for column in columns] for index in range(len(labels))],
    )


def _column(
    row: Row, ensembles: Mapping[int, EnsembleDetails], choices: Mapping[int, Choice]
) -> list[RetuningCell | None]:
    """Returns one model after every retuning."""
    accuracy = {seed: cell.validation_clean_acc or 0.0 for seed, cell in before(row).items()}
    chosen = {choice.index for choice in choices.values()}
    count = len(next(iter(ensembles.values())).entries)
    cells: list[RetuningCell | None] = []
    for index in range(count):
        rates, losses = list[float](), list[float]()
        for seed, details in ensembles.items():
            entry = details.entries[index]
            if entry.asr is not None:
                rates.append(entry.asr)
                losses.append(accuracy[seed] - (entry.validation_clean_acc or 0.0))
        costly = bool(losses) and not at_most(mean_of(losses), BOUNDS[MIDDLE])
        cells.append(RetuningCell(mean_of(rates), costly, index in chosen) if rates else None)
    return cells
