"""Data sets as uint8 images: they are found, verified, read and split. Triggers are unknown here.

To import this package does not import torch, since ``remission data list`` starts without it: the
functions below are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remission.data.catalogue import CATALOGUE
    from remission.data.folder import load_folder
    from remission.data.load import load_dataset
    from remission.data.picture import image_uri
    from remission.data.source import Source
    from remission.data.split import split_dataset

__all__ = ["CATALOGUE", "Source", "image_uri", "load_dataset", "load_folder", "split_dataset"]

_HOMES = {
    "CATALOGUE": "remission.data.catalogue",
    "Source": "remission.data.source",
    "image_uri": "remission.data.picture",
    "load_dataset": "remission.data.load",
    "load_folder": "remission.data.folder",
    "split_dataset": "remission.data.split",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- the type depends on the name
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
