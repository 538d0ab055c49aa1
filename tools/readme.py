"""Writes the results into README.md and docs/results.md: tables, and the relapse curves."""

from __future__ import annotations

from pathlib import Path

from remission.records import Record, read_records
from remission.report.figures.lines import reactivations, relapse, victim_asr
from remission.report.figures.relapse import relapse_figure
from remission.report.figures.style import styles
from remission.report.groups.results import summarise
from remission.report.tables.formats import pipe_table
from remission.report.tables.render import render

_SHOWN = ("control", "ep", "fst", "bti_dbf", "ft")
"""The rows that the README explains."""
_BUDGETS = (5, 20, 100)


def write_readme(root: Path) -> None:
    """Rewrites the generated parts of both pages, and ``docs/relapse.svg``.

    Args:
        root: the root folder of the repository.
    """
    quickstart = read_records(root / "results" / "quickstart")
    purifiers = read_records(root / "results" / "purifiers")
    _rewrite(root / "README.md", {"rows": _rows(quickstart)})
    tables = {
        "results": render(quickstart, "summary", "markdown"),
        "purifiers": render(purifiers, "overview", "markdown"),
    }
    _rewrite(root / "docs" / "results.md", tables)
    (root / "docs" / "relapse.svg").write_text(_curves(quickstart), encoding="utf-8")


def _rows(records: list[Record]) -> str:
    """Returns some rows of the quickstart's table, at some budgets."""
    (group,) = summarise(records)
    columns = [column for column in group.columns if column.budget in _BUDGETS]
    header = ["purifier", "C-Acc", "O-ASR", *(f"P-ASR, n = {column.budget}" for column in columns)]
    lines = []
    for row in sorted(
        (row for row in group.rows if row.label in _SHOWN), key=lambda r: _SHOWN.index(r.label)
    ):
        line = [row.label, _percent(row.number("clean_acc").mean), _percent(row.number("asr").mean)]
        for column in columns:
            gap = group.gap(row, column).mean
            above = "" if row.reference or gap is None else f" ({100 * gap:+.1f})"
            line.append(_percent(row.number("asr", column).mean) + above)
        lines.append(line)
    return pipe_table(header, lines)


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{100 * rate:.1f}"


def _curves(records: list[Record]) -> str:
    """Returns the relapse curves of the quickstart as SVG text."""
    (group,) = summarise(records)
    (columns,) = reactivations(group).values()
    look = styles(row.label for row in group.rows if not row.reference)
    svg = relapse_figure(relapse(group, columns), look, victim_asr(group))
    return svg.replace("<svg ", '<svg style="background: #fff" ', 1)  # also on a dark page


def _rewrite(page: Path, parts: dict[str, str]) -> None:
    """Replaces the text between the two comments of each name."""
    text = page.read_text(encoding="utf-8")
    for name, content in parts.items():
        assert f"<!-- {name} -->\n" in text, f"{page} has no comments named {name}"
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        after = rest.partition(f"<!-- /{name} -->")[2]
        text = f"{before}<!-- {name} -->\n{content}\n<!-- /{name} -->{after}"
    page.write_text(text, encoding="utf-8")
