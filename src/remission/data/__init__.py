"""Load, verify and split: data sets as uint8 images; knows no trigger.

Importing this package does not import torch (``remission data list`` starts without it): the
functions below are brought when they are first asked for.
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


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- whatever the name stands for
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
