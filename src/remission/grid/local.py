"""Runs a plan on this machine: one process after the other, or several at once.

What is computed does not depend on how many processes there are: each has the same number of
threads, since threads change the last bits of sums, and training amplifies them.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.queues import Queue
from pathlib import Path
from threading import Event, Lock, Thread

import torch

from remission.errors import StoreError
from remission.grid.environment import environment
from remission.grid.own import Source, use, used
from remission.grid.plan import Stage
from remission.grid.reporter import Outcome, Reporter
from remission.grid.stages import cell_keys, execute
from remission.grid.store import Store
from remission.models import resolve_precision
from remission.progress import Listener, listening
from remission.records import Cell, Record

Message = tuple[str, str, int, int]

_PATIENCE = 0.5
"""Seconds of the longest wait that nothing can interrupt."""


def default_jobs(device: torch.device) -> int:
    """Processes at once: one a processor core up to 4, one on an accelerator."""
    return min(_cores(), 4) if device.type == "cpu" else 1


def threads() -> int:
    """Threads of every process: the same whatever the number of processes, and so the results."""
    return max(1, _cores() // min(_cores(), 4))


def _cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_plan(
    plan: list[Stage],
    store: Store,
    reporter: Reporter,
    *,
    device: torch.device,
    jobs: int,
) -> Outcome:
    """Computes what the store does not hold yet.

    A stage that fails is recorded as failed, those that build upon it are skipped, the others go
    on.

    Args:
        plan: parents before children.
        store: read and written.
        reporter: told of everything.
        device: where to compute.
        jobs: processes at once; 1 computes in this process.

    Raises:
        StoreError: the store cannot be written; everything finished is kept.
        KeyboardInterrupt: interrupted; everything finished is kept.
    """
    finished = {s.id: s for s in plan if store.find(s.kind, s.id)}
    outcome = Outcome(stored=[stage.label for stage in finished.values()])
    reporter.begin(len(plan), len(finished))
    if not (waiting := [stage for stage in plan if stage.id not in finished]):
        return outcome
    run = _Run(store, reporter, outcome, set(finished), waiting)
    if jobs == 1:
        run.here(device)
    else:
        run.in_processes(device, jobs)
    return outcome


class _Run:
    """The state of one run: what is finished, what waits, what failed."""

    def __init__(
        self,
        store: Store,
        reporter: Reporter,
        outcome: Outcome,
        finished: set[str],
        waiting: list[Stage],
    ) -> None:
        self.store, self.reporter, self.outcome = store, reporter, outcome
        self.finished, self.waiting = finished, waiting
        self.lost: set[str] = set()

    def here(self, device: torch.device) -> None:
        """One stage after the other, in this process."""
        while stage := self.next_stage():
            self.reporter.start(stage)
            label = stage.label

            def heard(what: str, done: int, total: int, label: str = label) -> None:
                self.reporter.advance(label, what, done, total)

            with listening(heard):
                self.settle(stage, attempt(stage, self.store, device))

    def in_processes(self, device: torch.device, jobs: int) -> None:
        """Several stages at once, each in a process of its own kind."""
        context = multiprocessing.get_context("spawn")
        messages: Queue[Message] = context.Queue()
        lock, over = Lock(), Event()
        pool = ProcessPoolExecutor(
            jobs, context, initializer=_prepare, initargs=(messages, threads(), used())
        )
        ear = Thread(target=_hear, args=(messages, self.reporter, lock, over), daemon=True)
        ear.start()
        running: dict[Future[Record], Stage] = {}
        try:
            while True:
                while len(running) < jobs and (stage := self.next_stage()):
                    with lock, _deaf():
                        self.reporter.start(stage)
                        work = pool.submit(
                            _work, stage, self.store.folder, self.store.writer, str(device)
                        )
                    running[work] = stage
                if not running:
                    break
                # a Ctrl-C that another thread received is heard only when this one runs again
                for work in wait(running, _PATIENCE, return_when=FIRST_COMPLETED).done:
                    record = work.result()
                    with lock:
                        self.settle(running.pop(work), record)
        except BrokenProcessPool as error:
            names = ", ".join(stage.label for stage in running.values()) or "a stage"
            raise StoreError(
                f"a worker process died while computing {names} (out of memory?)",
                "run again with fewer --jobs; everything finished is kept",
            ) from error
        finally:
            with _deaf():  # a second Ctrl-C must not cut the tidying short
                _stop(pool)
            self.store.drop_parts()
            over.set()
            ear.join(timeout=5)

    def next_stage(self) -> Stage | None:
        """The next stage whose parents are finished; those with a lost parent are skipped."""
        for stage in list(self.waiting):
            if any(parent in self.lost for parent in stage.parents.values()):
                self.waiting.remove(stage)
                self.lost.add(stage.id)
                self.outcome.skipped.append(stage.label)
                self.store.keep(_failed(stage, "not computed: what it builds upon failed"))
                self.reporter.skip(stage)
            elif all(parent in self.finished for parent in stage.parents.values()):
                self.waiting.remove(stage)
                return stage
        return None

    def settle(self, stage: Stage, record: Record) -> None:
        """Books a stage as finished or failed."""
        if record.status == "done":
            self.finished.add(stage.id)
            self.outcome.computed.append(stage.label)
        else:
            self.lost.add(stage.id)
            self.outcome.failed[stage.label] = record.error or "unknown error"
        self.reporter.finish(stage, record)


def attempt(stage: Stage, store: Store, device: torch.device) -> Record:
    """Executes a stage; a failure becomes a record that says why.

    Raises:
        StoreError: the store cannot be written.
    """
    began = time.perf_counter()
    try:
        return execute(stage, store, device)
    except StoreError:
        raise
    except Exception as error:  # whatever a method does wrong, the other cells go on
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        precision = resolve_precision(stage.settings["context"]["precision"], device)
        record = replace(
            _failed(stage, reason),
            environment=environment(device, precision),
            seconds=time.perf_counter() - began,
        )
        store.keep(record)
        return record


def _failed(stage: Stage, reason: str) -> Record:
    """The record of a stage that has no result, with its cell if it would have measured one."""
    measured = stage.kind in ("victim", "baseline", "purified", "reactivated", "innocent")
    return Record(
        id=stage.id,
        kind=stage.kind,
        label=stage.label,
        status="failed",
        settings=stage.settings,
        parents=stage.parents,
        cell=Cell(**cell_keys(stage), status="failed", error=reason) if measured else None,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        error=reason,
    )


_messages: Queue[Message] | None = None


@contextmanager
def _deaf() -> Iterator[None]:
    """What starts within this context does not hear Ctrl-C, not even before :func:`_prepare`."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(messages: Queue[Message], threads: int, own: tuple[Source, ...]) -> None:
    """In a new worker: Ctrl-C is the parent's, threads are shared out, one's own methods known."""
    global _messages  # noqa: PLW0603  (the pool's only way to hand a queue to its workers)
    _messages = messages
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    for source in own:
        use(source)
    warnings.simplefilter("ignore")


def _end_with_parent() -> None:
    """In a worker: a parent that was killed leaves nobody behind."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _work(stage: Stage, folder: Path, writer: str, device: str) -> Record:
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


def _hear(messages: Queue[Message], reporter: Reporter, lock: Lock, over: Event) -> None:
    """In the parent: passes workers' messages on until the run is over."""
    while not over.is_set():
        with suppress(queue.Empty):
            message = messages.get(timeout=0.1)
            with lock:
                reporter.advance(*message)


def _stop(pool: ProcessPoolExecutor) -> None:
    """Ends the workers at once; a stage in progress leaves nothing behind."""
    alive = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in alive:
        process.terminate()
    for process in alive:
        process.join(timeout=10)
