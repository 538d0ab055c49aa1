"""Whether a purifier changed anything is recorded with the model that it returned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remission.records import Record, read_records
from tests.unit.grid.small import remission, run, write_spec

METHOD = '''
"""A purifier that changes nothing, one statistic of one batch norm, or one weight."""

from typing import ClassVar, Literal

import torch

from remission.method import method
from remission.purifiers import CleanPurifier


@method
class Touch(CleanPurifier):
    """Changes one number, or none."""

    name: ClassVar[str] = "touch"
    paper: ClassVar[str] = "Nobody, nowhere"
    where: Literal["nowhere", "weight", "buffer"] = "nowhere"
    """Which number is changed."""

    def purify(self, model, clean, *, seed):
        tensors = {
            "nowhere": [],
            "weight": [model.final_linear.weight],
            "buffer": [b for name, b in model.named_buffers() if "running_mean" in name],
        }[self.where]
        with torch.no_grad():
            for tensor in tensors[:1]:
                tensor.view(-1)[0] = torch.nextafter(tensor.view(-1)[0], torch.tensor(9.0))
        return model
'''
TABLES = "".join(
    f'\n[[purifier]]\nmethod = "touch"\nwhere = "{where}"\n'
    for where in ("nowhere", "weight", "buffer")
)

EDITS = (("seeds = [0]", "seeds = [0]\ninnocent = [0]"), ("budgets = [0, 3]", "budgets = [3]"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("applied")
    (folder / "touch.py").write_text(METHOD, encoding="utf-8")
    spec = write_spec(folder, *EDITS, more=TABLES)
    told = run(spec, folder / "store", "--only", "*touch*", "--methods", str(folder / "touch.py"))
    assert told.status == 0, told.err
    return folder / "store"


def of_touch(record: Record) -> str | None:
    cell = record.cell
    return cell.purifier_params["where"] if cell and cell.purifier == "touch" else None


@pytest.mark.parametrize("kind", ["purified", "innocent"])
def test_one_changed_number_suffices_and_no_change_is_told(store: Path, kind: str) -> None:
    cells = {
        where: record.cell
        for record in read_records(store)
        if record.kind == kind and (where := of_touch(record))
    }
    assert {where: cell and cell.applied for where, cell in cells.items()} == {
        "nowhere": False,
        "weight": True,
        "buffer": True,
    }


def test_only_models_that_a_purifier_returned_say_it(store: Path) -> None:
    for record in read_records(store):
        if record.cell:
            returned = record.kind in ("purified", "innocent")
            touched = returned and record.cell.purifier != "control"
            assert (record.cell.applied is not None) == touched, record.label


def test_programs_see_it_and_so_do_people(store: Path) -> None:
    told = remission("table", store, "--view", "cells", "--format", "json")
    found: list[dict[str, Any]] = json.loads(told.out)
    values = {cell["purifier_params"].get("where"): cell["applied"] for cell in found
              if cell["reactivation"] == "none" and cell["purifier"] == "touch"}  # fmt: skip
    assert values == {"nowhere": False, "weight": True, "buffer": True}
    assert "applied" in remission("table", store, "--view", "cells").out
    assert ",applied," in remission("table", store, "--view", "cells", "--format", "csv").out


def test_a_record_that_does_not_say_it_is_read(store: Path) -> None:
    record = next(r for r in read_records(store) if r.kind == "purified")
    older = json.loads(record.to_json())
    del older["cell"]["applied"]
    read = Record.from_json(json.dumps(older)).cell
    assert read is not None
    assert read.applied is None
