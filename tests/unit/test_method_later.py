"""A parameter that is younger than stored results is no part of settings at its default."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from remission.grid.plan.stage import Stage, table_of
from remission.method import Method, field, from_table, method
from remission.reactivations import QRA, Retuning


@method
class Early(Method):
    """A method as it was when results were stored."""

    name: ClassVar[str] = "early"

    rate: float = field(default=0.5, gt=0)


@method
class Grown(Early):
    """The same method with parameters that were added since."""

    kind: str = field(default="plain", later=True)
    steps: tuple[int, ...] = field(default=(1, 2), later=True, strict=False)
    share: float = field(default=0.0, ge=0, later=True)


@method
class Heir(Grown):
    """A subclass: it inherits some of the parameters and declares one again."""

    kind: str = field(default="fancy", later=True)
    share: float = 0.0


def identity_of(made: Method) -> str:
    settings = {"context": {}, "purifier": table_of(made)}
    return Stage("purified", "x", settings, {"victim": "0" * 16}).id


CHANGES: list[dict[str, Any]] = [{"kind": "other"}, {"steps": (1, 3)}, {"share": 0.25}]


def test_defaults_leave_the_identity_as_it_was() -> None:
    assert Grown().settings() == Early().settings() == {"rate": 0.5}
    assert identity_of(Grown()) == identity_of(Early())
    assert identity_of(Grown(kind="plain", steps=(1, 2))) == identity_of(Early())
    assert Grown().parameters() == {"rate": 0.5, "kind": "plain", "steps": [1, 2], "share": 0.0}


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_another_value_is_another_result(change: dict[str, Any]) -> None:
    made = Grown(**change)
    (key,) = change
    assert set(made.settings()) == {"rate", key}
    assert made.settings()[key] == made.parameters()[key]
    assert identity_of(made) != identity_of(Early())
    assert from_table(Grown, made.settings(), "here") == made


def test_a_subclass_has_defaults_of_its_own() -> None:
    assert Heir().settings() == {"rate": 0.5, "share": 0.0}
    assert Heir(kind="plain").settings() == {"rate": 0.5, "share": 0.0, "kind": "plain"}
    assert Heir(steps=(3,)).settings() == {"rate": 0.5, "share": 0.0, "steps": [3]}


LATER = {"poisons", "weight_decay", "schedule", "warmup", "clean", "order", "seed"}


def test_the_later_parameters_of_retuning() -> None:
    assert set(Retuning().parameters()) - set(Retuning().settings()) == LATER
    assert "poisons" not in QRA().settings()
    assert QRA(poisons="relabelled").settings()["poisons"] == "relabelled"
