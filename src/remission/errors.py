"""What a user can mend: one line, no traceback, exit status 2. Everything else is a bug."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """The user must change something.

    Args:
        problem: what is wrong, naming the key, file or value and what was found.
        remedy: what to do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        """The one line that the command line prints, without the leading program name."""
        return " ".join(f"{self.problem}; {self.remedy}".split())


class SpecError(UserError):
    """A spec names something unknown, or a value lies outside its range."""


class DataError(UserError):
    """A data set is missing, damaged, or not what was asked for."""


class CheckpointError(UserError):
    """A file of weights is damaged, or does not fit the model."""


class StoreError(UserError):
    """The store cannot be read or written (no space left, no permission, not a store)."""


class DivergedError(RuntimeError):
    """A training loss or a weight became infinite or NaN: the cell fails, the others go on."""


def closest(name: str, known: Iterable[str]) -> str:
    """A hint that names the known name nearest to a mistyped one, or lists all of them."""
    names = sorted(known)
    match = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    listed = f"known: {', '.join(names)}"
    return f"did you mean '{match[0]}'? ({listed})" if match else f"use one that exists ({listed})"
