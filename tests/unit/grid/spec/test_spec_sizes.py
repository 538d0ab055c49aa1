"""Keys of a spec that say how images come to their size: what they change, and what not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from remission.errors import DataError, SpecError
from remission.grid.plan.planner import make_plan
from remission.grid.run import plan_of
from remission.grid.spec.spec import parse_spec
from remission.grid.spec.tables import Table
from remission.grid.stages.inputs import dataset_of
from remission.records import read_records

QUICKSTART = Path(__file__).parents[4] / "results" / "quickstart"


def spec(**keys: object) -> Table:
    return {"name": "x", "dataset": "digits", "attack": [{"method": "badnets"}], **keys}


def names(**keys: object) -> list[str]:
    return [stage.id for stage in make_plan(parse_spec(spec(**keys)), "0" * 16)]


def test_the_default_leaves_every_name_as_it_was() -> None:
    assert names() == names(resize="crop")
    assert names(size=32) == names(size=32, resize="crop")
    (control, *_) = make_plan(parse_spec(spec()), "0" * 16)
    (stored,) = (record for record in read_records(QUICKSTART) if record.kind == "control")
    assert sorted(control.settings["context"]) == sorted(stored.settings["context"])


def test_another_way_is_another_result() -> None:
    every = [names(size=32), names(size=32, resize="squash"), names(size=32, resize="pad")]
    assert len({name for found in every for name in found}) == sum(map(len, every))


def test_an_unknown_way() -> None:
    with pytest.raises(SpecError, match=r"'resize' is 'stretch'; .*'crop', 'squash' or 'pad'"):
        parse_spec(spec(resize="stretch"))


def test_a_folder_is_read_the_way_that_the_spec_says(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(20):
            Image.new("L", (16, 8), 200).save(tmp_path / name / f"{i}.png")
    table = spec(dataset=str(tmp_path), size=16, resize="pad", split={"defender": 4, "attacker": 4})
    plan_of(parse_spec(table))
    assert dataset_of.cache_info().currsize
    padded = dataset_of(str(tmp_path), 16, "pad").train.images
    assert torch.equal(padded.amax((0, 1, 3)), torch.tensor([0] * 4 + [200] * 8 + [0] * 4))
    with pytest.raises(DataError, match="resize='pad' with data set 'digits' and size=None"):
        plan_of(parse_spec(spec(resize="pad")))
