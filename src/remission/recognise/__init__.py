"""Somebody's weights: which network they belong to, and this network with them.

The names and shapes of tensors decide (``families/``), never their order. A recognised
architecture is built from our own layers; the classifier notes in ``source`` under which name the
values of each tensor were found, so that a purified model can be written in the form that its
owner's code reads.
"""

from __future__ import annotations

from remission.recognise.any_network import wrap
from remission.recognise.errors import ArchitectureError
from remission.recognise.match import Recognised, candidates, recognise
from remission.recognise.named import from_code, from_name, is_code
from remission.recognise.prefixes import Stripped, strip_prefixes
from remission.recognise.weights import build, foreign_state

__all__ = [
    "ArchitectureError",
    "Recognised",
    "Stripped",
    "build",
    "candidates",
    "foreign_state",
    "from_code",
    "from_name",
    "is_code",
    "recognise",
    "strip_prefixes",
    "wrap",
]
