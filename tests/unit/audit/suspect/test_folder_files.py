"""The files of a model that is a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from remission.audit.suspect.folder_files import model_files
from remission.errors import CheckpointError


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(b"weights")
    return folder


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["pytorch_model.bin", "model.safetensors"], "model.safetensors"),
        (["pytorch_model.bin", "other.pt"], "pytorch_model.bin"),
        (["attack_result.pt", "log.txt"], "attack_result.pt"),
        (["epoch_9.pth"], "epoch_9.pth"),
        (["last.pth.tar", "notes.md"], "last.pth.tar"),
    ],
)
def test_the_usual_name_comes_first(names: list[str], taken: str, tmp_path: Path) -> None:
    assert model_files(touched(tmp_path, *names)).weights == tmp_path / taken


def test_a_file_stands_for_itself(tmp_path: Path) -> None:
    file = tmp_path / "anything"
    assert model_files(file).weights == file
    assert model_files(file).configs == {}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "has no file of weights"),
        (["readme.md"], "has no file of weights"),
        (["a.pt", "b.pt"], "several files of weights: a.pt, b.pt"),
    ],
)
def test_a_folder_without_one_file_of_weights_is_refused(
    names: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        model_files(touched(tmp_path, *names))


@pytest.mark.parametrize(
    "content", [b"{", b"\xff\xfe", b"[1]", b"3", b"[" * 200_000, b'{"a": ' + b" " * 10_000_001]
)
def test_a_broken_configuration_is_one_line(content: bytes, tmp_path: Path) -> None:
    touched(tmp_path, "model.safetensors")
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        model_files(tmp_path)
