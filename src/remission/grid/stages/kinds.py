"""The function that computes the stages of each kind.

The kinds of the package are in one file per family. A kind from outside the package needs one
file as well: its :class:`remission.records.kinds.Kind`, its function, and a call of
:func:`register_kind`.
"""

from __future__ import annotations

from collections.abc import Callable

from remission.grid.stages import ensemble, inverted, paths, purified, reactivated, trained
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.result import StageResult
from remission.records.kinds import Kind, add_kind

StageFunction = Callable[[StageInputs], StageResult]
"""Computes and measures what a stage of one kind asks for."""

_FUNCTIONS: dict[str, StageFunction] = {
    kind.name: function
    for family in (trained, inverted, purified, reactivated, paths, ensemble)
    for kind, function in family.FUNCTIONS.items()
}
_registered: list[tuple[Kind, StageFunction]] = []


def register_kind(kind: Kind, function: StageFunction) -> None:
    """Registers a kind of stage from outside the package in this process and its workers.

    A file that calls this when it is imported may be imported several times: the same kind with
    the function of the same name is registered once.

    Args:
        kind: describes its records.
        function: computes a stage of the kind; defined at the top level of a module, so that a
            worker process can import it.

    Raises:
        ValueError: another kind has its name.
    """
    add_kind(kind)
    present = _FUNCTIONS.get(kind.name)
    if present is not None and _name(present) != _name(function):
        raise ValueError(f"stages of kind '{kind.name}' are computed by another function")
    if present is None:
        _registered.append((kind, function))
    _FUNCTIONS[kind.name] = function


def registered_kinds() -> tuple[tuple[Kind, StageFunction], ...]:
    """Returns the kinds from outside the package, for worker processes."""
    return tuple(_registered)


def compute(inputs: StageInputs) -> StageResult:
    """Computes and measures what the kind of a stage asks for."""
    return _FUNCTIONS[inputs.stage.kind](inputs)


def _name(function: StageFunction) -> tuple[str, str]:
    return function.__module__, function.__qualname__
