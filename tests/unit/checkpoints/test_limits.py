"""Pickles that are small and would cost much: refused soon, in little memory.

By default limits and pickles are a fiftieth; ``REMISSION_TEST_BOMBS=1`` tries them in full.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest

from remission.checkpoints import limits
from remission.errors import CheckpointError
from tests.unit.checkpoints.files import pickled, read, tensor, text, whole, zipped

PART = 1 if os.environ.get("REMISSION_TEST_BOMBS") else 50
COLLIDING = [(i * (2**61 - 1)).to_bytes(11, "little") for i in range(1, 20_000)]
BOMBS = {
    "stack": (b"N" * (7_000_000 // PART), "6000000|120000 operations"),
    "sets": (b"\x8f" * (2_100_000 // PART), "lists, dicts and objects"),
    "lists": (b"](" + b"]" * (2_100_000 // PART) + b"e", "lists, dicts and objects"),
    "depth": (b"N" + b"\x85" * (1_900_000 // PART), "nested more than 300 deep"),
    "laughs": (
        b"]\x94(NNe" + b"".join(b"](h%ch%ce\x94" % (i, i) for i in range(80)),
        "refer to the same values too often",
    ),
    "tuples": (
        b")\x94" + b"".join(b"h%ch%c\x86\x94" % (i, i) for i in range(80)) + b"}h\x50Ns",
        "a key in which tuples are nested",
    ),
    "names": (b"ca\nb\n" * (1_000_000 // PART), "lines of text"),
    "collisions": (
        b"}(" + b"".join(b"\x8a\x0b" + key + b"N" for key in COLLIDING) + b"u",
        "keys that are no text",
    ),
    "copies": (
        b"]\x94(" + b"N" * 100_000 + b"ecbuiltins\nlist\n\x94" + b"h\x01h\x00\x85R" * 10_000,
        "would take more than",
    ),
    "encodings": (
        b"c_codecs\nencode\n\x94"
        + text("a" * (10_000_000 // PART))
        + b"\x94\x8c\x06latin1\x94"
        + b"h\x00h\x01h\x02\x86R" * 200,
        "would take more than",
    ),
    "wide": (text("😀" + "a" * ((300 << 20) // PART)), "would take more than"),
    "long": (text("a" * (400 << 20)) if PART == 1 else text("a" * (8 << 20)), "MiB in its pickle"),
    "integer": (b"\x8b" + (300).to_bytes(4, "little") + b"\1" * 300, "more than 256 bytes"),
    "digits": (b"L" + b"9" * 5000 + b"L\n", "a line that is too long"),
    "key": (b"}" + text("k" * 5000) + b"Ns", "more than 4096 characters"),
    "bytes as a key": (b"}B" + (5000).to_bytes(4, "little") + b"k" * 5000 + b"Ns", "4096 bytes"),
    "tensors": (
        b"ctorch._utils\n_rebuild_tensor_v2\n\x94"
        + tensor()[37:-1]
        + b"\x94R"
        + b"0h\x00h\x01R" * (200_000 // PART + 1),
        "tensors",
    ),
    "expanded": (
        tensor(size=b"(" + whole(1 << 20) * 2 + b"t", stride=b"K\x00K\x00\x86"),
        "much larger than the file",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, words = BOMBS[name]
    for limit in ("OPERATIONS", "MEMORY", "TENSORS", "LINES", "CONTAINERS", "VALUE"):
        monkeypatch.setattr(limits, limit, getattr(limits, limit) // PART)
    monkeypatch.setattr("remission.checkpoints.machine.VALUE", limits.VALUE)
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=words):
        read(tmp_path / "model.pt", zipped(pickled(content)))
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 << 20


def test_time_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.0)
    with pytest.raises(CheckpointError, match="takes more than 0 seconds"):
        read(tmp_path / "model.pt", zipped(pickled(b"N" * 100_000)))
