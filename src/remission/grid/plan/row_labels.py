"""The labels of a spec's methods, as tables give them to rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from remission.grid.plan.stage import INVERSION, Settings
from remission.grid.spec.methods import PlannedPurifier
from remission.method import Method
from remission.records import brief
from remission.records.labels import MethodKey, label_methods, purifier_key


def method_labels(methods: Iterable[Method]) -> list[str]:
    """Returns the labels of methods, without budgets, as each has a stage of its own."""
    keys = [
        MethodKey.of(method.name, brief(method.settings()), without=("budgets",))
        for method in methods
    ]
    labels = label_methods(keys)
    return [labels[key] for key in keys]


def _inversion_of(row: PlannedPurifier) -> Settings:
    return {INVERSION: row.inversion.name} if row.inverts else {}


def row_labels(rows: Sequence[PlannedPurifier]) -> list[str]:
    """Returns the labels that tables give the rows of these purifiers."""
    keys = [
        purifier_key(
            row.purifier.name,
            brief({**row.purifier.settings(), **_inversion_of(row)}),
        )
        for row in rows
    ]
    labels = label_methods(keys)
    return [labels[key] for key in keys]
