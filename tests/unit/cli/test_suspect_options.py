"""The options by which somebody's model is opened and purified: right values, and one line else."""

from __future__ import annotations

from pathlib import Path

import pytest

from remission.cli.suspect import check_outputs, code_of, normalisation, purifier_of
from remission.errors import CheckpointError, SpecError
from remission.purifiers import FST, PAMPath


@pytest.mark.parametrize(
    ("mean", "std", "channels", "values"),
    [
        ("0.5", "0.25", 3, ((0.5,) * 3, (0.25,) * 3)),
        ("0.1,0.2,0.3", "1,2,3", 3, ((0.1, 0.2, 0.3), (1, 2, 3))),
        ("0.1, 0.2, 0.3", "1", 3, ((0.1, 0.2, 0.3), (1, 1, 1))),
        ("0.5", "0.5", 1, ((0.5,), (0.5,))),
        ("imagenet", "", 3, ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))),
        ("mnist", "", 1, ((0.1307,), (0.3081,))),
    ],
)
def test_a_normalisation_is_numbers_or_a_preset(
    mean: str, std: str, channels: int, values: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    given = normalisation(mean, std, channels)
    assert given
    assert (given.mean, given.std) == values


def test_nothing_given_is_nothing() -> None:
    assert normalisation("", "", 3) is None


@pytest.mark.parametrize(
    ("mean", "std", "channels"),
    [
        ("0.5", "", 3),
        ("", "0.5", 3),
        ("imagenet", "", 1),
        ("0.5,0.5", "0.5", 3),
        ("0.5", "0", 1),
        ("0.5", "-1", 1),
        ("half way", "1", 3),
        ("nan", "1", 1),
        ("0.5", "inf", 1),
    ],
)
def test_what_is_no_normalisation_is_refused(mean: str, std: str, channels: int) -> None:
    with pytest.raises(SpecError):
        normalisation(mean, std, channels)


def test_a_purifier_is_built_from_key_and_value() -> None:
    assert purifier_of("pam_path", []) == PAMPath()
    assert purifier_of("fst", ["epochs=3", "lr = 0.02"]) == FST(epochs=3, lr=0.02)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("fts", []),
        ("fst", ["epochs"]),
        ("fst", ["=3"]),
        ("fst", ["epochs=0"]),
        ("fst", ["speed=3"]),
        ("ep", []),
        ("pam_path", ["trigger=true"]),
    ],
)
def test_what_is_no_purifier_is_refused(method: str, settings: list[str]) -> None:
    with pytest.raises(SpecError):
        purifier_of(method, settings)


def test_outputs_are_never_inputs(tmp_path: Path) -> None:
    model, folder = tmp_path / "model.pth", tmp_path / "folder"
    model.write_bytes(b"")
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    code = tmp_path / "net.py"
    code.write_text("")
    check_outputs([tmp_path / "a", None], [model, folder, code_of("resnet18:16")])
    for wrong in (
        [model],
        [folder / "model.safetensors"],
        [folder / "another.safetensors"],
        [folder],
        [tmp_path / "no" / "a"],
        [tmp_path / "a", tmp_path / "a"],
        [tmp_path / "a", folder / ".." / "a"],
        [tmp_path / "link"],
        [code],
    ):
        with pytest.raises(CheckpointError):
            check_outputs(wrong, [model, folder, code_of(f"{code}:network")])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["method=clp"], "choose the purifier by --method"),
        (["epochs=1", "epochs = 2"], "give it once"),
        (["epochs=" + "[" * 5000], "'epochs' is"),
        (["epochs=" + "1" * 5000], "'epochs' is"),
    ],
)
def test_a_setting_is_given_once_and_read_whatever_it_holds(
    settings: list[str], words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        purifier_of("pam_path", settings)
    assert words in str(caught.value)
