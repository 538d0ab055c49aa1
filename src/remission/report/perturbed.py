"""Reactivations that perturb images: a table each, and how perturbations carry over to others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from remission.records import Record
from remission.report.estimates import MISSING, Measure, show
from remission.report.keys import SHOWN_APART, VICTIM, GroupKey, purifier_key
from remission.report.labels import Method, printable
from remission.report.layout import Section, json_text
from remission.report.summary import Column, Group, summarise

_HEADER = [
    *("purifier", "O-ASR", "ASR triggered", "ASR clean", "control triggered", "control clean"),
    *("C-Acc perturbed", "queries"),
]

_MEASURES: tuple[Measure, ...] = (
    "asr",
    "asr_clean",
    "control_asr",
    "control_asr_clean",
    "clean_acc",
)


_FOUND = ("models", "asr", "asr_clean", "n_triggered")
"""What the details of a transfer hold beside its setting."""

_TOLD = (
    "ASR of perturbed triggered and of perturbed clean images of other classes on each model, and "
    "of the very same images on the control: what is high there too is an adversarial example and "
    "no reactivation. Queries: images that the attack asked the model about."
)
_IN_PLACE = " Here the perturbation takes the trigger's place: both ASR are of clean images."


@dataclass(frozen=True, kw_only=True)
class Part(Section):
    """With what each line is of."""

    kinds: list[str]


def perturbed_parts(group: Group) -> list[Part]:
    """A table for every reactivation of the group that perturbs images, numbers in percent."""
    columns = [column for column in group.columns if group.perturbed(column)]
    return [_part(group, column, told=number == 0) for number, column in enumerate(columns)]


def _part(group: Group, column: Column, *, told: bool) -> Part:
    rows = [row for row in group.rows if row.purifier.name != VICTIM and row.cells.get(column)]
    told_here = (_TOLD if told else "Columns as above.") + (
        _IN_PLACE if group.in_place(column) else ""
    )
    over = "one seed" if group.seeds < 2 else f"mean over {group.seeds} seeds; without ±: one seed"
    lines = []
    for row in rows:
        numbers = [show(row.number(measure, column), seeds=group.seeds) for measure in _MEASURES]
        queries = row.number("queries", column)
        lines.append(
            [
                row.label,
                show(row.number("asr"), seeds=group.seeds),
                *numbers,
                f"{queries.mean:,.0f}" if queries.mean is not None else MISSING,
            ]
        )
    return Part(
        title=printable(f"Perturbed images: {column.title}"),
        notes=[f"Percent; {over}. {told_here}"],
        header=_HEADER,
        lines=lines,
        kinds=["control" if row.reference else "purifier" for row in rows],
    )


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
    found, kept = [], _details(records)
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


def _details(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Of runs of one setting and seed into one store: that of most models, of these the last."""
    found: dict[str, tuple[int, str, dict[str, Any]]] = {}
    for record in records:
        if details := record.details.get("transfer"):
            key = json_text([(k, v) for k, v in sorted(details.items()) if k not in _FOUND])
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


def transfer_sections(records: Sequence[Record]) -> list[Section]:
    """For people: a matrix a reactivation, in percent."""
    found = []
    for group in summarise(records):
        for matrix in matrices(group, records):
            over = "one seed" if matrix.seeds < 2 else f"mean over {matrix.seeds} seeds"
            found.append(
                Section(
                    title=printable(f"{group.title} · {matrix.title}"),
                    notes=[
                        f"ASR in percent; rows: made for, columns: tried on; {over}; triggered "
                        f"images behind a number: {matrix.images:,}, and all that there are in the "
                        "control's column and where both are the same"
                    ],
                    header=["made for", *matrix.labels],
                    lines=[
                        [label, *(f"{100 * value:.1f}" for value in values)]
                        for label, values in zip(matrix.labels, matrix.asr, strict=True)
                    ],
                )
            )
    return found


def transfer_objects(records: Sequence[Record]) -> list[dict[str, Any]]:
    """For programs: one object a perturbation and model, rates as fractions."""
    found = []
    for details in _details(records):
        shared = {k: v for k, v in details.items() if k not in _FOUND or k == "n_triggered"}
        for made, asr, clean in zip(
            details["models"], details["asr"], details["asr_clean"], strict=True
        ):
            for tried, value, without in zip(details["models"], asr, clean, strict=True):
                found.append(
                    {
                        **shared,
                        "made_for": made["purifier"],
                        "made_for_params": made["purifier_params"],
                        "tried_on": tried["purifier"],
                        "tried_on_params": tried["purifier_params"],
                        "asr": value,
                        "asr_clean": without,
                    }
                )
    return found
