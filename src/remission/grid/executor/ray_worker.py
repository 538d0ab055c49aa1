"""What a worker of Ray does: it computes stages, and says how they ended."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import ray
import torch

from remission.grid.executor.cluster import own_code
from remission.grid.executor.interruptions import ended_at_once
from remission.grid.executor.workers import Setup, prepare, throttled
from remission.grid.plan.stage import Stage
from remission.grid.stages.execute import run_or_record_failure
from remission.progress import listening
from remission.records import STORE_MARK, Store
from remission.records.places import place_of

_MEMORY = 2**28
"""Bytes of models that the stages of a bundle, which build upon one victim, read once."""


@dataclass(frozen=True)
class StageEnd:
    """How one stage of a task ended.

    Args:
        identity: of the stage, whose record lies in the store.
        node: of Ray, where it was computed.
        refusal: why the worker computes nothing for this run; empty if it does.
    """

    identity: str
    node: str
    refusal: str = ""


class Mailbox:
    """Holds what workers say about their progress until the run asks; an actor."""

    def __init__(self) -> None:
        self.letters = dict[str, tuple[str, int, int]]()

    def put(self, identity: str, what: str, done: int, total: int) -> None:
        """Takes the newest step of a stage."""
        self.letters[identity] = (what, done, total)

    def take(self) -> dict[str, tuple[str, int, int]]:
        """Returns what came since it was asked last."""
        letters, self.letters = self.letters, {}
        return letters


def compute_stages(stages: list[Stage], setup: Setup, code: str, mailbox: Any) -> list[StageEnd]:  # noqa: ANN401 -- a handle of Ray's
    """Computes stages one after the other, in a worker of Ray.

    Args:
        stages: their parents are finished, or come before them.
        setup: what a worker must know.
        code: the package that the run has, see :func:`own_code`.
        mailbox: hears of progress.

    Raises:
        StoreError: the store cannot be read or written.
    """
    node = ray.get_runtime_context().get_node_id()
    if (why := _refusal(setup, code)) is not None:
        return [StageEnd(stage.id, node, why) for stage in stages]
    _prepare(setup)
    store = Store(setup.place, setup.writer, create=False, memory=_MEMORY)
    ends = list[StageEnd]()
    for stage in stages:
        if store.find(stage.kind, stage.id) is None:  # else an earlier try of this task stored it

            def say(what: str, done: int, total: int, identity: str = stage.id) -> None:
                mailbox.put.remote(identity, what, done, total)

            with listening(throttled(say, every=2.0)), ended_at_once():
                run_or_record_failure(stage, store, torch.device(setup.device))
        ends.append(StageEnd(stage.id, node))
    return ends


def _refusal(setup: Setup, code: str) -> str | None:
    """Returns why this worker cannot compute for a run; None if it can."""
    host = socket.gethostname()
    if (own := own_code()) != code:
        return (
            f"the worker on {host} has remission {own} and the run has {code}: install the same "
            "version on every node"
        )
    place = place_of(setup.place)
    if not (place / STORE_MARK).exists():
        return (
            f"the worker on {host} does not see the store '{setup.place}': give a folder that "
            "every node shares, or an s3:// address"
        )
    return None


_prepared: Setup | None = None


def _prepare(setup: Setup) -> None:
    """Prepares this process once for a run."""
    global _prepared  # noqa: PLW0603 -- a worker of Ray serves many tasks
    if _prepared == setup:
        return
    prepare(setup)
    _prepared = setup
