"""The image folder of a spec: where a path leads, and that its content alone is in identities."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

from remission.errors import DataError, SpecError
from remission.grid.run import plan_of
from remission.grid.spec.spec import parse_spec, read_spec
from remission.grid.stages.datasets import dataset_of

Form = Literal["NFC", "NFD"]
CLASSES = ("ant", "bee", "cow")


def draw(folder: Path, first: int = 0, classes: tuple[str, ...] = CLASSES) -> Path:
    """Draws grey images of 8x8 pixels, 40 of each class."""
    for place, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(40):
            shade = (first + 50 * place + i) % 256
            Image.new("L", (8, 8), shade).save(folder / name / f"{i:02}.png")
    return folder


def spec_in(folder: Path, dataset: str, target: object = 1) -> Path:
    """Writes a spec of one attack into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "spec.toml"
    shown = f'"{target}"' if isinstance(target, str) else target
    file.write_text(
        f"""
name = "own"
dataset = "{dataset}"
arch = "resnet18:2"
precision = "fp32"
split = {{defender = 12, attacker = 12}}
[[attack]]
method = "badnets"
size = 2
poison_rate = 0.1
target = {shown}
[[purifier]]
method = "ft"
""",
        encoding="utf-8",
    )
    return file


def identities(spec: Path) -> list[str]:
    dataset_of.cache_clear()  # as a new process does
    return [stage.id for stage in plan_of(read_spec(spec))]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return draw(tmp_path / "base")


def test_the_content_of_a_folder_is_its_identity(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    first = identities(spec_in(tmp_path, "base"))
    for written in ("./base", "base/", "../" + tmp_path.name + "/base", str(base)):
        assert identities(spec_in(tmp_path, written)) == first, written
    moved = shutil.move(base, tmp_path / "elsewhere" / "renamed")
    assert identities(spec_in(tmp_path / "elsewhere", "renamed")) == first
    assert identities(spec_in(tmp_path, "elsewhere/renamed")) == first
    monkeypatch.setenv("HOME", str(Path(moved).parent))
    assert identities(spec_in(tmp_path / "third", "~/renamed")) == first


def test_another_content_is_another_identity(base: Path, tmp_path: Path) -> None:
    first = identities(spec_in(tmp_path, "base"))
    draw(tmp_path / "other" / "base", first=1)
    other = identities(spec_in(tmp_path / "other", "base"))
    assert not set(first) & set(other)
    Image.new("L", (8, 8), 255).save(base / "ant" / "00.png")
    assert not set(first) & set(identities(spec_in(tmp_path, "base")))


def test_records_call_a_folder_by_its_own_name(base: Path, tmp_path: Path) -> None:
    for written in ("base", "./base/", str(base)):
        dataset_of.cache_clear()
        plan = plan_of(read_spec(spec_in(tmp_path, written)))
        assert {stage.dataset for stage in plan} == {"base"}
        assert {stage.names.folder for stage in plan if stage.names} == {str(base)}


def test_a_catalogue_name_wins_and_keeps_its_identity(tmp_path: Path) -> None:
    draw(tmp_path / "digits")
    assert read_spec(spec_in(tmp_path, "digits")).source() == "digits"
    assert read_spec(spec_in(tmp_path, "./digits")).source() == str(tmp_path / "digits")


def test_a_path_starts_at_the_spec_and_not_at_the_working_directory(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_in(tmp_path / "specs", "base")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        read_spec(spec).source()
    assert caught.value.problem == (
        f"unknown data set 'base', and there is no folder '{tmp_path / 'specs' / 'base'}'"
    )
    assert caught.value.remedy.endswith(f"; for '{base}' write '../base'")
    with pytest.raises(DataError) as caught:
        read_spec(spec_in(tmp_path / "specs", "./base")).source()
    assert f"'{tmp_path / 'specs' / 'base'}' does not exist" in caught.value.problem
    assert caught.value.remedy.endswith(f"; for '{base}' write '../base'")
    assert read_spec(spec_in(tmp_path / "specs", "../base")).source() == str(base)


def test_a_spec_without_a_file_starts_at_the_working_directory(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = {"name": "own", "dataset": "./base", "attack": [{"method": "badnets"}]}
    spec = parse_spec(table)
    monkeypatch.chdir("/")
    assert spec.source() == str(base)
    assert spec.model_copy(update={"precision": "fp32"}).source() == str(base)
    assert parse_spec(table, folder=base.parent).source() == str(base)


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_a_path_that_reads_alike_leads_to_the_folder(
    tmp_path: Path, forms: tuple[Form, Form]
) -> None:
    typed, stored = (unicodedata.normalize(form, "café") for form in forms)
    draw(tmp_path / stored / "bilder")
    source = read_spec(spec_in(tmp_path, f"{typed}/bilder")).source()
    assert Path(source).samefile(tmp_path / stored / "bilder")


@pytest.mark.parametrize(("target", "index"), [("ant", 0), ("bee", 1), ("cow", 2), (0, 0), (2, 2)])
def test_a_target_by_name_is_its_number(
    base: Path, tmp_path: Path, target: object, index: int
) -> None:
    by_name = identities(spec_in(tmp_path, str(base), target))
    assert by_name == identities(spec_in(tmp_path, str(base), index))
    plan = plan_of(read_spec(spec_in(tmp_path, str(base), target)))
    (victim,) = [stage for stage in plan if stage.kind == "victim"]
    assert (victim.settings["attack"]["target"], victim.target_name) == (index, CLASSES[index])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_a_target_that_reads_alike(tmp_path: Path, form: Form, stored: Form) -> None:
    names = tuple(unicodedata.normalize(stored, name) for name in ("abc", "café", "été"))
    draw(tmp_path / "base", classes=names)
    spec = spec_in(tmp_path, "base", unicodedata.normalize(form, "été"))
    assert identities(spec) == identities(spec_in(tmp_path, "base", 2))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("cows", "has no class 'cows'; did you mean 'cow'?"),
        ("Bee", "has no class 'Bee'; did you mean 'bee'?"),
        ("zzz", "has no class 'zzz'; use one that exists (known: all-to-all, ant, bee, cow)"),
        ("all to all", "did you mean 'all-to-all'?"),
    ],
)
def test_a_target_that_is_no_class(base: Path, tmp_path: Path, target: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        identities(spec_in(tmp_path, str(base), target))
    assert "[attack] badnets" in str(caught.value)
    assert words in str(caught.value)


def test_all_to_all_is_no_name_of_a_class(base: Path, tmp_path: Path) -> None:
    plan = plan_of(read_spec(spec_in(tmp_path, str(base), "all-to-all")))
    assert {s.settings["attack"]["target"] for s in plan if "attack" in s.settings} == {
        "all-to-all"
    }
    assert {stage.target_name for stage in plan} == {None}


def bom(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.encode()


@pytest.mark.parametrize(
    ("encode", "words"),
    [
        (lambda text: text.encode("utf-16"), "it is written in UTF-16"),
        (lambda text: b"\xfe\xff" + text.encode("utf-16-be"), "it is written in UTF-16"),
        (lambda text: text.encode("utf-16-le"), "zero bytes, as UTF-16 does"),
        (lambda text: text.encode("utf-32"), "it is written in UTF-32"),
        (lambda text: text.encode("latin-1"), "line 2 holds the byte 0xe9"),
    ],
)
def test_a_spec_in_another_encoding(
    tmp_path: Path, encode: Callable[[str], bytes], words: str
) -> None:
    spec = spec_in(tmp_path, "digits")
    text = spec.read_text(encoding="utf-8").replace('"own"', '"caf\u00e9"')
    spec.write_bytes(encode(text))
    with pytest.raises(SpecError) as caught:
        read_spec(spec)
    assert words in caught.value.problem
    assert str(spec) in caught.value.problem
    assert caught.value.remedy == "save it as UTF-8"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_byte_order_mark_is_passed_over(tmp_path: Path, ends: str) -> None:
    spec = spec_in(tmp_path, "digits")
    plain = read_spec(spec)
    text = spec.read_text(encoding="utf-8").replace("\n", ends)
    spec.write_bytes(bom(text))
    assert read_spec(spec).model_dump() == plain.model_dump()
