"""The view ``overview``: one row per purifier, its largest gap to the control under each attack.

Whether a model was purified and how far it relapses are two numbers. They stand in two columns, and
no mean has both in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from remission.records import Json
from remission.report.groups.estimates import FAILED, MISSING, Estimate, mean_known, points
from remission.report.groups.group import Group
from remission.report.groups.keys import CONTROL
from remission.report.groups.labels import printable
from remission.report.groups.results import Results
from remission.report.groups.rows import Column
from remission.report.groups.thresholds import LOSS, MARGIN
from remission.report.groups.titles import comparison_title, titles
from remission.report.measures.standings import LOST, NOT_JUDGED, Standing, Worst, standings
from remission.report.measures.worst_gap import (
    BOUNDS,
    MIDDLE,
    Ensembles,
    over_attacks,
    tried,
    worst_rows,
)
from remission.report.tables.formats import Table
from remission.report.tables.purified import gap_text, numbers_of, purified_text, relapse_text
from remission.report.tables.views import View, register_view

KNOWS = " †"
"""The mark of a purifier that is given the attacker's own trigger."""
_NOTE = (
    "in points, {seeds}. For each attack the table shows the largest gap between the P-ASR and the "
    "control's after the same reactivation, and the reactivation where it is largest: it is "
    "a relapse if the gap is more than {margin:.0f} points and its interval excludes 0. The words "
    "“not purified” mean that the O-ASR already lies more than {margin:.0f} points above the "
    "control's ([1/3]: with one seed of three), “not applied” that the purifier returned the "
    "victim unchanged (a seed with which it did so is left out, and counted in brackets), “broken” "
    "that clean accuracy lies more than {loss:.0f} points below the victim's (retunings that cost "
    "as much are left out), and “attack failed” that the victim has no backdoor. The first row is "
    "the control's own highest ASR, in percent: where it is high, the reactivation teaches the "
    "backdoor anew, and a small gap says little"
)
_PURIFIED = (
    "Purified: in how many of the cells the O-ASR is at most {margin:.0f} points above the "
    "control's. A cell is one attack with one seed, where the victim has a working backdoor. Cells "
    "whose purifier was not applied or broke the model count as not purified. Relapse of those: "
    "the largest gap of each purified cell and of no other, mean over the attacks of the mean over "
    "the seeds, ± half width of the 95 % Student-t interval over the attacks (with one attack: "
    "over its seeds; of a single cell, in brackets: the interval from the number of test images)"
)
_COLUMNS = (
    "Largest O-ASR: the highest mean over seeds among the attacks. C-Acc change: compared with the "
    "victim, mean over the attacks, where the purifier was applied. Ft epochs: cost in epochs of "
    "plain fine-tuning on the same clean images by processor time, inversion included, mean over "
    "the attacks, where the store holds ft"
)
_ORDER = (
    "Rows are ordered by the share of cells that were purified and, where it is equal, by the "
    "relapse of those. This is no ranking: purifiers that purified different cells have their "
    "relapse under different attacks, and the costs differ"
)
KNOWS_NOTE = (
    "†: given the attacker's own trigger, as from a perfect inversion, so that it is no defence"
)


_WORST = (
    "Worst gap of those: the ASR of each purified cell and of no other after the worst of many "
    f"retunings that cost at most {100 * BOUNDS[MIDDLE]:g} points of clean accuracy, minus the "
    "control's after the control's own worst; mean over the attacks. The view worst says which "
    "retunings these are"
)


_HEADER = ("purified", "relapse of those", "largest O-ASR", "C-Acc change", "ft epochs")
"""The columns behind those of the attacks."""
_WORST_HEADER = "worst gap of those"
"""A further column, where the store has ensembles of retunings."""

_Worst = dict[str, dict[str, Estimate]]
"""Label of a purifier -> title of an attack -> worst gap of the purified cells."""


def overview_tables(results: Results) -> list[Table]:
    """Builds one table per data set and architecture."""
    pairs = zip(results.overviews, results.overview_settings, strict=True)
    ensembles = tried(results)
    return [_table(groups, setting, _worst_gaps(groups, ensembles)) for groups, setting in pairs]


def _worst_gaps(groups: Sequence[Group], ensembles: Ensembles) -> _Worst:
    """Returns the worst gaps of these groups; empty where there are no ensembles."""
    names, gaps = titles(groups), _Worst()
    for group in groups:
        for row in worst_rows(group, ensembles):
            of_row = gaps.setdefault(row.row.label, {})
            of_row[names[group.key]] = row.at[MIDDLE].purified
    return gaps


def _table(groups: Sequence[Group], setting: str, worst: _Worst) -> Table:
    names = list(titles(groups).values())
    purifiers = standings(groups)
    several = len({column.label for group in groups for column in group.columns}) > 1
    control = [_control(group, several=several) for group in groups]
    key = groups[0].key
    last = [*_HEADER, *([_WORST_HEADER] if worst else [])]
    return Table(
        title=comparison_title(key.dataset, key.arch, "all attacks", setting),
        notes=[
            _NOTE.format(seeds=_seeds(purifiers), margin=100 * MARGIN, loss=100 * LOSS),
            _PURIFIED.format(margin=100 * MARGIN),
            _COLUMNS,
            *([_WORST] if worst else []),
            _ORDER,
            *([KNOWS_NOTE] if any(standing.knows_trigger for standing in purifiers) else []),
        ],
        header=["purifier", *names, *last],
        kinds=["control", *["purifier"] * len(purifiers)],
        rows=[
            ["control", *control, *[MISSING] * len(last)],
            *(
                [
                    *_row(standing, names, several=several),
                    *(
                        [gap_text(over_attacks(worst.get(standing.label, {}).values()))]
                        if worst
                        else []
                    ),
                ]
                for standing in purifiers
            ),
        ],
        shading=[
            [None] * (1 + len(names) + len(last)),
            *(
                [
                    None,
                    *(_shade(standing.under.get(name)) for name in names),
                    *[None] * len(last),
                ]
                for standing in purifiers
            ),
        ],
    )


def _row(standing: Standing, names: Sequence[str], *, several: bool) -> list[str]:
    change = mean_known([worst.change.mean for worst in standing.worked])
    cost = mean_known([worst.epochs for worst in standing.worked])
    o_asr = [worst.o_asr.mean for worst in standing.worked if worst.o_asr.mean is not None]
    return [
        standing.label + (KNOWS if standing.knows_trigger else ""),
        *(_cell(standing.under.get(name), several=several) for name in names),
        purified_text(standing.cells),
        relapse_text(standing.cells),
        f"{100 * max(o_asr):.1f}" if o_asr else MISSING,
        MISSING if change is None else points(change),
        MISSING if cost is None else f"{cost:.0f}",
    ]


def _seeds(purifiers: Sequence[Standing]) -> str:
    """Returns how many seeds the gaps rest on."""
    counts = sorted({w.gap.n for standing in purifiers for w in standing.under.values() if w.gap.n})
    if not counts or counts == [1]:
        return "one seed"
    if len(counts) == 1:
        return f"mean over {counts[0]} seeds"
    return f"mean over the seeds of each purifier ({counts[0]} to {counts[-1]})"


def _control(group: Group, *, several: bool) -> str:
    """Returns the control's highest ASR: ``97.4 (n=100)``."""
    row = group.row(CONTROL)
    columns = [None, *group.columns]
    rates = [(row.number("asr", p).mean, p) for p in columns] if row else []
    rate, column = max(
        ((rate, p) for rate, p in rates if rate is not None),
        key=lambda pair: pair[0],
        default=(None, None),
    )
    if rate is None:
        return MISSING
    return f"{100 * rate:.1f}{_place(column, several=several)}"


def _place(column: Column | None, *, several: bool) -> str:
    """Returns the budget of a reactivation, with its name where the table has ``several``."""
    if column is None:
        return ""
    if several:
        return f" ({printable(column.title)})"
    return "" if column.budget is None else f" (n={column.budget})"


def _shade(worst: Worst | None) -> float | None:
    if worst is None or worst.gap.mean is None or worst.verdict.outcome in NOT_JUDGED:
        return None
    return 1.0 if worst.lost else max(0.0, worst.gap.mean)


def _cell(worst: Worst | None, *, several: bool) -> str:
    if worst is None:
        return MISSING
    if word := LOST.get(worst.verdict.outcome) or NOT_JUDGED.get(worst.verdict.outcome):
        return word
    if worst.gap.mean is None or worst.column is None:
        if worst.gap.failed or worst.o_asr.failed:
            return FAILED
        return "not judged" if worst.skipped else MISSING
    count, seeds = worst.verdict.not_purified
    share = f" [{count}/{seeds}]" if 0 < count < seeds else ""
    count, seeds = worst.verdict.not_applied
    share += f" [{count}/{seeds} not applied]" if count else ""
    return points(worst.gap.mean) + _place(worst.column, several=several) + share


def _objects(results: Results) -> list[Json]:
    """Builds one object per purifier and attack, rates as fractions."""
    ensembles = tried(results)
    return [
        {
            "dataset": groups[0].key.dataset,
            "arch": groups[0].key.arch,
            "attack": name,
            "purifier": standing.purifier.name,
            "purifier_params": standing.purifier.parameters,
            "label": standing.label,
            "gap_to_control": worst.gap.mean,
            "gap_half_width": worst.gap.half_width,
            "seeds": worst.gap.n,
            "reactivation": worst.column.reactivation.name if worst.column else None,
            "budget": worst.column.budget if worst.column else None,
            "survived": worst.verdict.outcome == "survived",
            "outcome": worst.verdict.outcome,
            "verdict": worst.verdict.text,
            "seeds_survived": worst.verdict.not_purified[0],
            **numbers_of(worst.cells),
            **numbers_of(standing.cells, "overall_"),
            "o_asr": worst.o_asr.mean,
            "clean_acc_change": worst.change.mean,
            "ft_epochs": worst.epochs,
            "worst_gap_of_purified": gaps.get(standing.label, {}).get(name, Estimate()).mean,
            "setting": groups[0].key.subject()["setting"],
        }
        for groups in results.overviews
        for gaps in [_worst_gaps(groups, ensembles)]
        for standing in standings(groups)
        for name, worst in standing.under.items()
    ]


register_view(
    View(
        name="overview",
        summary="one row per purifier, one column per attack",
        empty="no purified model is measured yet",
        tables=overview_tables,
        objects=_objects,
    )
)
