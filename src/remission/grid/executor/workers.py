"""Worker processes: what happens in them, and how the parent hears and ends them."""

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
from pathlib import Path
from threading import Event, Lock, Thread

import torch

from remission.grid.executor.reporter import Reporter
from remission.grid.plan.stage import Stage
from remission.grid.stages.attempt import attempt
from remission.mapped_tensors import keep_freed_blocks
from remission.progress import Listener, listening
from remission.records import Record, Store
from remission.user_methods import MethodFile, use

Message = tuple[str, str, int, int]

_messages: Queue[Message] | None = None


@contextmanager
def deaf() -> Iterator[None]:
    """What starts within this context does not hear Ctrl-C, not even before :func:`prepare`."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def prepare(messages: Queue[Message], threads: int, own: tuple[MethodFile, ...]) -> None:
    """Sets up a worker: ignores Ctrl-C (the parent hears it), limits threads, loads methods."""
    global _messages  # noqa: PLW0603  (the pool's only way to hand a queue to its workers)
    _messages = messages
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    keep_freed_blocks()
    for file in own:
        use(file)
    warnings.simplefilter("ignore")


def _end_with_parent() -> None:
    """In a worker: a parent that was killed leaves nobody behind."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def work_on(stage: Stage, folder: Path, writer: str, device: str) -> Record:
    """In a worker: one stage."""
    with listening(_throttled(lambda *m: _messages.put((stage.label, *m)) if _messages else None)):
        return attempt(stage, Store(folder, writer), torch.device(device))


def _throttled(tell: Listener, every: float = 0.2) -> Listener:
    """Passes on the last step and otherwise one message every so many seconds."""
    last = 0.0

    def heard(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= every:
            last = now
            tell(what, done, total)

    return heard


def hear(messages: Queue[Message], reporter: Reporter, lock: Lock, over: Event) -> None:
    """In the parent: passes workers' messages on until the run is over."""
    while not over.is_set():
        with suppress(queue.Empty):
            message = messages.get(timeout=0.1)
            with lock:
                reporter.advance(*message)


def stop(pool: ProcessPoolExecutor) -> None:
    """Ends the workers at once; a stage in progress leaves nothing behind."""
    alive = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in alive:
        process.terminate()
    for process in alive:
        process.join(timeout=10)
