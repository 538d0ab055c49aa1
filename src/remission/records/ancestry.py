"""What stages and records build upon, directly or through others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def with_ancestors(identities: Iterable[str], parents: Mapping[str, Iterable[str]]) -> set[str]:
    """Returns some identities with all that they build upon.

    Args:
        identities: of stages.
        parents: identity -> identities that it builds upon; what is missing builds upon nothing.
    """
    found = set(identities)
    waiting = list(found)
    while waiting:
        further = set(parents.get(waiting.pop(), ())) - found
        found |= further
        waiting += further
    return found
