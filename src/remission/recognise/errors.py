"""The error of recognition."""

from __future__ import annotations

from remission.errors import UserError


class ArchitectureError(UserError):
    """The tensors of a state dict fit no known architecture, or not the one that was named."""
