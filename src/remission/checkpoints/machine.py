"""Walks through a pickle, operation by operation, with stand-ins for all classes and functions.

The operations are described in Python's ``pickletools``; their arguments are read here.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import NoReturn, Protocol

from remission.checkpoints.limits import KEY, LINE, RESAVE, VALUE, Budget, Refusal
from remission.checkpoints.values import Opaque

Content = bytes | mmap.mmap
"""Slices of both are bytes."""

_STOP = ord(".")
_STRIDE = 1 << 14  # operations between two looks at the budget
_HASHES_ITSELF = (1 << 61) - 1  # integers below it have themselves as their hashes
_ODD = (float, complex, bytes, bool, type(None), Opaque)
_PARTS = 8  # values in a tuple that is a key


class Meanings(Protocol):
    """What calls, states and persistent identities mean."""

    budget: Budget

    def called(self, function: Opaque, args: tuple[object, ...]) -> object:
        """Returns the result of a call, mostly a stand-in."""

    def built(self, instance: Opaque, state: object) -> object:
        """Sets the state of a stand-in and returns the stand-in, or what it has become."""

    def named(self, module: str, name: str) -> object:
        """Returns what a name stands for, mostly a stand-in."""

    def persistent(self, identity: object) -> object:
        """Returns what the pickle refers to outside of itself."""


class Machine:
    """The state of a walk.

    Args:
        content: holds the pickle.
        start: where the pickle begins in ``content``.
        end: behind its last possible byte.
        meanings: gives values to names and calls.
    """

    def __init__(self, content: Content, start: int, end: int, meanings: Meanings) -> None:
        self.content = content
        self.position = start
        self.end = end
        self.meanings = meanings
        self.stack: list[object] = []
        self.below: list[list[object]] = []
        self.memo: dict[int, object] = {}

    def run(self, operations: list[Callable[[Machine], None] | None]) -> object:
        """Returns the value of the pickle; ``position`` is then behind it.

        Args:
            operations: by their codes.

        Raises:
            Refusal: the pickle is damaged, or does what no checkpoint needs.
        """
        content, end, budget = self.content, self.end, self.meanings.budget
        while True:
            budget.operations(_STRIDE)
            for _ in range(_STRIDE):
                if self.position >= end:
                    refuse("ends before it stops")
                code = content[self.position]
                self.position += 1
                operation = operations[code]
                if operation is not None:
                    operation(self)
                elif code == _STOP:
                    return self.pop()
                else:
                    refuse(f"has the operation 0x{code:02x}, which is unknown or needs code")

    def take(self, count: int) -> bytes:
        """Returns the next ``count`` bytes."""
        start = self.position
        if not 0 <= count <= self.end - start:
            refuse("holds a value that is longer than the pickle")
        self.position = start + count
        if count > VALUE:
            raise Refusal(f"holds a value of more than {VALUE >> 20} MiB in its pickle", RESAVE)
        if count > LINE:
            self.meanings.budget.memory(count)
        return self.content[start : self.position]

    def number(self, count: int) -> int:
        """Returns the next ``count`` bytes as a number without sign."""
        return int.from_bytes(self.take(count), "little")

    def line(self, limit: int = LINE) -> bytes:
        """Returns the bytes up to the end of the line, which is left out."""
        self.meanings.budget.line()
        at = self.content.find(b"\n", self.position, min(self.end, self.position + limit + 1))
        if at < 0:
            refuse("holds a line that is too long or has no end")
        line = self.take(at - self.position)
        self.position += 1
        return line

    def pop(self) -> object:
        """Takes the uppermost value off the stack."""
        if not self.stack:
            refuse("takes a value that is not there")
        return self.stack.pop()

    def top(self) -> object:
        """Returns the uppermost value of the stack."""
        if not self.stack:
            refuse("uses a value that is not there")
        return self.stack[-1]

    def pop_mark(self) -> list[object]:
        """Takes all values above the last mark."""
        if not self.below:
            refuse("goes back to a mark that is not there")
        values, self.stack = self.stack, self.below.pop()
        return values


def refuse(problem: str) -> NoReturn:
    """Raises a :class:`Refusal` of a pickle.

    Args:
        problem: the rest of a sentence that begins with the pickle.
    """
    raise Refusal(f"holds a pickle that {problem}")


def check_key(key: object, budget: Budget) -> None:
    """Refuses keys that cannot be hashed, or whose hashing or comparison could take long.

    Raises:
        Refusal: it is such a key, or there are too many of a kind whose hashes can be chosen.
    """
    kind = type(key)
    if kind is str:
        if len(key) > KEY:  # type: ignore[arg-type]
            refuse(f"has a key of more than {KEY} characters")
        return
    if kind is int and -_HASHES_ITSELF < key < _HASHES_ITSELF:  # type: ignore[operator]
        return
    budget.odd_key()
    if kind is bytes and len(key) > KEY:  # type: ignore[arg-type]
        refuse(f"has a key of more than {KEY} bytes")
    if isinstance(key, tuple):
        if len(key) > _PARTS:
            refuse(f"has a key of more than {_PARTS} values")
        for part in key:
            if isinstance(part, tuple):
                refuse("has a key in which tuples are nested")
            check_key(part, budget)
    elif kind is not int and not isinstance(key, _ODD) and kind.__module__ != "torch":
        refuse(f"has a key of type {kind.__name__}")
