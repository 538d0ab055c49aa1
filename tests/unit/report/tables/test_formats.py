"""Aligned tables against rich's, which lays out the same lines."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from remission.report.tables.formats import Table, tables_text


def by_rich(header: Sequence[str], rows: list[list[str]]) -> str:
    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, name in enumerate(header):
        right = index > 0 and all(row[index][:1] in "+-–f0123456789<>≤≥" for row in rows)
        title = name.replace(" ", "\n").replace("gap\nto\ncontrol", "gap to\ncontrol")
        grid.add_column(
            Text(title), justify="right" if right else "left", no_wrap=True, vertical="bottom"
        )
    for row in rows:
        grid.add_row(*map(Text, row))
    out = io.StringIO()
    Console(file=out, width=100_000, color_system=None, force_terminal=False).print(grid)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().split("\n"))


WORDS = st.text("ab0+–é蛙", max_size=4)
NAMES = st.lists(st.text("ab0é蛙", min_size=1, max_size=4), min_size=1, max_size=3).map(" ".join)


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.tuples(
            st.lists(NAMES, min_size=n, max_size=n),
            st.lists(st.lists(WORDS, min_size=n, max_size=n), max_size=4),
        )
    )
)
@settings(max_examples=150, deadline=None)
def test_columns_are_those_of_rich(table: tuple[list[str], list[list[str]]]) -> None:
    header, rows = table
    assert tables_text([Table(header=header, rows=rows)]) == by_rich(header, rows)


def test_the_gap_to_the_control_takes_two_lines() -> None:
    header, rows = ["purifier", "n = 5 gap to control"], [["ft", "+3.1"], ["pam 蛙", "–"]]
    wanted = by_rich(header, rows)
    assert "gap to\n" in wanted
    assert tables_text([Table(header=header, rows=rows)]) == wanted


def test_a_row_costs_no_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich lays out each cell on its own: 10,000 rows took it 12 s of processor time."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("rich lays out the table")

    monkeypatch.setattr(Console, "print", never)
    rows = [[str(number), "x"] for number in range(1000)]
    assert len(tables_text([Table(header=["a", "b"], rows=rows)]).splitlines()) == 1002
