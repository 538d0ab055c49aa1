"""Tables as text, Markdown, CSV and JSON. Nothing here knows what the rows mean."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from remission.records import Json
from remission.report.groups.labels import canonical, printable

Rows = list[list[str]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table for people.

    Args:
        title: the text above it; may be empty.
        notes: how to read it; no full stop at their ends.
        header: names of the columns; empty where there are only notes.
        rows: the cells, as many per row as the header has names.
        items: a bulleted list below the table.
        shading: for each cell how dark the page draws it, in [0, 1], None for cells without
            shading; empty: no cell is shaded.
        kinds: the kind of each row, ``"victim"``, ``"control"`` or ``"purifier"``, for tables of
            the page that draw them differently; empty: all rows look alike.
    """

    title: str = ""
    notes: Sequence[str] = ()
    header: Sequence[str] = ()
    rows: Rows = field(default_factory=list)
    items: Sequence[str] = ()
    shading: Sequence[Sequence[float | None]] = ()
    kinds: Sequence[str] = ()


_LINE = 100
"""The longest line of a note, in characters."""
_BETWEEN = "   "
"""What stands between two columns for people."""
_GAP = {"gap_to_control": ("gap to", "control")}


def json_text(value: Sequence[object]) -> str:
    """Returns indented JSON."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)


def csv_text(lines: Sequence[Json]) -> str:
    """Returns comma-separated values; nested ones as JSON, None and absent ones empty."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow(
            {k: canonical(v) if isinstance(v, dict | list | tuple) else v for k, v in line.items()}
        )
    return out.getvalue().rstrip("\n")


def _numeric(rows: Rows, index: int) -> bool:
    return all(row[index][:1] in "+-–f0123456789<>≤≥" for row in rows)


def _aligned(header: Sequence[str], rows: Rows) -> str:
    """Returns aligned columns for a terminal or a pipe, never cut.

    Rich's ``Table`` would draw the same lines, and takes 1 ms per row.
    """
    from rich.cells import cell_len

    names = [_words(name) for name in header]
    lines = [[printable(value) for value in row] for row in rows]
    right = [index > 0 and _numeric(rows, index) for index in range(len(header))]
    widths = [
        max(map(cell_len, (*name, *(line[index] for line in lines))))
        for index, name in enumerate(names)
    ]

    def joined(values: Sequence[str]) -> str:
        padded = []
        for value, width, is_right in zip(values, widths, right, strict=True):
            space = " " * (width - cell_len(value))
            padded.append(space + value if is_right else value + space)
        return _BETWEEN.join(padded).rstrip()

    height = max(map(len, names))
    above = map(joined, zip(*([""] * (height - len(n)) + n for n in names), strict=True))
    rule = "─" * (sum(widths) + len(_BETWEEN) * (len(widths) - 1))
    return "\n".join([*above, rule, *map(joined, lines)]).rstrip()


def _words(name: str) -> list[str]:
    """Returns the lines of a column's name: one word each, so that numbers stay narrow."""
    lines = printable(name).replace("gap to control", "gap_to_control").split(" ")
    return [part for line in lines for part in _GAP.get(line, (line,))]


def escape(text: str) -> str:
    """Escapes the characters that Markdown would take for a column, a tag or a link."""
    text = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\|`*_[]#" else c for c in text)


def pipe_table(header: Sequence[str], rows: Rows) -> str:
    """Returns a pipe table of Markdown."""
    rule = [":--", *("--:" if _numeric(rows, i) else ":--" for i in range(1, len(header)))]
    lines = [map(escape, header), rule, *(map(escape, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables_text(tables: Sequence[Table]) -> str:
    """Returns tables for a terminal or a pipe."""
    return "\n\n".join(
        "\n".join(
            [
                *([table.title] if table.title else []),
                *(textwrap.fill(printable(note), _LINE) for note in table.notes),
                *([_aligned(table.header, table.rows)] if table.header else []),
                *(f"- {item}" for item in table.items),
            ]
        )
        for table in tables
    )


def tables_markdown(tables: Sequence[Table]) -> str:
    """Returns tables as Markdown; titles and items come from users and are escaped."""
    return "\n\n".join(
        "\n\n".join(
            [
                *([f"### {escape(table.title)}"] if table.title else []),
                *table.notes,
                *([pipe_table(table.header, table.rows)] if table.header else []),
                *(["\n".join(f"- {escape(item)}" for item in table.items)] if table.items else []),
            ]
        )
        for table in tables
    )
