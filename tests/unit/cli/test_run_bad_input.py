"""Every mistake of a user gives one line with a remedy and exit status 2, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.unit.grid.small import (
    Snapshot,
    assert_one_line,
    finish,
    remission,
    run,
    snapshot,
    start,
    write_spec,
)


@pytest.fixture
def untouched(finished: Path) -> Callable[[], bool]:
    """Checks that the finished store is unchanged at the end of the test."""
    before: Snapshot = snapshot(finished)
    return lambda: snapshot(finished) == before


def setting(line: str) -> tuple[str, str]:
    """Returns an edit that adds a line after the name of the spec."""
    return ('name = "small"', f'name = "small"\n{line}')


SPECS: dict[str, tuple[tuple[str, str], tuple[str, ...]]] = {
    "unknown attack": (("badnets", "badnet"), ("unknown attack 'badnet'", "'badnets'?")),
    "unknown purifier": (('"pam"', '"pma"'), ("unknown purifier 'pma'", "'pam'?")),
    "unknown reactivation": (('"retuning"', '"retune"'), ("unknown reactivation", "'retuning'?")),
    "unknown inversion": (('"bti_dbf"', '"bti"'), ("unknown inversion 'bti'", "'bti_dbf'?")),
    "no method": (('method = "pam"', ""), ("has no 'method'", "add one of: ", "pam")),
    "method of a wrong type": (('"pam"', "3"), ("unknown purifier '3'",)),
    "method that is a list": (('"pam"', '["pam"]'), ("unknown purifier",)),
    "unknown key": (setting("sede = [1]"), ("unknown key 'sede'", "'seeds'?")),
    "unknown table": (("[victim]", "[vitcim]"), ("unknown key 'vitcim'", "'victim'?")),
    "mistyped key that must be there": (
        ("dataset =", "datset ="),
        ("unknown key 'datset'", "'dataset'?"),
    ),
    "unknown key in victim": (("[victim]", "[victim]\nepoch = 2"), ("[victim]", "'epochs'?")),
    "unknown key in split": (("[split]", "[split]\ndefence = 2"), ("[split]", "'defender'?")),
    "unknown key in path": (("[path]", "[path]\npoint = 2"), ("[path]", "'points'?")),
    "unknown key of a method": (
        ('method = "pam"', 'method = "pam"\nrhoo = 1.0'),
        ("[purifier] pam", "unknown key 'rhoo'", "'rho'?"),
    ),
    "unknown key of an attack": (("margin = 0", "margins = 0"), ("'margins'", "'margin'?")),
    "poison rate above one": (("poison_rate = 0.1", "poison_rate = 1.5"), ("1.5", "less than 1")),
    "poison rate of zero": (("poison_rate = 0.1", "poison_rate = 0"), ("greater than 0",)),
    "poison rate nan": (("poison_rate = 0.1", "poison_rate = nan"), ("'poison_rate' is nan",)),
    "poison rate of no image": (("poison_rate = 0.1", "poison_rate = 1e-5"), ("0 of 120 images",)),
    "poison rate of too many": (("poison_rate = 0.1", "poison_rate = 0.99"), ("use a rate",)),
    "text for a number": (("poison_rate = 0.1", 'poison_rate = "a"'), ("'a'", "valid number")),
    "number for text": (('"digits"', "3"), ("'dataset' is 3", "valid string")),
    "number for a list": (
        ("seeds = [0]", "seeds = 0"),
        ("'seeds' is 0; input should be a list like [0]",),
    ),
    "name for a list": (
        ("points = 2", 'batchnorm = "interpolated"'),
        ("'path.batchnorm' is", 'should be a list like ["interpolated", "recalibrated"]'),
    ),
    "number for a list of no default": (
        setting("innocent = 0"),
        ("'innocent' is 0; input should be a list like [1, 5]",),
    ),
    "truth for a number": (("size = 2", "size = true"), ("'size' is True", "valid integer")),
    "fraction for a count": (("points = 2", "points = 2.5"), ("'path.points' is 2.5",)),
    "one table for many": (
        ("[[attack]]", "[attack]"),
        ("'attack' is no list of tables; write a table [[attack]] for each",),
    ),
    "one reactivation for many": (
        ("[[reactivation]]", "[reactivation]"),
        ("'reactivation' is no list of tables; write a table [[reactivation]] for each",),
    ),
    "many tables for one": (
        ("[path]", "[[path]]"),
        ("'path' is not one table; write one table [path]",),
    ),
    "negative budget": (("[0, 3]", "[-1]"), ("is -1", "greater than or equal to 0")),
    "no budget": (
        ("[0, 3]", "[]"),
        ("'budgets' is []; list should have at least 1 item, like [1, 5, 20, 100]",),
    ),
    "budget that is no number": (
        ("[0, 3]", '["5"]'),
        ("'budgets.0' is '5'; input should be a valid integer",),
    ),
    "budget that is no list": (
        ("[0, 3]", "3"),
        ("'budgets' is 3; input should be a list like [1, 5, 20, 100]",),
    ),
    "budget above the images": (
        ("[0, 3]", "[3, 5000]"),
        ("5000", "36 images", "smaller budgets, 36 at most"),
    ),
    "target that is no class": (
        ("margin = 0", "margin = 0\ntarget = 99"),
        ("target is 99", "10 classes", "from 0 to 9"),
    ),
    "negative target": (("margin = 0", "margin = 0\ntarget = -1"), ("'target' is -1",)),
    "patch larger than the image": (("size = 2", "size = 9"), ("9 pixels", "8x8")),
    "picture that is missing": (
        ("margin = 0", 'margin = 0\nimage = "absent.png"'),
        ("[attack] badnets: 'image': there is no image", "absent.png", "check its path"),
    ),
    "picture with a name too long": (
        ("margin = 0", f"margin = 0\nimage = '{300 * 'a'}'"),
        ("'image': there is no image",),
    ),
    "picture for an attack that takes none": (
        ('method = "badnets"\nsize = 2\nmargin = 0', 'method = "wanet"\nimage = "absent.png"'),
        ("[attack] wanet: unknown key 'image'",),
    ),
    "picture of an attack that is a list": (
        ('method = "badnets"', 'method = ["badnets"]\nimage = "absent.png"'),
        ("unknown attack",),
    ),
    "picture that is a folder": (
        ("margin = 0", 'margin = 0\nimage = "."'),
        ("'image': there is no image",),
    ),
    "picture that is text": (
        ("margin = 0", 'margin = 0\nimage = "spec.toml"'),
        ("spec.toml is damaged or not an image",),
    ),
    "picture that is a number": (("margin = 0", "margin = 0\nimage = 3"), ("'image' is 3",)),
    "picture that holds nothing": (
        ("margin = 0", 'margin = 0\nimage = "data:image/png;base64,AAAA"'),
        ("'image' is a URI that holds no picture", "image_uri"),
    ),
    "picture of an unknown kind": (
        ("margin = 0", 'margin = 0\nimage = "data:image/gif;base64,R0lGODdh"'),
        ("'image' is 'data:image/gif;base64,", "give the path"),
    ),
    "negative seed": (("seeds = [0]", "seeds = [-1]"), ("is -1",)),
    "no seed": (("seeds = [0]", "seeds = []"), ("'seeds' is []",)),
    "no name": (('name = "small"\n', ""), ("the spec has no 'name'", "add it")),
    "no dataset": (('dataset = "digits"\n', ""), ("the spec has no 'dataset'", "add it")),
    "unknown dataset": (('"digits"', '"digit"'), ("unknown data set 'digit'", "'digits'?")),
    "missing folder": (('"digits"', '"./nowhere"'), ("nowhere' does not exist", "path")),
    "unknown arch": (("resnet18:2", "resnet81"), ("unknown model 'resnet81'", "'resnet18'?")),
    "bad width": (("resnet18:2", "resnet18:two"), ("the width is 'two'", "from 1 to 1024")),
    "unknown precision": (('"fp32"', '"fp8"'), ("'precision' is 'fp8'", "'bf16'")),
    "unknown augmentation": (('augment = "none"', 'augment = "mixup"'), ("'mixup'", "'crop'")),
    "defender takes all": (
        ("defender = 40", "defender = 1438"),
        ("defender=1438", "from 1 to 1436"),
    ),
    "more victims than images": (("victim = 120", "victim = 9999"), ("victim=9999",)),
    "more tests than images": (("test = 60", "test = 9999"), ("test=9999",)),
    "share above one": (("defender = 40", "defender = 1.5"), ("defender", "1.5")),
    "no epoch": (("epochs = 1", "epochs = 0"), ("'victim.epochs' is 0", "equal to 1")),
    "too few points": (("points = 2", "points = 1"), ("'path.points' is 1", "equal to 2")),
    "no TOML": (("[split]", "split]"), ("is no TOML", "line 8", "mend the line")),
    "curly quotes": (('"digits"', "“digits”"), ("is no TOML", "U+201C (LEFT DOUBLE QUOTATION")),
    "a space that does not break": (("[split]", "\u00a0[split]"), ("U+00A0 (NO-BREAK SPACE)",)),
    "key twice": (setting("arch = 'x'"), ("is no TOML", "mend the line")),
}


@pytest.mark.parametrize("case", SPECS)
def test_a_wrong_spec(
    case: str, tmp_path: Path, finished: Path, untouched: Callable[[], bool]
) -> None:
    edit, words = SPECS[case]
    spec = write_spec(tmp_path, edit)
    assert_one_line(run(spec, finished), *words)
    assert untouched()
    assert_one_line(run(spec, tmp_path / "store"), *words)
    assert not (tmp_path / "store").exists()
    assert_one_line(remission("run", spec, "--dry-run"), *words)


def test_a_spec_file_that_is_missing(tmp_path: Path) -> None:
    told = run(tmp_path / "absent.toml", tmp_path / "store")
    assert_one_line(told, "there is no spec", "absent.toml", "check its path")


def test_a_spec_that_is_a_folder(tmp_path: Path) -> None:
    assert_one_line(run(tmp_path, tmp_path / "store"), f"'{tmp_path}' cannot be read")


@pytest.mark.parametrize("content", [b"\xff\xfe\0", b"\x89PNG\r\n\x1a\n", b"\0" * 50, b""])
def test_a_spec_that_is_no_text(tmp_path: Path, content: bytes) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_bytes(content)
    assert_one_line(run(spec, tmp_path / "store"))
    assert not (tmp_path / "store").exists()


def picture(file: Path, size: int = 8, shade: int = 90) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), (9, shade, 200)).save(file)


def without_image(folder: Path) -> None:
    (folder / "cat").mkdir()


def with_a_corrupt_image(folder: Path) -> None:
    file = folder / "cat" / "3.png"
    picture(file)
    file.write_bytes(file.read_bytes()[:40])


def with_text_as_image(folder: Path) -> None:
    picture(folder / "cat" / "3.png")
    (folder / "cat" / "3.png").write_text("no picture", encoding="utf-8")


def with_another_size(folder: Path) -> None:
    picture(folder / "cat" / "3.png", size=9)
    picture(folder / "cat" / "4.png", size=9)


def with_one_image(folder: Path) -> None:
    picture(folder / "cat" / "3.png")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (without_image, ("cat holds no image", "delete the folder")),
        (with_a_corrupt_image, ("cat/3.png",)),
        (with_text_as_image, ("cat/3.png",)),
        (with_another_size, ("cat/",)),
        (with_one_image, ("cat holds one image",)),
    ],
)
def test_a_wrong_image_folder(
    tmp_path: Path, damage: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    folder = tmp_path / "images"
    for name in ("dog/1.png", "dog/2.png", "fox/1.png", "fox/2.png"):
        picture(folder / name)
    if damage is not without_image and damage is not with_one_image:
        picture(folder / "cat" / "1.png")
    damage(folder)
    spec = write_spec(tmp_path, ('"digits"', f"'{folder}'"))
    assert_one_line(run(spec, tmp_path / "store"), *words)
    assert not (tmp_path / "store").exists()


def test_images_too_small_for_the_model(tmp_path: Path) -> None:
    for i in range(200):  # no picture twice: copies stay on one side of the split
        picture(tmp_path / "images" / "ab"[i % 2] / f"{i}.png", size=5, shade=i)
    spec = write_spec(tmp_path, ('"digits"', f"'{tmp_path / 'images'}'"))
    assert_one_line(run(spec, tmp_path / "store"), "5x5 pixels are too small", "8x8")
    assert not (tmp_path / "store").exists()


COMMANDS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "unknown command": (["tabel"], ("no such command 'tabel'", "remission --help")),
    "unknown option": (["run", "SPEC", "--stroe", "x"], ("no such option: --stroe", "--store")),
    "no spec": (["run"], ("missing argument 'SPEC.toml'",)),
    "too many arguments": (["run", "SPEC", "SPEC"], ("unexpected extra argument",)),
    "no jobs": (["run", "SPEC", "--jobs", "0"], ("'--jobs'", "greater than or equal to 1")),
    "jobs in words": (["run", "SPEC", "--jobs", "two"], ("'--jobs'", "valid integer")),
    "unknown device": (["run", "SPEC", "--device", "tpu"], ("'tpu'", "'cpu', 'cuda'")),
    "only nothing": (["run", "SPEC", "--only", "*/x"], ("--only '*/x' matches none", "--dry-run")),
    "store is a file": (["run", "SPEC", "--store", "SPEC"], ("cannot be opened", "--store")),
    "store below a file": (["run", "SPEC", "--store", "SPEC/x"], ("cannot be opened",)),
    "missing store": (["table", "nowhere"], ("there is no store at 'nowhere'",)),
    "table of a file": (["table", "SPEC"], ("there is no store at",)),
    "table of an empty folder": (["table", "EMPTY"], ("holds no records", "remission run")),
    "unknown view": (
        ["table", "STORE", "--view", "cell"],
        ("--view cell is unknown", "did you mean 'cells'?", "summary"),
    ),
    "unknown format": (["table", "STORE", "--format", "xml"], ("'xml'", "'csv'")),
    "report of nothing": (["report", "EMPTY", "-o", "x.html"], ("holds no records",)),
    "report into nowhere": (["report", "STORE", "-o", "no/x.html"], ("'no'", "does not exist")),
    "report onto a folder": (["report", "STORE", "-o", "EMPTY"], ("is a folder",)),
    "report nowhere": (["report", "STORE"], ("nothing to write", "add -o FILE.html")),
    "unknown command of the store": (["store", "vacuum"], ("'vacuum'", "remission store --help")),
    "verify nothing": (["store", "verify", "nowhere"], ("there is no store at 'nowhere'",)),
    "verify a file": (["store", "verify", "SPEC"], ("there is no store at",)),
    "verify an empty folder": (["store", "verify", "EMPTY"], ("there is no store at",)),
    "gc of an empty folder": (["store", "gc", "EMPTY"], ("there is no store at",)),
    "unknown kind of method": (["methods", "atacks"], ("'atacks'", "'attacks'")),
    "unknown method to list": (["methods", "badnet"], ("'badnet'", "'badnets'")),
    "unknown data set": (["data", "fetch", "digit"], ("'digit'", "'digits'?")),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_wrong_command_line(
    case: str,
    tmp_path: Path,
    finished: Path,
    spec: Path,
    untouched: Callable[[], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    places = {"SPEC": str(spec), "STORE": str(finished), "EMPTY": str(empty)}
    command, words = COMMANDS[case]
    told = remission(*(word.replace("SPEC", places["SPEC"]) if "SPEC" in word
                       else places.get(word, word) for word in command))  # fmt: skip
    assert_one_line(told, *words)
    assert untouched()
    assert sorted(tmp_path.iterdir()) == [empty, spec]
    assert not list(empty.iterdir())


def test_a_process_of_its_own_tells_the_same_line(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ('"pam"', '"pma"'))
    told = finish(start(["run", spec, "--store", tmp_path / "store"]))
    assert_one_line(told, "unknown purifier 'pma'", "'pam'?")
