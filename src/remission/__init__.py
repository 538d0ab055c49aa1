"""Finds out whether a purified backdoored image classifier is cured or only in remission.

The names below are the public ones. Each is imported when it is first used, so that commands that
need no torch start without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "UserError": "remission.errors",
    "Recipe": "remission.training",
    "Seed": "remission.seeding",
    "build_model": "remission.models",
    "build_model_for": "remission.models",
    "evaluate": "remission.training",
    "load_dataset": "remission.data",
    "read_records": "remission.records",
    "read_spec": "remission.grid.spec",
    "run": "remission.grid.run",
    "split_dataset": "remission.data",
    "use_methods": "remission.user_methods",
    "wrap": "remission.recognise",
}
_ROOMS = ("attacks", "inversion", "paths", "purifiers", "reactivations", "training", "triggers")

if TYPE_CHECKING:
    from remission import (
        attacks,
        inversion,
        paths,
        purifiers,
        reactivations,
        training,
        triggers,
    )
    from remission.data import load_dataset, split_dataset
    from remission.errors import UserError
    from remission.grid.run import run
    from remission.grid.spec.spec import read_spec
    from remission.models import build_model, build_model_for
    from remission.recognise import wrap
    from remission.records import read_records
    from remission.seeding import Seed
    from remission.training import Recipe, evaluate
    from remission.user_methods import use_methods

__all__ = [
    "Recipe",
    "Seed",
    "UserError",
    "__version__",
    "attacks",
    "build_model",
    "build_model_for",
    "evaluate",
    "inversion",
    "load_dataset",
    "paths",
    "purifiers",
    "reactivations",
    "read_records",
    "read_spec",
    "run",
    "split_dataset",
    "training",
    "triggers",
    "use_methods",
    "wrap",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"remission.{name}")
    raise AttributeError(f"module 'remission' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
