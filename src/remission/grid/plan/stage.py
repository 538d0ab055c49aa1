"""One unit of work of a grid, and the parts of its settings that are made from methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from remission.data.decode import Resize
from remission.method import Method
from remission.models import Precision
from remission.records.identity import identity

Settings = dict[str, Any]

ATTACK, PURIFIER, INVERSION = "attack", "purifier", "inversion"
REACTIVATION, RETUNING, PATH_SECTION = "reactivation", "retuning", "path"
"""Keys of a stage's settings that hold the table of a method, or of the section [path]."""

NOBODY = "none"
"""The attack of a model that was never backdoored."""
THE_CONTROL = "control"
"""What stands in a purifier's place where the control is measured."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What all stages of one seed have in common.

    Args:
        dataset: name of the data set, or the path of an image folder.
        size: pixels of a side that the images are brought to; None: as they are.
        data: digest of all images and labels.
        arch: the model, as a spec names it.
        seed: the spec's seed.
        precision: of forward passes; ``"auto"`` until the device is known.
        split: the sizes of the four sets of images, as :func:`remission.data.split_dataset` takes
            them.
        recipe: how victim and control are trained, as :class:`remission.training.Recipe` takes it.
        resize: how the images come to ``size``.
        white: the value that stands for white in grey files of 16 bits; None: 65535.
    """

    dataset: str
    size: int | None
    data: str
    arch: str
    seed: int
    precision: Precision | Literal["auto"]
    split: Mapping[str, Any]
    recipe: Mapping[str, Any]
    resize: Resize = "crop"
    white: int | None = None

    def to_settings(self) -> Settings:
        """Returns the context as JSON values.

        ``resize`` and ``white`` came later than stored results, whose identities must stay: their
        defaults are left out.
        """
        values = asdict(self)
        if self.resize == "crop":
            del values["resize"]
        if self.white is None:
            del values["white"]
        return values


@dataclass(frozen=True)
class Stage:
    """One unit of work: everything a worker must know beyond the store.

    Args:
        kind: name of a kind of stage, see :data:`remission.records.kinds.KINDS`.
        label: ``attack/seed/purifier/...``, unique in a plan, for people and ``--only``.
        settings: everything that changes the result, as JSON values.
        parents: role -> id of the stages it builds upon.
    """

    kind: str
    label: str
    settings: Settings
    parents: dict[str, str]

    @cached_property
    def id(self) -> str:
        """The stage's identity."""
        return identity(self.kind, self.settings, self.parents)

    @cached_property
    def context(self) -> Context:
        """What the stage has in common with the others of its seed."""
        return Context(**self.settings["context"])

    @property
    def budget(self) -> int | None:
        """Number of poisoned images of its reactivation; None where there is none."""
        budget: int | None = self.settings.get("budget")
        return budget

    def table(self, role: str) -> Settings:
        """Returns the table of the method in a role, such as :data:`ATTACK`; empty without one."""
        return dict(self.settings.get(role, {}))

    def method(self, role: str) -> str:
        """Returns the name of the method in a role; empty without one."""
        return str(self.settings.get(role, {}).get("method", ""))


def table_of(method: Method) -> Settings:
    """Returns a method as a table of a spec, all parameters spelled out."""
    return {"method": method.name, **method.parameters()}


def versions(**roles: Method) -> Settings:
    """Returns the ``versions`` entry of a stage's settings.

    Methods still at version 1 are left out, so that old identities stay valid.
    """
    later = {role: method.version for role, method in roles.items() if method.version != 1}
    return {"versions": later} if later else {}
