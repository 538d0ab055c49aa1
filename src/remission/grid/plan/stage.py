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
class DataNames:
    """What the data set of a plan is called, and where it lies. No result depends on any of it.

    Args:
        dataset: what records and tables call it: a name of the catalogue, or of a folder.
        folder: absolute path of the image folder; None for a data set of the catalogue.
        classes: the names of the classes, in the order of their indices; empty: not known.
    """

    dataset: str
    folder: str | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """One unit of work: everything a worker must know beyond the store.

    Args:
        kind: see :class:`remission.records.Record`.
        label: ``attack/seed/purifier/...``, unique in a plan, for people and ``--only``.
        settings: everything that changes the result, as JSON values.
        parents: role -> id of the stages it builds upon.
        names: of its data set, which are no part of the identity.
    """

    kind: str
    label: str
    settings: Settings
    parents: dict[str, str]
    names: DataNames | None = None

    @property
    def dataset(self) -> str:
        """What records call the data set."""
        return self.names.dataset if self.names else str(self.settings["context"]["dataset"])

    @property
    def target_name(self) -> str | None:
        """The name of the attacker's class; None without a single one, or if it is not known."""
        target = self.settings.get("attack", {}).get("target")
        return self.class_name(target) if isinstance(target, int) else None

    def class_name(self, index: int | None) -> str | None:
        """The name of a class; None if it is not known."""
        classes = self.names.classes if self.names else ()
        return classes[index] if index is not None and 0 <= index < len(classes) else None

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
