"""The spec: a TOML file read into checked values. Every mistake names the key and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from remission.data.decode import Resize
from remission.data.load import find_folder
from remission.errors import SpecError, closest
from remission.grid.spec.files import located, read_toml, with_pictures
from remission.grid.spec.methods import SpecMethods, build_methods
from remission.grid.spec.sweeps import with_sweeps
from remission.grid.spec.tables import STRICT, PathSection, SplitSection, TomlTable, VictimSection
from remission.grid.spec.targets import by_seed, numbered
from remission.method import explain
from remission.models import canonical_arch
from remission.names import on_disk


class Spec(BaseModel):
    """A whole grid: one data set, one model, and every combination of the methods."""

    model_config = STRICT

    name: str = Field(min_length=1, max_length=100)
    """What the grid is called."""
    dataset: str
    """A name of `remission data list`, or the path of an image folder, relative to the spec's file
    (to the working directory where there is no file)."""
    size: Annotated[int, Field(ge=8, le=1024)] | None = None
    """Pixels per side to which the images of a folder are resized; None: they are not resized. The
    data set of shapes is drawn in that size."""
    resize: Resize = "crop"
    """How images of a folder are resized: crop (fill the square, cut off the rest), squash (change
    the proportions) or pad (fit into the square, with black around)."""
    white: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The value that stands for white in a folder's grey 16-bit files; None: 65535. Files that hold
    12 bits in 16 need 4095."""
    arch: str = "resnet18"
    """The model, with an optional width: resnet18:16 has 16 base channels; or a model of another
    package: timm:NAME, torchvision:NAME, torchvision:NAME@WEIGHTS for pretrained weights."""
    seeds: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field(default=[0], min_length=1)
    """The whole grid is computed once per seed: split, victim, control and all that follows."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of forward passes: fp32, bf16, or auto (bf16 where the processor multiplies it
    faster)."""
    split: SplitSection = SplitSection()
    """Sizes of the disjoint sets of images."""
    victim: VictimSection = VictimSection()
    """How victim and control are trained."""
    attack: list[TomlTable] = Field(min_length=1)
    """One table [[attack]] per attack. In addition to the method's parameters it may name `seeds`,
    the seeds of the spec for which it is computed (all of them if it names none). Its `target` may
    be a list with one class per seed; tables then show one row for all of them. In every table
    [[attack]], [[purifier]], [[reactivation]] and [[ensemble]], `sweep` gives lists of values to
    some parameters; the table then stands for one table per combination of them."""
    inversion: TomlTable | Annotated[list[TomlTable], Field(min_length=1)] = {"method": "bti_dbf"}
    """The table [inversion], or several [[inversion]], for the purifiers that invert the trigger:
    the first one, unless a purifier's table names another as `inversion`."""
    purifier: list[TomlTable] = []
    """One table [[purifier]] per purifier. In addition to the method's parameters it may name an
    `inversion` of the spec, and `seeds`: the seeds of the spec for which it is computed (all of
    them if it names none)."""
    innocent: list[Annotated[int, Field(ge=0)]] = []
    """Seeds for which every purifier that does not need the true trigger also purifies the control.
    This shows what it costs a model that was never backdoored, and which class an inversion names
    there."""
    reactivation: list[TomlTable] = []
    """One table [[reactivation]] per reactivation. In addition to the method's parameters it may
    name `attacks`: the attacks of the spec after which it is tried (all of them if it names
    none)."""
    ensemble: list[TomlTable] = []
    """One table [[ensemble]] per retuning of an ensemble, by which the strongest attacker is
    estimated: one stage per purified model, and one for the control, tries all of them at all their
    `budgets` and stores rates but no weights. The view `worst` compares the worst for each model.
    The parameters are those of `retuning`; `attacks` is as in [[reactivation]]. It needs images of
    a `validation` in [split], by which the worst retuning is chosen."""
    transfer: bool = False
    """Whether every perturbation that was made for one model of a victim is tried on all others."""
    path: PathSection | None = None
    """The table [path]; without it no path is measured."""
    _base: Path = PrivateAttr(default_factory=Path.cwd)
    """The folder that the path of an image folder is relative to."""

    @model_validator(mode="after")
    def _innocent_seeds(self) -> Self:
        if strange := set(self.innocent) - set(self.seeds):
            raise SpecError(
                f"'innocent' names seed {min(strange)}",
                f"list some of the spec's, which are {self.seeds}",
            )
        return self

    @model_validator(mode="after")
    def _chosen_by_validation(self) -> Self:
        if self.ensemble and not self.split.validation:
            raise SpecError(
                "[[ensemble]]: there are no images by which the worst retuning could be chosen",
                "give [split] some that are no test images, such as validation = 1000",
            )
        return self

    @field_validator("arch")
    @classmethod
    def _known_arch(cls, arch: str) -> str:
        return canonical_arch(arch)

    @cached_property
    def methods(self) -> SpecMethods:
        """The methods that the spec names, each built once and checked.

        Raises:
            SpecError: see :func:`remission.grid.spec.methods.build_methods`.
        """
        return build_methods(
            attacks=self.attack,
            purifiers=self.purifier,
            inversions=self.inversion if isinstance(self.inversion, list) else [self.inversion],
            reactivations=self.reactivation,
            ensemble=self.ensemble,
            seeds=self.seeds,
            augment=self.victim.augment,
        )

    def folder(self) -> Path | None:
        """Returns the absolute path of the image folder; None for a data set of the catalogue."""
        return find_folder(self.dataset, self._base)

    def source(self) -> str:
        """Returns the argument for :func:`remission.data.load_dataset`: a name or an absolute path.

        Raises:
            DataError: there is no such folder and no such name; it says where it looked.
        """
        return located(self.dataset, self._base)

    def with_targets(self, classes: tuple[str, ...] | None) -> Self:
        """Returns the spec with the number of a class wherever an attack's target is a name.

        Args:
            classes: the names of the data set's classes, in the order of their indices; empty
                where they are not known yet. None: every name becomes 0.

        Raises:
            SpecError: no class has that name.
        """
        attacks = numbered(self.attack, classes, self.dataset)
        return self if attacks == self.attack else self.model_copy(update={"attack": attacks})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copies the spec; the copy shares the methods unless the fields behind them differ."""
        copied = super().model_copy(update=update, deep=deep)
        if any(getattr(self, name) != getattr(copied, name) for name in _OF_THE_METHODS):
            copied.__dict__.pop("methods", None)
        return copied


_OF_THE_METHODS = (
    *("attack", "inversion", "purifier", "reactivation", "ensemble"),
    *("seeds", "victim"),
)
"""The fields of a spec that its methods are built from."""


def read_spec(file: Path) -> Spec:
    """Reads a spec from a TOML file. Paths in it are relative to the file's folder.

    Raises:
        SpecError: the file is missing, or no TOML in UTF-8; an unknown key, an unknown method, a
            wrong value.
    """
    file = on_disk(file)
    folder = file.absolute().parent
    return parse_spec(with_pictures(with_sweeps(read_toml(file)), folder), folder)


def parse_spec(table: TomlTable, folder: Path | None = None) -> Spec:
    """Checks a spec given as nested tables, methods included.

    Args:
        table: what the TOML file would hold.
        folder: what the path of an image folder is relative to; without it the working directory.

    Raises:
        SpecError: an unknown key, an unknown method, a wrong value.
    """
    try:
        spec = Spec.model_validate(by_seed(with_sweeps(table)))
    except ValidationError as error:
        mistakes = error.errors()
        for mistake in mistakes:  # a mistyped key first: it may be the one that is missing
            if mistake["type"] == "extra_forbidden":
                raise SpecError(*_unknown_key(mistake["loc"])) from error
        first = mistakes[0]
        if first["type"] == "missing":
            raise SpecError(
                f"the spec has no '{first['loc'][0]}'", "add it; see recipes/quickstart.toml"
            ) from error
        name = str(first["loc"][0]) if first["loc"] else ""
        if name in _LISTED:
            raise SpecError(
                f"the spec: '{name}' is no list of tables", f"write a table [[{name}]] for each"
            ) from error
        if first["type"] == "model_type" and name in _SECTIONS:
            raise SpecError(
                f"the spec: '{name}' is not one table", f"write one table [{name}]"
            ) from error
        raise SpecError(*explain(error, "the spec", _section(first["loc"]))) from error
    if folder is not None:
        spec._base = folder
    # The number of a class is known when the data set is: until then any number stands for a name.
    methods = spec.with_targets(None).methods
    if spec.path and spec.path.retuned is not None and methods.retuning is None:
        raise SpecError("[path]: retuned without a retuning", "add a [[reactivation]] retuning")
    return spec


_LISTED = ("attack", "inversion", "purifier", "reactivation", "ensemble")
_SECTIONS: dict[str, type[BaseModel]] = {
    "victim": VictimSection,
    "split": SplitSection,
    "path": PathSection,
}


def _section(location: tuple[int | str, ...]) -> type[BaseModel]:
    """Returns the section that has, or would have, the key at a place in the spec."""
    section: type[BaseModel] = Spec
    for part in location[:-1]:
        section = _SECTIONS.get(str(part), section)
    return section


def _unknown_key(location: tuple[int | str, ...]) -> tuple[str, str]:
    """Returns (problem, remedy) for a key that no section has."""
    where = f"[{location[0]}]" if len(location) > 1 else "the spec"
    return (
        f"{where}: unknown key '{location[-1]}'",
        closest(str(location[-1]), _section(location).model_fields),
    )
