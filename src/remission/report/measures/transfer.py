"""How perturbations that were made for one model do on all others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from remission.records import Record
from remission.records.labels import purifier_key
from remission.records.settings import setting_of
from remission.report.groups.group import Group
from remission.report.groups.keys import SHOWN_APART, GroupKey
from remission.report.groups.labels import MethodKey, canonical
from remission.report.groups.rows import Column

FOUND = ("models", "asr", "asr_clean", "n_triggered")
"""What the details of a transfer hold beside its setting."""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """How the perturbations of one reactivation carry over; the first model is the control.

    Args:
        title: the reactivation and its budget.
        labels: of the models.
        asr: a row a perturbation, made for that model; a column a model that it was tried on;
            fractions, the mean over the seeds that have the same models.
        seeds: how many.
        images: triggered images of a seed behind what the reactivations' own cells do not say.
    """

    title: str
    labels: list[str]
    asr: list[list[float]]
    seeds: int
    images: int


def matrices(group: Group, records: Sequence[Record]) -> list[Matrix]:
    """The transfers of a group, one a reactivation and budget, largest models first."""
    found, kept = [], transfers(records)
    for column in group.columns:
        of_column = [r.details["transfer"] for r in kept if _belongs(r, group, column)]
        of_column.sort(key=lambda d: -len(d["models"]))
        models = [[_model(m) for m in d["models"]] for d in of_column]
        alike = [d for d, named in zip(of_column, models, strict=True) if named == models[0]]
        same = [d["asr"] for d in alike]
        if not same:
            continue
        labels = {row.purifier: row.label for row in group.rows}
        size = range(len(models[0]))
        found.append(
            Matrix(
                title=column.title,
                labels=[labels.get(model, model.name) for model in models[0]],
                asr=[[math.fsum(a[i][j] for a in same) / len(same) for j in size] for i in size],
                seeds=len(same),
                images=min(d["n_triggered"] for d in alike),
            )
        )
    return found


def transfers(records: Sequence[Record]) -> list[Record]:
    """Of runs of one setting and seed into one store: that of most models, of these the last."""
    found: dict[str, Record] = {}
    for record in records:
        if details := record.details.get("transfer"):
            columns = {k: v for k, v in details.items() if k not in FOUND}
            key = canonical([columns, setting_of(record)])
            found[key] = max(found.get(key, record), record, key=_size_and_time)
    return list(found.values())


def _size_and_time(record: Record) -> tuple[int, str]:
    return len(record.details["transfer"]["models"]), record.finished


def _belongs(record: Record, group: Group, column: Column) -> bool:
    details = record.details["transfer"]
    key = GroupKey.of_columns(details, record)
    reactivation = MethodKey.of(
        details["reactivation"], details["reactivation_params"], without=SHOWN_APART
    )
    return (key, reactivation, details["budget"]) == (
        group.key,
        column.reactivation,
        column.budget,
    )


def _model(named: dict[str, Any]) -> MethodKey:
    return purifier_key(named["purifier"], named["purifier_params"])
