"""A purified model in the form of its source: the same keys, dtypes and container."""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import Tensor

from remission.audit.suspect.opening import FoundModel
from remission.models import Classifier
from remission.models.checkpoint import pack_tensors
from remission.recognise import foreign_state
from remission.training.loop import check_finite

_METADATA = {"format": "pt"}
"""What transformers asks of a safetensors file."""


def as_stored(model: Classifier) -> Classifier:
    """Rounds the weights, in place, to the dtypes of their source; returns the model.

    So what is measured is what is written.

    Raises:
        DivergedError: a value is too large for its dtype.
    """
    own = model.state_dict()
    for tensor in model.source.tensors if model.source else ():
        value = own.get(tensor.own)
        if value is not None and value.is_floating_point():
            value.copy_(value.to(tensor.dtype))
    check_finite(model, "weights in the dtypes of their source")
    return model


def as_safetensors(model: Classifier) -> bytes:
    """Returns the weights under the keys of their source as the bytes of a safetensors file."""
    return pack_tensors(foreign_state(model), _METADATA)


def like_source(model: Classifier, found: FoundModel) -> bytes:
    """Returns the bytes of a file in the container and under the keys of the source.

    A safetensors file stays one. Of a file of ``torch.save``, the weights lie under the same keys
    again, beside the numbers, texts and lists of these that the source held at its top, such as
    the epoch or the names of classes. A module that was pickled whole becomes its state dict, since
    code is never written either.

    Args:
        model: a purified copy of the model that was read.
        found: the source.
    """
    state = foreign_state(model)
    if found.container == "safetensors":
        return pack_tensors(state, _METADATA)
    content: dict[str, Any] | dict[str, Tensor] = state
    for key in reversed(found.network.state.keys):
        content = {key: content}
    if found.network.state.keys and isinstance(found.tree, dict):
        plain = {key: value for key, value in found.tree.items() if _is_plain(value)}
        content = {**plain, **content}
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def _is_plain(value: object) -> bool:
    """Returns whether a value is a number, a text, or a list or tuple of these."""
    if isinstance(value, list | tuple):
        return type(value) in (list, tuple) and all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)
