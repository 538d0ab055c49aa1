"""The view ``transfer``: perturbations made for one model, tried on all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remission.records import Record
from remission.report.groups.group import summarise
from remission.report.groups.labels import printable
from remission.report.measures.transfer import FOUND, matrices, transfers
from remission.report.tables.formats import Section


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
    for details in transfers(records):
        shared: dict[str, Any] = {"target_name": None}  # older records lack it
        shared |= {k: v for k, v in details.items() if k not in FOUND or k == "n_triggered"}
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
