"""Selects a part of a plan, with the stages that it builds upon and is compared with."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from remission.errors import SpecError
from remission.grid.plan.cell_keys import row_of
from remission.grid.plan.stage import INVERSION, NOBODY, PURIFIER, THE_CONTROL, Stage
from remission.names import composed
from remission.records.ancestry import with_ancestors
from remission.records.identity import identity
from remission.records.kinds import BASELINE, PURIFIED, VICTIM
from remission.records.labels import is_label_of, label_methods


def select(plan: list[Stage], only: str | None) -> list[Stage]:
    """Selects the stages that a user names, the control's for comparison, and their ancestors.

    Args:
        plan: all stages.
        only: the label of a stage, or a glob over labels; or the label of a row as tables show it,
            such as ``pam (rho=0.3)``, which names all stages of that row; with an attack and a
            seed before it, ``badnets/seed0/pam (rho=0.3)``, it names the purified model alone.
            None: everything.

    Raises:
        SpecError: nothing matches.
    """
    if only is None:
        return plan
    only = composed(only)
    labels = {stage.id: composed(stage.label) for stage in plan}
    # A label with a star in it names its own stage.
    selection = {key for key, label in labels.items() if label == only}
    selection = selection or {key for key, label in labels.items() if _matches(label, only)}
    selection = selection or _of_row(plan, only)
    if not selection:
        raise SpecError(
            f"--only '{only}' matches none of {len(plan)} stages",
            f"their labels look like '{plan[-1].label}'; see them all with --dry-run",
        )
    parents = {stage.id: stage.parents.values() for stage in plan}
    selection = with_ancestors(selection, parents)
    controls = {_compared(stage): stage.id for stage in plan if _measures_control(stage)}
    rows = {_compared(stage) for stage in plan if stage.id in selection and stage.table(PURIFIER)}
    selection |= {control for key, control in controls.items() if key in rows}
    selection = with_ancestors(selection, parents)
    return [stage for stage in plan if stage.id in selection]


def _matches(label: str, only: str) -> bool:
    """Returns whether a glob matches a label; a bracket in the glob may be literal."""
    globs = (only, only.replace("[", "[[]"))
    return any(fnmatch.fnmatchcase(label, glob) for glob in globs)


def _of_row(plan: Sequence[Stage], only: str) -> set[str]:
    """Returns the stages of the row that a table calls ``only``, or of ``attack/seed/row``.

    A table may show more parameters of a row than the labels of this plan do: it holds the results
    of other specs as well.
    """
    rows = {stage.id: row for stage in plan if (row := row_of(stage))}
    labels = {row: _shown(label) for row, label in label_methods(rows.values()).items()}
    selection = set()
    for stage in plan:
        if (row := rows.get(stage.id)) is None:
            continue
        label = labels[row]
        before, seed, after = stage.label.partition(f"/seed{stage.context.seed}/")
        behind = after.removeprefix(label)
        text = only
        if after.startswith(label) and only.startswith(before + seed) and only.endswith(behind):
            text = only[len(before + seed) : len(only) - len(behind)]
        if text == label or is_label_of(text, row):
            selection.add(stage.id)
    return selection


def _shown(label: str) -> str:
    """Returns the label as tables print it: ``victim`` where no purifier was used."""
    return VICTIM.name if label == NOBODY else label


def _measures_control(stage: Stage) -> bool:
    """Returns whether a stage measures the control, which rows of purifiers are compared with."""
    return stage.kind == BASELINE.name or stage.method(PURIFIER) == THE_CONTROL


def _compared(stage: Stage) -> str:
    """Returns a key that a stage shares with the stage of the control that it is compared with."""
    kind = BASELINE.name if stage.kind == PURIFIED.name else stage.kind
    left_out_keys = (PURIFIER, INVERSION, "versions")
    shared = {key: value for key, value in stage.settings.items() if key not in left_out_keys}
    return identity(kind, shared, {})
