"""In which order the stages of a plan are computed."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

from remission.grid.plan.stage import Stage


class StageQueue:
    """The stages of a plan that are still to be computed.

    A stage is *ready* when all that it builds upon is finished. Of those that are ready the first
    in the plan comes first, so that a whole row of a table is finished early; or that with the
    longest chain of stages behind it, so that many workers wait less at the end.

    Args:
        plan: parents before children.
        finished: identities of the stages that need not be computed.
        longest_chain_first: whether the second order is taken.
    """

    def __init__(
        self, plan: Sequence[Stage], finished: Iterable[str], *, longest_chain_first: bool = False
    ) -> None:
        done = set(finished)
        waiting = [stage for stage in plan if stage.id not in done]
        self._place = {stage.id: index for index, stage in enumerate(plan)}
        self._stages = {stage.id: stage for stage in waiting}
        self._children = dict[str, list[str]]()
        self._missing = dict[str, int]()
        self._ready = list[tuple[int, int, str]]()
        self._chain = _chains(waiting) if longest_chain_first else dict[str, int]()
        for stage in waiting:
            parents = [one for one in set(stage.parents.values()) if one not in done]
            self._missing[stage.id] = len(parents)
            for parent in parents:
                self._children.setdefault(parent, []).append(stage.id)
            if not parents:
                self.make_ready(stage)

    def __len__(self) -> int:
        """Returns how many stages are neither finished nor failed nor skipped."""
        return len(self._stages)

    def next_stage(self) -> Stage | None:
        """Takes the next stage that is ready; None where there is none."""
        while self._ready:
            *_, identity = heapq.heappop(self._ready)
            if identity in self._stages:
                return self._stages[identity]
        return None

    def make_ready(self, stage: Stage) -> None:
        """Makes a stage ready: its parents are finished, or it was taken and is given back."""
        first = -self._chain.get(stage.id, 0)
        heapq.heappush(self._ready, (first, self._place[stage.id], stage.id))

    def finish(self, stage: Stage) -> None:
        """Notes that a stage is finished, so that its children may be ready."""
        if self._stages.pop(stage.id, None) is None:
            return
        for child in self._children.get(stage.id, ()):
            self._missing[child] -= 1
            if not self._missing[child] and child in self._stages:
                self.make_ready(self._stages[child])

    def fail(self, stage: Stage) -> Iterator[Stage]:
        """Notes that a stage failed; yields the stages that build upon it, which are skipped."""
        self._stages.pop(stage.id, None)
        skipped, waiting = set[str](), list(self._children.get(stage.id, ()))
        while waiting:
            child = waiting.pop()
            if child in self._stages and child not in skipped:
                skipped.add(child)
                waiting += self._children.get(child, ())
        for identity in sorted(skipped, key=self._place.__getitem__):
            yield self._stages.pop(identity)


def _chains(plan: Sequence[Stage]) -> dict[str, int]:
    """Returns how many stages the longest chain behind each stage has."""
    chains = dict[str, int]()
    for stage in reversed(plan):
        behind = chains.setdefault(stage.id, 0)
        for parent in stage.parents.values():
            chains[parent] = max(chains.get(parent, 0), behind + 1)
    return chains
