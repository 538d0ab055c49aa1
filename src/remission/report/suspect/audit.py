"""The page on an audit: a verdict for somebody in a hurry, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence

from remission.intervals import Rate
from remission.records.suspect import AuditedTrigger, SuspectAudit
from remission.report.figures.drawing import Drawing
from remission.report.figures.lines import Panel, Series
from remission.report.figures.relapse import relapse_figure
from remission.report.figures.style import Look, Style
from remission.report.figures.weight_space import path_figure
from remission.report.page.pictures import Pictures, compare_strips
from remission.report.page.template import render_page
from remission.report.suspect.depth import TriggerComparison, decisive
from remission.report.suspect.in_short import in_short, one_sentence
from remission.report.suspect.purification import normalisations_table
from remission.report.suspect.sentences import percent, reading_lines
from remission.report.suspect.verdict import judge
from remission.report.tables.formats import Table

_SUSPECTED, _FRESH = "suspected trigger", "fresh triggers, mean"
_LOOK: Look = {"": Style("#9a9a9a", "", "-", 0.9)}
_COLOURS = ("#D55E00", "#0072B2", "#CC79A7", "#009E73")


def audit_page(
    audit: SuspectAudit, pictures: tuple[bytes, bytes] | None = None, count: int = 8
) -> str:
    """Returns the page as HTML text: no network request, readable without its script.

    Args:
        audit: what is shown.
        pictures: strips of held-out images, clean and with the suspected trigger, as PNG files;
            None: there are none.
        count: number of images per strip.
    """
    verdict = judge(audit)
    shown: Pictures | None = None
    if pictures:
        title = "The given trigger" if audit.exact else "The inverted trigger"
        shown = compare_strips(*pictures, count=count, other_title="triggered", title=title)
    return render_page(
        "audit.html.j2",
        verdict=verdict.outcome,
        sentence=one_sentence(audit, verdict.outcome),
        in_short=in_short(audit, verdict.outcome),
        file=(audit.purified or audit.suspect).file,
        exact=audit.exact,
        reasons=verdict.reasons,
        limits=verdict.limits,
        drawings=_drawings(audit),
        triggers=_triggers(audit),
        pictures=shown,
        readings=[
            (title, list(reading_lines(model)), normalisations_table(model))
            for title, model in (
                ("How the suspect model was read", audit.suspect),
                ("How the purified model was read", audit.purified),
            )
            if model
        ],
        rates=_rates(audit),
        seconds=f"{audit.seconds:.0f}",
    )


def _rates(audit: SuspectAudit) -> Table:
    rows = [["suspect", percent(audit.clean_acc)]]
    if audit.purified_clean_acc:
        rows.append(["purified", percent(audit.purified_clean_acc)])
    return Table(header=("Model", "Clean accuracy on held-out images"), rows=rows)


def _triggers(audit: SuspectAudit) -> Table:
    """Returns one row per trigger: its success before and after each retuning."""
    budgets = sorted({n for one in audit.triggers for n in one.budgets})
    header = ["Trigger", "On the suspect"]
    if audit.purified:
        header += ["On the purified", *(f"n = {n}" for n in budgets)]
        header += [] if audit.left_out else ["Worst retuning", "Perturbed"]
    rows, kinds = [], []
    for one in audit.triggers:
        row = [one.name, _short(one.on_suspect)]
        if audit.purified:
            reached = dict(zip(one.budgets, one.success, strict=True))
            row += [_short(one.as_purified), *(_short(reached.get(n)) for n in budgets)]
        if audit.purified and not audit.left_out:
            worst = one.worst
            row.append(f"{_short(worst.success)} ({worst.setting})" if worst else "–")
            row.append(_short(one.perturbed))
        rows.append(row)
        kinds.append("purifier" if one.role == "suspected" else "fresh")
    note = (
        "Success in percent on held-out images of other classes: the share that is given the "
        "class of the trigger. n is the number of poisoned images of a retuning. A second trigger "
        "is one that the suspect model obeys and the purified model ignores"
    )
    return Table(header=header, rows=rows, kinds=kinds, notes=[note])


def _short(rate: Rate | None) -> str:
    return "–" if rate is None else f"{100 * rate.value:.1f}"


def _drawings(audit: SuspectAudit) -> list[Drawing]:
    """Returns the relapse curves and the lines, as far as they were measured."""
    drawings = []
    if found := decisive(audit):
        look = {one.name: _LOOK[""] for one in (*audit.fresh, *audit.others)}
        pairs = zip(audit.suspected, _COLOURS, strict=False)
        look |= {one.name: Style(colour, "o") for one, colour in pairs}
        drawings.append(
            Drawing(
                svg=relapse_figure(_series(audit, found), look, None),
                title="How fast triggers are learnt",
                caption=(
                    "Success of each trigger against the number of poisoned images with which the "
                    "purified model was retuned. Grey lines are fresh triggers of the same kind "
                    "and size, which no model ever saw, and those of other classes; the thick "
                    "dashed line is the mean of the fresh ones beside the trigger that decides. A "
                    "suspected trigger whose line rises earlier is remembered, not learnt. Bars "
                    "are 95 % Wilson intervals."
                ),
            )
        )
    if audit.lines:
        panels = [
            Panel(
                title=f"batch norm {line.batchnorm}",
                error=[_line(_SUSPECTED, line.t, [1 - rate for rate in line.success])],
                clean_acc=[_line(_SUSPECTED, line.t, line.clean_acc)],
            )
            for line in audit.lines
        ]
        drawings.append(
            Drawing(
                svg=path_figure(
                    panels, {_SUSPECTED: Style("#D55E00", "o")}, "t (0: suspect, 1: purified)"
                ),
                title="The line between both models",
                caption=(
                    "The share of images on which the suspected trigger fails, above, and clean "
                    "accuracy, below, on the straight line between the two models in weight space. "
                    "Where the upper line falls soon on the way from t = 1 to t = 0, the purified "
                    "model has hardly left the suspect one."
                ),
            )
        )
    return drawings


def _series(audit: SuspectAudit, found: TriggerComparison) -> list[Series]:
    """Returns the curve of every trigger, and the mean of the fresh ones as the control."""
    taught = [one for one in (*audit.others, *audit.fresh, *audit.suspected) if one.budgets]
    mean = [100 * gap.mean for gap in found.gaps()]
    x = [float(gap.budget) for gap in found.gaps()]
    control = Series(label=_FRESH, x=x, y=mean, low=mean, high=mean, control=True)
    return [*map(_curve, taught), control]


def _curve(trigger: AuditedTrigger) -> Series:
    ends = [rate.interval for rate in trigger.success]
    return Series(
        label=trigger.name,
        x=[float(n) for n in trigger.budgets],
        y=[100 * rate.value for rate in trigger.success],
        low=[100 * low for low, _ in ends],
        high=[100 * high for _, high in ends],
    )


def _line(label: str, t: Sequence[float], rates: Sequence[float]) -> Series:
    y = [100 * rate for rate in rates]
    return Series(label=label, x=list(t), y=y, low=y, high=y)
