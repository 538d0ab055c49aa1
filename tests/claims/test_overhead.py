"""What the grid itself costs stays below the bounds of docs/scale.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.claims
ROOT = Path(__file__).parents[2]


def test_ten_thousand_stages_that_return_at_once(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    pytest.importorskip("moto")
    file = tmp_path / "overhead.json"
    options = ["--seeds", "15", "--jobs", "2", "--ray", "--s3", "--json", str(file)]
    subprocess.run([sys.executable, ROOT / "tools" / "overhead.py", *options], check=True)
    seconds = json.loads(file.read_text(encoding="utf-8"))
    stages = seconds["stages"]
    assert stages >= 10_000
    assert seconds["plan"] + seconds["run"] <= 60
    assert seconds["run again"] <= 10
    assert seconds["ray"] / stages <= 0.005
    assert seconds["memory"] > seconds["memory again"]
    assert seconds["s3"] > seconds["s3 again"]
