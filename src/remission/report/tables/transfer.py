"""The view ``transfer``: perturbations that are made for one model and tried on all."""

from __future__ import annotations

from remission.records import Json
from remission.report.groups.labels import printable
from remission.report.groups.results import Results
from remission.report.measures.transfer import RATES, matrices, transfers
from remission.report.tables.formats import Table
from remission.report.tables.views import View, register_view


def _tables(results: Results) -> list[Table]:
    """Builds one matrix per reactivation, in percent."""
    tables = []
    for group in results.groups:
        for matrix in matrices(group, results):
            over = "one seed" if matrix.seeds < 2 else f"mean over {matrix.seeds} seeds"
            tables.append(
                Table(
                    title=printable(f"{group.title} · {matrix.title}"),
                    notes=[
                        f"ASR in percent; rows: model made for, columns: model tried on; {over}; "
                        f"triggered images behind a number: {matrix.images:,}, but all of them in "
                        "the control's column and where both models are the same"
                    ],
                    header=["made for", *matrix.labels],
                    rows=[
                        [label, *(f"{100 * value:.1f}" for value in values)]
                        for label, values in zip(matrix.labels, matrix.asr, strict=True)
                    ],
                )
            )
    return tables


def _objects(results: Results) -> list[Json]:
    """Builds one object per perturbation and model that it was tried on, rates as fractions."""
    objects: list[Json] = []
    for record in transfers(results):
        details = record.details["transfer"]
        shared: Json = {"target_name": None}  # older records lack it
        shared |= {k: v for k, v in details.items() if k not in RATES or k == "n_triggered"}
        for owner, asr, asr_clean in zip(
            details["models"], details["asr"], details["asr_clean"], strict=True
        ):
            for model, value, without in zip(details["models"], asr, asr_clean, strict=True):
                objects.append(
                    {
                        **shared,
                        "made_for": owner["purifier"],
                        "made_for_params": owner["purifier_params"],
                        "tried_on": model["purifier"],
                        "tried_on_params": model["purifier_params"],
                        "asr": value,
                        "asr_clean": without,
                        "setting": results.settings[record.id],
                    }
                )
    return objects


register_view(
    View(
        name="transfer",
        summary="perturbations that are made for one model and tried on all",
        empty="the spec has no `transfer = true`, or no reactivation that perturbs images",
        tables=_tables,
        objects=_objects,
    )
)
