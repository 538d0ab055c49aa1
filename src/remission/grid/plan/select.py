"""A part of a plan: what a user names, and what that part builds upon and is compared with."""

from __future__ import annotations

import fnmatch

from remission.errors import SpecError
from remission.grid.plan.stage import Stage
from remission.names import composed
from remission.records.identity import identity


def select(plan: list[Stage], only: str | None) -> list[Stage]:
    """The stages that a label or glob names, the control's beside them, and what they build upon.

    Raises:
        SpecError: nothing matches.
    """
    if only is None:
        return plan
    glob = composed(only)
    chosen = {s.id for s in plan if _matches(composed(s.label), glob)}
    if not chosen:
        raise SpecError(
            f"--only '{only}' matches none of {len(plan)} stages",
            f"their labels look like '{plan[-1].label}'; see them all with --dry-run",
        )
    _with_parents(plan, chosen)
    controls = {_compared(stage): stage.id for stage in plan if _of_control(stage)}
    wanted = {
        _compared(stage) for stage in plan if stage.id in chosen and "purifier" in stage.settings
    }
    chosen |= {found for key, found in controls.items() if key in wanted}
    _with_parents(plan, chosen)
    return [stage for stage in plan if stage.id in chosen]


def _matches(label: str, glob: str) -> bool:
    return label == glob or fnmatch.fnmatchcase(label, glob)


def _with_parents(plan: list[Stage], chosen: set[str]) -> None:
    """Adds what the chosen stages build upon; parents come before their children in a plan."""
    for stage in reversed(plan):
        if stage.id in chosen:
            chosen.update(stage.parents.values())


def _of_control(stage: Stage) -> bool:
    """Whether a stage measures the control, which rows of purifiers are compared with."""
    purifier = stage.settings.get("purifier", {})
    return stage.kind == "baseline" or purifier.get("method") == "control"


def _compared(stage: Stage) -> str:
    """What a stage has in common with the control's that it is compared with."""
    kind = "baseline" if stage.kind == "purified" else stage.kind
    own = ("purifier", "inversion", "versions")
    shared = {k: v for k, v in stage.settings.items() if k not in own}
    return identity(kind, shared, {})
