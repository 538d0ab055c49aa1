"""PAM beside BTI-DBF at equal clean accuracy, from the records of recipes/comparison.toml."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from remission.records import Cell, Record
from remission.report.groups.thresholds import at_most

_NEAR = 0.003
"""Two models have the same clean accuracy if theirs differ by at most this."""
_PURIFIED = 0.15
"""The largest O-ASR of a model that is called purified here."""
_QUESTION = """\
## PAM beside BTI-DBF

Does path-awareness help beyond strength? Both unlearn the same inverted trigger; PAM looks for its
steps at a point of the path to the victim. Each line is a pair of their models, one of each along
its rates, that are both purified (an O-ASR of at most 15 %) and whose clean accuracies differ by at
most 0.3 points. Under n stands PAM's ASR after a retuning on n poisoned images minus BTI-DBF's, in
points: below 0 PAM relapses less.
"""

Victim = tuple[str, int]


@dataclass(frozen=True)
class Relapse:
    """A purified model with what retunings make of it.

    Args:
        lr: the rate of its purifier.
        clean_acc: its clean accuracy before any retuning.
        asr: its ASR before any retuning.
        after: the number of poisoned images -> its ASR after a retuning on them.
    """

    lr: float
    clean_acc: float
    asr: float
    after: Mapping[int, float]


def path_awareness(records: Sequence[Record]) -> list[str]:
    """Returns the section as lines of Markdown; none where no two models can be compared."""
    ours, theirs = relapses(records, "pam"), relapses(records, "bti_dbf")
    pairs = [
        (victim, one, two)
        for victim in sorted(ours)
        for one, two in itertools.product(ours[victim], theirs.get(victim, []))
        if at_most(abs(one.clean_acc - two.clean_acc), _NEAR)
        and at_most(max(one.asr, two.asr), _PURIFIED)
    ]
    if not pairs:
        return []
    budgets = sorted(set.intersection(*({*one.after} & {*two.after} for _, one, two in pairs)))
    head = ["victim", "rate of PAM", "rate of BTI-DBF", "C-Acc", "O-ASR"]
    rows = [
        [*head, *(f"n={n}" for n in budgets)],
        [":--", *["--:"] * (len(head) - 1 + len(budgets))],
    ]
    for (attack, seed), one, two in pairs:
        rows.append(
            [
                f"{attack}, seed {seed}", f"{one.lr:g}", f"{two.lr:g}",
                _both(one.clean_acc, two.clean_acc), _both(one.asr, two.asr),
                *(f"{100 * (one.after[n] - two.after[n]):+.1f}" for n in budgets),
            ]
        )  # fmt: skip
    return [_QUESTION, *(f"| {' | '.join(row)} |" for row in rows), ""]


def relapses(records: Sequence[Record], purifier: str) -> dict[Victim, list[Relapse]]:
    """Returns the models of a purifier per victim, that is attack and seed, by rising rate."""
    cells: dict[Victim, dict[str, dict[int, Cell]]] = {}
    for cell in (record.cell for record in records):
        if cell and cell.purifier == purifier and cell.status == "done":
            setting = json.dumps(cell.purifier_params, sort_keys=True)
            of_victim = cells.setdefault((cell.attack, cell.seed), {})
            of_victim.setdefault(setting, {})[cell.budget or 0] = cell
    return {
        victim: sorted(
            (_relapse(found) for found in of_victim.values() if 0 in found),
            key=lambda one: one.lr,
        )
        for victim, of_victim in cells.items()
    }


def _relapse(cells: Mapping[int, Cell]) -> Relapse:
    before = cells[0]
    return Relapse(
        lr=float(before.purifier_params["lr"]),
        clean_acc=before.clean_acc or 0.0,
        asr=before.asr or 0.0,
        after={n: cell.asr or 0.0 for n, cell in cells.items() if n},
    )


def _both(one: float, two: float) -> str:
    """Returns two rates in per cent."""
    return f"{100 * one:.1f} and {100 * two:.1f}"
