"""The kinds of stages, each described once: what its record holds and whose code it runs.

The functions that compute stages are in :mod:`remission.grid.stages`. A kind from outside the
package is registered with :func:`remission.grid.stages.kinds.register_kind`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of stage.

    Args:
        name: as records and the folders of a store spell it.
        version: raise it when a change of the stage's own code changes its result: results that
            were stored before are then not reused. Where only one method's code changed, that
            method's own ``version`` is raised instead.
        runs: the key of its settings that holds the method whose code it runs; empty: it
            runs no method.
        measures: whether its record holds a cell, also where the stage failed.
        stores_weights: whether its record holds the weights of a model.
        paced_by: the key of its settings that the duration of a step of its loops depends on;
            empty: the same as ``runs``.
        same_time_for_all: keys of its settings that its duration does not depend on, besides the
            seed, the target class, the budget and the parameters of an attack that is not run.
    """

    name: str
    version: int = 1
    runs: str = ""
    measures: bool = False
    stores_weights: bool = False
    paced_by: str = ""
    same_time_for_all: tuple[str, ...] = ()


VICTIM = Kind(name="victim", runs="attack", measures=True, stores_weights=True)
"""Trains the backdoored model and measures it."""
CONTROL = Kind(name="control", stores_weights=True)
"""Trains the same model in the same way on the same images without poison."""
BASELINE = Kind(name="baseline", measures=True)
"""Measures the control with the trigger of a victim."""
REFERENCE = Kind(name="reference", runs="inversion", stores_weights=True)
"""Trains a model on the defender's clean images alone, which an inversion compares with."""
INVERSION = Kind(name="inversion", runs="inversion", same_time_for_all=("attack",))
"""Inverts the trigger of a victim, or looks for one in the control."""
PURIFIED = Kind(
    name="purified",
    runs="purifier",
    measures=True,
    stores_weights=True,
    same_time_for_all=("attack",),
)
"""Purifies a victim and measures the purified model."""
REACTIVATED = Kind(
    name="reactivated", runs="reactivation", measures=True, same_time_for_all=("purifier",)
)
"""Reactivates a purified model, or the control, and measures it."""
PATH = Kind(name="path", runs="retuning", paced_by="attack", same_time_for_all=("purifier",))
"""Measures models between a victim and a purified model in weight space."""
INNOCENT = Kind(name="innocent", runs="purifier", measures=True)
"""Purifies the control, or leaves it as it is, and measures the result."""
TRANSFER = Kind(name="transfer", runs="reactivation")
"""Tries every perturbation that was made for one model of a victim on all the others."""
ENSEMBLE = Kind(name="ensemble", runs="ensemble", same_time_for_all=("purifier",))
"""Retunes a purified model, or the control, in many ways, and notes what each of them reaches."""

_KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *(VICTIM, CONTROL, BASELINE, REFERENCE, INVERSION, PURIFIED),
        *(REACTIVATED, PATH, INNOCENT, TRANSFER, ENSEMBLE),
    )
}
KINDS: Mapping[str, Kind] = MappingProxyType(_KINDS)
"""Name -> kind, for every kind that this process knows."""


def add_kind(kind: Kind) -> None:
    """Adds a kind from outside the package, for everything that reads records.

    Raises:
        ValueError: its name is no name of a folder, or another kind has it.
    """
    if not kind.name.isidentifier():
        raise ValueError(f"'{kind.name}' is no name for a kind of stage: it must be an identifier")
    if _KINDS.setdefault(kind.name, kind) != kind:
        raise ValueError(f"there is another kind of stage called '{kind.name}'")
