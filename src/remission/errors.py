"""Errors that a user can mend: one line, no traceback, exit status 2. All others are bugs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from remission.names import composed, printable


class UserError(ValueError):
    """The user must change something.

    Args:
        problem: what is wrong: the key, file or value, and what it is instead.
        remedy: what to do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        """The line that the command line prints behind the name of the program."""
        return printable(" ".join(f"{self.problem}; {self.remedy}".split()))


class SpecError(UserError):
    """A spec names something unknown, or one of its values lies outside the allowed range."""


class DataError(UserError):
    """A data set is missing, damaged, or not what was asked for."""


class CheckpointError(UserError):
    """A file of weights is damaged, or does not fit the model."""


class StoreError(UserError):
    """The store cannot be read or written (no space left, no permission, not a store)."""


class MethodError(UserError):
    """A method does not return what its base class asks for."""


class DivergedError(RuntimeError):
    """A training loss or a weight became infinite or NaN: this cell fails, the others go on."""


_LISTED = 50
"""Known names that a remedy lists at most: a data set may have thousands of classes."""


def closest(name: str, known: Iterable[str]) -> str:
    """A remedy for a mistyped name: the known name that is most like it, or a list of all.

    Args:
        name: what was typed.
        known: the names that would have been right.
    """
    names = sorted(known)
    if not names:
        return "there is none that could be named"
    spelled = {composed(other).lower(): other for other in names}
    match = difflib.get_close_matches(composed(name).lower(), spelled, n=1, cutoff=0.5)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    listed = f"known: {', '.join(names[:_LISTED])}{more}"
    if match:
        return f"did you mean '{spelled[match[0]]}'? ({listed})"
    return f"use one that exists ({listed})"
