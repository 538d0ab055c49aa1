"""Methods of one's own: a file beside the package makes a row, in every process, and its mistakes
are told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from grid.small import Told, by_label, computed, run, write_spec
from remission import registry
from remission.grid import own

ROOT = Path(__file__).parent.parent.parent.parent
EXAMPLE = ROOT / "examples" / "halving.py"
TABLE = '\n[[purifier]]\nmethod = "halving"\nfactor = 0.25\n'
MINE = "badnets/seed0/halving"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Nothing of one test is known to the next."""
    yield
    own._used.clear()
    for methods in registry._own.values():
        methods.clear()


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """The small spec with the example's method."""
    return write_spec(tmp_path, more=TABLE)


@pytest.fixture
def halving(tmp_path: Path) -> Path:
    """A copy of the example that may be changed."""
    file = tmp_path / "mine.py"
    file.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    return file


def change(file: Path, old: str, new: str) -> None:
    """Replaces what the file holds once."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def only_mine(spec: Path, store: Path, file: Path, *options: str) -> Told:
    """Runs the method's own branch."""
    return run(spec, store, "--methods", str(file), "--only", f"{MINE}*", *options)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_it_is_computed_in_this_process_and_in_workers(
    spec: Path, tmp_path: Path, jobs: str
) -> None:
    store = tmp_path / "store"
    told = only_mine(spec, store, EXAMPLE, "--jobs", jobs)
    assert told.status == 0, told.err
    record = by_label(store)[MINE]
    assert record.cell is not None
    assert record.cell.purifier == "halving"
    assert record.cell.purifier_params == {"factor": 0.25}
    victim = by_label(store)["badnets/seed0/victim"].cell
    assert victim is not None
    assert record.cell.asr == victim.asr, "halving all logits changes no class"
    assert record.id != by_label(store)["badnets/seed0/control"].id


def test_a_change_of_the_file_recomputes_its_branch_and_nothing_else(
    spec: Path, tmp_path: Path, halving: Path
) -> None:
    store = tmp_path / "store"
    only_mine(spec, store, halving)
    assert computed(only_mine(spec, store, halving)) == []
    change(halving, "mul_(self.factor)", "mul_(-self.factor)")
    assert sorted(computed(only_mine(spec, store, halving))) == [
        MINE,
        f"{MINE}/path",
        f"{MINE}/retuning-0",
        f"{MINE}/retuning-3",
    ]
    victim, mine = (by_label(store)[label].cell for label in ("badnets/seed0/victim", MINE))
    assert victim is not None
    assert mine is not None
    assert mine.clean_acc != victim.clean_acc, "the stored result is the changed method's"


def test_without_its_file_the_spec_is_refused_and_says_how_to_give_it(
    spec: Path, tmp_path: Path
) -> None:
    told = run(spec, tmp_path / "store")
    assert told.status == 2
    assert "unknown purifier 'halving'" in told.err
    assert "--methods FILE.py" in told.err


def test_its_parameters_are_checked(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, more=TABLE.replace("0.25", "2.5"))
    told = run(spec, tmp_path / "store", "--methods", str(EXAMPLE))
    assert told.status == 2
    assert "[purifier] halving: 'factor' is 2.5" in told.err


MISTAKES = {
    "taken": ('] = "halving"\n', '] = "ft"\n', "called 'ft', as a method of the package is"),
    "reserved": ('] = "halving"\n', '] = "control"\n', "called 'control'"),
    "no name": ('    name: ClassVar[str] = "halving"\n', "", "has no 'name'"),
    "no paper": ('    paper: ClassVar[str] = "Nobody, nowhere"\n', "", "has no 'paper'"),
    "odd name": ('] = "halving"\n', '] = "halving/2"\n', "letters, digits and underscores"),
    "no decorator": ("@method\n", "", "put @method above the class"),
    "no hook": ("def purify", "def purify_it", "defines no method"),
    "syntax": ("class Halving(", "class Halving((", "line 22: SyntaxError"),
    "no such import": ("import torch\n", "import torchh\n", "line 12: ModuleNotFoundError"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_file_is_one_line(
    spec: Path, tmp_path: Path, halving: Path, mistake: str
) -> None:
    old, new, said = MISTAKES[mistake]
    change(halving, old, new)
    told = run(spec, tmp_path / "store", "--methods", str(halving))
    assert told.status == 2
    assert len(told.lines) == 1, told.err
    assert said in told.err
    assert "mine.py" in told.err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_one_line(
    spec: Path, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "gone.py"
    if content:
        file.write_bytes(content)
    told = run(spec, tmp_path / "store", "--methods", str(file))
    assert (told.status, len(told.lines)) == (2, 1)
    assert "gone.py' cannot be read" in told.err


def test_two_files_may_not_share_a_name(tmp_path: Path, halving: Path) -> None:
    own.use_methods(EXAMPLE)
    assert own.use_methods(EXAMPLE) == ["halving"], "the same file again replaces its own"
    spec = write_spec(tmp_path)
    told = run(spec, tmp_path / "store", "--methods", str(halving))
    assert told.status == 2
    assert "as a method of" in told.err
    assert "halving.py" in told.err


def test_the_documentation_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs" / "adding-a-method.md").read_text(encoding="utf-8")
    assert f"```python\n{EXAMPLE.read_text(encoding='utf-8')}```" in page
