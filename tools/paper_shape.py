"""The table of the paper in its shape: one per attack, each purifier at its chosen setting."""

from __future__ import annotations

from collections.abc import Iterator

from remission.report.groups.estimates import show
from remission.report.groups.group import Group
from remission.report.groups.keys import CONTROL, VICTIM
from remission.report.groups.results import Results
from remission.report.groups.rows import Row
from remission.report.groups.titles import titles
from remission.report.measures.held_out import Trials

_RELAPSES, _NONE = "relapses", "no relapse"
PAPER = {
    "ep": _NONE,
    "anp": _RELAPSES,
    "i_bau": _RELAPSES,
    "ft_sam": _RELAPSES,
    "fst": _RELAPSES,
    "bti_dbf": _RELAPSES,
    "pam": _NONE,
    "pam_path": "–",
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
    lines = list[str]()
    for group in results.groups:
        rows = [row for row in group.purified if row.purifier in chosen]
        rows = sorted(
            (row for row in rows if row.purifier.name in PAPER),
            key=lambda row: list(PAPER).index(row.purifier.name),
        )
        if rows:
            rate = f"{100 * group.key.poison_rate:g} %"
            lines += [f"### {names[group.key]}, poison rate {rate}", ""]
            lines += [*_table(group, rows), ""]
    return [_INTRO, *lines] if lines else []


def _table(group: Group, rows: list[Row]) -> Iterator[str]:
    """Yields the lines of one table: the victim, the control, then the purifiers."""
    budgets = [column for column in group.columns if column.budget]
    heads = ["C-Acc", "O-ASR", *(f"P-ASR n={column.budget}" for column in budgets)]
    yield _line(["purifier", *heads, "here", "in the paper"])
    yield _line([":--", *["--:"] * len(heads), ":--", ":--"])
    references = [row for name in (VICTIM, CONTROL) if (row := group.row(name))]
    for row in (*references, *rows):
        numbers = [row.number("clean_acc"), row.number("asr")]
        numbers += [row.number("asr", column) for column in budgets]
        texts = [show(number, seeds=group.seeds) for number in numbers]
        words = ["–", "–"] if row.reference else [_here(group, row), PAPER[row.purifier.name]]
        yield _line([row.label.replace("_", "\\_"), *texts, *words])


def _here(group: Group, row: Row) -> str:
    """Returns what the models of a row show."""
    verdict = group.verdict(row)
    if verdict.outcome == "relapse":
        return f"{_RELAPSES} from n={min(column.budget or 0 for column in verdict.columns)} on"
    return {"none found": _NONE, "survived": "not purified"}.get(verdict.outcome, verdict.outcome)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
