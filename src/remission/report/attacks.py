"""One line a victim: what the attacker needs, how well the backdoor works, how little is seen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from remission.records import Cell, Record
from remission.report.estimates import FAILED, MISSING
from remission.report.keys import CONTROL, GroupKey
from remission.report.labels import label_methods, printable
from remission.report.layout import Section

HEADER = [
    *("attack", "attacker controls", "poison rate", "target", "seed", "C-Acc", "control C-Acc"),
    *("ASR", "control ASR", "PSNR", "SSIM", "largest change", "seconds"),
]
_NOTE = (
    "percent; PSNR in dB and SSIM of triggered against clean test images; largest change of a "
    "pixel in steps of 1/255; control: the same model trained without poison"
)


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """A victim, its control, and what its trigger changes.

    Args:
        record: of the victim.
        cell: the victim's; may have failed.
        label: the attack, with the parameters in which it differs from others of its name.
        threat: what the attacker must control; empty if this version knows no such attack.
        control: the model trained without poison, measured with this trigger; None if not there.
        psnr: mean in dB; None where it was not measured or nothing changes.
        ssim: mean.
        largest_change: share of the range of a pixel.
        compared: images behind these three; 0 if they were not measured.
        unchanged: how many of them the trigger leaves as they are.
    """

    record: Record
    cell: Cell
    label: str
    threat: tuple[str, ...]
    control: Cell | None
    psnr: float | None
    ssim: float | None
    largest_change: float | None
    compared: int
    unchanged: int

    @property
    def key(self) -> GroupKey:
        """The group that the victim belongs to."""
        return GroupKey.of(self.cell)

    @property
    def steps(self) -> int | None:
        """The largest change as a person counts it: 0 to 255."""
        return None if self.largest_change is None else round(255 * self.largest_change)


def attacked(records: Sequence[Record]) -> list[Attacked]:
    """Every victim of a store, in a stable order."""
    victims = [(r, r.cell) for r in records if r.kind == "victim" and r.cell is not None]
    labels = label_methods(GroupKey.of(cell).attack for _, cell in victims)
    controls = {
        record.parents.get("victim"): record.cell
        for record in records
        if record.kind == "baseline" and record.cell and record.cell.purifier == CONTROL
    }
    found = []
    for record, cell in victims:
        stealth = record.details.get("stealth")
        numbers = stealth if isinstance(stealth, dict) else {}
        found.append(
            Attacked(
                record=record,
                cell=cell,
                label=labels[GroupKey.of(cell).attack],
                threat=_threats().get(cell.attack, ()),
                control=controls.get(record.id),
                psnr=_number(numbers, "psnr"),
                ssim=_number(numbers, "ssim"),
                largest_change=_number(numbers, "largest_change"),
                compared=int(_number(numbers, "images") or 0),
                unchanged=int(_number(numbers, "unchanged") or 0),
            )
        )
    return sorted(found, key=lambda one: (one.key.order(), one.cell.seed, one.record.id))


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
        str(cell.target),
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


def _number(numbers: Mapping[str, Any], name: str) -> float | None:
    value = numbers.get(name)
    return value if isinstance(value, int | float) else None


@cache
def _threats() -> dict[str, tuple[str, ...]]:
    """Attack -> what the attacker must control, from the catalogue."""
    text = (Path(__file__).parent.parent / "catalogue.json").read_text(encoding="utf-8")
    return {entry["name"]: tuple(entry["needs"]) for entry in json.loads(text)["attacks"]}
