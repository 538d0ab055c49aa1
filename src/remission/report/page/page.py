"""One self-contained HTML page from a store: no network request, no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from remission.disk import write_whole
from remission.errors import StoreError
from remission.records import STORE_MARK, Record, read_records
from remission.records.unfinished import unfinished
from remission.report.figures import lines as series
from remission.report.figures.explanation import EXPLAINED, explanation_figure
from remission.report.figures.inline_svg import inline
from remission.report.figures.relapse import before_after_figure, relapse_figure
from remission.report.figures.style import Style, styles
from remission.report.groups.breakage import LOSS, broken
from remission.report.groups.estimates import show
from remission.report.groups.group import Group, Row, ancestors, failures, summarise
from remission.report.groups.labels import printable
from remission.report.groups.verdict import MARGIN, SATURATED, headline, judge, saturated, sentence
from remission.report.measures.explanation import explanations
from remission.report.measures.findings import Claim
from remission.report.measures.victims import attacked
from remission.report.page.gallery import gallery, stealth_text
from remission.report.page.perturbed import (
    perturbation_pictures,
    transfer_figures,
    woken_figure,
)
from remission.report.page.pictures import Pictures, compare
from remission.report.page.provenance import environments, settings
from remission.report.page.weight_space import drawings
from remission.report.tables.explanation import conclusion, note, table_lines
from remission.report.tables.innocent import innocent_sections
from remission.report.tables.inversions import inversion_sections
from remission.report.tables.overview import overview_sections
from remission.report.tables.paths import barriers
from remission.report.tables.perturbed import perturbed_parts
from remission.report.tables.scores import score_table

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, kw_only=True)
class Plot:
    """An inline figure and the sentence that tells how to read it."""

    svg: str
    caption: str


def write_report(folder: Path, out: Path) -> None:
    """Writes the records below ``folder`` as one HTML page; the old page stays until it is whole.

    Raises:
        StoreError: the store cannot be read, or the page cannot be written.
    """
    parent = out.parent
    if not parent.is_dir():
        raise StoreError(
            f"the folder '{parent}' for the report does not exist",
            "create it, or name a file in a folder that exists",
        )
    if out.is_symlink() or (out.exists() and not out.is_file()):
        what = "a folder" if out.is_dir() else "a link or a special file"
        raise StoreError(f"'{out}' is {what}", "name a file for the report, like report.html")
    if out.name == STORE_MARK or out.resolve().is_relative_to((folder / "records").resolve()):
        raise StoreError(f"'{out}' belongs to the store", "name a file outside of it")
    page = build_page(read_records(folder), folder)
    try:
        write_whole(out, [page.encode()])
    except OSError as error:
        raise StoreError(
            f"the report '{out}' cannot be written ({error.strerror or error})",
            "free some space, or name a file in a folder that you may write to",
        ) from error


def build_page(records: Sequence[Record], folder: Path) -> str:
    """The page as HTML text; ``folder`` is where the artefacts of ``records`` lie."""
    import jinja2

    groups = summarise(records)
    labels = [r.label for g in groups for r in g.rows if not r.reference]
    look = styles(labels + [label for g in groups for label, _ in g.paths])
    number = count(1)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,  # names come from other people's specs
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        headline=headline(groups),
        purified=any(not row.reference for group in groups for row in group.rows),
        cards=gallery(groups, records, folder),
        seeds=max((group.seeds for group in groups), default=0),
        stealth=any(one.compared for one in attacked(records)),
        margin=f"{100 * MARGIN:.0f}",
        loss=f"{100 * LOSS:.0f}",
        perturbed=any(group.perturbed(column) for group in groups for column in group.columns),
        walks=any(group.paths for group in groups),
        groups=[_group(group, records, folder, look, number) for group in groups],
        overview=[part for part in overview_sections(records) if len(part.header) > 5],
        explained=_explained(records, number),
        tables=[*innocent_sections(records), *inversion_sections(records)],
        failures=failures(records),
        unfinished=unfinished(folder),
        settings=settings(records),
        environments=environments(records),
        models=sum(r.cell is not None and r.cell.status == "done" for r in records),
        finished=max((record.finished for record in records), default=""),
    )


def _group(
    group: Group,
    records: Sequence[Record],
    folder: Path,
    look: dict[str, Style],
    number: count[int],
) -> dict[str, Any]:
    """Everything that the template shows of one group."""
    purified = any(not row.reference for row in group.rows)
    taught = [printable(column.title) for column in saturated(group)]
    return {
        "title": group.title,
        "sentence": sentence(group),
        "seeds": group.seeds,
        "repeated": group.repeated,
        "broken": broken(group),
        "purified": purified,
        "bare": not purified and not group.columns,
        "columns": [
            (label, [column.budget for column in columns])
            for label, columns in series.reactivations(group).items()
        ],
        "rows": [_row(group, row, look) for row in group.rows],
        "epochs": any(group.cost(row).known for row in group.rows),
        "saturated": taught,
        "saturation": f"{100 * SATURATED:.0f}",
        "relapse": _relapse_plots(group, look, number),
        "scores": score_table(group),
        "perturbed": perturbed_parts(group),
        "transfer": [_plot(*each, number) for each in transfer_figures(group, records)],
        "paths": _path_plots(group, records, look, number),
        "barriers": barriers(group),
        "pictures": _pictures(group, records, folder),
    }


def _row(group: Group, row: Row, look: dict[str, Style]) -> dict[str, Any]:
    after = []
    for column in group.columns:
        asr, gap = row.number("asr", column), group.gap(row, column)
        after.append(
            {
                "asr": show(asr, seeds=group.seeds),
                "gap": _typographic(show(gap, seeds=group.seeds, signed=True)) if gap.known else "",
                "heat": f"{asr.mean or 0:.3f}",
                "seconds": show(row.number("seconds", column), seeds=group.seeds, scale=1),
            }
        )
    verdict = None if row.reference else judge(group, row)
    before = row.number("asr")
    return {
        "label": row.label,
        "kind": row.purifier.name if row.reference else "purifier",
        "colour": "#000" if row.reference else look[row.label].colour,
        "clean_acc": show(row.number("clean_acc"), seeds=group.seeds),
        "asr": show(before, seeds=group.seeds),
        "heat": f"{before.mean or 0:.3f}",
        "robust_acc": show(row.number("robust_acc"), seeds=group.seeds),
        "seconds": show(row.number("seconds"), seeds=group.seeds, scale=1),
        "epochs": show(group.cost(row), seeds=group.seeds, scale=1),
        "after": after,
        "outcome": verdict.outcome if verdict else "",
        "verdict": printable(verdict.text) if verdict else "reference",
    }


def _typographic(number: str) -> str:
    return number.replace("-", "−")


def _relapse_plots(group: Group, look: dict[str, Style], number: count[int]) -> list[Plot]:
    plots = []
    over = f"{group.seeds} seeds (Student t)" if group.seeds > 1 else "the test images (Wilson)"
    for label, columns in series.reactivations(group).items():
        perturbed = [column for column in columns if group.perturbed(column)]
        budgeted = [column for column in columns if column.budget and column not in perturbed]
        if budgeted and (lines := series.relapse(group, budgeted)):
            svg = relapse_figure(lines, look, series.victim_asr(group))
            caption = (
                f"Reactivation by {label}: ASR of each purified model against the number of "
                "poisoned images that the reactivation used; the leftmost point is the purified "
                "model as it is (O-ASR). What counts is the distance to the thick dashed line, "
                "the control that never held a backdoor: a line that climbs earlier hides one. "
                f"Vertical bars: 95 % intervals over {over}."
            )
            plots.append(_plot(svg, caption, f"Relapse curves, {label}", number))
        found = [woken_figure(group, column, look) for column in perturbed]
        plots += [_plot(*each, number) for each in found if each]
        for column in columns:
            if (
                not column.budget
                and column not in perturbed
                and (pairs := series.before_after(group, column))
            ):
                svg = before_after_figure(pairs, look)
                caption = (
                    f"Reactivation by {column.title}, without poisoned images: ASR before "
                    "(hollow) and after (full). The longer the line, the more of the backdoor came "
                    f"back; compare with the control's. Shaded: 95 % intervals over {over}."
                )
                plots.append(_plot(svg, caption, f"ASR before and after {column.title}", number))
    return plots


def _path_plots(
    group: Group, records: Sequence[Record], look: dict[str, Style], number: count[int]
) -> list[Plot]:
    found = drawings(group, records, look)
    return [_plot(each.svg, each.caption, each.title, number) for each in found]


def _explained(records: Sequence[Record], number: count[int]) -> list[dict[str, Any]]:
    """The test of the explanation: what follows, its table, its picture."""
    parts = []
    for found in explanations(records):
        header, lines = table_lines(found)
        svg = explanation_figure(found, styles(found.attacks))
        parts.append(
            {
                "title": found.title,
                "conclusion": conclusion(found),
                "note": note(found),
                "header": header,
                "lines": lines,
                "plot": _plot(svg, EXPLAINED, found.title, number),
            }
        )
    return parts


def _plot(svg: str, caption: str, title: str, number: count[int]) -> Plot:
    prefix = f"fig{next(number)}-"
    return Plot(
        svg=inline(svg, prefix=prefix, label=printable(f"{title}. {caption}")),
        caption=printable(caption),
    )


def _pictures(group: Group, records: Sequence[Record], folder: Path) -> list[Pictures]:
    """The triggers of the group's first victim, the true one and those that were inverted."""
    by_id = {record.id: record for record in records}
    first = next((one for one in attacked(records) if one.key == group.key), None)
    if first is None:
        return []
    victim, measured = first.record, stealth_text(first)
    title = f"{first.cell.attack}: {measured}" if measured else first.cell.attack
    found = [
        compare(folder, victim, other="preview_triggered", other_title="triggered", title=title)
    ]
    for record in records:
        if record.kind == "inversion" and victim in ancestors(record, by_id):
            title = f"{record.label}{Claim.of(record.details).caption()}"
            found.append(
                compare(
                    folder, record, other="preview_inverted", other_title="inverted", title=title
                )
            )
    return found + perturbation_pictures(records, victim, folder)
