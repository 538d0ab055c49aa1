"""Seeds by name: one root number, many generators. No other file touches global random state."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Seed:
    """A place in a tree of seeds: the root number and the names on the way to it.

    Seeds with different names are independent; the same names give the same numbers on every
    machine. Hand on ``seed.child("retuning")``; draw numbers from ``seed.generator()``.
    """

    root: int
    names: tuple[str, ...] = ()

    def child(self, *names: str | int) -> Seed:
        """Returns the seed of a named part of the work."""
        return Seed(self.root, (*self.names, *(str(name) for name in names)))

    @property
    def number(self) -> int:
        """A 63-bit integer made from the root and the names."""
        text = "\x1f".join((str(self.root), *self.names))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def generator(self) -> torch.Generator:
        """Makes a new generator on the CPU, so that its numbers do not depend on the device."""
        return torch.Generator().manual_seed(self.number)

    @contextmanager
    def initialising(self) -> Iterator[None]:
        """Lets layers that are built within this context draw their first weights from this seed.

        Torch's global generator is put back afterwards.
        """
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.number)
            yield
