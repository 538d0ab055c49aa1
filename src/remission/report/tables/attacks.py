"""The view ``attacks``: one line per victim, its backdoor and how visible its trigger is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from remission.records import Cell, Record
from remission.report.groups.estimates import FAILED, MISSING
from remission.report.groups.labels import printable
from remission.report.groups.targets import class_text
from remission.report.measures.victims import Attacked, attacked
from remission.report.tables.formats import Section

HEADER = [
    *("attack", "attacker controls", "poison rate", "target", "seed", "C-Acc", "control C-Acc"),
    *("ASR", "control ASR", "PSNR", "SSIM", "largest change", "seconds"),
]
_NOTE = (
    "percent; PSNR in dB and SSIM of triggered against clean test images; largest change of a "
    "pixel in steps of 1/255; control: the same model trained without poison"
)


def attack_sections(records: Sequence[Record]) -> list[Section]:
    """For people: a table for each data set and architecture, numbers in percent."""
    groups = groupby(attacked(records), key=lambda one: one.key.order()[:2])
    found = [
        Section(
            title=printable(" · ".join(place)),
            notes=[_NOTE],
            header=HEADER,
            lines=[line(one) for one in members],
        )
        for place, members in groups
    ]
    return found or [Section(title="", notes=[], header=HEADER, lines=[])]


def line(one: Attacked) -> list[str]:
    """A row below :data:`HEADER`."""
    cell, control = one.cell, one.control
    return [
        one.label,
        ", ".join(one.threat) or MISSING,
        f"{100 * cell.poison_rate:g} %",
        class_text(cell.target, cell.target_name),
        str(cell.seed),
        percent(cell, "clean_acc"),
        percent(control, "clean_acc"),
        percent(cell, "asr"),
        percent(control, "asr"),
        MISSING if one.psnr is None else f"{one.psnr:.1f}",
        MISSING if one.ssim is None else f"{one.ssim:.3f}",
        MISSING if one.steps is None else str(one.steps),
        f"{cell.seconds:.1f}",
    ]


def percent(cell: Cell | None, measure: str) -> str:
    """A rate of a cell in percent, or why there is none."""
    if cell is None:
        return MISSING
    if cell.status == "failed":
        return FAILED
    rate: float | None = getattr(cell, measure)
    return MISSING if rate is None else f"{100 * rate:.1f}"


def attack_objects(records: Sequence[Record]) -> list[dict[str, Any]]:
    """For programs: one object a victim, rates and changes as fractions."""
    return [
        {
            "dataset": one.cell.dataset,
            "arch": one.cell.arch,
            "attack": one.cell.attack,
            "attack_params": one.cell.attack_params,
            "label": one.label,
            "poison_rate": one.cell.poison_rate,
            "target": one.cell.target,
            "target_name": one.cell.target_name,
            "seed": one.cell.seed,
            "threat": list(one.threat),
            "clean_acc": one.cell.clean_acc,
            "control_clean_acc": one.control.clean_acc if one.control else None,
            "asr": one.cell.asr,
            "control_asr": one.control.asr if one.control else None,
            "psnr": one.psnr,
            "ssim": one.ssim,
            "largest_change": one.largest_change,
            "compared": one.compared,
            "unchanged": one.unchanged,
            "seconds": one.cell.seconds,
            "status": one.cell.status,
            "error": one.cell.error,
            "id": one.cell.id,
        }
        for one in attacked(records)
    ]
