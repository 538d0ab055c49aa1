"""The nine kinds of stages, each described once: what its record holds and whose code it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of stage.

    Args:
        name: as records and the folders of a store spell it.
        version: raise it when a change of the stage's own code changes its result: what was stored
            before is then not reused. Where only one method's code changed, that method's own
            ``version`` is raised instead.
        runs: the key of its settings that holds the method whose code it runs; empty: none.
        measures: whether its record holds a cell, also where the stage failed.
        trains: whether its record holds the weights of a model.
    """

    name: str
    version: int = 1
    runs: str = ""
    measures: bool = False
    trains: bool = False


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(name="victim", runs="attack", measures=True, trains=True),
        Kind(name="control", trains=True),
        Kind(name="baseline", measures=True),
        Kind(name="inversion", runs="inversion"),
        Kind(name="purified", runs="purifier", measures=True, trains=True),
        Kind(name="reactivated", runs="reactivation", measures=True),
        Kind(name="path", runs="retuning"),
        Kind(name="innocent", runs="purifier", measures=True),
        Kind(name="transfer", runs="reactivation"),
    )
}
"""Name -> kind. ``baseline`` measures the control, ``innocent`` hands it to a purifier."""
