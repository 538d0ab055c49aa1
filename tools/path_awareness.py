"""PAM beside BTI-DBF at equal clean accuracy, from the records of recipes/comparison.toml."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from remission.records import Record
from remission.report.groups.estimates import by_seed, gap_by_seed, points
from remission.report.groups.group import Group
from remission.report.groups.results import Results
from remission.report.groups.rows import Row
from remission.report.groups.thresholds import at_most
from remission.report.measures.purified import purified_seeds
from remission.report.tables.formats import pipe_table

_NEAR = 0.003
"""Two models have the same clean accuracy if theirs differ by at most this."""
_QUESTION = """\
## PAM beside BTI-DBF

Does a gradient on the path help beyond the choice of the learning rate? Both unlearn the same
inverted trigger; PAM takes its gradients at a point of the path to the victim. Each line is a pair
of their models, one of each along its rates, that are both purified (an O-ASR at most 10 points
above the control's) and whose clean accuracies differ by at most 0.3 points. Under n stands PAM's
ASR after a retuning on n poisoned images minus BTI-DBF's, in points: below 0 PAM relapses less.
"""


def path_awareness(records: Sequence[Record]) -> list[str]:
    """Returns the section as lines of Markdown; none where no two models can be compared."""
    groups = Results.of(records).groups
    pairs = [pair for group in groups for pair in _pairs(group)]
    if not pairs:
        return []
    budgets = sorted(set.intersection(*({*after} for _, after in pairs)))
    head = ["victim", "rate of PAM", "rate of BTI-DBF", "C-Acc", "O-ASR"]
    head += [f"n={n}" for n in budgets]
    rows = [[*cells, *(points(after[n]) for n in budgets)] for cells, after in pairs]
    return [_QUESTION, *pipe_table(head, rows).splitlines(), ""]


def _pairs(group: Group) -> Iterator[tuple[list[str], dict[int, float]]]:
    """Yields the first cells of a line, and number of images -> difference, per pair and seed."""
    ours, theirs = (_by_rate(group, name) for name in ("pam", "bti_dbf"))
    for one, two in itertools.product(ours, theirs):
        costs, rates = (
            [by_seed(row.at(None), measure) for row in (one, two)]
            for measure in ("clean_acc", "asr")
        )
        for seed in sorted(purified_seeds(group, one) & purified_seeds(group, two)):
            accuracies, asrs = ([each[seed] for each in both] for both in (costs, rates))
            if at_most(abs(accuracies[0] - accuracies[1]), _NEAR):
                victim = f"{group.key.attack.name}, seed {seed}"
                lrs = [f"{_rate(row):g}" for row in (one, two)]
                yield [victim, *lrs, _both(accuracies), _both(asrs)], _apart(group, one, two, seed)


def _by_rate(group: Group, purifier: str) -> list[Row]:
    """Returns the rows of a purifier by rising rate."""
    rows = [row for row in group.purified if row.purifier.name == purifier]
    return sorted(rows, key=_rate)


def _rate(row: Row) -> float:
    return float(row.purifier.parameters["lr"])


def _apart(group: Group, one: Row, two: Row, seed: int) -> dict[int, float]:
    """Returns number of images -> how far the ASR of one row lies above that of the other."""
    gaps = {column.budget: gap_by_seed(one.at(column), two.at(column)) for column in group.columns}
    return {n: gaps_[seed] for n, gaps_ in gaps.items() if n and seed in gaps_}


def _both(rates: Sequence[float]) -> str:
    """Returns two rates in per cent."""
    return " and ".join(f"{100 * rate:.1f}" for rate in rates)
