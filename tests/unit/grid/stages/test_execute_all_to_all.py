"""An all-to-all backdoor from the spec to the report."""

from __future__ import annotations

import json
from pathlib import Path

from tests.margins import above, below
from tests.unit.grid.small import remission, run

SPEC = """
name = "all to all"
dataset = "digits"
arch = "resnet18:8"
precision = "fp32"

[split]
defender = 150
attacker = 200

[victim]
epochs = 10
schedule = "one_cycle"
augment = "none"
batch_size = 64

[[attack]]
method = "badnets"
size = 2
margin = 0
poison_rate = 0.3
target = "all-to-all"

[[purifier]]
method = "ep"
epochs = 10
lr = 0.02
batch_size = 32
augment = "none"

[[reactivation]]
method = "retuning"
budgets = [100]
epochs = 10
lr = 0.02
batch_size = 32
augment = "none"
"""


def test_all_to_all_goes_through_the_whole_grid(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPEC, encoding="utf-8")
    store = tmp_path / "store"
    told = run(tmp_path / "spec.toml", store)
    assert told.status == 0, told

    cells = json.loads(remission("table", store, "--view", "cells", "--format", "json").out)
    assert {cell["target"] for cell in cells} == {"all-to-all"}
    asr = {(cell["purifier"], cell["reactivation"]): cell["asr"] for cell in cells}
    above(asr["none", "none"], 0.7, asr)
    below(asr["control", "none"], 0.1, asr)
    below(asr["ep", "none"], 0.3, asr)
    above(asr["ep", "retuning"], asr["ep", "none"] + 0.2, asr)
    images = {cell["n_triggered"] for cell in cells}
    assert images == {cell["n_clean"] for cell in cells}, "every image has another class to go to"

    assert "all-to-all" in remission("table", store).out
    page = tmp_path / "report.html"
    assert remission("report", store, "-o", page).status == 0
    assert "all-to-all" in page.read_text(encoding="utf-8")
