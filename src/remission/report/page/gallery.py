"""The triggers of a store side by side: one card per attack, with its pictures and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from remission.names import class_text
from remission.report.groups.estimates import FAILED, MISSING
from remission.report.groups.group import Group
from remission.report.groups.keys import GroupKey
from remission.report.groups.labels import printable
from remission.report.measures.victims import Attacked
from remission.report.page.pictures import Pictures, compare
from remission.report.tables.attacks import percent

SHOWN = 5
"""The number of images in a strip of a card."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """The content of one attack's card.

    Args:
        title: the attack.
        setting: poison rate, target and other differences to the other cards.
        threat: what the attacker controls.
        section: number of the group's section in the page.
        pictures: clean, triggered and difference strips, or why there are none.
        numbers: (name, value, remark).
    """

    title: str
    setting: str
    threat: str
    section: int
    pictures: Pictures
    numbers: list[tuple[str, str, str]]


def firsts(victims: Sequence[Attacked]) -> list[Attacked]:
    """Returns the first victim of each group, if possible one that did not fail."""
    first: dict[GroupKey, Attacked] = {}
    for victim in sorted(victims, key=lambda victim: victim.cell.status == "failed"):
        first.setdefault(victim.key, victim)
    return [victim for victim in victims if first[victim.key] is victim]


def gallery(groups: Sequence[Group], victims: Sequence[Attacked], folder: Path) -> list[Card]:
    """Makes a card for the first victim of each group; no cards where there is only one victim.

    Args:
        groups: the groups of the store.
        victims: the victims of the store.
        folder: where artefacts lie.
    """
    first = {victim.key: victim for victim in firsts(victims)}
    pairs = [(n, first[g.key]) for n, g in enumerate(groups, start=1) if g.key in first]
    if len(pairs) < 2:
        return []
    several = {
        name: len({getattr(victim.cell, name) for _, victim in pairs}) > 1
        for name in ("dataset", "arch")
    }
    return [
        Card(
            title=victim.label,
            setting=_setting(victim, several),
            threat=", ".join(victim.threat),
            section=section,
            pictures=compare(
                folder,
                victim.record,
                other="preview_triggered",
                other_title="triggered",
                title=victim.label,
                first=SHOWN,
            ),
            numbers=_numbers(victim),
        )
        for section, victim in pairs
    ]


def _setting(victim: Attacked, several: dict[str, bool]) -> str:
    parts = [str(getattr(victim.cell, name)) for name, shown in several.items() if shown]
    target = class_text(victim.cell.target, victim.cell.target_name)
    parts += [f"{100 * victim.cell.poison_rate:g} % poisoned", f"target {target}"]
    parts += [victim.setting] if victim.setting else []
    return printable(" · ".join(parts))


def _numbers(victim: Attacked) -> list[tuple[str, str, str]]:
    """Returns the rates and the control's, then the changes by the trigger that were measured."""
    numbers = []
    for name, measure in (("ASR", "asr"), ("C-Acc", "clean_acc")):
        value, control = percent(victim.cell, measure), percent(victim.control, measure)
        known = control not in (MISSING, FAILED)
        numbers.append((name, value, f"control {control}" if known else ""))
    if victim.psnr is not None:
        unchanged = f"{victim.unchanged} of {victim.compared} unchanged" if victim.unchanged else ""
        numbers.append(("PSNR", f"{victim.psnr:.1f} dB", unchanged))
    if victim.ssim is not None:
        numbers.append(("SSIM", f"{victim.ssim:.3f}", ""))
    if victim.steps is not None:
        numbers.append(("max. Δ", f"{victim.steps}/255", ""))
    return numbers


def stealth_text(victim: Attacked) -> str:
    """Returns the stealth of a trigger as the end of a sentence; empty if it was not measured."""
    parts = []
    if victim.psnr is not None:
        parts.append(f"PSNR {victim.psnr:.1f} dB")
    if victim.ssim is not None:
        parts.append(f"SSIM {victim.ssim:.3f}")
    if victim.steps is not None:
        parts.append(f"largest change of a pixel {victim.steps} of 255")
    return ", ".join(parts)
