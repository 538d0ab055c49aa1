"""How perturbations that were made for one model do on all others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from remission.records import Record
from remission.records.labels import purifier_key
from remission.report.groups.group import Column, Group
from remission.report.groups.keys import SHOWN_APART, GroupKey
from remission.report.groups.labels import Method, canonical

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
        of_column = [d for d in kept if _belongs(d, group, column)]
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


def transfers(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Of runs of one setting and seed into one store: that of most models, of these the last."""
    found: dict[str, tuple[int, str, dict[str, Any]]] = {}
    for record in records:
        if details := record.details.get("transfer"):
            setting = {k: v for k, v in details.items() if k not in (*FOUND, "target_name")}
            key = canonical(setting)
            this = (len(details["models"]), record.finished, details)
            found[key] = max(found.get(key, this), this, key=lambda each: each[:2])
    return [details for _, _, details in found.values()]


def _belongs(details: dict[str, Any], group: Group, column: Column) -> bool:
    attack = Method.of(details["attack"], details["attack_params"], without=SHOWN_APART)
    key = GroupKey(
        dataset=details["dataset"],
        arch=details["arch"],
        attack=attack,
        poison_rate=details["poison_rate"],
        target=details["target"],
    )
    reactivation = Method.of(
        details["reactivation"], details["reactivation_params"], without=SHOWN_APART
    )
    return (key, reactivation, details["budget"]) == (
        group.key,
        column.reactivation,
        column.budget,
    )


def _model(named: dict[str, Any]) -> Method:
    return purifier_key(named["purifier"], named["purifier_params"])
