"""Triggers: image -> image maps with their range and strength. No labels, no training."""

from remission.triggers.base import Trigger
from remission.triggers.blend import Blend
from remission.triggers.patch import Patch, checkerboard

__all__ = ["Blend", "Patch", "Trigger", "checkerboard"]
