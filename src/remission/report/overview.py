"""All attacks in one table: a purifier a row, its largest gap to the control under each attack."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from remission.records import Record
from remission.report.broken import LOSS, gaps
from remission.report.estimates import FAILED, MISSING, Estimate, gap, mean_known, points
from remission.report.keys import CONTROL, VICTIM, GroupKey
from remission.report.labels import Method, label_methods, printable
from remission.report.layout import Lines, Section
from remission.report.summary import Column, Group, Row, summarise
from remission.report.verdict import MARGIN, Outcome, Verdict, judge, seeds_kept

KNOWS = " †"
"""Behind a purifier that is given the attacker's own trigger."""
_NOTE = (
    "in points, {seeds}; under each attack the P-ASR farthest above the control's after the same "
    "reactivation, and which: a relapse if more than {margin:.0f} points and the interval of the "
    "gap excludes 0; “not purified” where the O-ASR already lies more than "
    "{margin:.0f} points above the control's, [1/3] where it does with one seed of three; “broken” "
    "where clean accuracy lies more than {loss:.0f} points below the victim's; retunings that cost "
    "as much are left out; “attack failed” where the victim has no backdoor. First the "
    "control's own highest ASR, in percent: where it is high, the reactivation teaches the "
    "backdoor anew, and a small gap says little"
)
_COLUMNS = (
    "Largest O-ASR: of an attack, mean over its seeds. C-Acc change: against the victim, mean over "
    "the attacks. Ft epochs: cost in epochs of plain fine-tuning on the same clean images by "
    "processor time, inversion included, mean over the attacks, where the store holds ft. Ordered "
    "by the mean gap over the attacks that were measured, 100 where the model was not purified or "
    "is broken"
)
_LOST: dict[Outcome, str] = {"survived": "not purified", "broken": "broken"}
_UNTOLD: dict[Outcome, str] = {"no backdoor": "attack failed"}
_TOLD = "† is given the attacker's own trigger: what a perfect inversion would allow, no defence"


@dataclass(frozen=True, kw_only=True)
class Worst:
    """How a purifier stands under one attack.

    Args:
        gap: to the control where it is largest, mean over the seeds; unknown if nothing compares.
        column: the reactivation and budget of that gap; None if unknown.
        verdict: on the purifier.
        kept: the seeds with which the backdoor outlived the purifier itself, and all seeds.
        change: of clean accuracy against the victim.
        o_asr: ASR before any reactivation.
        epochs: cost in epochs of plain fine-tuning; None where there is no such row.
        skipped: reactivations left out, since they broke the model or the control.
    """

    gap: Estimate
    column: Column | None
    verdict: Verdict
    kept: tuple[int, int]
    change: Estimate
    o_asr: Estimate
    epochs: float | None
    skipped: int

    @property
    def lost(self) -> bool:
        """Whether the backdoor outlived the purifier itself, or the model did not."""
        return self.verdict.outcome in _LOST


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A purifier, and how it stands under each attack (by its title) that it was tried on."""

    label: str
    purifier: Method
    under: dict[str, Worst]

    @property
    def told(self) -> bool:
        """Whether it was given the attacker's own trigger."""
        return self.purifier.parameters.get("trigger") == "true"

    @property
    def worked(self) -> list[Worst]:
        """Under the attacks that left a backdoor."""
        return [each for each in self.under.values() if each.verdict.outcome != "no backdoor"]

    @property
    def mean_gap(self) -> float:
        """Over the attacks, 1 where a model is lost; infinite where none is known."""
        mean = mean_known([1.0 if each.lost else each.gap.mean for each in self.worked])
        return math.inf if mean is None else mean


def worst(group: Group, row: Row) -> Worst:
    """How a purifier stands in one group."""
    every, known = gaps(group, row)
    failed = sum(group.gap(row, column).failed for column in group.columns)
    nothing = (None, Estimate(failed=failed))
    column, largest = max(known, key=lambda each: each[1].mean or 0.0, default=nothing)
    victim = group.row(VICTIM)
    before = victim.cells.get(None, ()) if victim else ()
    return Worst(
        gap=largest,
        column=column,
        verdict=judge(group, row),
        kept=seeds_kept(group, row),
        change=gap(row.cells.get(None, ()), before, "clean_acc"),
        o_asr=row.number("asr"),
        epochs=group.cost(row).mean,
        skipped=len(every) - len(known),
    )


def standings(groups: Sequence[Group]) -> list[Standing]:
    """The purifiers of these groups, those that relapse least first."""
    named, found = titles(groups), dict[Method, Standing]()
    for group in groups:
        for row in group.rows:
            if not row.reference:
                one = Standing(label=row.label, purifier=row.purifier, under={})
                found.setdefault(row.purifier, one).under[named[group.key]] = worst(group, row)
    return sorted(found.values(), key=lambda each: (each.mean_gap, each.label))


def titles(groups: Sequence[Group]) -> dict[GroupKey, str]:
    """The attack of each group; where two have one name, with what else tells them apart."""
    labels = label_methods(group.key.attack for group in groups)
    count = Counter(labels[group.key.attack] for group in groups)

    def title(key: GroupKey) -> str:
        label = labels[key.attack]
        if count[label] == 1:
            return label
        return f"{label}, {100 * key.poison_rate:g} %, target {key.target}"

    return {group.key: title(group.key) for group in groups}


def overviews(records: Sequence[Record]) -> list[list[Group]]:
    """The groups that hold purified models, those of one data set and model together."""
    groups = [g for g in summarise(records) if any(not row.reference for row in g.rows)]
    return [list(same) for _, same in groupby(groups, key=lambda g: (g.key.dataset, g.key.arch))]


@dataclass(frozen=True, kw_only=True)
class Overview(Section):
    """With how dark each cell of an attack is drawn."""

    heat: list[list[float | None]]
    """In each row, for each cell: the gap in [0, 1]; None for cells that are no gap."""


def overview_sections(records: Sequence[Record]) -> list[Overview]:
    """A table for each data set and architecture."""
    return [_part(groups) for groups in overviews(records)]


def _part(groups: Sequence[Group]) -> Overview:
    named = list(titles(groups).values())
    found = standings(groups)
    several = len({column.label for group in groups for column in group.columns}) > 1
    control = [_control(group, several=several) for group in groups]
    lines: Lines = [["control", *control, *[MISSING] * 3]]
    heat: list[list[float | None]] = [[None] * len(lines[0])]
    for one in found:
        under = one.worked
        shades = [_heat(one.under.get(name)) for name in named]
        heat.append([None, *shades, None, None, None])
        change = mean_known([each.change.mean for each in under])
        cost = mean_known([each.epochs for each in under])
        o_asr = [each.o_asr.mean for each in under if each.o_asr.mean is not None]
        lines.append(
            [
                one.label + (KNOWS if one.told else ""),
                *(_cell(one.under.get(name), several=several) for name in named),
                f"{100 * max(o_asr):.1f}" if o_asr else MISSING,
                MISSING if change is None else points(change),
                MISSING if cost is None else f"{cost:.0f}",
            ]
        )
    key = groups[0].key
    return Overview(
        title=printable(f"{key.dataset} · {key.arch} · all attacks"),
        notes=[
            _NOTE.format(seeds=_seeds(found), margin=100 * MARGIN, loss=100 * LOSS),
            _COLUMNS,
            *([_TOLD] if any(one.told for one in found) else []),
        ],
        header=["purifier", *named, "largest O-ASR", "C-Acc change", "ft epochs"],
        lines=lines,
        heat=heat,
    )


def _seeds(found: Sequence[Standing]) -> str:
    """How many seeds the gaps rest on."""
    counts = sorted({each.gap.n for one in found for each in one.under.values() if each.gap.n})
    if not counts or counts == [1]:
        return "one seed"
    if len(counts) == 1:
        return f"mean over {counts[0]} seeds"
    return f"mean over the seeds of each purifier ({counts[0]} to {counts[-1]})"


def _control(group: Group, *, several: bool) -> str:
    """The control's highest ASR: ``97.4 (n=100)``."""
    row = group.row(CONTROL)
    places = [None, *group.columns]
    known = [(row.number("asr", p).mean, p) for p in places] if row else []
    rate, column = max(
        ((rate, p) for rate, p in known if rate is not None),
        key=lambda each: each[0],
        default=(None, None),
    )
    if rate is None:
        return MISSING
    return f"{100 * rate:.1f}{_place(column, several=several)}"


def _place(column: Column | None, *, several: bool) -> str:
    """The reactivation, in full where the table is about ``several``."""
    if column is None:
        return ""
    if several:
        return f" ({printable(column.title)})"
    return "" if column.budget is None else f" (n={column.budget})"


def _heat(one: Worst | None) -> float | None:
    if one is None or one.gap.mean is None or one.verdict.outcome == "no backdoor":
        return None
    return 1.0 if one.lost else max(0.0, one.gap.mean)


def _cell(one: Worst | None, *, several: bool) -> str:
    if one is None:
        return MISSING
    if told := _LOST.get(one.verdict.outcome) or _UNTOLD.get(one.verdict.outcome):
        return told
    if one.gap.mean is None or one.column is None:
        if one.gap.failed or one.o_asr.failed:
            return FAILED
        return "not judged" if one.skipped else MISSING
    kept, seeds = one.kept
    some = f" [{kept}/{seeds}]" if 0 < kept < seeds else ""
    return points(one.gap.mean) + _place(one.column, several=several) + some


def overview_objects(records: Sequence[Record]) -> list[dict[str, Any]]:
    """For programs: one object a purifier and attack, rates as fractions."""
    return [
        {
            "dataset": groups[0].key.dataset,
            "arch": groups[0].key.arch,
            "attack": name,
            "purifier": one.purifier.name,
            "purifier_params": one.purifier.parameters,
            "label": one.label,
            "gap_to_control": each.gap.mean,
            "gap_half_width": each.gap.half_width,
            "seeds": each.gap.n,
            "reactivation": each.column.reactivation.name if each.column else None,
            "budget": each.column.budget if each.column else None,
            "survived": each.verdict.outcome == "survived",
            "outcome": each.verdict.outcome,
            "verdict": each.verdict.text,
            "seeds_survived": each.kept[0],
            "o_asr": each.o_asr.mean,
            "clean_acc_change": each.change.mean,
            "ft_epochs": each.epochs,
        }
        for groups in overviews(records)
        for one in standings(groups)
        for name, each in one.under.items()
    ]
