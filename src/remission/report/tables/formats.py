"""Rows of text -> a table in one of the formats. Knows nothing of what the rows mean."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from remission.report.groups.labels import canonical, printable

Lines = list[list[str]]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table for people.

    Args:
        title: above it; may be empty.
        notes: how to read it.
        header: names of the columns; none where there is no table.
        lines: the rows.
    """

    title: str
    notes: Sequence[str]
    header: list[str]
    lines: Lines


_LINE = 100
"""Columns that a note takes at most in text."""
_WIDE = 100_000
"""Columns of the console that rich draws on: a table is as wide as its content, never cut."""


def json_text(value: Sequence[object]) -> str:
    """Indented JSON."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)


def csv_table(lines: Sequence[dict[str, Any]]) -> str:
    """Comma-separated values; nested ones as JSON, None and absent ones empty."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow(
            {k: canonical(v) if isinstance(v, dict | list | tuple) else v for k, v in line.items()}
        )
    return out.getvalue().rstrip("\n")


def _numeric(lines: Lines, index: int) -> bool:
    return all(line[index][:1] in "+-–f0123456789<>≤≥" for line in lines)


def text_table(header: list[str], lines: Lines) -> str:
    """Aligned columns for a terminal or a pipe, never cut."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, name in enumerate(header):
        # One word a line: columns of numbers stay narrow.
        words = printable(name).replace("gap to control", "gap_to_control").split(" ")
        title = "\n".join(words).replace("gap_to_control", "gap to\ncontrol")
        right = index > 0 and _numeric(lines, index)
        table.add_column(
            Text(title), justify="right" if right else "left", no_wrap=True, vertical="bottom"
        )
    for line in lines:
        table.add_row(*(Text(printable(value)) for value in line))
    out = io.StringIO()
    Console(file=out, width=_WIDE, color_system=None, force_terminal=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().split("\n"))


def escape(text: str) -> str:
    """Characters that Markdown would take for a column, a tag or a link are escaped."""
    text = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\|`*_[]#" else c for c in text)


def markdown_table(header: list[str], lines: Lines) -> str:
    """A pipe table."""
    rule = [":--", *("--:" if _numeric(lines, i) else ":--" for i in range(1, len(header)))]
    rows = [map(escape, header), rule, *(map(escape, line) for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def text_sections(sections: Sequence[Section]) -> str:
    """Sections for a terminal or a pipe."""
    return "\n\n".join(
        "\n".join(
            [
                *([section.title] if section.title else []),
                *(textwrap.fill(printable(note), _LINE) for note in section.notes),
                *([text_table(section.header, section.lines)] if section.header else []),
            ]
        )
        for section in sections
    )


def markdown_sections(sections: Sequence[Section]) -> str:
    """Sections as Markdown; titles come from users."""
    return "\n\n".join(
        "\n\n".join(
            [
                *([f"### {escape(section.title)}"] if section.title else []),
                *section.notes,
                *([markdown_table(section.header, section.lines)] if section.header else []),
            ]
        )
        for section in sections
    )
