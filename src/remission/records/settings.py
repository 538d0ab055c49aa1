"""The data and the recipe behind a record, and which of several settings the last runs used.

The *setting* of a record is everything that its stage has in common with the victim that it goes
back to, except the data set's name, the architecture and the seed: the digest of the data, the
size of its images, the split, the victim's recipe, the precision. Numbers of different settings
are never averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from remission.records.ancestry import with_ancestors
from remission.records.cell import Json
from remission.records.labels import canonical
from remission.records.places import StorePath
from remission.records.plans import stored_plans
from remission.records.record import Record

_APART = ("dataset", "arch", "seed")
"""Keys that tables show in columns of their own."""
_ABSENT = {"resize": "crop"}
"""The values of keys that older settings lack."""


def setting_of(record: Record) -> Json:
    """Returns the setting of a record; empty where it has none."""
    context = record.settings.get("context")
    if not isinstance(context, dict):
        return {}
    return {**_ABSENT, **{key: value for key, value in context.items() if key not in _APART}}


def last_runs(folder: StorePath) -> dict[str, str]:
    """Returns when a run last asked for each stage of a store: identity -> ISO 8601 time in UTC.

    The result is empty for an older store, whose plans do not say when they were made.
    """
    times: dict[str, str] = {}
    for plan in stored_plans(folder)[0]:
        for stage in plan.stages if plan.run else ():
            identity = stage.rpartition("/")[2]
            times[identity] = max(times.get(identity, ""), plan.run)
    return times


@dataclass(frozen=True)
class Selection:
    """Records of which no two differ in their setting alone.

    Args:
        records: those of the settings that the last runs used, in the order of the store.
        hidden: how many other records the store holds.
    """

    records: list[Record]
    hidden: int


def of_last_settings(records: Iterable[Record], runs: Mapping[str, str] | None = None) -> Selection:
    """Selects the records of the settings that the last runs used.

    For each data set, architecture and attack one setting is selected: that of the stage which a
    run asked for last, or of the record that was finished last. The records that these build upon
    are selected as well.

    Args:
        records: of one store.
        runs: as :func:`last_runs` returns it.
    """
    records, runs = list(records), runs or {}
    names = {_data(record): record.cell.dataset for record in records if record.cell}
    latest: dict[str, tuple[str, str]] = {}
    for record in records:
        time = max(record.finished, runs.get(record.id, ""))
        subject, entry = _subject(record, names), (time, canonical(setting_of(record)))
        latest[subject] = max(latest.get(subject, entry), entry)
    selected = {
        record.id
        for record in records
        if latest[_subject(record, names)][1] == canonical(setting_of(record))
    }
    parents = {record.id: record.parents.values() for record in records}
    selected = with_ancestors(selected, parents)
    selection = [record for record in records if record.id in selected]
    return Selection(selection, len(records) - len(selection))


def _subject(record: Record, names: Mapping[str, str]) -> str:
    """Returns a key for data set, architecture and attack, which may have several settings."""
    context = record.settings.get("context")
    if not isinstance(context, dict):
        return record.id
    dataset = names.get(_data(record), context.get("dataset"))
    return canonical([dataset, context.get("arch"), record.settings.get("attack")])


def _data(record: Record) -> str:
    """Returns a key for the data set of a record, whatever it was called when the stage ran."""
    context = record.settings.get("context")
    return canonical(
        [context.get(k) for k in ("dataset", "data")] if isinstance(context, dict) else []
    )
