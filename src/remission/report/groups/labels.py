"""Short names for methods, as :mod:`remission.records.labels` gives them."""

from __future__ import annotations

from remission.names import printable
from remission.records.labels import MethodKey, canonical, flat, label_methods, trigger_of

__all__ = ["MethodKey", "canonical", "flat", "label_methods", "printable", "trigger_of"]
