"""Worker processes: their work, their messages to the parent process, and their end."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.queues import Queue
from threading import Event, Lock, Thread

import torch

from remission.grid.executor.reporter import Reporter
from remission.grid.plan.stage import Stage
from remission.grid.stages.execute import run_or_record_failure
from remission.grid.stages.kinds import StageFunction, register_kind
from remission.mapped_tensors import keep_freed_blocks
from remission.progress import Listener, listening
from remission.records import Record, Store
from remission.records.kinds import Kind
from remission.user_methods import MethodFile, use

Message = tuple[str, str, int, int]
"""Label of a stage, what is being done in it, steps done, steps in all."""

_messages: Queue[Message] | None = None


@contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Blocks Ctrl-C for processes that start within this context, even before :func:`prepare`."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def prepare(
    messages: Queue[Message],
    threads: int,
    files: tuple[MethodFile, ...],
    kinds: tuple[tuple[Kind, StageFunction], ...],
) -> None:
    """Sets up a worker process.

    It ignores Ctrl-C, which its parent handles, and ends when its parent does.

    Args:
        messages: where the worker reports its progress.
        threads: the number of threads that it computes with.
        files: the files of the user's methods.
        kinds: of stages from outside the package, with the functions that compute them.
    """
    global _messages  # noqa: PLW0603  (the pool's only way to hand a queue to its workers)
    _messages = messages
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    keep_freed_blocks()
    for file in files:
        use(file)
    for kind, function in kinds:
        register_kind(kind, function)
    warnings.simplefilter("ignore")


def _end_with_parent() -> None:
    """Ends this worker when its parent ends, however that happens."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def work_on(stage: Stage, folder: str, writer: str, device: str) -> Record:
    """Computes one stage in a worker.

    Args:
        stage: its parents are finished.
        folder: where the store lies.
        writer: the writer of the store.
        device: where to compute.
    """

    def send(what: str, done: int, total: int) -> None:
        if _messages:
            _messages.put((stage.label, what, done, total))

    with listening(_throttled(send)):
        return run_or_record_failure(stage, Store(folder, writer), torch.device(device))


def _throttled(listener: Listener, every: float = 0.2) -> Listener:
    """Returns a listener that forwards the last step, and one step per ``every`` seconds."""
    last = 0.0

    def forward(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= every:
            last = now
            listener(what, done, total)

    return forward


def pass_on(messages: Queue[Message], reporter: Reporter, lock: Lock, over: Event) -> None:
    """Passes the messages of workers on to the reporter, in the parent, until the run is over."""
    while not over.is_set():
        with suppress(queue.Empty):
            message = messages.get(timeout=0.1)
            with lock:
                reporter.advance(*message)


def stop(pool: ProcessPoolExecutor) -> None:
    """Ends the workers at once; their unfinished stages are not stored."""
    alive = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in alive:
        process.terminate()
    for process in alive:
        process.join(timeout=10)
