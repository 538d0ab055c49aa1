"""The ASR of perturbations that were made for one model on all others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from remission.records import Record
from remission.records.labels import purifier_key
from remission.records.settings import setting_of
from remission.report.groups.group import Group
from remission.report.groups.keys import SHOWN_APART
from remission.report.groups.labels import MethodKey, canonical
from remission.report.groups.results import Results
from remission.report.groups.rows import Column

RATES = ("models", "asr", "asr_clean", "n_triggered")
"""Keys of the details of a transfer that are not columns saying what was transferred."""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The transfer of the perturbations of one reactivation; the first model is the control.

    Args:
        title: the reactivation and its budget.
        labels: the labels of the models.
        asr: one row per model that a perturbation was made for, one column per model that it was
            tried on; fractions, the mean over the seeds that have the same models.
        seeds: the number of these seeds.
        images: triggered images per seed behind the rates that no cell of a reactivation holds.
    """

    title: str
    labels: list[str]
    asr: list[list[float]]
    seeds: int
    images: int


def matrices(group: Group, records: Sequence[Record]) -> list[Matrix]:
    """Returns the transfers of a group, one per reactivation and budget."""
    tables, results = [], Results.of(records)
    all_transfers = transfers(results)
    for column in group.columns:
        of_column = [
            r.details["transfer"] for r in all_transfers if _belongs(results, r, group, column)
        ]
        of_column.sort(key=lambda d: -len(d["models"]))
        models = [[_model(m) for m in d["models"]] for d in of_column]
        same_models = [d for d, keys in zip(of_column, models, strict=True) if keys == models[0]]
        same = [d["asr"] for d in same_models]
        if not same:
            continue
        labels = {row.purifier: row.label for row in group.rows}
        size = range(len(models[0]))
        tables.append(
            Matrix(
                title=column.title,
                labels=[labels.get(model, model.name) for model in models[0]],
                asr=[[math.fsum(a[i][j] for a in same) / len(same) for j in size] for i in size],
                seeds=len(same),
                images=min(d["n_triggered"] for d in same_models),
            )
        )
    return tables


def transfers(records: Sequence[Record]) -> list[Record]:
    """Returns one record per transfer and seed: the last among those with the most models."""
    last: dict[str, Record] = {}
    for record in records:
        if details := record.details.get("transfer"):
            columns = {k: v for k, v in details.items() if k not in (*RATES, "target_name")}
            key = canonical([columns, setting_of(record)])
            last[key] = max(last.get(key, record), record, key=_size_and_time)
    return list(last.values())


def _size_and_time(record: Record) -> tuple[int, str]:
    return len(record.details["transfer"]["models"]), record.finished


def _belongs(results: Results, record: Record, group: Group, column: Column) -> bool:
    details = record.details["transfer"]
    key = results.key_of_columns(details, record)
    reactivation = MethodKey.of(
        details["reactivation"], details["reactivation_params"], without=SHOWN_APART
    )
    return (key, reactivation, details["budget"]) == (
        group.key,
        column.reactivation,
        column.budget,
    )


def _model(details: dict[str, Any]) -> MethodKey:
    return purifier_key(details["purifier"], details["purifier_params"])
