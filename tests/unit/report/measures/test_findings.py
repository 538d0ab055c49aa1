"""The answer of an inversion in captions."""

from __future__ import annotations

from typing import Any

import pytest

from remission.report.measures.findings import Finding, moved, named, reached, standing_out

WHOLE = {"target": 3, "target_share": 0.953, "change": 0.0421, "lead": 2.24}
NOTHING = {"target": None, "target_share": 0.0, "change": 0.0}


@pytest.mark.parametrize(
    ("details", "caption"),
    [
        (
            WHOLE,
            ": names class 3, into which its trigger moves 95.3 % of the images; the next class "
            "needs a change 2.2 times as large",
        ),
        ({"target": 0}, ": names class 0"),
        (NOTHING, ": names no class"),
        ({}, ": names no class"),
        ({"target": "3", "target_share": "all", "lead": [2]}, ": names no class"),
    ],
)
def test_caption(details: dict[str, Any], caption: str) -> None:
    assert Finding.of(details).caption() == caption


def test_where_no_class_is_named_no_share_is_averaged() -> None:
    findings = [Finding.of(WHOLE), Finding.of(NOTHING)]
    assert named(findings) == "3, none"
    assert reached(findings) == "95.3"
    assert moved(findings).startswith("0.021")
    assert standing_out(findings) == "2.2, –"
    assert standing_out(findings[1:]) == "–"
