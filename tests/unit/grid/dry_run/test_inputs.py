"""Images that stand in for a data set that is not on this computer."""

from __future__ import annotations

import mmap
import tomllib
from pathlib import Path

import pytest
import torch

from remission import mapped_tensors as memory
from remission.data import CATALOGUE
from remission.grid.dry_run import stand_in
from remission.grid.run import dry_run
from remission.grid.spec.spec import parse_spec
from tests.unit.grid.small import SPEC


@pytest.mark.parametrize("name", ["cifar10", "gtsrb"])
def test_a_data_set_that_is_not_here_is_planned_from_its_description(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMISSION_DATA", str(tmp_path / "empty"))
    spec = parse_spec({**tomllib.loads(SPEC), "dataset": name})
    found = dry_run(spec, tmp_path / "store", device="cpu", jobs=2, only="*/victim")
    assert not found.data_is_here
    assert found.stored == set()
    assert all((found.seconds[stage.id] or 0.0) > 0 for stage in found.plan)
    made, source = stand_in(CATALOGUE[name]), CATALOGUE[name]
    assert made.train.images.shape == (source.train, *source.shape)
    assert made.test.images.shape == (source.test, *source.shape)
    assert len(made.classes) == source.classes == int(made.train.labels.max()) + 1


def test_images_that_stand_in_for_a_large_data_set_lie_in_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, mapped = CATALOGUE["digits"], memory._mapped
    sizes: list[int] = []

    def listen(needed: int) -> mmap.mmap:
        sizes.append(needed)
        return mapped(needed)

    monkeypatch.setattr(memory, "_mapped", listen)
    stand_in(source)
    assert sizes == []
    monkeypatch.setenv("REMISSION_MEMORY", "0")
    made = stand_in(source)
    assert sizes == [64 * source.train, 64 * source.test]
    assert torch.equal(made.train.images[1000], made.train.images[0]), "drawn ones, again"
