"""What a stage builds upon is found through any number of others."""

from __future__ import annotations

from remission.records.ancestry import with_ancestors

PARENTS = {"c": ["b"], "b": ["a"], "d": ["b", "elsewhere"], "e": []}


def test_all_generations_are_found() -> None:
    assert with_ancestors(["c"], PARENTS) == {"a", "b", "c"}
    assert with_ancestors(["d"], PARENTS) == {"a", "b", "d", "elsewhere"}
    assert with_ancestors(["c", "e"], PARENTS) == {"a", "b", "c", "e"}
    assert with_ancestors([], PARENTS) == set()


def test_what_it_starts_from_is_left_as_it_is() -> None:
    start = {"c"}
    with_ancestors(start, PARENTS)
    assert start == {"c"}
