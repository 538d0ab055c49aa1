"""The table of the paper in its shape: one per attack, each purifier at its chosen setting."""

from __future__ import annotations

from remission.report.groups.estimates import MISSING, show
from remission.report.groups.group import Group
from remission.report.groups.keys import CONTROL, VICTIM
from remission.report.groups.results import Results
from remission.report.groups.rows import Row
from remission.report.groups.titles import titles
from remission.report.measures.held_out import Trials
from remission.report.tables.formats import Table, tables_markdown

_RELAPSES, _NONE = "relapses", "no relapse"
PAPER = {
    "ep": _NONE,
    "anp": _RELAPSES,
    "i_bau": _RELAPSES,
    "ft_sam": _RELAPSES,
    "fst": _RELAPSES,
    "bti_dbf": _RELAPSES,
    "pam": _NONE,
    "pam_path": MISSING,
}
"""What the paper (arXiv 2410.09838) says of each purifier, on CIFAR-10; ours is not in it."""
_INTRO = """\
## Beside the paper

The paper's table in its shape, with means over the seeds: its purifiers, and `pam_path`, at the
settings that were chosen on the other victims. The paper claims that a purified model relapses when
it is retuned with five poisoned images, unless `ep` or `pam` purified it. The column *here* says
from which number of images on a model relapses: its ASR then lies more than 10 points above the
control's after the same retuning, and the interval of the difference excludes 0.
"""


def paper_shape(results: Results) -> list[str]:
    """Returns the section as lines of Markdown; none where no chosen setting is there."""
    chosen, names = Trials.of(results.trials).chosen, titles(results.groups)
    tables = list[Table]()
    for group in results.groups:
        rows = [row for row in group.purified if row.purifier in chosen]
        if rows := [row for name in PAPER for row in rows if row.purifier.name == name]:
            rate = f"{100 * group.key.poison_rate:g} %"
            tables.append(_table(f"{names[group.key]}, poison rate {rate}", group, rows))
    return [_INTRO, *tables_markdown(tables).splitlines(), ""] if tables else []


def _table(title: str, group: Group, rows: list[Row]) -> Table:
    """Builds one table: the victim, the control, then the purifiers."""
    budgets = [column for column in group.columns if column.budget]
    heads = ["C-Acc", "O-ASR", *(f"P-ASR n={column.budget}" for column in budgets)]
    references = [row for name in (VICTIM, CONTROL) if (row := group.row(name))]
    lines = []
    for row in (*references, *rows):
        numbers = [row.number("clean_acc"), row.number("asr")]
        numbers += [row.number("asr", column) for column in budgets]
        texts = [show(number, seeds=group.seeds) for number in numbers]
        words = (
            [MISSING, MISSING] if row.reference else [_here(group, row), PAPER[row.purifier.name]]
        )
        lines.append([row.label, *texts, *words])
    return Table(title=title, header=["purifier", *heads, "here", "in the paper"], rows=lines)


def _here(group: Group, row: Row) -> str:
    """Returns what the models of a row show."""
    verdict = group.verdict(row)
    if verdict.outcome == "relapse":
        return f"{_RELAPSES} from n={min(column.budget or 0 for column in verdict.columns)} on"
    return {"none found": _NONE, "survived": "not purified"}.get(verdict.outcome, verdict.outcome)
