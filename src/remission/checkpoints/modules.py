"""The weights of modules that were pickled whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from torch import Tensor

from remission.checkpoints.limits import MODULES, NESTING, TENSORS
from remission.checkpoints.values import Opaque
from remission.errors import CheckpointError

_REMEDY = "where you trust it, load it and save its state_dict() by torch.save"


def state_of(module: object) -> dict[str, Tensor]:
    """Returns the state dict of the stand-in for a module, under the names that torch would give.

    Buffers that a module does not save are left out, as in ``state_dict()``. What a module adds to
    its state by code of its own is not there.

    Args:
        module: an :class:`Opaque` in whose state ``_parameters``, ``_buffers`` and ``_modules``
            are.

    Raises:
        CheckpointError: it is no module, contains itself or the same ones too often, or has a
            parameter that is no plain tensor.
    """
    state: dict[str, Tensor] = {}
    _collect(module, "", state, [], count())
    return state


def _collect(
    module: object, prefix: str, state: dict[str, Tensor], above: list[object], met: Iterator[int]
) -> None:
    """Adds the tensors of a module and of all modules in it, which ``met`` counts.

    A module that holds another one twice, which holds a third one twice, and so on, takes few bytes
    and no end of time.
    """
    if next(met) >= MODULES:
        raise CheckpointError(f"a network in the file has more than {MODULES} modules", _REMEDY)
    if any(module is other for other in above) or len(above) > NESTING:
        raise CheckpointError("a module in the file contains itself", _REMEDY)
    fields = module.fields if isinstance(module, Opaque) else {}
    unsaved = fields.get("_non_persistent_buffers_set", ())
    for kind in ("_parameters", "_buffers"):
        for name, value in _table(fields, kind, module):
            saved = kind == "_parameters" or not isinstance(unsaved, set) or name not in unsaved
            if value is None or not saved:
                continue
            if not isinstance(value, Tensor):
                raise CheckpointError(f"'{prefix}{name}' in the file is no plain tensor", _REMEDY)
            state[prefix + name] = value
            if len(state) > TENSORS:
                raise CheckpointError(f"a module has more than {TENSORS} tensors", _REMEDY)
    for name, value in _table(fields, "_modules", module):
        if value is not None:
            _collect(value, f"{prefix}{name}.", state, [*above, module], met)


def _table(fields: dict[str, object], name: str, module: object) -> list[tuple[str, object]]:
    """Returns the named values of one kind in a module."""
    table = fields.get(name)
    if not isinstance(table, dict) or not all(isinstance(key, str) for key in table):
        raise CheckpointError(f"{module!r:.200} in the file is no module", _REMEDY)
    return list(table.items())
