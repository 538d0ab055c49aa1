"""The records of a store with the groups made from them, which are computed once and lazily."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

from remission.records import Json, Record, Subject, read_records
from remission.records.settings import last_runs, of_last_settings, setting_of
from remission.report.groups.group import Group
from remission.report.groups.grouping import group_records
from remission.report.groups.keys import NOBODY, GroupKey, merged_targets
from remission.report.groups.settings import label_settings


class Results(Sequence[Record]):
    """The records of a store, grouped once for any number of tables.

    Args:
        records: the records of one store, in any order.
        hidden: the number of other records in the store, of other data or settings.
        trials: the results of the models on which settings were chosen, where there are such.
    """

    def __init__(
        self, records: Sequence[Record], hidden: int = 0, trials: Results | None = None
    ) -> None:
        self._records = tuple(records)
        self.hidden = hidden
        self.trials = trials

    @classmethod
    def of(cls, records: Sequence[Record]) -> Results:
        """Returns ``records`` as results; unchanged if they are results already."""
        return records if isinstance(records, cls) else cls(records)

    @classmethod
    def of_store(
        cls, folder: Path, *, all_settings: bool = False, trials: Results | None = None
    ) -> Results:
        """Reads a store.

        Args:
            folder: the store, or a folder of records in git.
            all_settings: whether to include results of other data or other settings than those of
                the last runs.
            trials: see the class.

        Raises:
            StoreError: it cannot be read, or holds no records.
        """
        records = read_records(folder)
        if all_settings:
            return cls(records, trials=trials)
        selection = of_last_settings(records, last_runs(folder))
        return cls(selection.records, selection.hidden, trials)

    @property
    def note(self) -> str:
        """A sentence on the hidden records; empty where there are none."""
        if not self.hidden:
            return ""
        records = "1 record" if self.hidden == 1 else f"{self.hidden} records"
        verb = "is" if self.hidden == 1 else "are"
        return (
            f"{records} of other data or other settings than the last run's {verb} not shown: "
            "--all-settings shows all of them, each with its setting."
        )

    @cached_property
    def settings(self) -> dict[str, Json]:
        """Id of a record, and of its cell and paths, -> its setting."""
        return {
            identity: setting_of(record)
            for record in self._records
            for identity in (
                record.id,
                *([record.cell.id] if record.cell else []),
                *(path.id for path in record.paths),
            )
        }

    @cached_property
    def overview_settings(self) -> list[str]:
        """The difference of each overview to those of the same data set and model; mostly empty."""
        pairs = [((k.dataset, k.arch), k.setting) for k in (g[0].key for g in self.overviews)]
        labels = label_settings(pairs)
        return [labels[pair] for pair in pairs]

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def key(self, item: Subject, record: Record) -> GroupKey:
        """Returns the group of a measured model or path of ``record``, see :attr:`merged`."""
        key = GroupKey.of(item, record)
        return self.merged.get(key, key)

    def key_of_columns(self, columns: Json, record: Record) -> GroupKey:
        """Returns the group of a row of a table, as :meth:`GroupKey.of_columns` reads it."""
        key = GroupKey.of_columns(columns, record)
        return self.merged.get(key, key)

    @cached_property
    def merged(self) -> Mapping[GroupKey, GroupKey]:
        """The keys of groups whose target differs by seed -> the key that they share."""
        seeds: dict[GroupKey, set[int]] = {}
        for record in self._records:
            for item in (*([record.cell] if record.cell else []), *record.paths):
                seeds.setdefault(GroupKey.of(item, record), set()).add(item.seed)
        return merged_targets(seeds)

    @cached_property
    def every(self) -> list[Group]:
        """All groups in a stable order, those of never-backdoored models included."""
        return group_records(self._records, self.key)

    @cached_property
    def groups(self) -> list[Group]:
        """The groups of backdoored models: one per data set, architecture and attack."""
        return [group for group in self.every if group.key.attack.name != NOBODY]

    @cached_property
    def innocents(self) -> list[Group]:
        """The groups of models without a backdoor that purifiers were tried on."""
        return [group for group in self.every if group.key.attack.name == NOBODY]

    @cached_property
    def overviews(self) -> list[list[Group]]:
        """The groups that hold purified models, in one list per data set, model and setting.

        Numbers over several attacks are never computed over several settings.
        """
        overviews: dict[tuple[str, str, str], list[Group]] = {}
        for group in self.groups:
            if group.purified:
                key = group.key
                overviews.setdefault((key.dataset, key.arch, key.setting), []).append(group)
        return list(overviews.values())


def summarise(records: Sequence[Record]) -> list[Group]:
    """Groups the measured models and the paths, in a stable order.

    Models without a backdoor are not among them, see :attr:`Results.innocents`.
    """
    return Results.of(records).groups
