"""
A purifier of your own, in the table
====================================

The purifier of :doc:`halving </auto_examples/halving>` beside two others, on the same clean
images and against the same control: a spec, a run, and a table.
"""

# %%
# ``use_methods`` reads the file that holds the purifier; its text becomes part of the identity of
# its results. It is executed, so it must be one that you trust.

from __future__ import annotations

import tempfile
from pathlib import Path

import remission
from remission.report.tables.render import render

here = Path(__file__).parent if "__file__" in globals() else Path()
remission.use_methods(here / "halving.py")

spec = """
name = "own purifier"
dataset = "digits"
arch = "resnet18:4"
seeds = [1]

[split]
defender = 300
attacker = 400

[victim]
epochs = 25
batch_size = 64
schedule = "one_cycle"

[[attack]]
method = "badnets"
poison_rate = 0.1
margin = 0

[[purifier]]
method = "halving"

[[purifier]]
method = "ft"

[[purifier]]
method = "ep"
epochs = 30
lr = 0.02

[[reactivation]]
method = "retuning"
budgets = [5, 50]
"""

# %%
# A second run of the same spec into the same store would compute nothing.

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "mine.toml"
    file.write_text(spec, encoding="utf-8")
    store = Path(folder) / "store"
    outcome = remission.run(remission.read_spec(file), store, jobs=1)
    records = remission.read_records(store)

print(render(records, "summary", "text"))

# %%
# Halving the last layer's weights changes no answer, so that the backdoor survives.
