"""One self-contained HTML page from a store: no network request, readable without its script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remission.records import Record
from remission.records.plans import unfinished
from remission.report.figures.drawing import Drawing
from remission.report.figures.explanation import explanation_figure
from remission.report.figures.style import styles
from remission.report.groups.grouping import failures
from remission.report.groups.results import Results
from remission.report.groups.sentences import headline
from remission.report.groups.thresholds import LOSS, MARGIN
from remission.report.measures.explanation import explanations
from remission.report.measures.victims import attacked
from remission.report.page import captions
from remission.report.page.equal_cost import equal_cost
from remission.report.page.files import Say, check_place, silent, write_page
from remission.report.page.gallery import gallery
from remission.report.page.group_section import group_section
from remission.report.page.provenance import environments, settings
from remission.report.page.template import render_page
from remission.report.page.worst import worst_parts
from remission.report.tables.explanation import explanation_table
from remission.report.tables.innocent import innocent_tables
from remission.report.tables.inversions import inversion_tables
from remission.report.tables.overview import overview_tables
from remission.report.tables.trials import trial_tables


def write_report(folder: Path, out: Path, say: Say = silent, *, all_settings: bool = False) -> None:
    """Writes the records below ``folder`` as one HTML page, which replaces the old one when whole.

    Args:
        folder: a store, or a folder of records in git.
        out: the page.
        say: takes a few words on each step of the work.
        all_settings: whether to include results of other data or other settings than those of the
            last runs.

    Raises:
        StoreError: the store cannot be read, or the page cannot be written.
    """
    check_place(out, [folder])
    say("reading records")
    page = build_page(Results.of_store(folder, all_settings=all_settings), folder, say)
    write_page(out, page)


def build_page(records: Sequence[Record], folder: Path, say: Say = silent) -> str:
    """Returns the page as HTML text.

    Args:
        records: the records of one store.
        folder: where their artefacts lie.
        say: takes a few words on each step of the work.
    """
    results = Results.of(records)
    groups, victims = results.groups, attacked(results)
    purifiers = [row.label for group in groups for row in group.purified]
    look = styles([*purifiers, *(label for group in groups for label, _ in group.paths)])
    sections = []
    for number, group in enumerate(groups, start=1):
        say(f"drawing {number} of {len(groups)}: {group.title}")
        sections.append(group_section(group, results, victims, folder, look))
    say("writing the page")
    return render_page(
        "page.html.j2",
        headline=headline(groups),
        purified=bool(purifiers),
        cards=gallery(groups, victims, folder),
        seeds=max((group.seeds for group in groups), default=0),
        stealth=any(victim.compared for victim in victims),
        margin=f"{100 * MARGIN:.0f}",
        loss=f"{100 * LOSS:.0f}",
        perturbed=any(section["perturbs"] for section in sections),
        paths=any(group.paths for group in groups),
        groups=sections,
        overviews=[
            table
            for table, over in zip(overview_tables(results), results.overviews, strict=True)
            if len(over) > 1  # a table of one attack says no more than the attack's own section
        ],
        explained=[*worst_parts(results), *equal_cost(results), *_explained(results)],
        tables_below=[
            *trial_tables(results),
            *innocent_tables(results),
            *inversion_tables(results),
        ],
        failures=failures(results),
        unfinished=unfinished(folder),
        hidden=results.note,
        settings=settings(results),
        environments=environments(results),
        models=sum(r.cell is not None and r.cell.status == "done" for r in results),
        finished=max((record.finished for record in results), default=""),
    )


def _explained(results: Results) -> list[dict[str, Any]]:
    """Returns table and drawing of each test of the explanation by the path."""
    return [
        {
            "table": explanation_table(test),
            "kind": "",
            "drawings": [
                Drawing(
                    svg=explanation_figure(test, styles(test.attacks)),
                    title=test.title,
                    caption=captions.EXPLANATION,
                )
            ],
        }
        for test in explanations(results)
    ]
