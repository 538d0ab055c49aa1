"""The records behind the numbers of a page: settings, versions and SHA-256 of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remission.errors import StoreError
from remission.records import Record, brief, digests
from remission.records.superseded import current
from remission.report.groups.labels import canonical, flat, printable
from remission.report.groups.results import Results

_SHARED = "context"
"""The part of the settings that many records have in common; the page shows it once."""


@dataclass(frozen=True)
class Stores:
    """The records of several stores as one, each identity once.

    Args:
        results: all of them.
        files: identity -> (store and place of the file, SHA-256 of the file).
    """

    results: Results
    files: Mapping[str, tuple[str, str]]

    @classmethod
    def read(
        cls, folders: Sequence[Path], *, all_settings: bool = False, trials: Path | None = None
    ) -> Stores:
        """Reads stores; of a stage that several hold, the newest result counts.

        Of a method that they hold several versions of, the version of the newest result counts.

        Args:
            folders: the stores, or folders of records in git.
            all_settings: whether to include results of other data or other settings than those of
                the last runs.
            trials: the store of the models on which settings were chosen.

        Raises:
            StoreError: one of them cannot be read.
        """
        by_id: dict[str, Record] = {}
        files: dict[str, tuple[str, str]] = {}
        hidden = 0
        for folder in folders:
            of_store = Results.of_store(folder, all_settings=all_settings)
            hidden += of_store.hidden
            places = digests(folder)
            for record in of_store:
                known = by_id.get(record.id)
                if known is None or record.worth > known.worth:
                    by_id[record.id] = record
                    place, digest = _entry(places, record, folder)
                    files[record.id] = f"{folder.name}/{place}", digest
        others = Results.of_store(trials) if trials is not None else None
        one_version = current(by_id.values())
        ordered = sorted(one_version, key=lambda record: (record.kind, record.label, record.id))
        return cls(Results(ordered, hidden, others), files)


def _entry(places: Mapping[str, tuple[str, str]], record: Record, folder: Path) -> tuple[str, str]:
    """Returns place and SHA-256 of the file of a record that was read just before."""
    if record.id not in places:
        raise StoreError(
            f"the record {record.id} left the store '{folder}' while it was read", "try again"
        )
    return places[record.id]


class RecordList:
    """The records that a page refers to, numbered in the order in which they are first named."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._by_id: dict[str, Record] = {}
        for record in stores.results:
            self._by_id[record.id] = record
            if record.cell:
                self._by_id.setdefault(record.cell.id, record)
        self._numbers: dict[str, int] = {}
        self._order: list[str] = []

    def numbers(self, identities: Iterable[str]) -> list[int]:
        """Returns the numbers of records, or of the records of cells, on the page."""
        records = (self._by_id[name] for name in identities if name in self._by_id)
        ids = dict.fromkeys(record.id for record in records)
        for name in ids:
            if name not in self._numbers:
                self._numbers[name] = len(self._order)
                self._order.append(name)
        return [self._numbers[name] for name in ids]

    def label(self, number: int) -> str:
        """Returns the label of a record by its number."""
        return printable(self._by_id[self._order[number]].label)

    def content(self) -> dict[str, Any]:
        """Collects the content of the template ``records.html.j2``."""
        contexts, environments = _Blocks(), _Blocks()
        records = []
        for name, number in self._numbers.items():
            record = self._by_id[name]
            place, digest = self._stores.files[name]
            settings = {k: v for k, v in record.settings.items() if k != _SHARED}
            records.append(
                {
                    "number": number,
                    "id": record.id,
                    "kind": record.kind,
                    "label": printable(record.label),
                    "place": printable(place),
                    "sha256": digest,
                    "finished": record.finished,
                    "measured": _measured(record),
                    "context": contexts.number(record.settings.get(_SHARED, {})),
                    "environment": environments.number(record.environment),
                    "parents": self._parents(record),
                    "settings": json.dumps(
                        brief(settings), indent=1, sort_keys=True, ensure_ascii=False
                    ),
                }
            )
        return {
            "records": records,
            "contexts": [flat(brief(block)) for block in contexts.blocks],
            "environments": [flat(block) for block in environments.blocks],
        }

    def _parents(self, record: Record) -> list[tuple[str, str, int | None]]:
        """Returns role, identity and number on the page of the results that a record used."""
        return [
            (role, name, self._numbers.get(name)) for role, name in sorted(record.parents.items())
        ]


class _Blocks:
    """Distinct JSON objects, numbered from 1."""

    def __init__(self) -> None:
        self.blocks: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}

    def number(self, block: dict[str, Any]) -> int:
        key = canonical(block)
        if key not in self._numbers:
            self.blocks.append(block)
            self._numbers[key] = len(self.blocks)
        return self._numbers[key]


def _measured(record: Record) -> str:
    """Returns the rates of a record for people; empty where it holds no measured model."""
    cell = record.cell
    if cell is None:
        return ""
    if cell.status == "failed":
        return printable(f"failed: {cell.error}")
    rates = {"C-Acc": cell.clean_acc, "ASR": cell.asr, "RobustAcc": cell.robust_acc}
    parts = [f"{name} {100 * rate:.1f} %" for name, rate in rates.items() if rate is not None]
    return ", ".join(parts)
