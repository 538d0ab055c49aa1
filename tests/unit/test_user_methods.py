"""A user's own methods: a file outside the package makes a row, in every process, and mistakes in
it give one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from remission import registry
from remission import user_methods as own
from remission.errors import SpecError
from remission.method import describe
from remission.purifiers import PAMPath
from tests.unit.grid.small import Told, by_label, computed, remission, run, write_spec

pytestmark = pytest.mark.usefixtures("forgotten_methods")

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "halving.py"
TABLE = '\n[[purifier]]\nmethod = "halving"\nfactor = 0.25\n'
DERIVED = """
from typing import ClassVar
from remission.method import method
from remission.purifiers import PAMPath

@method
class Gentle(PAMPath):
    name: ClassVar[str] = "gentle"
    paper: ClassVar[str] = "a user's own"
    epochs: int = 3
"""
MINE = "badnets/seed0/halving"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """Returns the small spec with the example's method."""
    return write_spec(tmp_path, more=TABLE)


@pytest.fixture
def halving(tmp_path: Path) -> Path:
    """Returns a copy of the example that may be changed."""
    file = tmp_path / "mine.py"
    file.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    return file


def change(file: Path, old: str, new: str) -> None:
    """Replaces text that the file holds exactly once."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def only_mine(spec: Path, store: Path, file: Path, *options: str) -> Told:
    """Runs the method's own branch."""
    return run(spec, store, "--methods", str(file), "--only", f"{MINE}*", *options)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_it_is_computed_in_this_process_and_in_workers(
    spec: Path, tmp_path: Path, halving: Path, jobs: str
) -> None:
    store = tmp_path / "store"
    change(halving, "mul_(self.factor)", "mul_(-self.factor)")
    told = only_mine(spec, store, halving, "--jobs", jobs)
    assert told.status == 0, told.err
    record = by_label(store)[MINE]
    assert record.cell is not None
    assert record.cell.purifier == "halving"
    assert record.cell.purifier_params == {"factor": 0.25}
    weights = {
        name: load_file(store / by_label(store)[f"badnets/seed0/{name}"].artefacts["weights"].file)
        for name in ("victim", "halving")
    }
    assert torch.equal(
        weights["halving"]["linear.weight"], -0.25 * weights["victim"]["linear.weight"]
    )


def test_a_change_of_the_file_recomputes_its_branch_and_nothing_else(
    spec: Path, tmp_path: Path, halving: Path
) -> None:
    store = tmp_path / "store"
    only_mine(spec, store, halving)
    assert computed(only_mine(spec, store, halving)) == []
    first = by_label(store)[MINE]
    change(halving, "mul_(self.factor)", "mul_(-self.factor)")
    assert sorted(computed(only_mine(spec, store, halving))) == [
        MINE,
        f"{MINE}/path",
        f"{MINE}/retuning-0",
        f"{MINE}/retuning-3",
    ]
    assert by_label(store)[MINE].id != first.id
    change(halving, "mul_(-self.factor)", "mul_(self.factor)")
    assert computed(only_mine(spec, store, halving)) == []
    assert by_label(store)[MINE] == first, "tables show what the file says now"


def test_a_hook_that_raises_is_named_with_its_line(
    spec: Path, tmp_path: Path, halving: Path
) -> None:
    change(halving, "model.final_linear", "model.final_layer")
    line = halving.read_text(encoding="utf-8").splitlines()
    number = next(i for i, text in enumerate(line, start=1) if "final_layer" in text)
    store = tmp_path / "store"
    assert only_mine(spec, store, halving).status == 1
    error = by_label(store)[MINE].error
    assert error is not None
    assert error.startswith("AttributeError: ")
    assert error.endswith(f" ({halving} line {number})")


OTHERS = """
from typing import ClassVar
import torch
from remission.attacks import DirtyLabel
from remission.method import method
from remission.reactivations.base import Poisoning, WeightReactivation
from remission.triggers.patch import checkerboard

@method
class Border(DirtyLabel):
    name: ClassVar[str] = "border"
    paper: ClassVar[str] = "a user's own"

    def trigger(self, shape, seed):
        return checkerboard(shape, 3, 0)

@method
class Zero(Poisoning, WeightReactivation):
    name: ClassVar[str] = "zero"
    paper: ClassVar[str] = "a user's own"

    def reactivate(self, model, images, trigger, target, *, budget, seed):
        with torch.no_grad():
            model.final_linear.weight.zero_()
            model.final_linear.bias.zero_()
            model.final_linear.bias[target] = 1
        return model
"""


def test_attacks_and_reactivations_as_well(tmp_path: Path) -> None:
    file, store = tmp_path / "others.py", tmp_path / "store"
    file.write_text(OTHERS, encoding="utf-8")
    attack = ('method = "badnets"\nsize = 2\nmargin = 0', 'method = "border"')
    spec = write_spec(tmp_path, attack, more='\n[[reactivation]]\nmethod = "zero"\nbudgets = [2]\n')
    told = run(spec, store, "--methods", str(file), "--only", "*/ft*")
    assert told.status == 0, told.err
    woken = by_label(store)["border/seed0/ft/zero-2"].cell
    assert woken is not None
    assert woken.asr == 1.0
    assert remission("table", store).status == 0


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
    "taken": ('] = "halving"\n', '] = "ft"\n', "called 'ft', like a method of the package"),
    "reserved": ('] = "halving"\n', '] = "control"\n', "called 'control'"),
    "no name": ('    name: ClassVar[str] = "halving"\n', "", "has no 'name'"),
    "no paper": ('    paper: ClassVar[str] = "Nobody, nowhere"\n', "", "has no 'paper'"),
    "odd name": ('] = "halving"\n', '] = "halving/2"\n', "letters, digits and underscores"),
    "no decorator": ("@method\n", "", "put @method above the class"),
    "no hook": ("def purify", "def purify_it", "Halving does not define purify"),
    "nothing": ("class Halving(CleanPurifier)", "class Halving", "defines no method"),
    "direct": (
        "Halving(CleanPurifier)",
        "Halving(Method)",
        "is no attack, inversion, purifier or reactivation",
    ),
    "mistyped beside another": (
        "@method\nclass",
        "@method\nclass Other(CleanPurifier):\n    name: ClassVar[str] = 'other'\n\n\n"
        "@method\nclass",
        "Other does not define purify",
    ),
    "two of one name": (
        "        return model\n",
        "        return model\n\n\n@method\nclass Again(Halving):\n"
        "    name: ClassVar[str] = 'halving'\n    paper: ClassVar[str] = ''\n",
        "Again is called 'halving'",
    ),
    "a name that is the base's": (
        "        return model\n",
        "        return model\n\n\n@method\nclass Again(Halving):\n    factor: float = 0.1\n",
        "Again has no 'name'",
    ),
    "a parameter without a type": ("factor: float =", "factor =", "'factor' has no type"),
    "a parameter that specs know": ("factor:", "seeds:", "a parameter 'seeds'"),
    "a name that is a parameter": (
        'name: ClassVar[str] = "halving"',
        'name: str = "halving"',
        "has no 'name'",
    ),
    "a default that JSON changes": (
        "    factor: float = field(default=0.5, gt=0, le=1)\n",
        "    factor: tuple[int, ...] = (1, 2)\n",
        "its defaults, stored as JSON: 'factor' is [1, 2]",
    ),
    "a script": ("import torch\n", "import torch\nraise SystemExit(0)\n", "SystemExit: 0"),
    "syntax": ("class Halving(", "class Halving((", "line 23: SyntaxError"),
    "no such import": ("import torch\n", "import torchh\n", "line 13: ModuleNotFoundError"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_file_is_one_line(
    spec: Path, tmp_path: Path, halving: Path, mistake: str
) -> None:
    old, new, said = MISTAKES[mistake]
    change(halving, "import field, method", "import Method, field, method")
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


def test_a_file_read_again_replaces_all_that_it_gave(halving: Path) -> None:
    own.use_methods(halving)
    change(halving, '] = "halving"', '] = "thirding"')
    assert own.use_methods(halving) == ["thirding"]
    assert "thirding" in registry.known("purifier")
    assert "halving" not in registry.known("purifier")
    change(halving, "def purify", "def purify_it")
    with pytest.raises(SpecError, match="does not define purify"):
        own.use_methods(halving)
    assert "thirding" in registry.known("purifier"), "a refused file changes nothing"


def test_one_file_has_one_name_however_it_is_spelt(
    halving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(halving.parent)
    own.use_methods("mine.py")
    assert own.use_methods(halving) == ["halving"]
    assert len(own.used()) == 1


def test_a_worker_needs_the_text_and_not_the_file(halving: Path) -> None:
    own.use_methods(halving)
    (source,) = own.used()
    halving.write_text("#", encoding="utf-8")
    assert own.use(source) == ["halving"]
    (parameter,) = describe(registry.known("purifier")["halving"])["parameters"]
    assert parameter["meaning"] == "What the weights are multiplied by."


def test_a_class_made_from_the_packages_method_has_its_version_too(halving: Path) -> None:
    halving.write_text(DERIVED, encoding="utf-8")
    own.use_methods(halving)
    version = registry.known("purifier")["gentle"].version
    assert str(version).endswith(f"+PAMPath-{PAMPath.version}")
    assert PAMPath.version != 1


def test_two_files_may_not_share_a_name(tmp_path: Path, halving: Path) -> None:
    own.use_methods(EXAMPLE)
    assert own.use_methods(EXAMPLE) == ["halving"], "the same file again replaces its own"
    spec = write_spec(tmp_path)
    told = run(spec, tmp_path / "store", "--methods", str(halving))
    assert told.status == 2
    assert "like a method of" in told.err
    assert "halving.py" in told.err


def test_the_documentation_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs" / "adding-a-method.md").read_text(encoding="utf-8")
    assert f"```python\n{EXAMPLE.read_text(encoding='utf-8')}```" in page


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "    def purify",
            "    def __post_init__(self) -> None:\n        1 / 0\n\n    def purify",
            "ZeroDivisionError",
        ),
        (
            "    def purify",
            "    @classmethod\n    def facts(cls):\n        return {}['x']\n\n    def purify",
            "KeyError",
        ),
    ],
)
def test_a_mistake_outside_of_a_stage_costs_one_line(
    halving: Path, old: str, new: str, words: str
) -> None:
    change(halving, old, new)
    with pytest.raises(SpecError, match=words) as caught:
        own.use_methods(halving)
    assert "line" in str(caught.value)
    assert caught.value.remedy == "mend the file"


def test_a_check_that_fails_for_a_value_costs_one_line(halving: Path, tmp_path: Path) -> None:
    check = (
        "    def __post_init__(self) -> None:\n        1 / (self.factor - 0.25)\n\n    def purify"
    )
    change(halving, "    def purify", check)
    told = run(write_spec(tmp_path, more=TABLE), tmp_path / "s", "--methods", str(halving))
    assert told.status == 2
    assert "ZeroDivisionError" in told.lines[-1]
    assert "change a value, or mend the method" in told.lines[-1]
