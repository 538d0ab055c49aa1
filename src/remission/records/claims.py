"""Claims: which process is at work on which stage of a store.

A claim is a file in ``claims/`` that only one of several processes can create. It is advisory: two
processes that compute the same stage waste time, and each result is as good as the other. The file
names its holder and counts heartbeats, so that others see whether the holder is still there: a
claim whose process is gone from this computer may be taken over at once, any other when its
heartbeat stood still for ten minutes, by the clock of whoever waits for it; one whose file is not
whole, after seconds. The time of day decides nothing.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from remission.records.computer import began, this_computer
from remission.records.files import CLAIMS
from remission.records.mark import check_still_there
from remission.records.places import StorePath, create, read_all, sizes_in, unwritable, write
from remission.records.text import storable

PATIENCE_SECONDS = 600.0
"""Seconds for which the heartbeat of a claim may stand still."""
HEARTBEAT_SECONDS = 30.0
"""Seconds between heartbeats."""

_WRITTEN_SECONDS = 2.0
"""Seconds after which a claim that is not whole is that of a process that ended meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What the file of a claim says; its fields are the keys of that file.

    Args:
        stage: the identity of the stage.
        kind: the kind of the stage.
        label: the name of the stage for people.
        holder: a key of the run that holds the claim, unlike that of any other run.
        computer: the computer of that run, see :func:`this_computer`; two computers of one name
            differ here.
        host: the name of that computer for people.
        process: the number of the process there.
        started: when the holder claimed the stage, ISO 8601 in UTC.
        beat: the number of heartbeats so far.
        doing: the step of the stage that is under way, in words; empty: nothing is known.
        done: how many of the parts of that step are finished.
        total: how many parts that step has.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    stage: str
    kind: str
    label: str
    holder: str
    computer: str
    host: str
    process: int
    started: str
    beat: int = 0
    doing: str = ""
    done: int = 0
    total: int = 0

    def to_bytes(self) -> bytes:
        """Returns the content of the file."""
        return json.dumps(storable(asdict(self))).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Claim | None:
        """Returns the claim that a file holds; None if it is damaged, or not whole yet."""
        try:
            return _adapter().validate_json(content)
        except ValueError:
            return None

    @property
    def is_gone(self) -> bool:
        """Whether its run has ended; False where that cannot be known from here."""
        if self.computer != this_computer():
            return False
        if self.process == os.getpid() and self.holder not in _RUNS:
            return True  # a run of this process that could not give it back
        return began(self.process) != self.holder_began

    @property
    def holder_began(self) -> str:
        """When the process that holds it began, as the system counts."""
        return self.holder.partition("-")[0]


_RUNS = set[str]()
"""The holders of the runs of this process that are not over."""


def _is_torn(content: bytes) -> bool:
    """Returns whether the file of a claim is not whole: its process or the room on the disk ended.

    What a newer remission wrote is whole, though this one does not understand it.
    """
    try:
        json.loads(content)
    except ValueError:
        return True
    return False


@dataclass
class _Sighting:
    """The claim of another process, and when it was seen to change, by this process's clock."""

    content: bytes
    since: float


class Claims:
    """The claims of this process in one store, and what it sees of those of others.

    Args:
        store: the folder of the store.
        patience: see :data:`PATIENCE_SECONDS`.
        interval: see :data:`HEARTBEAT_SECONDS`.
    """

    def __init__(
        self,
        store: StorePath,
        patience: float = PATIENCE_SECONDS,
        interval: float = HEARTBEAT_SECONDS,
    ) -> None:
        self.folder, self.patience, self.interval = store / CLAIMS, patience, interval
        self.holder = f"{began(os.getpid())}-{uuid.uuid4().hex}"
        self._held = dict[str, Claim]()
        self._seen = dict[str, _Sighting]()
        _RUNS.add(self.holder)
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, stage: str, kind: str, label: str) -> bool:
        """Claims a stage, unless somebody else is at work on it.

        Raises:
            StoreError: the store cannot be written.
        """
        claim = Claim(
            stage=stage,
            kind=kind,
            label=label,
            holder=self.holder,
            computer=this_computer(),
            host=socket.gethostname(),
            process=os.getpid(),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        check_still_there(self.folder.parent)
        try:
            if not create(self._file(stage), claim.to_bytes()):
                before = self._content(stage)
                if before is not None:
                    if not self._is_abandoned(stage, before):
                        return False
                    if self._content(stage) == before:  # nobody else was faster
                        self._file(stage).unlink(missing_ok=True)
                if not create(self._file(stage), claim.to_bytes()):
                    return False
        except OSError as error:
            raise unwritable(self._file(stage), error) from error
        with self._lock:
            self._held[stage] = claim
        self._seen.pop(stage, None)
        self._start()
        return True

    def release(self, stage: str) -> None:
        """Gives a claim back that this process holds, if nobody took it over."""
        with self._lock:
            held = self._held.pop(stage, None)
        if held is not None:
            with suppress(OSError):
                if self._is_ours(stage):
                    self._file(stage).unlink(missing_ok=True)

    def release_all(self) -> None:
        """Gives back every claim, and ends the heartbeat."""
        self._over.set()
        if self._thread:
            self._thread.join(timeout=5)
        for stage in list(self._held):
            self.release(stage)
        _RUNS.discard(self.holder)

    def advance(self, stage: str, doing: str, done: int, total: int) -> None:
        """Notes what the next heartbeat says about a stage."""
        with self._lock:
            if (claim := self._held.get(stage)) is not None:
                self._held[stage] = replace(claim, doing=doing, done=done, total=total)

    def is_claimed(self, stage: str) -> bool:
        """Returns whether somebody else holds a claim that is not abandoned.

        Raises:
            OSError: the store cannot be read.
        """
        content = self._content(stage)
        if stage in self._held or content is None:
            self._seen.pop(stage, None)
            return False
        return not self._is_abandoned(stage, content)

    def _content(self, stage: str) -> bytes | None:
        """Returns what the file of a claim holds; None where there is none."""
        try:
            return self._file(stage).read_bytes()
        except FileNotFoundError:
            return None

    def _is_abandoned(self, stage: str, content: bytes) -> bool:
        """Returns whether the holder of a claim is there no more."""
        seen = self._seen.get(stage)
        if seen is None or seen.content != content:
            seen = self._seen[stage] = _Sighting(content, time.monotonic())
        claim = Claim.from_bytes(content)
        gone = claim is not None and (claim.is_gone or claim.holder == self.holder)
        patience = min(_WRITTEN_SECONDS, self.patience) if _is_torn(content) else self.patience
        return gone or time.monotonic() - seen.since > patience

    def _is_ours(self, stage: str) -> bool:
        claim = Claim.from_bytes(self._content(stage) or b"")
        return claim is not None and claim.holder == self.holder

    def _file(self, stage: str) -> StorePath:
        return self.folder / f"{stage}.json"

    def _start(self) -> None:
        """Starts the heartbeat with the first claim."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_beating, daemon=True)
            self._thread.start()

    def _keep_beating(self) -> None:
        while not self._over.wait(self.interval):
            self.heartbeat()

    def heartbeat(self) -> None:
        """Shows once that this process is there. A claim that was taken over is left alone."""
        with self._lock:
            self._held = {k: replace(claim, beat=claim.beat + 1) for k, claim in self._held.items()}
            held = list(self._held.values())
        for claim in held:
            with suppress(OSError):  # a heartbeat that fails costs nothing yet
                if self._is_ours(claim.stage):
                    write(self._file(claim.stage), claim.to_bytes())


def claims_in(store: StorePath) -> Iterator[Claim]:
    """Yields the claims in a store, those of processes that are gone included.

    Raises:
        OSError: they cannot be read.
    """
    folder = store / CLAIMS
    names = [name for name in sizes_in(folder) if name.endswith(".json") and name[0] != "."]
    for _, content in sorted(read_all(folder, names).items()):
        if (claim := Claim.from_bytes(content)) is not None:
            yield claim


@cache
def _adapter() -> TypeAdapter[Claim]:
    """Returns the validator of types, which is built once since that takes long."""
    return TypeAdapter(Claim)
