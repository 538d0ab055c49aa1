"""The first script in examples/ runs as it stands; `make site` runs all of them."""

from __future__ import annotations

import runpy
from pathlib import Path

import matplotlib.pyplot
import pytest

from tests.margins import above

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("audit_*.py"))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.long
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_example(
    script: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matplotlib.pyplot, "show", lambda: None)
    after = runpy.run_path(str(script))["asr_after"]
    assert "P-ASR" in capsys.readouterr().out
    above(after["ft"][1], after["ep"][1] + 0.3, "fine-tuning relapses, exact purification does not")
