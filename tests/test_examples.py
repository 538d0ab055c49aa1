"""Every script in examples/ runs as it stands; `grid/test_own.py` runs the method."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.margins import above

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("audit_*.py"))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_example(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = runpy.run_path(str(script))["main"]()
    assert "P-ASR" in capsys.readouterr().out
    above(found["ft"], found["ep"] + 0.3, "fine-tuning relapses, exact purification does not")
