"""The work for a page: each step happens once, and reports progress."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from remission.report.groups import group, results
from remission.report.page.page import build_page, write_report
from tests.unit.report.report_factory import PURIFIERS, grid, write_store


def test_a_page_groups_its_records_once_and_judges_each_row_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = grid(tmp_path) + grid(tmp_path, attack="blended")
    counts: Counter[str] = Counter()

    def counted(module: ModuleType, name: str) -> None:
        function = getattr(module, name)

        def call(*args: object) -> object:
            counts[name] += 1
            return function(*args)

        monkeypatch.setattr(module, name, call)

    counted(results, "group_records")
    counted(group, "judge")
    build_page(made, tmp_path)
    assert counts == {"group_records": 1, "judge": 2 * len(PURIFIERS)}


def test_what_is_being_done_is_said(tmp_path: Path) -> None:
    store = tmp_path / "store"
    write_store(store, grid(store) + grid(store, attack="blended"))
    said: list[str] = []
    write_report(store, tmp_path / "page.html", said.append)
    assert said[0] == "reading records"
    assert [line.partition(": ")[0] for line in said[1:3]] == ["drawing 1 of 2", "drawing 2 of 2"]
    assert "badnets" in said[1]
    assert said[-1] == "writing the page"
