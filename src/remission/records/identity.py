"""The identity of a stage: a hash of everything that changes its result, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from remission.records.kinds import KINDS

FOLDER = "folder"
"""The name of every image folder in identities: its content alone identifies it."""


def identity(kind: str, settings: Mapping[str, Any], parents: Mapping[str, str]) -> str:
    """Returns 16 hexadecimal digits, the same from the plan and from the finished record.

    Args:
        kind: the name of a kind of stage, see :data:`remission.records.kinds.KINDS`.
        settings: everything that the user and the methods' defaults fix, as JSON values.
        parents: role -> identity of the stages that the stage builds upon.
    """
    content = {
        "kind": kind,
        "version": KINDS[kind].version,
        "settings": settings,
        "parents": parents,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
