"""One unit of work of a grid, and how methods are written into its settings."""

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
ENSEMBLE = "ensemble"
"""Keys of a stage's settings that hold the table of a method, of the section [path], or a whole
ensemble of retunings."""

REFERENCE = "reference"
"""With a number: the role of a model that an inversion compares with."""

NOBODY = "none"
"""The attack of a model that was never backdoored."""
THE_CONTROL = "control"
"""The name in the place of a purifier's where the control is measured."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What all stages of one seed have in common.

    Args:
        dataset: name of the data set; the same for every image folder, which ``data`` identifies.
        size: pixels per side to which images are resized; None: they are not resized.
        data: digest of all images and labels.
        arch: the model, as a spec names it.
        seed: the spec's seed.
        precision: of forward passes; ``"auto"`` until the device is known.
        split: the sizes of the sets of images, as :func:`remission.data.split_dataset` takes
            them.
        recipe: how victim and control are trained, as :class:`remission.training.Recipe` takes it.
        resize: how images are brought to ``size``.
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

        ``resize`` and ``white`` are younger than some stored results, whose identities must stay:
        their defaults are left out.
        """
        values = asdict(self)
        if self.resize == "crop":
            del values["resize"]
        if self.white is None:
            del values["white"]
        return values


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
        kind: name of a kind of stage, see :data:`remission.records.kinds.KINDS`.
        label: ``attack/seed/purifier/...``, unique in a plan, for people and ``--only``.
        settings: everything that changes the result, as JSON values.
        parents: role -> id of the stages it builds upon.
        names: the names of its data set; they are no part of the identity.
    """

    kind: str
    label: str
    settings: Settings
    parents: dict[str, str]
    names: DataNames | None = None

    @property
    def dataset(self) -> str:
        """What records call the data set."""
        return self.names.dataset if self.names else self.context.dataset

    @property
    def target_name(self) -> str | None:
        """The name of the attacker's class; None without a single one, or if it is not known."""
        target = self.table(ATTACK).get("target")
        return self.class_name(target) if isinstance(target, int) else None

    def class_name(self, index: int | None) -> str | None:
        """The name of a class; None if it is not known."""
        classes = self.names.classes if self.names else ()
        return classes[index] if index is not None and 0 <= index < len(classes) else None

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
    """Returns a method as a table of a spec, its parameters spelled out.

    Parameters that are younger than stored results are left out where they have their defaults,
    see :func:`remission.method.field`.
    """
    return {"method": method.name, **method.settings()}


def versions(**roles: Method) -> Settings:
    """Returns the ``versions`` entry of a stage's settings.

    Methods still at version 1 are left out, so that old identities stay valid.
    """
    found = {role: method.code_version() for role, method in roles.items()}
    later = {role: version for role, version in found.items() if version != 1}
    return {"versions": later} if later else {}
