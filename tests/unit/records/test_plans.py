"""Each spec has a plan of its own, whatever its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from remission.records import Store
from remission.records.checking import contents_of
from remission.records.files import foreign_files, plan_file_names
from remission.records.plans import plan_text, shares_name_only, stored_plans

NAMES = ["实验", "对照", "a b", "a-b", "a.b", "a/b", "", "-", "\N{GREEK SMALL LETTER ALPHA}" * 200]


def stages_of(store: Store) -> dict[str, tuple[str, ...]]:
    """Returns the name of each spec with the stages of its plan."""
    plans, broken = stored_plans(store.folder)
    assert not broken
    found = {plan.name: plan.stages for plan in plans}
    assert len(found) == len(plans), "one plan per spec"
    return found


def test_no_two_specs_share_a_plan(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number, name in enumerate(NAMES):
        store.keep_plan(name, [("victim", f"{number:016x}")])
    assert stages_of(store) == {n: (f"victim/{k:016x}",) for k, n in enumerate(NAMES)}
    assert foreign_files(store.folder) == []
    assert len(list(contents_of(tmp_path / "plans"))) == len(NAMES), "all of them are checked"


@pytest.mark.parametrize("name", ["small", "a-b", "Quick_start-2"])
def test_a_name_that_suits_a_file_names_it(name: str) -> None:
    assert plan_file_names(name) == (f"{name}.json",)


def test_a_plan_of_an_older_remission_is_found_and_then_replaced(tmp_path: Path) -> None:
    store, older = Store(tmp_path), tmp_path / "plans" / "a-b.json"
    older.parent.mkdir()
    older.write_text(plan_text("a b", [("victim", "0" * 16)]))
    store.keep_plan("a.b", [("victim", "1" * 16)])
    assert stages_of(store) == {"a b": (f"victim/{'0' * 16}",), "a.b": (f"victim/{'1' * 16}",)}
    store.keep_plan("a b", [("victim", "2" * 16)])
    assert stages_of(store) == {"a b": (f"victim/{'2' * 16}",), "a.b": (f"victim/{'1' * 16}",)}
    assert not older.exists()


def test_a_plan_whose_name_holds_a_digest_is_missed_when_it_is_damaged(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep_plan("a b", [])
    (file,) = (tmp_path / "plans").iterdir()
    file.write_text("{")
    assert stored_plans(tmp_path) == ([], [file])


def test_another_grid_of_the_same_name_is_noticed(tmp_path: Path) -> None:
    store, mine, other = Store(tmp_path), [("victim", "0" * 16)], [("victim", "1" * 16)]
    assert not shares_name_only(tmp_path, "grid", mine), "there is none yet"
    store.keep_plan("grid", mine)
    assert shares_name_only(tmp_path, "grid", other)
    assert not shares_name_only(tmp_path, "grid", [*mine, *other])
    assert not shares_name_only(tmp_path, "another", other)
