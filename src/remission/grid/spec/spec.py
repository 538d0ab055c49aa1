"""The spec: a TOML file read into checked values. Every mistake names the key and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from remission.attacks import Attack
from remission.data.decode import Resize
from remission.data.load import find_folder
from remission.errors import SpecError, closest
from remission.grid.spec.files import located, read_toml, with_pictures
from remission.grid.spec.tables import STRICT, PathSection, SplitSection, Table, VictimSection
from remission.grid.spec.targets import numbered
from remission.inversion import Inversion
from remission.method import explain
from remission.models import canonical_arch
from remission.names import on_disk
from remission.purifiers import Purifier, inverts
from remission.reactivations import Reactivation
from remission.registry import (
    make_attack,
    make_inversion,
    make_purifier,
    make_reactivation,
)

_OF_THE_ROW = ("inversion", "seeds")
"""Keys of a purifier's table that are not parameters of its method."""


class Spec(BaseModel):
    """A whole grid: one data set, one model, and every combination of the methods."""

    model_config = STRICT

    name: str = Field(min_length=1, max_length=100)
    """What the grid is called."""
    dataset: str
    """A name of `remission data list`, or the path of an image folder, relative to the spec's file
    (to the working directory where there is no file)."""
    size: Annotated[int, Field(ge=8, le=1024)] | None = None
    """Pixels of a side that the images of a folder are brought to; None: as they are. Of shapes:
    what they are drawn in."""
    resize: Resize = "crop"
    """How images of a folder come to that size: crop (cover it, cut the centre out), squash (change
    the proportions) or pad (fit in, black around)."""
    arch: str = "resnet18"
    """The model, with an optional width: resnet18:16 has 16 base channels; or a model of another
    package: timm:NAME, torchvision:NAME, torchvision:NAME@WEIGHTS for pretrained weights."""
    seeds: list[Annotated[int, Field(ge=0)]] = Field(default=[0], min_length=1)
    """Each seed is the whole grid once: split, victim, control and all that follows."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of forward passes; auto: bf16 where the processor multiplies it faster."""
    split: SplitSection = SplitSection()
    """Sizes of the four disjoint sets of images."""
    victim: VictimSection = VictimSection()
    """How victim and control are trained."""
    attack: list[Table] = Field(min_length=1)
    """One table [[attack]] each."""
    inversion: Table | Annotated[list[Table], Field(min_length=1)] = {"method": "bti_dbf"}
    """The table [inversion], or several [[inversion]], for the purifiers that invert the trigger:
    the first one, unless a purifier's table names another as `inversion`."""
    purifier: list[Table] = []
    """One table [[purifier]] each; beside the method's parameters it may name an `inversion` of the
    spec, and `seeds`, those of the spec's for which it is computed (all, if it names none)."""
    innocent: list[Annotated[int, Field(ge=0)]] = []
    """Seeds for which every purifier that does not need the true trigger is handed the control as
    well: what it costs a model that was never backdoored, and what an inversion claims to find."""
    reactivation: list[Table] = []
    """One table [[reactivation]] each; beside the method's parameters it may name `attacks`, those
    of the spec's after which it is tried (all, if it names none)."""
    transfer: bool = False
    """Whether every perturbation that was made for one model of a victim is tried on all others."""
    path: PathSection | None = None
    """The table [path]: without it no path is walked."""
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

    @field_validator("arch")
    @classmethod
    def _known_arch(cls, arch: str) -> str:
        return canonical_arch(arch)

    def folder(self) -> Path | None:
        """The absolute path of the image folder; None for a data set of the catalogue."""
        return find_folder(self.dataset, self._base)

    def source(self) -> str:
        """What :func:`remission.data.load_dataset` is given: a known name, or an absolute path.

        Raises:
            DataError: there is no such folder and no such name; it says where it looked.
        """
        return located(self.dataset, self._base)

    def with_targets(self, classes: tuple[str, ...]) -> Self:
        """The same spec with the number of a class wherever an attack's target is a name.

        Args:
            classes: the names of the data set's classes, in the order of their indices; empty
                where they are not known yet.

        Raises:
            SpecError: no class has that name.
        """
        return self.model_copy(update={"attack": numbered(self.attack, classes, self.dataset)})

    def attacks(self) -> list[Attack]:
        """The attacks, built and checked."""
        return [make_attack(table) for table in self.attack]

    def purifiers(self) -> list[Purifier]:
        """The purifiers, built and checked."""
        return [
            make_purifier({key: value for key, value in table.items() if key not in _OF_THE_ROW})
            for table in self.purifier
        ]

    def reactivations(self) -> list[Reactivation]:
        """The reactivations, built and checked."""
        return [
            make_reactivation({key: value for key, value in table.items() if key != "attacks"})
            for table in self.reactivation
        ]

    def reactivated(self) -> list[list[str]]:
        """For each reactivation the names of the attacks after which it is tried, checked.

        Raises:
            SpecError: a reactivation's `attacks` are not some of the spec's.
        """
        names = list(dict.fromkeys(attack.name for attack in self.attacks()))
        chosen = []
        for table in self.reactivation:
            listed = table.get("attacks", names)
            given = listed if isinstance(listed, list) else []
            if not given or not all(isinstance(one, str) and one in names for one in given):
                raise SpecError(
                    f"[reactivation] {table.get('method')}: 'attacks' is {listed!r}",
                    f"list some of the spec's, which are {', '.join(names)}",
                )
            chosen.append(given)
        return chosen

    def retuning(self) -> Reactivation | None:
        """The first retuning, after which a path may go on; None without one."""
        return next((each for each in self.reactivations() if each.name == "retuning"), None)

    def inversions(self) -> list[Inversion]:
        """The inversions, built and checked."""
        tables = self.inversion if isinstance(self.inversion, list) else [self.inversion]
        return [make_inversion(table) for table in tables]

    def purifier_seeds(self) -> list[list[int]]:
        """For each purifier the seeds for which it is computed, checked.

        Raises:
            SpecError: a purifier's `seeds` are not some of the spec's.
        """
        chosen = []
        for table in self.purifier:
            seeds = table.get("seeds", self.seeds)
            listed = seeds if isinstance(seeds, list) else []
            if not listed or not all(type(s) is int and s in self.seeds for s in listed):
                raise SpecError(
                    f"[purifier] {table.get('method')}: 'seeds' is {seeds!r}",
                    f"list some of the spec's, which are {self.seeds}",
                )
            chosen.append(seeds)
        return chosen

    def inverters(self) -> list[Inversion]:
        """For each purifier the inversion that it would use, built and checked.

        Raises:
            SpecError: a purifier names an inversion that the spec does not have.
        """
        built = self.inversions()
        known = {inversion.name: inversion for inversion in built}
        if len(known) < len(built):
            raise SpecError("[[inversion]]: two of one method", "keep one of them")
        chosen = []
        for table, purifier in zip(self.purifier, self.purifiers(), strict=True):
            name = table.get("inversion", built[0].name)
            if "inversion" in table and not inverts(purifier):
                raise SpecError(
                    f"[purifier] {purifier.name}: 'inversion' is {name!r}, and it inverts nothing",
                    "leave the key out",
                )
            if not isinstance(name, str) or name not in known:
                raise SpecError(
                    f"[purifier] {table.get('method')}: the spec has no inversion {name!r}",
                    closest(str(name), known),
                )
            chosen.append(known[name])
        return chosen


def read_spec(file: Path) -> Spec:
    """Reads a spec from a TOML file. Paths in it are relative to the file's folder.

    Raises:
        SpecError: the file is missing, or no TOML in UTF-8; an unknown key, an unknown method, a
            wrong value.
    """
    file = on_disk(file)
    folder = file.absolute().parent
    return parse_spec(with_pictures(read_toml(file), folder), folder)


def parse_spec(table: Table, folder: Path | None = None) -> Spec:
    """Checks a spec given as nested tables, methods included.

    Args:
        table: what the TOML file would hold.
        folder: what the path of an image folder is relative to; without it the working directory.

    Raises:
        SpecError: an unknown key, an unknown method, a wrong value.
    """
    try:
        spec = Spec.model_validate(table)
    except ValidationError as error:
        found = error.errors()
        for each in found:  # a mistyped key first: it may be the one that is missing
            if each["type"] == "extra_forbidden":
                raise SpecError(*_unknown_key(each["loc"])) from error
        first = found[0]
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
    # The number of a class is known when the data set is: until then any stands for a name.
    trial = spec.model_copy(update={"attack": numbered(spec.attack, None, spec.dataset)})
    trial.attacks(), trial.purifiers(), trial.purifier_seeds(), trial.inverters()
    trial.reactivations(), trial.reactivated()
    if spec.path and spec.path.retuned is not None and spec.retuning() is None:
        raise SpecError("[path]: retuned without a retuning", "add a [[reactivation]] retuning")
    return spec


_LISTED = ("attack", "inversion", "purifier", "reactivation")
_SECTIONS: dict[str, type[BaseModel]] = {
    "victim": VictimSection,
    "split": SplitSection,
    "path": PathSection,
}


def _section(location: tuple[int | str, ...]) -> type[BaseModel]:
    """What has, or would have, the key at a place in the spec."""
    section: type[BaseModel] = Spec
    for part in location[:-1]:
        section = _SECTIONS.get(str(part), section)
    return section


def _unknown_key(location: tuple[int | str, ...]) -> tuple[str, str]:
    """(problem, remedy) for a key that no section has."""
    where = f"[{location[0]}]" if len(location) > 1 else "the spec"
    return (
        f"{where}: unknown key '{location[-1]}'",
        closest(str(location[-1]), _section(location).model_fields),
    )
