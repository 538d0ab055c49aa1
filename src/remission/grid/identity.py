"""What a stage is called: a hash of everything that changes its result, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

VERSIONS = {
    "control": 1,
    "victim": 1,
    "baseline": 1,
    "inversion": 1,
    "purified": 1,
    "reactivated": 1,
    "path": 1,
    "innocent": 1,
    "transfer": 1,
}
"""Raised when the code of a stage changes its result: what was stored before is then not reused.
Where only one method's code changed, its own :attr:`remission.method.Method.version` is raised."""


def identity(kind: str, settings: dict[str, Any], parents: dict[str, str]) -> str:
    """16 hexadecimal digits: the same from the plan and from the finished record."""
    content = {
        "kind": kind,
        "version": VERSIONS[kind],
        "settings": settings,
        "parents": parents,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
