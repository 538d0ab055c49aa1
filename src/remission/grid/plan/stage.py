"""One unit of work of a grid, and the parts of its settings that are made from methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remission.method import Method
from remission.records.identity import identity

Settings = dict[str, Any]

NOBODY = "none"
"""The attack of a model that was never backdoored."""
PAPERS = "bti_dbf"
"""The inversion that a purifier uses unless its cells say otherwise."""


@dataclass(frozen=True)
class Stage:
    """One unit of work: everything a worker must know beyond the store.

    Args:
        kind: see :class:`remission.records.Record`.
        label: ``attack/seed/purifier/...``, unique in a plan, for people and ``--only``.
        settings: everything that changes the result, as JSON values.
        parents: role -> id of the stages it builds upon.
    """

    kind: str
    label: str
    settings: Settings
    parents: dict[str, str]

    @property
    def id(self) -> str:
        """The stage's identity."""
        return identity(self.kind, self.settings, self.parents)


def table_of(method: Method) -> Settings:
    """A method as a table of a spec, all parameters spelled out."""
    return {"method": method.name, **method.parameters()}


def versions(**roles: Method) -> Settings:
    """What the settings of a stage say of the versions of its methods; nothing of first ones."""
    later = {role: method.version for role, method in roles.items() if method.version != 1}
    return {"versions": later} if later else {}
