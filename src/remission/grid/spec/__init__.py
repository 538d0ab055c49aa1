"""The spec of a user, and its checks."""

from __future__ import annotations

from remission.grid.spec.spec import Spec, parse_spec, read_spec

__all__ = ["Spec", "parse_spec", "read_spec"]
