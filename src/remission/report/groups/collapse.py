"""Collapsed models: they are not shown to be better than one answer for all images.

Such a model puts triggered images into the target class as often as all other images, so that its
ASR says nothing about a backdoor: it is 100 % where the one answer is the target class, else 0 %.
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
        classes: the number of classes; None where no record holds it.
    """

    accuracy: float
    classes: int | None

    def beats(self, cell: Cell) -> bool:
        """Returns whether the interval of a model's clean accuracy starts at or below this one."""
        ends = cell.clean_acc_interval or wilson_of_rate(cell.clean_acc, cell.n_clean)
        return ends is not None and ends[0] <= self.accuracy


def constant_answers(cells: Iterable[Cell], records: Iterable[Record]) -> dict[int, ConstantAnswer]:
    """Returns the best constant answer per seed, as far as it is known.

    Records of victims hold the share of the largest class. Where an older record lacks it, the
    share of the target class takes its place, which follows from the images that do not count for
    the ASR; the largest class is at least as large.

    Args:
        cells: the cells of one group.
        records: any records; only those of the victims among ``cells`` are used.
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
        answer = _noted(record.details.get("test_classes"))
        if answer and record.cell and record.cell.id in by_id:
            answers[record.cell.seed] = answer
    return answers


def _noted(entry: object) -> ConstantAnswer | None:
    """Returns the answer that a victim's record holds; None without one."""
    if not isinstance(entry, Mapping):
        return None
    classes, largest = entry.get("number"), entry.get("largest")
    if not isinstance(classes, int) or not isinstance(largest, float | int):
        return None
    return ConstantAnswer(accuracy=float(largest), classes=classes)


def reason(model: str, cells: Iterable[Cell], answers: Mapping[int, ConstantAnswer]) -> str:
    """Returns a clause that says which model collapsed, and how accurate it is.

    Args:
        model: ``victim``, ``control`` or ``purified model``.
        cells: the cells of that model and of the seeds with which it collapsed.
        answers: as :func:`constant_answers` returns them.
    """
    cell = min(cells, key=lambda cell: cell.seed)
    answer = answers[cell.seed]
    largest = "class" if answer.classes is None else f"of {answer.classes} classes"
    return (
        f"the {model} is not shown to be better than one answer for all images: clean accuracy "
        f"{100 * (cell.clean_acc or 0.0):.1f} %, and the largest {largest} makes up "
        f"{100 * answer.accuracy:.1f} % of the images"
    )
