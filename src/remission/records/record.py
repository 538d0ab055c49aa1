"""A record: what one stage leaves behind, as a frozen dataclass that JSON can hold."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from remission.records.cell import Cell, Json, Seconds, Status
from remission.records.path import PathCurve, Plane
from remission.records.sealing import unsealed
from remission.records.text import storable

_TABLES = ("attack", "purifier", "inversion", "reactivation", "retuning", "context", "versions")


def _settings(settings: Json) -> Json:
    """Checks that the tables of settings are tables, and that methods have names."""
    for name in _TABLES:
        table = settings.get(name, {})
        if not isinstance(table, dict):
            raise ValueError(f"'{name}' is no table")
        if not isinstance(table.get("method", ""), str):
            raise ValueError(f"the method of '{name}' has no name")
    return settings


_FROM_OUTSIDE = ("label", "settings", "details", "environment", "error")
"""The fields of a record whose texts come from users, methods and disks."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
FORMAT = 1
"""The version of the JSON layout; a reader refuses every other."""


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A file of the store that belongs to a record, named relative to the store's folder."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    file: Annotated[str, Field(pattern=r"^artefacts/[A-Za-z0-9_.-]+$")]
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one stage leaves behind.

    Args:
        id: the stage's identity: a hash of everything that changes its result.
        kind: the kind of the stage, a key of :data:`remission.records.kinds.KINDS`.
        label: a short name for people.
        settings: everything that the identity was made from.
        parents: role -> id of the stages whose results this one used.
        details: further results (the class that an inversion names, losses, counts).
        environment: versions of libraries, the processor, the precision in force.
        seconds: wall-clock seconds of this stage alone.
        cpu_seconds: processor seconds of this stage, over all threads; None in older records.
        finished: when the stage ended, an ISO 8601 time in UTC.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    id: str
    kind: str
    label: str
    status: Status
    settings: Annotated[Json, AfterValidator(_settings)]
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

    def __post_init__(self) -> None:
        """Spells out what no JSON holds: messages and names come from methods and disks."""
        for name in _FROM_OUTSIDE:
            object.__setattr__(self, name, storable(getattr(self, name)))

    @property
    def worth(self) -> tuple[bool, str]:
        """By what one record of a stage goes before another: a result, and a later one."""
        return self.status == "done", self.finished

    def to_json(self) -> str:
        """Returns the record as indented JSON text, with sorted keys."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Reads a record from the text that :meth:`to_json` returns, or that a file holds.

        Raises:
            ValueError: the text is no record of format :data:`FORMAT`, or has another checksum.
        """
        text = unsealed(text)
        try:
            record = _adapter().validate_json(text)
        except ValueError:
            if not _SURROGATE.search(text):
                raise
            text = json.dumps(storable(json.loads(text)))  # older remissions wrote lone surrogates
            record = _adapter().validate_json(text)
        if record.format != FORMAT:
            raise ValueError(f"not a record of format {FORMAT}")
        return record


@cache
def _adapter() -> TypeAdapter[Record]:
    """Returns the validator of types and ranges, which is built once since that takes long."""
    return TypeAdapter(Record)
