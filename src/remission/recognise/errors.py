"""The error of this room."""

from __future__ import annotations

from remission.errors import UserError


class ArchitectureError(UserError):
    """The tensors of a state dict are not those of an architecture, or of the one that is asked."""
