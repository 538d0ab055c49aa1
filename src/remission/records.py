"""What was measured: frozen dataclasses that go to JSON and come back. No torch here.

A *record* is what one stage of the grid leaves behind. A record of a measured model holds a
:class:`Cell`; a record of a walk between two models holds :class:`PathCurve` objects. Tables and
reports are made from records alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from remission.errors import StoreError
from remission.versions import current, versions_in
from remission.walks import Json, PathCurve, Plane, Quantity, Rate

__all__ = [
    "FORMAT",
    "STORE_MARK",
    "Artefact",
    "Cell",
    "Json",
    "PathCurve",
    "Plane",
    "Quantity",
    "Record",
    "brief",
    "cells",
    "path_curves",
    "read_record",
    "read_records",
]

FORMAT = 1
"""Version of the JSON layout; a reader refuses a newer one."""

STORE_MARK = "remission-store.json"
"""The file that makes a folder a store."""

_ANEW = "run the spec again, which computes it anew, or remove the file"
"""What to do about a damaged record."""

Status = Literal["done", "failed"]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measured model. Rates are fractions in [0, 1], None where there are none.

    ``purifier`` is ``"none"`` for the victim and ``"control"`` for the model trained the same way
    on the same data without poison; ``reactivation`` is ``"none"`` before any reactivation.
    ASR and robust accuracy are measured on triggered test images whose class is not the one that
    the attacker wants: ``target``, or the next class with ``"all-to-all"``. ``attack`` is
    ``"none"`` where the purifier was handed the control: no trigger, no target, no ASR.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    id: str
    dataset: str
    arch: str
    attack: str
    attack_params: Json
    poison_rate: Rate
    target: int | Literal["all-to-all"] | None
    seed: int
    purifier: str
    purifier_params: Json
    reactivation: str = "none"
    reactivation_params: Json = field(default_factory=dict)
    budget: int | None = None
    clean_acc: Rate | None = None
    asr: Rate | None = None
    robust_acc: Rate | None = None
    clean_acc_interval: tuple[Rate, Rate] | None = None
    """95 % Wilson interval from the number of test images alone."""
    asr_interval: tuple[Rate, Rate] | None = None
    """95 % Wilson interval from the number of triggered test images alone."""
    n_clean: int = 0
    """Test images behind ``clean_acc``."""
    n_triggered: int = 0
    """Triggered test images behind ``asr`` and ``robust_acc``."""
    asr_clean: Rate | None = None
    """After a reactivation that perturbs images: share of perturbed test images of other classes,
    without the trigger, that are given the attacker's. ``clean_acc`` is then measured on perturbed
    clean images, ``asr`` and ``robust_acc`` on perturbed triggered ones (where the perturbation
    takes the trigger's place: on perturbed clean ones, so that ``asr`` is ``asr_clean``)."""
    control_asr: Rate | None = None
    """The same perturbation on the control: what ``asr`` is there."""
    control_asr_clean: Rate | None = None
    """The same perturbation on the control: what ``asr_clean`` is there."""
    queries: int | None = None
    """Images that such a reactivation asked the model about; None where it did not ask."""
    seconds: Seconds = 0.0
    """Wall-clock seconds that made this model: a purifier's are its own and those of the inversion
    it uses, without measuring; others hold loading and measuring, the control's its training."""
    cpu_seconds: Seconds | None = None
    """Processor seconds of the same, over all threads; other work on the machine leaves them alone.
    None in records of before they were taken."""
    status: Status = "done"
    error: str | None = None
    """Why a failed cell failed, one line."""


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A file of the store that belongs to a record, named relative to the store's folder."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    file: Annotated[str, Field(pattern=r"^artefacts/[A-Za-z0-9_.-]+$")]
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one stage left behind.

    Args:
        id: the stage's identity: a hash of everything that changes its result.
        kind: ``victim``, ``control``, ``baseline``, ``inversion``, ``purified``,
            ``reactivated``, ``path``, ``innocent`` or ``transfer``.
        label: a short name for people.
        settings: everything that the identity was made from.
        parents: role -> id of the stages whose results this one used.
        details: what else was found (the target class an inversion names, losses, counts).
        environment: versions, processor, precision in force.
        seconds: wall-clock seconds of this stage alone.
        cpu_seconds: processor seconds of it, over all threads; None in older records.
        finished: ISO 8601 time in UTC.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    id: str
    kind: str
    label: str
    status: Status
    settings: Json
    parents: dict[str, str]
    cell: Cell | None = None
    paths: tuple[PathCurve, ...] = ()
    plane: Plane | None = None
    details: Json = field(default_factory=dict)
    artefacts: dict[str, Artefact] = field(default_factory=dict)
    environment: Json = field(default_factory=dict)
    seconds: Seconds = 0.0
    cpu_seconds: Seconds | None = None
    finished: str = ""
    error: str | None = None
    format: int = FORMAT

    def to_json(self) -> str:
        """The record as indented JSON text, keys in a stable order."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Record:
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: the text is no record of a format known here.
        """
        record = _adapter().validate_json(text)
        if record.format != FORMAT:
            raise ValueError(f"not a record of format {FORMAT}")
        return record


@cache
def _adapter() -> TypeAdapter[Record]:
    """Checks types and ranges; made once, when the first record is read."""
    return TypeAdapter(Record)


def read_record(file: Path, kind: str | None = None) -> Record:
    """The record in a file, whose name is its id.

    Args:
        file: where it is.
        kind: what it must be; None: any.

    Raises:
        StoreError: there is none, it is damaged, or it is another than its place says.
    """
    if file.is_dir():
        raise StoreError(
            f"'{file}' is a folder where a record belongs", "remove it, then run the spec again"
        )
    try:
        record = Record.from_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(
            f"the record {file} cannot be read ({error})", "check its permissions"
        ) from error
    except ValueError as error:
        raise StoreError(
            f"the record {file} is damaged (not a record of format {FORMAT})", _ANEW
        ) from error
    if record.id != file.stem or kind not in (None, record.kind):
        raise StoreError(
            f"the record {file} is damaged (it is that of the {record.kind} {record.id})",
            "remove the file, then run the spec again",
        )
    return record


def read_records(folder: Path, *, superseded: bool = False) -> list[Record]:
    """All records below ``folder`` (a store, or a folder of records in git), by kind and label.

    Args:
        folder: where they are.
        superseded: also those of earlier versions of the code, see :mod:`remission.versions`.

    Raises:
        StoreError: there is no such folder, no record in it, or one that cannot be read.
    """
    if not folder.is_dir():
        raise StoreError(
            f"there is no store at '{folder}'", "name a folder that `remission run` wrote"
        )
    is_store = (folder / STORE_MARK).exists() or (folder / "records").is_dir()
    root = folder / "records" if is_store else folder
    files = sorted(root.rglob("*.json"))
    records = [read_record(file, file.parent.name if is_store else None) for file in files]
    if not records:
        raise StoreError(
            f"the folder '{folder}' holds no records", "run a spec into it first: remission run"
        )
    kept = records if superseded else current(records, versions_in(folder))
    return sorted(kept, key=lambda r: (r.kind, r.label, r.id))


def brief(value: Any) -> Any:  # noqa: ANN401 -- a JSON value of any kind
    """A JSON value for people: pictures in it, ``data:`` URIs, as their kind and a digest.

    ``png:1a2b3c4d`` is made of the whole URI: other pictures have other names.
    """
    if isinstance(value, dict):
        return {key: brief(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [brief(each) for each in value]
    if isinstance(value, str) and value.startswith("data:image/"):
        kind = value.removeprefix("data:image/").partition(";")[0]
        return f"{kind}:{hashlib.sha256(value.encode()).hexdigest()[:8]}"
    return value


def cells(records: Iterable[Record]) -> list[Cell]:
    """The measured models among ``records``."""
    return [record.cell for record in records if record.cell is not None]


def path_curves(records: Iterable[Record]) -> list[PathCurve]:
    """The walks in weight space among ``records``."""
    return [path for record in records for path in record.paths]
