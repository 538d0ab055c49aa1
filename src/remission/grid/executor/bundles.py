"""Which stages go to one task of a cluster: a task costs time, so that short stages share one."""

from __future__ import annotations

from collections.abc import Sequence

from remission.grid.executor.grid_run import GridRun
from remission.grid.plan.stage import Stage
from remission.intervals import mean_of

_SHORT = 60.0
"""Seconds below which a stage is short."""
_MOST = 8
"""Stages that share a task at most."""


class Bundles:
    """Hands out the stages of a run in bundles.

    Args:
        run: its stages.
    """

    def __init__(self, run: GridRun) -> None:
        self.run = run
        self._seconds = dict[str, list[float]]()
        self._separate = set[str]()

    def note(self, stage: Stage, seconds: float) -> None:
        """Notes how long a stage took, from which the duration of others of its kind is known."""
        self._seconds.setdefault(_kind(stage), []).append(seconds)

    def separate(self, stages: Sequence[Stage]) -> None:
        """Puts stages of a bundle back into the queue, each to be alone in its next one."""
        for stage in stages:
            self._separate.add(stage.id)
            self.run.put_back(stage)

    def next_bundle(self, tasks: int) -> list[Stage]:
        """Claims the stage that comes next, and with a short one further short ones of its victim.

        A stage that must have a device for itself is alone in its bundle.

        Args:
            tasks: how many tasks the cluster is to have; bundles are so small that the stages that
                are left suffice for as many.

        Returns:
            The stages of one task, in their order; empty where none is ready.
        """
        first = self.run.next_stage()
        if first is None:
            return []
        bundle, family = [first], _family(first)
        if not self._can_share(first):
            return bundle
        most = min(_MOST, len(self.run.queue) // tasks)
        while len(bundle) < most:
            further = self.run.next_stage(
                fits=lambda stage: self._can_share(stage) and _family(stage) == family
            )
            if further is None:
                break
            bundle.append(further)
        return bundle

    def _can_share(self, stage: Stage) -> bool:
        """Returns whether a stage may share a task: it is short as far as is known."""
        known = self._seconds.get(_kind(stage))
        if stage.id in self.run.alone or stage.id in self._separate:
            return False
        return known is not None and mean_of(known) < _SHORT


def _family(stage: Stage) -> str:
    """Returns the victim that a stage builds upon, or itself."""
    return stage.parents.get("victim", stage.id)


def _kind(stage: Stage) -> str:
    """Returns a key of stages that take about equally long."""
    tables = (stage.settings.get(role) for role in ("attack", "purifier", "reactivation"))
    names = [str(table.get("method")) for table in tables if isinstance(table, dict)]
    return " ".join([stage.kind, *names])
