"""Worker processes: their work, their messages to the parent process, and their end.

Each worker has a pipe of its own, so that one that is killed takes nothing with it but its stage.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any, Literal

import torch

from remission.errors import StoreError
from remission.grid.executor.interruptions import ctrl_c_blocked
from remission.grid.plan.stage import Stage
from remission.grid.stages.execute import run_or_record_failure
from remission.grid.stages.kinds import StageFunction, register_kind
from remission.grid.stages.stage_log import StageLog, Tee
from remission.mapped_tensors import keep_freed_blocks
from remission.progress import Listener, listening
from remission.records import Record, Store
from remission.records.kinds import Kind
from remission.user_methods import MethodFile, use

_SHUTDOWN = 10.0
"""Seconds that a worker has to end before it is killed."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a worker must know before its first stage.

    Args:
        place: where the store lies.
        writer: the writer of the store.
        device: where to compute.
        threads: the number of threads that it computes with.
        files: the files of the user's methods.
        kinds: of stages from outside the package, with the functions that compute them.
    """

    place: str
    writer: str
    device: str
    threads: int
    files: tuple[MethodFile, ...] = ()
    kinds: tuple[tuple[Kind, StageFunction], ...] = ()


@dataclass(frozen=True)
class Message:
    """What a worker says.

    Args:
        about: ``advance``: what is being done, steps done, steps in all; ``line``: a line that it
            printed; ``end``: the record of its stage; ``store error``: the error of the store that
            ended its stage, and with it the run.
        content: as said there.
    """

    about: Literal["advance", "line", "end", "store error"]
    content: Any


def start_resource_tracker() -> None:
    """Starts the resource tracker now: with the first worker its start would unblock Ctrl-C."""
    if os.name == "posix":
        resource_tracker.ensure_running()


@dataclass(eq=False)
class Worker:
    """A process that computes one stage after the other, as its parent sees it.

    Args:
        setup: what it must know.
    """

    setup: Setup
    stage: Stage | None = None
    log: StageLog = field(default_factory=StageLog)

    def __post_init__(self) -> None:
        """Starts the process."""
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.setup))
        with ctrl_c_blocked():
            self.process.start()
        theirs.close()

    def give(self, stage: Stage) -> None:
        """Lets it compute a stage, whose parents are finished."""
        self.stage = stage
        self.log.clear()
        with suppress(OSError):  # it has died already, which :meth:`messages` finds
            self.pipe.send(stage)

    def messages(self) -> Iterator[Message]:
        """Yields what it has said since it was asked last.

        Raises:
            EOFError: it has died, and has said nothing more.
        """
        try:
            while self.pipe.poll():
                yield self.pipe.recv()
        except OSError as error:
            raise EOFError from error
        if not self.process.is_alive() and not self.pipe.poll():
            raise EOFError

    def death(self) -> str:
        """Says in one line how it died."""
        self.process.join(timeout=_SHUTDOWN)
        code = self.process.exitcode
        if code is not None and code < 0:
            with suppress(ValueError):
                return f"its process was ended by {signal.Signals(-code).name} (out of memory?)"
        return f"its process ended with exit status {code}"


def wait_for_any(workers: Sequence[Worker], seconds: float) -> list[Worker]:
    """Returns the workers that have something to say, or have died, within some seconds."""
    by_handle: dict[Any, Worker] = {}
    for worker in workers:
        by_handle |= {worker.pipe: worker, worker.process.sentinel: worker}
    found = wait(list(by_handle), seconds)
    return [worker for worker in workers if {worker.pipe, worker.process.sentinel} & {*found}]


def stop(workers: Sequence[Worker]) -> None:
    """Ends workers at once; their unfinished stages are not stored."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(timeout=_SHUTDOWN)
        if worker.process.is_alive():
            worker.process.kill()
        worker.pipe.close()


def serve(pipe: Connection, setup: Setup) -> None:
    """Computes the stages that come through a pipe, until it is closed: the worker's whole life.

    It ignores Ctrl-C, which its parent handles, and ends when its parent does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    prepare(setup)
    warnings.simplefilter("ignore")
    log = StageLog()

    def say(about: Literal["advance", "line", "end", "store error"], content: object) -> None:
        with suppress(OSError):  # the parent is gone, and this process will be
            pipe.send(Message(about, content))

    def heard(line: str) -> None:
        log.add(line)
        say("line", line)

    sys.stdout, sys.stderr = Tee(sys.stdout, heard), Tee(sys.stderr, heard)
    while True:
        try:
            stage = pipe.recv()
        except (EOFError, OSError):
            return
        log.clear()
        with listening(throttled(lambda *step: say("advance", step))):
            try:
                say("end", _computed(stage, setup, log))
            except StoreError as error:
                say("store error", error)


def prepare(setup: Setup) -> None:
    """Prepares this process for the stages of a run."""
    torch.set_num_threads(setup.threads)
    keep_freed_blocks()
    for file in setup.files:
        use(file)
    for kind, function in setup.kinds:
        register_kind(kind, function)


def _computed(stage: Stage, setup: Setup, log: StageLog) -> Record:
    store = Store(setup.place, setup.writer, create=False)
    return run_or_record_failure(stage, store, torch.device(setup.device), log)


def _end_with_parent() -> None:
    """Ends this worker when its parent ends, however that happens."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def throttled(heard: Callable[[str, int, int], None], every: float = 0.2) -> Listener:
    """Returns a listener that forwards the last step, and one step per ``every`` seconds."""
    last = 0.0

    def forward(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= every:
            last = now
            heard(what, done, total)

    return forward
