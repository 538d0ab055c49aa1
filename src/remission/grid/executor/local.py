"""Computes the stages of a run on this computer: in this process, or in several workers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import torch

from remission.grid.executor.grid_run import GridRun
from remission.grid.executor.interruptions import ctrl_c_blocked, tidying
from remission.grid.executor.workers import (
    Setup,
    Worker,
    start_resource_tracker,
    stop,
    wait_for_any,
)
from remission.grid.stages.execute import run_or_record_failure
from remission.progress import listening

_PATIENCE = 0.5
"""The longest wait for a worker, or for other runs, in seconds."""


def compute_in_this_process(run: GridRun, device: torch.device) -> None:
    """Computes one stage after the other."""
    while not run.is_over:
        if (stage := run.next_stage()) is None:
            time.sleep(_PATIENCE)
            continue
        run.reporter.start(stage)
        with listening(partial(run.advance, stage)):
            run.settle(stage, run_or_record_failure(stage, run.store, device))


def compute_in_workers(run: GridRun, setup: Setup, jobs: int) -> None:
    """Computes several stages at once, in ``jobs`` worker processes."""
    workers = list[Worker]()
    start_resource_tracker()
    try:
        while not run.is_over:
            busy = [worker for worker in workers if worker.stage]
            idle = [worker for worker in workers if not worker.stage]
            while len(busy) < jobs and not _one_alone(run, busy):
                if (stage := run.next_stage(others=len(busy))) is None:
                    break
                with ctrl_c_blocked():  # a worker that nobody knows could not be ended
                    worker = idle.pop() if idle else Worker(setup)
                    if worker not in workers:
                        workers.append(worker)
                run.reporter.start(stage)
                worker.give(stage)
                busy.append(worker)
            if not busy:
                time.sleep(_PATIENCE)
            for worker in wait_for_any(busy, _PATIENCE):
                if not _hear(run, worker):
                    workers.remove(worker)
    finally:
        with tidying():  # a second Ctrl-C must not cut it short
            stop(workers)
            run.store.drop_parts()


def _one_alone(run: GridRun, busy: Sequence[Worker]) -> bool:
    """Returns whether a stage is computed that must have the device for itself."""
    return any(worker.stage and worker.stage.id in run.alone for worker in busy)


def _hear(run: GridRun, worker: Worker) -> bool:
    """Deals with what a worker says; returns whether it lives."""
    stage = worker.stage
    assert stage is not None
    try:
        for message in worker.messages():
            if message.about == "advance":
                run.advance(stage, *message.content)
            elif message.about == "line":
                worker.log.add(message.content)
            elif message.about == "store error":
                raise message.content
            else:
                worker.stage = None
                if not run.requeue_alone(stage, message.content):
                    run.settle(stage, message.content)
    except EOFError:
        if worker.stage is not None:  # else it had ended its stage before it died
            run.fail(stage, worker.death(), worker.log.lines())
        stop([worker])
        return False
    return True
