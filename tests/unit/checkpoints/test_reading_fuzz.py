"""Changed checkpoints are refused in one line or read: never a traceback, a hang or much memory.

``REMISSION_TEST_MUTATIONS=20000`` tries as many; ``REMISSION_TEST_SEED`` gives others.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import resource
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor, nn

from remission.checkpoints import Opaque, image_of, read_checkpoint, state_of
from remission.checkpoints.nesting import children
from remission.errors import CheckpointError
from tests.environment import SHIFT
from tests.unit.checkpoints.files import entries, legacy

MUTATIONS = int(os.environ.get("REMISSION_TEST_MUTATIONS", "400"))
SECONDS, MEMORY = 10.0, 2 << 20  # of one file; KiB of all


def originals() -> dict[str, bytes]:
    """Small checkpoints of every kind, in which most changes hit something that matters."""
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    value = {
        "state_dict": net.state_dict(),
        "net": net,
        "args": argparse.Namespace(arch="x", lr=0.1),
        "picture": Image.new("RGB", (2, 3)),
        "array": np.arange(6).reshape(2, 3),
        "number": np.float32(1),
        "set": {1, "a", (2, 3)},
        "view": torch.arange(6.0).reshape(2, 3).t(),
        "half": torch.ones(3).bfloat16(),
        "flags": torch.tensor([True, False]),
    }
    found = {}
    for new in (True, False):
        for protocol in (2, 4, 5):
            stream = io.BytesIO()
            torch.save(
                value,
                stream,
                pickle_protocol=protocol,
                _use_new_zipfile_serialization=new,
            )
            found[f"{'zip' if new else 'legacy'}{protocol}"] = stream.getvalue()
    found["safetensors"] = save(net.state_dict(), {"format": "pt"})
    return found


ORIGINALS = originals()
OPERATIONS = bytes(range(256))
NUMBERS = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\xff\xff\xff\x7f", b"\1\0\0\0"]


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A file with one to four changes: bits, numbers, and parts that move, double or go."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        place = draw.randrange(len(changed))
        length = draw.choice((1, 2, 4, 8, 64))
        kind = draw.randrange(7)
        if kind == 0:
            changed[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            changed[place] = draw.choice(OPERATIONS)
        elif kind == 2:
            changed[place : place + 4] = draw.choice(NUMBERS)
        elif kind == 3:
            del changed[place : place + length]
        elif kind == 4:
            changed[place:place] = changed[place : place + length]
        elif kind == 5:
            other = draw.randrange(len(changed))
            changed[place : place + length] = changed[other : other + length]
        else:
            changed[place:place] = draw.randbytes(length)
        if not changed:
            break
    return bytes(changed)


def old_pickle() -> bytes:
    """The old format from its main pickle on, so that most changes hit an operation."""
    content = ORIGINALS["legacy2"]
    return content[content.rindex(b"\x80\x02}q") :]


def new_pickle(draw: random.Random) -> bytes:
    """An archive in which the pickle is changed, and nothing else."""
    with zipfile.ZipFile(io.BytesIO(ORIGINALS[draw.choice(("zip2", "zip4"))])) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["archive/data.pkl"] = mutated(parts["archive/data.pkl"], draw)
    return entries(parts)


def use(tree: object) -> None:
    """Does to a file's values what the rest of the house does: looks at each of them."""
    seen: set[int] = set()
    left = [tree]
    while left:
        value = left.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            assert value.numel() * value.element_size() < 80 << 20
            value.to(torch.complex64 if value.is_complex() else torch.float32).sum()
        elif isinstance(value, Opaque):
            repr(value)
            for helper in (state_of, image_of):
                try:
                    helper(value)
                except CheckpointError as error:
                    assert "\n" not in str(error)
        left.extend(children(value))


@pytest.mark.parametrize("part", range(4))
def test_changed_files(part: int, tmp_path: Path) -> None:
    draw = random.Random(4 * SHIFT + part)
    file = tmp_path / "model.pt"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    names, body = list(ORIGINALS), old_pickle()
    refused = 0
    for number in range(MUTATIONS // 4):
        name = draw.choice([*names, "pickle in zip", "pickle in legacy"])
        if name in ORIGINALS:
            content = mutated(ORIGINALS[name], draw)
        elif name == "pickle in zip":
            content = new_pickle(draw)
        else:
            content = legacy(mutated(body, draw))
        file.write_bytes(content)
        start = time.process_time()
        try:
            use(read_checkpoint(file).tree)
        except CheckpointError as error:
            refused += 1
            assert "\n" not in str(error), (part, number)
        assert time.process_time() - start < SECONDS, (part, number)
        # A mapped file must not be shortened while its tensors are in use.
        file.unlink()
    assert 0 < refused < MUTATIONS // 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    assert list(tmp_path.iterdir()) == []
