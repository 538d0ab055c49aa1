"""Of results that differ in the versions of code alone, tables see the newest, whole branches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from remission.records import Record, current, read_records

VICTIM = Record(
    id="victim",
    kind="victim",
    label="badnets/seed0/victim",
    status="done",
    settings={"attack": {"method": "badnets"}},
    parents={},
    finished="2026-01-01T00:00:00+00:00",
)


def purified(identity: str, hour: int, version: int | str | None) -> Record:
    """A purified model of the victim, made at an hour by a version of its method."""
    versions = {} if version is None else {"versions": {"purifier": version}}
    return Record(
        id=identity,
        kind="purified",
        label="badnets/seed0/mine",
        status="done",
        settings={"purifier": {"method": "mine"}, **versions},
        parents={"victim": "victim"},
        finished=f"2026-01-02T{hour:02}:00:00+00:00",
    )


def retuned(identity: str, hour: int, model: str, budget: int = 5) -> Record:
    """That model after a retuning."""
    return replace(
        purified(identity, hour, None),
        kind="reactivated",
        label=f"badnets/seed0/mine/retuning-{budget}",
        settings={"purifier": {"method": "mine"}, "budget": budget},
        parents={"model": model, "victim": "victim"},
    )


def kept(*records: Record) -> set[str]:
    """The identities that tables see, whatever the order."""
    found = {record.id for record in current(records)}
    assert {record.id for record in current(reversed(records))} == found
    return found


def test_a_newer_version_takes_the_place_of_the_older_one() -> None:
    assert kept(VICTIM, purified("old", 1, None), purified("new", 2, 2)) == {"victim", "new"}
    assert kept(VICTIM, purified("old", 1, "1a2b"), purified("new", 2, "3c4d")) == {"victim", "new"}


def test_what_builds_upon_the_older_one_goes_with_it_also_where_nothing_took_its_place() -> None:
    old = [purified("old", 1, None), retuned("old-5", 2, "old"), retuned("old-20", 3, "old", 20)]
    new = [purified("new", 4, 2), retuned("new-5", 5, "new")]
    assert kept(VICTIM, *old, *new) == {"victim", "new", "new-5"}


def test_an_older_child_computed_late_does_not_come_back() -> None:
    """Two runs side by side: the retuning of the older model was finished last."""
    old = [purified("old", 1, None), retuned("old-5", 9, "old")]
    new = [purified("new", 4, 2), retuned("new-5", 5, "new")]
    assert kept(VICTIM, *old, *new) == {"victim", "new", "new-5"}


def test_what_differs_in_more_than_versions_stays() -> None:
    other = replace(purified("other", 1, None), settings={"purifier": {"method": "mine", "lr": 1}})
    elsewhere = replace(purified("elsewhere", 1, None), parents={"victim": "another"})
    new = purified("new", 2, 2)
    assert kept(VICTIM, other, elsewhere, new) == {"victim", "other", "elsewhere", "new"}


def test_a_record_among_its_own_ancestors_ends_no_search() -> None:
    loop = replace(purified("a", 1, None), parents={"model": "b"})
    current([loop, replace(loop, id="b", kind="path", parents={"model": "a"})])


def test_a_folder_is_read_with_and_without_them(tmp_path: Path) -> None:
    for record in (VICTIM, purified("old", 1, None), purified("new", 2, 2)):
        (tmp_path / f"{record.id}.json").write_text(record.to_json(), encoding="utf-8")
    assert {record.id for record in read_records(tmp_path)} == {"victim", "new"}
    everything = read_records(tmp_path, superseded=True)
    assert {record.id for record in everything} == {"victim", "old", "new"}
