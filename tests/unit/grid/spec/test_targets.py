"""Targets by the names of their classes."""

from __future__ import annotations

import pytest

from remission.errors import SpecError
from remission.grid.spec.targets import numbered


@pytest.mark.parametrize(("target", "number"), [("0", 0), ("2", 2), ("02", 2)])
def test_a_number_in_quotes_is_a_name_and_the_remedy_says_so(target: str, number: int) -> None:
    attack = {"method": "badnets", "target": target}
    with pytest.raises(SpecError, match=f"has no class '{target}'") as caught:
        numbered([attack], ["ant", "bee", "cow"], "base")
    name = ["ant", "bee", "cow"][number]
    assert caught.value.remedy == f"for class number {number}, '{name}', write {number} unquoted"
    assert numbered([attack], [target, "ant", "bee"], "base")[0]["target"] == 0
    with pytest.raises(SpecError, match="use one that exists"):
        numbered([{**attack, "target": "3"}], ["ant", "bee", "cow"], "base")
