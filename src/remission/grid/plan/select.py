"""A part of a plan: what a user names, and what that part builds upon and is compared with."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from remission.errors import SpecError
from remission.grid.plan.cell_keys import row_of
from remission.grid.plan.stage import INVERSION, NOBODY, PURIFIER, THE_CONTROL, Stage
from remission.names import composed
from remission.records.identity import identity
from remission.records.kinds import BASELINE, PURIFIED, VICTIM
from remission.records.labels import is_label_of, label_methods


def select(plan: list[Stage], only: str | None) -> list[Stage]:
    """Selects the stages that a user names, the control's beside them, and their ancestors.

    Args:
        plan: all stages.
        only: the label of a stage or a glob over labels; or the label of a row as tables show it,
            which names all stages of that row, and behind the attack and the seed the stages of
            that row there: ``pam (rho=0.3)``, ``badnets/seed0/pam (rho=0.3)``. None: everything.

    Raises:
        SpecError: nothing matches.
    """
    if only is None:
        return plan
    only = composed(only)
    spelled = {stage.id: composed(stage.label) for stage in plan}
    chosen = {key for key, label in spelled.items() if label == only}  # stars stand for themselves
    chosen = chosen or {key for key, label in spelled.items() if _matches(label, only)}
    chosen = chosen or _of_row(plan, only)
    if not chosen:
        raise SpecError(
            f"--only '{only}' matches none of {len(plan)} stages",
            f"their labels look like '{plan[-1].label}'; see them all with --dry-run",
        )
    _add_parents(plan, chosen)
    controls = {_compared(stage): stage.id for stage in plan if _measures_control(stage)}
    wanted = {_compared(stage) for stage in plan if stage.id in chosen and stage.table(PURIFIER)}
    chosen |= {control for key, control in controls.items() if key in wanted}
    _add_parents(plan, chosen)
    return [stage for stage in plan if stage.id in chosen]


def _matches(label: str, only: str) -> bool:
    """Tells whether a glob matches a label; a bracket of the glob may stand for itself."""
    globs = (only, only.replace("[", "[[]"))
    return any(fnmatch.fnmatchcase(label, glob) for glob in globs)


def _of_row(plan: Sequence[Stage], only: str) -> set[str]:
    """Returns the stages of the row that a table calls ``only``, or of ``attack/seed/row``.

    A table may show more parameters of a row than the labels of this plan do: it holds the results
    of other specs as well.
    """
    rows = {stage.id: row for stage in plan if (row := row_of(stage))}
    labels = {row: _shown(label) for row, label in label_methods(rows.values()).items()}
    chosen = set()
    for stage in plan:
        if (row := rows.get(stage.id)) is None:
            continue
        own = labels[row]
        before, seed, after = stage.label.partition(f"/seed{stage.context.seed}/")
        behind = after.removeprefix(own)
        text = only
        if after.startswith(own) and only.startswith(before + seed) and only.endswith(behind):
            text = only[len(before + seed) : len(only) - len(behind)]
        if text == own or is_label_of(text, row):
            chosen.add(stage.id)
    return chosen


def _shown(label: str) -> str:
    """Returns the label as tables print it: ``victim`` where no purifier was used."""
    return VICTIM.name if label == NOBODY else label


def _add_parents(plan: list[Stage], chosen: set[str]) -> None:
    """Adds what the chosen stages build upon; parents come before their children in a plan."""
    for stage in reversed(plan):
        if stage.id in chosen:
            chosen.update(stage.parents.values())


def _measures_control(stage: Stage) -> bool:
    """Tells whether a stage measures the control, which rows of purifiers are compared with."""
    return stage.kind == BASELINE.name or stage.method(PURIFIER) == THE_CONTROL


def _compared(stage: Stage) -> str:
    """Returns a key that a stage has in common with that of the control it is compared with."""
    kind = BASELINE.name if stage.kind == PURIFIED.name else stage.kind
    own = (PURIFIER, INVERSION, "versions")
    shared = {key: value for key, value in stage.settings.items() if key not in own}
    return identity(kind, shared, {})
