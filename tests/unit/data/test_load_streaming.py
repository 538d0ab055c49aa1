"""Data sets larger than memory are loaded, split, poisoned and trained on in little memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PROGRAM = """
import os, resource, sys
import torch
from remission.attacks.poisoning import poison
from remission.data import load_dataset, split_dataset
from remission.grid.stages.datasets import digest_of
from remission.seeding import Seed
from remission.training import Recipe, fit, predict
from remission.triggers import checkerboard
from remission.types import LabelledImages

def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData"))

def train(model, data):
    recipe = Recipe(epochs=1, lr=0.1, batch_size=8, augment="crop_flip")
    fit(model, data, recipe, seed=Seed(0))
    return predict(model, data, batch_size=8, only=torch.arange(0, len(data), 2))

os.cpu_count = lambda: 2  # each thread's stack is memory too
torch.set_num_threads(1)
with Seed(0).initialising():
    model = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 2)
    )
train(model, LabelledImages(torch.zeros(64, 3, 160, 160, dtype=torch.uint8), torch.arange(64) % 2))
limit = anonymous() + (int(sys.argv[2]) << 20)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
dataset = load_dataset(sys.argv[1], size=160)
digest = digest_of(dataset)
split = split_dataset(dataset, Seed(0))
chosen = torch.arange(0, len(split.victim), 10)
trigger = checkerboard(dataset.train.shape, 3, 1)
poisoned = poison(split.victim, chosen, trigger, None)
changed = (poisoned.images[chosen[:99]] != split.victim.images[chosen[:99]]).flatten(1).any(1)
assert changed.all()
predicted = train(model, poisoned)
assert len(digest) == 16 and len(predicted) == -(-len(poisoned) // 2)
"""
IMAGES = 1600  # of 3x160x160: 117 MiB, and as much again for the split and for the poisoned copy
ROOM = 100  # MiB of memory for everything, which takes 60 to 80


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns two classes of tiny colour images, which are resized to a large size."""
    root = tmp_path_factory.mktemp("large")
    for name in ("a", "b"):
        (root / "images" / name).mkdir(parents=True)
        for i in range(IMAGES // 2):
            colour = (i % 256, 200 if name == "a" else 50, 100)
            Image.new("RGB", (8, 8), colour).save(root / "images" / name / f"{i:04}.png")
    return root / "images"


def run(folder: Path, memory: int, room: int) -> subprocess.CompletedProcess[str]:
    """Runs a program with ``REMISSION_MEMORY`` and a limit of MiB beyond its start."""
    scratch = folder.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(room)],
        env={**os.environ, "REMISSION_MEMORY": str(memory), "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not [path for path in scratch.rglob("*") if path.is_file()]
    return told


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux counts memory so")
def test_more_images_than_memory(folder: Path) -> None:
    told = run(folder, memory=4, room=ROOM)
    assert (told.returncode, told.stderr) == (0, "")
    refused = run(folder, memory=1 << 20, room=ROOM)  # the room is a limit: in memory it fails
    assert refused.returncode != 0
    assert "alloc" in refused.stderr
