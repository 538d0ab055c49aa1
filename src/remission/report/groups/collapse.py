"""Models that are no better than one answer for all images: nothing is judged on them.

Such a model puts triggered images into the target class as often as all others, so that its ASR
says nothing of a backdoor: 100 % where it answers the target class, 0 % where another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from remission.intervals import wilson_of_rate
from remission.records import Cell, Record


@dataclass(frozen=True, kw_only=True)
class ConstantAnswer:
    """The best model that gives one answer for all test images.

    Args:
        accuracy: its clean accuracy, the share of the largest class, in [0, 1].
        classes: how many there are; None where the records do not say it.
    """

    accuracy: float
    classes: int | None

    def beats(self, cell: Cell) -> bool:
        """Returns whether a model is not better, beyond the interval of its clean accuracy."""
        ends = cell.clean_acc_interval or wilson_of_rate(cell.clean_acc, cell.n_clean)
        return ends is not None and ends[0] <= self.accuracy


def constant_answers(cells: Iterable[Cell], records: Iterable[Record]) -> dict[int, ConstantAnswer]:
    """Returns the best constant answer per seed, as far as it is known.

    Records of victims hold the share of the largest class. Older ones do not; there it is the
    share of the target class, whose images do not count for the ASR: the largest class is at least
    as large.

    Args:
        cells: those of one group.
        records: any, of which the victims of the same cells are used.
    """
    answers: dict[int, ConstantAnswer] = {}
    shares: dict[int, float] = {}
    by_id = {cell.id: cell for cell in cells}
    for cell in by_id.values():
        if isinstance(cell.target, int) and 0 < cell.n_triggered < cell.n_clean:
            shares[cell.seed] = max(shares.get(cell.seed, 0), 1 - cell.n_triggered / cell.n_clean)
    for seed, share in shares.items():
        answers[seed] = ConstantAnswer(accuracy=share, classes=None)
    for record in records:
        found = _noted(record.details.get("test_classes"))
        if found and record.cell and record.cell.id in by_id:
            answers[record.cell.seed] = found
    return answers


def _noted(entry: object) -> ConstantAnswer | None:
    """The answer that a victim's record holds."""
    if not isinstance(entry, Mapping):
        return None
    classes, largest = entry.get("number"), entry.get("largest")
    if not isinstance(classes, int) or not isinstance(largest, float | int):
        return None
    return ConstantAnswer(accuracy=float(largest), classes=classes)


def reason(model: str, cells: Iterable[Cell], answers: Mapping[int, ConstantAnswer]) -> str:
    """Returns a clause that says which model collapsed and what it can do.

    Args:
        model: ``victim``, ``control`` or ``purified model``.
        cells: of that model, those of the seeds with which it collapsed.
        answers: as :func:`constant_answers` returns them.
    """
    cell = min(cells, key=lambda each: each.seed)
    answer = answers[cell.seed]
    of = "" if answer.classes is None else f" of {answer.classes} classes"
    return (
        f"the {model} is no better than one answer for all images: clean accuracy "
        f"{100 * (cell.clean_acc or 0.0):.1f}{of}, where the largest class makes up "
        f"{100 * answer.accuracy:.1f}"
    )
