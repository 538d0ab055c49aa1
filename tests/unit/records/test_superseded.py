"""Tables show the results of the newest code, and drop whole branches of older versions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from remission.errors import StoreError
from remission.records import Record, Store, read_records
from remission.records.copying import copy_store
from remission.records.sealing import sealed_json
from remission.records.superseded import current, versions_in

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
    """Returns a purified model of the victim, finished at ``hour`` by a version of its method."""
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
    """Returns that model after a retuning."""
    return replace(
        purified(identity, hour, None),
        kind="reactivated",
        label=f"badnets/seed0/mine/retuning-{budget}",
        settings={"purifier": {"method": "mine"}, "budget": budget},
        parents={"model": model, "victim": "victim"},
    )


def kept(*records: Record) -> set[str]:
    """Returns the identities that tables show, whatever the order of the records."""
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
    """With two runs at once, the retuning of the older model was finished last."""
    old = [purified("old", 1, None), retuned("old-5", 9, "old")]
    new = [purified("new", 4, 2), retuned("new-5", 5, "new")]
    assert kept(VICTIM, *old, *new) == {"victim", "new", "new-5"}


def test_what_differs_in_more_than_versions_stays() -> None:
    other = replace(purified("other", 1, None), settings={"purifier": {"method": "x"}})
    rate = {"purifier": {"method": "mine", "lr": 1}, "versions": {"purifier": 2}}
    further = replace(purified("further", 1, 2), settings=rate)
    elsewhere = replace(purified("elsewhere", 1, 2), parents={"victim": "another"})
    new = purified("new", 2, 2)
    made = (VICTIM, other, further, elsewhere, new)
    assert kept(*made) == {record.id for record in made}


def seeded(record: Record, seed: int) -> Record:
    """Returns the same records for another seed."""
    settings = {**record.settings, "context": {"seed": seed}}
    return replace(record, id=f"{record.id}{seed}", settings=settings)


def test_an_older_version_is_not_averaged_with_the_newer_one_over_seeds() -> None:
    """The rerun with the changed code was interrupted after the first seed."""
    old = [seeded(purified("old", 1, "1a2b"), seed) for seed in (0, 1, 2)]
    new = seeded(purified("new", 2, "3c4d"), 0)
    other = seeded(replace(purified("other", 1, None), settings={"purifier": {"method": "x"}}), 1)
    assert kept(VICTIM, *old, new, other) == {"victim", "new0", "other1"}


def test_the_version_of_the_last_run_stands_not_that_of_the_record_finished_last() -> None:
    """A change of a file was undone, so that nothing had to be computed anew."""
    old, new = purified("old", 1, "1a2b"), purified("new", 2, "3c4d")
    stands = {"purifier mine": "1a2b"}
    found = current([VICTIM, old, new, retuned("old-5", 1, "old")], stands)
    assert {record.id for record in found} == {"victim", "old", "old-5"}
    assert {r.id for r in current([VICTIM, new], stands)} == {"victim"}


def test_one_that_failed_with_the_newer_version_shows_as_failed() -> None:
    failed = replace(purified("new", 2, 2), status="failed")
    assert kept(VICTIM, purified("old", 1, None), failed) == {"victim", "new"}


def test_odd_settings_are_no_version() -> None:
    odd = replace(VICTIM, id="odd", settings={"attack": "badnets", "versions": ["x"]})
    strange = replace(VICTIM, id="strange", settings={**VICTIM.settings, "versions": "2"})
    assert kept(odd, strange) == {"odd", "strange"}


def test_a_record_among_its_own_ancestors_ends_no_search() -> None:
    loop = replace(purified("a", 1, None), parents={"model": "b"})
    found = current([loop, replace(loop, id="b", kind="path", parents={"model": "a"}), VICTIM])
    assert VICTIM in found


def test_a_store_is_read_with_and_without_them(tmp_path: Path) -> None:
    victim, old, new = "0" * 16, "1" * 16, "2" * 16
    for record in (
        replace(VICTIM, id=victim),
        replace(purified(old, 1, None), parents={"victim": victim}),
        replace(purified(new, 2, 2), parents={"victim": victim}),
    ):
        file = tmp_path / "records" / record.kind / f"{record.id}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(record.to_json(), encoding="utf-8")

    def read(**how: bool) -> set[str]:
        return {record.id for record in read_records(tmp_path, **how)}

    assert read() == {victim, new}
    assert read(superseded=True) == {victim, old, new}
    note = tmp_path / "versions.json"
    note.write_text('{"purifier mine": 1}', encoding="utf-8")
    assert read() == {victim, old}
    for content in ("no JSON", "[]", "", sealed_json({"purifier mine": 1}).replace("1\n", "2\n")):
        note.write_text(content, encoding="utf-8")
        with pytest.raises(StoreError, match="run any spec again") as refusal:
            read()
        assert f"the file '{note}'" in str(refusal.value)
        assert read(superseded=True) == {victim, old, new}, "nothing has to be left out"


def test_a_run_that_finds_the_versions_damaged_says_so_and_forgets_no_method(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, note = Store(tmp_path), tmp_path / "versions.json"
    store.keep(replace(purified("1" * 16, 1, 1), parents={}))
    store.keep(replace(purified("2" * 16, 2, 2), parents={}))
    store.record_file("purified", "3" * 16).write_text("damaged")
    asked = [("victim", VICTIM.settings)]
    note.write_text("no JSON", encoding="utf-8")
    store.keep_versions(asked)
    assert versions_in(tmp_path) == {"attack badnets": 1, "purifier mine": 2}
    assert "it is written anew" in caplog.text
    caplog.clear()
    store.keep_versions(asked)
    assert caplog.text == ""


def test_a_copy_leaves_damaged_versions_behind_and_names_them(tmp_path: Path) -> None:
    ours, theirs = Store(tmp_path / "ours"), Store(tmp_path / "theirs")
    (ours.folder / "versions.json").write_text("no JSON", encoding="utf-8")
    (flaw,) = copy_store(ours, theirs).flaws
    assert flaw.file == "versions.json"
    assert versions_in(theirs.folder) == {}
