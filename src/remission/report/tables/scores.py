"""The scores of relapse curves as tables: for the page, for people as text, for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remission.records import Record
from remission.report.groups.breakage import LOSS
from remission.report.groups.estimates import FAILED, MISSING, Estimate
from remission.report.groups.group import Group, summarise
from remission.report.measures.relapse_gap import Bound
from remission.report.measures.scores import Reach, Score, scores
from remission.report.tables.formats import Section


def score_table(group: Group) -> Section | None:
    """The scores of a group; None where no relapse curve has two budgets."""
    found = scores(group)
    if not found:
        return None
    several = len({one.column.label for one in found}) > 1
    header = ["purifier", *(["reactivation"] if several else []), "relapse gap"]
    header += ["n at ASR 50 %", "control's n", "ratio"]
    return Section(
        title=group.title,
        notes=[_note(found)],
        header=header,
        lines=[_line(one, group.seeds, several) for one in found],
    )


def _note(found: Sequence[Score]) -> str:
    spans = sorted({f"{one.budgets[0]} to {one.budgets[-1]}" for one in found})
    over = (
        "± half width of the 95 % Student-t interval over the seeds"
        if any(one.gap.half_width is not None for one in found)
        else "in brackets the 95 % interval from the number of test images"
    )
    return (
        "relapse gap: mean distance of the ASR above the control's over the logarithm of the "
        f"number of poisoned images n (n = {', '.join(spans)}), between -1 and 1, {over}; "
        "n at ASR 50 %: the smallest that brings half of the backdoor back, interpolated, in "
        "brackets where the ends of the ASRs' intervals get there; ratio: the control's over it; "
        f"without models that lost more than {100 * LOSS:.0f} points of clean accuracy"
    )


def _line(one: Score, seeds: int, several: bool) -> list[str]:
    return [
        one.row.label,
        *([one.column.label] if several else []),
        _gap(one.gap, seeds),
        _reach(one.purified),
        _reach(one.control) if one.control else MISSING,
        str(one.ratio) if one.ratio else MISSING,
    ]


def _gap(number: Estimate, seeds: int) -> str:
    if number.mean is None:
        return FAILED if number.failed else MISSING
    text = _signed(number.mean)
    if number.half_width is not None:
        text += f" ± {number.half_width:.2f}"
    elif number.interval:
        text += f" [{_signed(number.interval[0])}, {_signed(number.interval[1])}]"
    notes = [f"n={number.n}"] if number.n != seeds else []
    notes += [f"{number.failed} failed"] if number.failed else []
    return f"{text} ({', '.join(notes)})" if notes else text


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}"  # + 0.0 turns -0.0 into 0.0


def _reach(found: Reach) -> str:
    if str(found.first) == str(found.last):
        return str(found.at)
    return f"{found.at} [{found.first}, {found.last}]"


def score_sections(records: Sequence[Record]) -> list[Section]:
    """For people: a table a group."""
    return [section for group in summarise(records) if (section := score_table(group))]


def score_objects(records: Sequence[Record]) -> list[dict[str, Any]]:
    """For programs: one object a purifier, attack and reactivation."""
    return [
        {
            "dataset": group.key.dataset,
            "arch": group.key.arch,
            "attack": group.key.attack.name,
            "attack_params": group.key.attack.parameters,
            "poison_rate": group.key.poison_rate,
            "target": group.key.target,
            "target_name": group.target_name,
            "purifier": one.row.purifier.name,
            "purifier_params": one.row.purifier.parameters,
            "label": one.row.label,
            "reactivation": one.column.reactivation.name,
            "reactivation_params": one.column.reactivation.parameters,
            "budgets": list(one.budgets),
            "relapse_gap": one.gap.mean,
            "relapse_gap_half_width": one.gap.half_width,
            "relapse_gap_low": one.gap.interval[0] if one.gap.interval else None,
            "relapse_gap_high": one.gap.interval[1] if one.gap.interval else None,
            "seeds": one.gap.n,
            "failed": one.gap.failed,
            **_reach_object("half_at", one.purified),
            **_reach_object("control_half_at", one.control),
            **_bound("ratio", one.ratio),
        }
        for group in summarise(records)
        for one in scores(group)
    ]


def _reach_object(name: str, found: Reach | None) -> dict[str, Any]:
    return {
        **_bound(name, found.at if found else None),
        **_bound(f"{name}_first", found.first if found else None),
        **_bound(f"{name}_last", found.last if found else None),
    }


def _bound(name: str, found: Bound | None) -> dict[str, Any]:
    return {
        name: found.value if found else None,
        f"{name}_relation": found.relation if found else None,
    }
