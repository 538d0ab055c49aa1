"""Refuses values that contain themselves, or whose traversal would be too deep or too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from remission.checkpoints.limits import EXPANDED, NESTING, RESAVE, Refusal
from remission.checkpoints.values import Opaque

_CONTAINERS = (dict, list, tuple, set, frozenset, Opaque)


def check_nesting(tree: object) -> None:
    """Refuses values that contain themselves, are nested too deeply, or expand without measure.

    A list of ten references to a list of ten references, and so on, takes few bytes, but nobody can
    print it. Only a stand-in may be reached from its own state, as a layer that knows its network.

    Raises:
        Refusal: the values are of this kind.
    """
    if not isinstance(tree, _CONTAINERS):
        return
    done: dict[int, tuple[int, int]] = {}  # identity: (height, values below it)
    opened: dict[int, int] = {}  # identity: stand-ins above it
    path: list[tuple[object, Iterator[object], list[int]]] = []
    above = 0

    def enter(value: object) -> None:
        nonlocal above
        opened[id(value)] = above
        above += isinstance(value, Opaque)
        path.append((value, iter(children(value)), [0, 1]))
        if len(path) > NESTING:
            raise Refusal(f"holds values that are nested more than {NESTING} deep", RESAVE)

    enter(tree)
    while path:
        value, rest, totals = path[-1]
        for child in rest:
            totals[1] += 1
            if not isinstance(child, _CONTAINERS):
                continue
            key = id(child)
            if key in done:
                _add(totals, *done[key])
            elif key not in opened:
                enter(child)
                break
            elif opened[key] == above:
                raise Refusal("holds a list or dict that contains itself", RESAVE)
        else:
            path.pop()
            del opened[id(value)]
            above -= isinstance(value, Opaque)
            height, size = totals[0] + 1, totals[1]
            done[id(value)] = height, size
            if path:
                _add(path[-1][2], height, size)


def _add(totals: list[int], height: int, size: int) -> None:
    """Adds a child to the height and size of its parent."""
    totals[0] = max(totals[0], height)
    totals[1] += size
    if totals[0] >= NESTING:
        raise Refusal(f"holds values that are nested more than {NESTING} deep", RESAVE)
    if totals[1] > EXPANDED:
        raise Refusal("holds values that refer to the same values too often to be printed", RESAVE)


def children(value: object) -> Iterable[object]:
    """Returns the values directly in a container; of a dict also the keys."""
    if isinstance(value, dict):
        yield from value.values()
        yield from value.keys()
    elif isinstance(value, Opaque):
        parts = (value.args, value.state, value.items, value.entries)
        yield from (part for part in parts if part is not None)
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
