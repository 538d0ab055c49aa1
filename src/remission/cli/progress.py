"""Progress on standard error: bars at a terminal, elsewhere one line per finished stage."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from remission.names import class_text, printable
from remission.progress import listening

if TYPE_CHECKING:
    from remission.grid.executor.reporter import Reporter
    from remission.grid.plan.stage import Stage
    from remission.records import Record


@contextmanager
def reporting(quiet: bool) -> Iterator[Reporter]:
    """Yields the reporter that suits standard error: one with bars, with lines, or a silent one."""
    from remission.grid.executor.reporter import SilentReporter

    if quiet:
        yield SilentReporter()
    elif sys.stderr.isatty():
        with BarReporter() as bars:
            yield bars
    else:
        yield LineReporter()


@contextmanager
def waiting(quiet: bool, what: str) -> Iterator[Callable[[str], None]]:
    """Shows a line at a terminal while something short is done; elsewhere shows nothing.

    Args:
        quiet: shows nothing at a terminal either.
        what: the first line; the function that this context yields replaces it by another.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda text: None
        return
    with Console(stderr=True).status(escape(what)) as status:
        yield lambda text: status.update(escape(text))


@contextmanager
def loops_shown(quiet: bool) -> Iterator[None]:
    """Shows how far each loop is: a bar at a terminal, elsewhere one line per loop."""
    if quiet:
        yield
        return
    if not sys.stderr.isatty():
        said = set[str]()

        def line(what: str, done: int, total: int) -> None:
            if what and what not in said:
                said.add(what)
                print(what, file=sys.stderr)

        with listening(line):
            yield
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def step(what: str, done: int, total: int) -> None:
            if what:
                if what not in tasks:
                    tasks[what] = bars.add_task(what, total=total)
                bars.update(tasks[what], completed=done, total=total)
                if done >= total:
                    bars.remove_task(tasks.pop(what))

        with listening(step):
            yield


def said_to_take(quiet: bool, estimate: Callable[[], float]) -> None:
    """Prints how long work will take; measures nothing where nobody would read it."""
    if quiet:
        return
    with waiting(quiet, "measuring step times"):
        seconds = estimate()
    print(f"this will take {about(seconds)} on this machine", file=sys.stderr, flush=True)


def about(seconds: float | None) -> str:
    """Returns a rounded duration: ``~45 s``, ``~12 min``, ``~3 h 20 min``; ``?`` without one."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"~{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"~{minutes} min" if minutes < 90 else f"~{minutes // 60} h {minutes % 60:02} min"


def outcome_line(stage: Stage, record: Record) -> str:
    """Returns the result of a finished stage in one line."""
    if record.status == "failed":
        return printable(f"{stage.label}: failed: {record.error}")
    line = f"{stage.label}: {record.seconds:.1f} s"
    if record.cell and record.cell.clean_acc is not None:
        line += f", C-Acc {record.cell.clean_acc:.1%}"
        line += f", ASR {record.cell.asr:.1%}" if record.cell.asr is not None else ""
    if "target" in record.details:
        answer = _class(record.details, "target")
        if suspects := record.details.get("candidates"):
            line += f", abstains between classes {' and '.join(map(str, suspects))}"
        else:
            line += ", names no class" if answer is None else f", names class {answer}"
        if (target := _class(record.details, "true_target")) is not None:
            line += ", the true one" if target == answer else f", true: {target}"
        if (lead := record.details.get("lead")) is not None:
            line += f", lead {lead:.1f}"
    return line


def _class(details: Mapping[str, Any], key: str) -> str | None:
    """Returns a class by number and name, for example ``3 (bag)``; None where there is none."""
    index = details.get(key)
    return None if index is None else class_text(index, details.get(f"{key}_name"))


def short(label: str) -> str:
    """Returns a stage's label without attack and seed, so that it fits next to a bar."""
    return label.split("/", 2)[-1] if label.count("/") > 1 else label


class LineReporter:
    """Prints one line per finished stage."""

    def note(self, sentence: str) -> None:
        """Prints the sentence as a line."""
        self.say(f"data: {sentence}")

    def begin(self, stages: int, stored: int) -> None:
        """Prints the number of stages."""
        self.total, self.done = stages, stored
        self.say(f"{stages} stages, {stored} stored already")

    def start(self, stage: Stage) -> None:
        """Prints nothing: the line comes when the stage is finished."""

    def advance(self, label: str, what: str, done: int, total: int) -> None:
        """Prints nothing."""

    def finish(self, stage: Stage, record: Record) -> None:
        """Prints the result of the stage."""
        self.done += 1
        self.say(f"[{self.done}/{self.total}] {outcome_line(stage, record)}")

    def skip(self, stage: Stage) -> None:
        """Prints that a stage is skipped."""
        self.done += 1
        self.say(f"[{self.done}/{self.total}] {stage.label}: skipped")

    def say(self, line: str) -> None:
        """Prints a line without delay."""
        print(line, file=sys.stderr, flush=True)


class BarReporter:
    """Shows a bar for the grid and one for each stage in progress."""

    def __init__(self) -> None:
        self.bars = Progress(
            TextColumn(
                "{task.description}", markup=False, table_column=Column(width=44, no_wrap=True)
            ),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self.tasks: dict[str, TaskID] = {}
        self.whole: TaskID | None = None

    def __enter__(self) -> BarReporter:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def note(self, sentence: str) -> None:
        """Prints the sentence above the bars."""
        self.bars.console.print(f"data: {sentence}", markup=False, highlight=False)

    def begin(self, stages: int, stored: int) -> None:
        """Shows the bar of the whole grid."""
        self.whole = self.bars.add_task("all", total=stages, completed=stored, unit="stages")

    def start(self, stage: Stage) -> None:
        """Shows a bar for a stage."""
        self.tasks[stage.label] = self.bars.add_task(
            f"{short(stage.label)}: starting", total=None, unit="steps"
        )

    def advance(self, label: str, what: str, done: int, total: int) -> None:
        """Moves the bar of a stage."""
        if task := self.tasks.get(label):
            name = short(label)
            name = name if what in name else f"{name}: {what}"
            self.bars.update(task, description=name, completed=done, total=total)

    def finish(self, stage: Stage, record: Record) -> None:
        """Replaces a stage's bar by a line with its result."""
        self.bars.console.print(outcome_line(stage, record), markup=False, highlight=False)
        if (task := self.tasks.pop(stage.label, None)) is not None:
            self.bars.remove_task(task)
        self._one_more()

    def skip(self, stage: Stage) -> None:
        """Prints that a stage is skipped."""
        self.bars.console.print(f"{stage.label}: skipped", markup=False, highlight=False)
        self._one_more()

    def _one_more(self) -> None:
        if self.whole is not None:
            self.bars.advance(self.whole)
