"""Short names for the retunings of an ensemble, which differ in many parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from remission.records.ensemble import EnsembleEntry
from remission.report.groups.labels import canonical, flat, printable

_ALWAYS = "lr"
"""The parameter that every name holds."""
_LEFT_OUT = "default"
"""Stands for the value of a parameter that a record leaves out since it has its default."""


@dataclass(frozen=True)
class RetuningNames:
    """Names of retunings: the rate, and what is not as in most of them.

    Args:
        usual: parameter -> the value that most retunings have.
    """

    usual: dict[str, str]

    @classmethod
    def of(cls, entries: Iterable[EnsembleEntry]) -> RetuningNames:
        """Returns the names of all retunings in these entries."""
        settings = {canonical(entry.retuning): flat(entry.retuning) for entry in entries}
        keys = sorted({key for values in settings.values() for key in values})
        usual = {}
        for key in keys:
            count = Counter(values.get(key, _LEFT_OUT) for values in settings.values())
            usual[key] = max(sorted(count), key=lambda value: count[value])
        return cls(usual)

    def name(self, entry: EnsembleEntry) -> str:
        """Returns for example ``lr=0.1, epochs=20, n=5``; n is the number of poisoned images."""
        values = flat(entry.retuning)
        first = [f"{_ALWAYS}={values[_ALWAYS]}"] if _ALWAYS in values else []
        rest = [
            f"{key}={values.get(key, _LEFT_OUT)}"
            for key, usual in self.usual.items()
            if key != _ALWAYS and values.get(key, _LEFT_OUT) != usual
        ]
        return printable(", ".join([*first, *rest, f"n={entry.budget}"]))

    @property
    def common(self) -> str:
        """Returns the usual values, as one clause for a note."""
        parts = [
            f"{key}={value}"
            for key, value in self.usual.items()
            if key != _ALWAYS and value != _LEFT_OUT
        ]
        return printable(", ".join(parts))
