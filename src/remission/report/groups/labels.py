"""Short names for methods, as :mod:`remission.records.labels` gives them."""

from __future__ import annotations

from remission.records.labels import MethodKey, canonical, flat, label_methods, printable

__all__ = ["Method", "MethodKey", "canonical", "flat", "label_methods", "printable"]

Method = MethodKey
