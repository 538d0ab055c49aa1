"""The victims of a store, each with its control and the changes that its trigger makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remission.records import Cell, Record
from remission.report.groups.collapse import constant_answers
from remission.report.groups.facts import MethodFacts
from remission.report.groups.keys import CONTROL, GroupKey, attack_of
from remission.report.groups.labels import label_methods
from remission.report.groups.settings import setting_labels

MADE_OF = ("batch norm", "convolutions")
"""What an attack may need that is a trait of the model and not in the attacker's power."""


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """A victim, its control, and the changes that its trigger makes.

    Args:
        record: the record of the victim.
        cell: the cell of the victim, which may have failed.
        label: the attack, with the parameters in which it differs from others of its name.
        setting: the difference to victims of other data or settings; mostly empty.
        threat: what the attacker must control; empty where it is not known.
        control: the model trained without poison, measured with this trigger; None without one.
        psnr: mean PSNR in dB; None where it was not measured or nothing changes.
        ssim: mean SSIM; None where it was not measured.
        largest_change: largest change of a pixel, as a share of its range.
        compared: number of images behind these three; 0 if they were not measured.
        unchanged: the number of these images that the trigger does not change.
        collapsed: whether the victim is not shown to be better than one answer, so that its ASR
            says nothing about a backdoor.
    """

    record: Record
    cell: Cell
    label: str
    setting: str
    threat: tuple[str, ...]
    control: Cell | None
    psnr: float | None
    ssim: float | None
    largest_change: float | None
    compared: int
    unchanged: int
    collapsed: bool

    @property
    def key(self) -> GroupKey:
        """The group that the victim belongs to."""
        return GroupKey.of(self.cell, self.record)

    @property
    def steps(self) -> int | None:
        """The largest change in steps of 8 bits, from 0 to 255."""
        return None if self.largest_change is None else round(255 * self.largest_change)


def attacked(records: Sequence[Record]) -> list[Attacked]:
    """Returns every victim of a store, in a stable order."""
    victims = [(r, r.cell) for r in records if r.kind == "victim" and r.cell is not None]
    labels = label_methods(attack_of(cell) for _, cell in victims)
    settings = setting_labels(GroupKey.of(cell, record) for record, cell in victims)
    controls = {
        record.parents.get("victim"): record.cell
        for record in records
        if record.kind == "baseline" and record.cell and record.cell.purifier == CONTROL
    }
    facts = MethodFacts(records)
    rows = []
    for record, cell in victims:
        stealth = record.details.get("stealth")
        numbers = stealth if isinstance(stealth, dict) else {}
        rows.append(
            Attacked(
                record=record,
                cell=cell,
                label=labels[attack_of(cell)],
                setting=settings[GroupKey.of(cell, record)],
                threat=tuple(
                    need
                    for need in facts.of("attack", cell.attack).get("needs", ())
                    if need not in MADE_OF
                ),
                control=controls.get(record.id),
                psnr=_number(numbers, "psnr"),
                ssim=_number(numbers, "ssim"),
                largest_change=_number(numbers, "largest_change"),
                compared=int(_number(numbers, "images") or 0),
                unchanged=int(_number(numbers, "unchanged") or 0),
                collapsed=any(a.beats(cell) for a in constant_answers([cell], [record]).values()),
            )
        )
    return sorted(rows, key=lambda row: (row.key.order(), row.cell.seed, row.record.id))


def _number(numbers: Mapping[str, Any], name: str) -> float | None:
    value = numbers.get(name)
    return value if isinstance(value, int | float) else None
