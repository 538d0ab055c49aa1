"""Somebody's weights: which network they belong to, and this network with them.

The names and shapes of tensors decide (``families/``), never their order. A network whose
architecture we have is built from our own layers; each of its tensors notes under which name its
values were found, so that a purified model is given back in the form that its owner's code reads.
"""

from __future__ import annotations

from remission.recognise.build import build, foreign_state
from remission.recognise.errors import ArchitectureError
from remission.recognise.prefixes import Stripped, strip_prefixes
from remission.recognise.recognise import Recognised, candidates, recognise

__all__ = [
    "ArchitectureError",
    "Recognised",
    "Stripped",
    "build",
    "candidates",
    "foreign_state",
    "recognise",
    "strip_prefixes",
]
