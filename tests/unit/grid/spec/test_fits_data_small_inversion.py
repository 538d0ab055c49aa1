from __future__ import annotations

import pytest

from remission.errors import SpecError
from remission.grid.run import plan_of
from remission.grid.spec.spec import parse_spec

SPEC = {"name": "x", "dataset": "digits", "attack": [{"method": "badnets", "size": 2}]}


def test_an_inversion_that_cannot_run_is_refused_before_anything_is_computed() -> None:
    for purifier in ({"method": "pam"}, {"method": "bti_dbf"}):
        words = r"8x8 \(inverts the trigger for \w+\); use fewer levels.* \[inversion\]"
        with pytest.raises(SpecError, match=words):
            plan_of(parse_spec({**SPEC, "purifier": [purifier]}))
