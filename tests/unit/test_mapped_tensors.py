"""Large tensors are in files without a name; they are copied in pieces, bit by bit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from remission import mapped_tensors as memory
from remission.data import load_dataset, split_dataset
from remission.errors import DataError
from remission.seeding import Seed
from remission.types import LabelledImages


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Lets nothing fit into memory, and pieces hold a few images."""
    monkeypatch.setenv("REMISSION_MEMORY", "0")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(memory, "_CHUNK", 1000)


def mapped(tensor: torch.Tensor) -> bool:
    """Returns whether the tensor's bytes are in a file that was removed."""
    at = tensor.data_ptr()
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        if start <= at < end:
            return "(deleted)" in line
    return False


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux shows mappings so")
def test_what_is_mapped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images = memory.allocate((50, 1, 8, 8))
    assert mapped(images)
    assert mapped(memory.take(images, torch.tensor([1, 2])))
    assert mapped(memory.copy(images))
    assert mapped(memory.allocate((5, 2), torch.float32))
    assert mapped(load_dataset("shapes", size=16).train.images)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("REMISSION_MEMORY", "1")
    assert not mapped(memory.allocate((1 << 20,)))
    assert mapped(memory.allocate((1 << 20 | 1,)))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_the_same_values(dtype: torch.dtype) -> None:
    images = torch.randint(256, (57, 2, 5, 7), generator=Seed(0).generator()).to(dtype)
    index = torch.randperm(57, generator=Seed(1).generator())[:31]
    mask = torch.zeros(57, dtype=torch.bool).index_fill(0, index, True)
    assert torch.equal(memory.take(images, index), images[index])
    assert torch.equal(memory.take(images, mask), images[mask])
    assert torch.equal(memory.take(images, index[:0]), images[:0])
    copied = memory.copy(images)
    assert torch.equal(copied, images)
    copied[3] += 1
    assert not torch.equal(copied, images)
    assert torch.cat([images[part] for part in memory.chunks(images)]).shape == images.shape


def test_a_split_is_the_same_wherever_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = load_dataset("digits")
    near = split_dataset(dataset, Seed(0))
    monkeypatch.setenv("REMISSION_MEMORY", "1000")
    far = split_dataset(dataset, Seed(0))
    for name in ("victim", "defender", "attacker", "test"):
        one, other = getattr(near, name), getattr(far, name)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_a_copy_is_a_copy() -> None:
    data = LabelledImages(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.arange(3))
    copied = data.copy()
    copied.images[0] = 9
    copied.labels[0] = 2
    assert int(data.images.sum()) == 0
    assert data.labels.tolist() == [0, 1, 2]


def test_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMISSION_MEMORY", "12")
    assert memory.memory_limit() == 12 << 20
    monkeypatch.setenv("REMISSION_MEMORY", "much")
    with pytest.raises(DataError, match="REMISSION_MEMORY is 'much'; give a whole number of MiB"):
        memory.allocate((1,))
    monkeypatch.delenv("REMISSION_MEMORY")
    monkeypatch.setattr(memory, "free_memory", lambda: 400)
    assert memory.memory_limit() == 100
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    assert memory.allocate((3, 3)).shape == (3, 3)


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(descriptor: int, start: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError) as caught:
        memory.allocate((3 << 30, 2))
    assert str(caught.value) == (
        f"6.0 GiB of images fit neither into memory nor into {tmp_path} (No space left on device); "
        "make room, set TMPDIR to a folder that has it, use a smaller size or fewer images"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("shape", "amount"),
    [
        ((1023,), "1023 bytes"),
        ((1 << 10,), "1.0 KiB"),
        ((10, 3, 32, 32), "30.0 KiB"),
        ((3, 1 << 20), "3.0 MiB"),
        ((3, 1 << 29), "1.5 GiB"),
    ],
)
def test_an_amount_is_never_nothing(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], amount: str
) -> None:
    def full(descriptor: int, start: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=f"^{amount} of images fit neither into memory nor into"):
        memory.allocate(shape)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="nothing to do elsewhere")
def test_freed_blocks_are_kept_when_asked_for() -> None:
    """A block of 64 MiB lies where the last one lay, and faults in no pages."""
    script = """
import resource, torch
from remission.mapped_tensors import keep_freed_blocks
{ask}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for turn in range(2):  # the first blocks find their places
    before = faults()
    for _ in range(12):
        torch.ones(16 << 20)
print(faults() - before)
"""
    handed_back, kept = (
        int(
            subprocess.run(
                [sys.executable, "-c", script.format(ask=ask)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for ask in ("", "keep_freed_blocks()")
    )
    assert 10 * kept < handed_back
