"""Keys of a spec for the size of images: what they change, and what they leave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from remission.errors import DataError, SpecError
from remission.grid.plan.planner import make_plan
from remission.grid.run import plan_of
from remission.grid.spec.spec import parse_spec
from remission.grid.spec.tables import TomlTable
from remission.grid.stages.datasets import dataset_of
from remission.records import read_records

QUICKSTART = Path(__file__).parents[4] / "results" / "quickstart"


def spec(**keys: object) -> TomlTable:
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


def test_a_white_of_16_bits_is_another_result() -> None:
    assert names(white=None) == names()
    every = [names(), names(white=4095), names(white=65535)]
    assert len({name for stages in every for name in stages}) == sum(map(len, every))
    for wrong in (0, 65536, "bright"):
        with pytest.raises(SpecError, match="'white' is"):
            parse_spec(spec(white=wrong))


def test_the_white_that_the_spec_names_is_used(tmp_path: Path) -> None:
    for start, name in ((0, "a"), (1000, "b")):
        (tmp_path / name).mkdir()
        for i in range(20):
            values = np.random.default_rng(start + i).integers(0, 4095, (16, 16), np.uint16)
            values[0, 0] = 4095
            Image.fromarray(values).save(tmp_path / name / f"{i}.png")
    table = spec(dataset=str(tmp_path), split={"defender": 4, "attacker": 4})
    dim, bright = plan_of(parse_spec(table)), plan_of(parse_spec({**table, "white": 4095}))
    assert int(dataset_of(str(tmp_path)).train.images.max()) == 16
    assert int(dataset_of(str(tmp_path), None, "crop", 4095).train.images.max()) == 255
    assert not {stage.id for stage in dim} & {stage.id for stage in bright}
    assert bright[0].settings["context"]["white"] == 4095
    with pytest.raises(DataError, match="white=4095 with data set 'digits'"):
        plan_of(parse_spec(spec(white=4095)))


def test_an_unknown_way() -> None:
    with pytest.raises(SpecError, match=r"'resize' is 'stretch'; .*'crop', 'squash' or 'pad'"):
        parse_spec(spec(resize="stretch"))


def test_a_folder_is_read_the_way_that_the_spec_says(tmp_path: Path) -> None:
    for start, name in ((160, "a"), (180, "b")):
        (tmp_path / name).mkdir()
        for i in range(20):
            Image.new("L", (16, 8), start + i + 1).save(tmp_path / name / f"{i}.png")
    table = spec(dataset=str(tmp_path), size=16, resize="pad", split={"defender": 4, "attacker": 4})
    plan_of(parse_spec(table))
    assert dataset_of.cache_info().currsize
    dataset = dataset_of(str(tmp_path), 16, "pad")
    padded = torch.cat((dataset.train.images, dataset.test.images))
    assert torch.equal(padded.amax((0, 1, 3)), torch.tensor([0] * 4 + [200] * 8 + [0] * 4))
    with pytest.raises(DataError, match="resize='pad' with data set 'digits' and size=None"):
        plan_of(parse_spec(spec(resize="pad")))
