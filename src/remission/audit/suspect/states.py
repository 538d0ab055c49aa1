"""The networks in a checkpoint: every state dict and every whole module that it holds.

Trainings save a network beside other things: the optimiser, averaged weights, the generator of a
trigger. Nothing in a file says which is the classifier; it is the one whose architecture is
recognised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from torch import Tensor

from remission.checkpoints import Loaded, Opaque, state_of
from remission.errors import CheckpointError, closest
from remission.recognise import (
    ArchitectureError,
    Recognised,
    candidates,
    is_code,
    recognise,
)

_DEEP = 3
"""So many keys lead to a network at most."""
_NO_NETWORK = re.compile(
    r"(?i)(^|[^a-z])(opt|optim|sched|optimi[sz]er\w*|scheduler\w*|scaler\w*)($|[^a-z])"
)
"""Keys with such a word hold the state of an optimiser, a schedule or a scaler."""
_MANY = 100
"""So many networks are looked at in one file."""


@dataclass(frozen=True, eq=False)
class FoundState:
    """One network in a file.

    Args:
        keys: the keys that lead to it; empty: it is the whole file.
        tensors: name -> tensor.
        module: the class of a module that was pickled whole; empty for a state dict.
    """

    keys: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    module: str = ""

    @property
    def place(self) -> str:
        """The keys that lead to it, joined by dots."""
        return ".".join(self.keys)

    @property
    def where(self) -> str:
        """Says where in the file it is."""
        return f"'{self.place}'" if self.place else "the file itself"


def find_states(loaded: Loaded) -> list[FoundState]:
    """Returns the first hundred networks in a file, in its order; none inside another."""
    return list(islice(_found(loaded.tree, ()), _MANY))


def _found(value: object, keys: tuple[str, ...]) -> Iterator[FoundState]:
    if isinstance(value, Opaque) and "_modules" in value.fields:
        yield FoundState(keys, state_of(value), f"{value.module}.{value.name}")
    elif isinstance(value, dict) and value:
        tensors = {key: one for key, one in value.items() if isinstance(one, Tensor)}
        if len(tensors) == len(value) and all(isinstance(key, str) for key in value):
            yield FoundState(keys, tensors)
        elif len(keys) < _DEEP:
            for key, inner in value.items():
                if isinstance(key, str) and not _NO_NETWORK.search(key):
                    yield from _found(inner, (*keys, key))


@dataclass(frozen=True, eq=False)
class Network:
    """The classifier in a file.

    Args:
        state: where it is.
        fitting: the architectures that its tensors fit, the likeliest first; several where no
            tensor tells them apart; none where its owner's code is named.
        code: ``FILE.py:function``, its owner's code; empty: none is named.
    """

    state: FoundState
    fitting: tuple[Recognised, ...]
    code: str = ""

    @property
    def names(self) -> str:
        """The names of its architectures."""
        return self.code or " or ".join(one.arch for one in self.fitting)


def find_network(
    loaded: Loaded, *, origin: str, place: str = "", arch: str = "", option: str = "--key"
) -> Network:
    """Returns the one network of a file whose architecture is recognised.

    Args:
        loaded: the content of the file.
        origin: how errors name the file.
        place: the keys that lead to it, joined by dots, where there are several.
        arch: the name of its architecture, where its tensors fit several, or ``FILE.py:function``.
        option: the option by which the user gives ``place``.

    Raises:
        CheckpointError: there is no network, none at ``place``, none that is recognised, or there
            are several.
    """
    states = find_states(loaded)
    if not states:
        raise CheckpointError(f"{origin}: it holds no weights", "give a file of a network")
    if place:
        chosen = [state for state in states if state.place == place]
        if not chosen:
            places = [state.place for state in states if state.place]
            raise CheckpointError(f"{origin}: it has no network '{place}'", closest(place, places))
        states = chosen
    networks, refused = list[Network](), list[tuple[FoundState, ArchitectureError]]()
    for state in states:
        try:
            networks.append(_network(state, arch))
        except ArchitectureError as error:
            refused.append((state, error))
    if len(networks) == 1:
        return networks[0]
    if networks:
        listed = ", ".join(f"{network.state.where} ({network.names})" for network in networks)
        raise CheckpointError(
            f"{origin}: it holds several networks: {listed}", f"name one of them by {option}"
        )
    largest, reason = max(refused, key=lambda pair: _size(pair[0]))
    raise CheckpointError(f"{origin}: {largest.where}: {reason.problem}", reason.remedy)


def _network(state: FoundState, arch: str) -> Network:
    """Returns what a state dict may be; see :func:`find_network` for ``arch``."""
    if is_code(arch):
        return Network(state, (), arch)
    return Network(state, (recognise(state.tensors, arch),) if arch else candidates(state.tensors))


def _size(state: FoundState) -> int:
    """Returns the number of values in a state dict."""
    return sum(tensor.numel() for tensor in state.tensors.values())
