"""All attacks in one table: a purifier a row, its largest gap to the control under each attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from remission.records import Record
from remission.report.groups.estimates import FAILED, MISSING, mean_known, points
from remission.report.groups.group import Group
from remission.report.groups.keys import CONTROL
from remission.report.groups.labels import printable
from remission.report.groups.results import Results
from remission.report.groups.rows import Column
from remission.report.groups.thresholds import LOSS, MARGIN
from remission.report.groups.titles import titles
from remission.report.measures.standings import LOST, UNTOLD, Standing, Worst, standings
from remission.report.tables.formats import Lines, Section

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
_TOLD = "† is given the attacker's own trigger: what a perfect inversion would allow, no defence"


@dataclass(frozen=True, kw_only=True)
class Overview(Section):
    """With how dark each cell of an attack is drawn."""

    heat: list[list[float | None]]
    """In each row, for each cell: the gap in [0, 1]; None for cells that are no gap."""


def overview_sections(records: Sequence[Record]) -> list[Overview]:
    """A table for each data set and architecture."""
    return [_part(groups) for groups in Results(records).overviews]


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
    if told := LOST.get(one.verdict.outcome) or UNTOLD.get(one.verdict.outcome):
        return told
    if one.gap.mean is None or one.column is None:
        if one.gap.failed or one.o_asr.failed:
            return FAILED
        return "not judged" if one.skipped else MISSING
    kept, seeds = one.verdict.not_purified
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
            "seeds_survived": each.verdict.not_purified[0],
            "o_asr": each.o_asr.mean,
            "clean_acc_change": each.change.mean,
            "ft_epochs": each.epochs,
        }
        for groups in Results(records).overviews
        for one in standings(groups)
        for name, each in one.under.items()
    ]
