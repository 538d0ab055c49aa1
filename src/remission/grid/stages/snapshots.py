"""The snapshots of a stage under way, in the store."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from torch import Tensor

from remission.errors import CheckpointError, StoreError
from remission.grid.stages.result import Cost
from remission.models.checkpoint import pack_tensors, unpack_tensors
from remission.records.places import StorePath
from remission.records.snapshots import keep_snapshot, read_snapshot

EVERY = 180.0
"""Seconds between two snapshots. A stage that takes less leaves none."""


class StoredSnapshots:
    """Keeps the newest snapshot of one stage in a store.

    Only the training that was under way is found there; earlier ones of the same stage are made
    again.

    Args:
        store: where they lie.
        identity: of the stage.
    """

    def __init__(self, store: StorePath, identity: str) -> None:
        self.store, self.identity = store, identity
        self.spent = Cost()
        self._began = Cost.until_now()
        self._last = time.monotonic()
        self._trainings = 0
        content = read_snapshot(store, identity)
        self._found = _unpacked(content) if content else None

    def name(self, what: str) -> str:
        """Returns the name of the next training of the stage."""
        self._trainings += 1
        return f"{self._trainings} {what}"

    def load(self, name: str) -> Mapping[str, Tensor] | None:
        """Returns the snapshot of a training; None where there is none."""
        if self._found is None or self._found[0].get("name") != name:
            return None
        about, tensors = self._found
        self.spent = Cost(about.get("seconds", 0.0), about.get("cpu"))
        self._found = None
        return tensors

    def due(self) -> bool:
        """Returns whether the last snapshot is old enough."""
        return time.monotonic() - self._last >= EVERY

    def save(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keeps a snapshot in place of the last one; a store that is full does without."""
        cost = self.spent + (Cost.until_now() - self._began)
        about = json.dumps({"name": name, "seconds": cost.seconds, "cpu": cost.cpu})
        with suppress(OSError, StoreError):  # the result will say what is wrong
            keep_snapshot(self.store, self.identity, pack_tensors(tensors, {"about": about}))
        self._last = time.monotonic()


def _unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Returns what a snapshot says about itself, and its tensors; None if it is none."""
    try:
        length = int.from_bytes(content[:8], "little")
        about = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["about"])
        return about, unpack_tensors(content, "snapshot")
    except (ValueError, KeyError, TypeError, CheckpointError):
        return None
