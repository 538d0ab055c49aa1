"""The rules of the repository: the direction of imports, the limits of methods, and lengths."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

import remission

ROOT = Path(remission.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

LAYERS = [
    {"names"},
    {"errors", "catalogue", "intervals", "disk", "png"},
    {"records", "seeding", "progress", "rehearsal", "mapped_tensors", "text_files"},
    {"types", "method"},
    {"data", "models", "metrics", "stealth", "checkpoints"},
    {"training", "triggers", "previews"},
    {"attacks", "inversion"},
    {"purifiers"},
    {"reactivations", "paths"},
    {"registry"},
    {"user_methods"},
    {"recognise"},
    {"grid", "audit"},
    {"cli"},
    {"__main__"},
]
"""Rooms from the ground up: a room may import itself and what lies in the layers below it."""

REPORT_MAY_IMPORT = {
    "report",
    "names",
    "errors",
    "catalogue",
    "intervals",
    "disk",
    "png",
    "records",
}

FLOORS = {
    "report": [{"groups"}, {"measures"}, {"tables", "figures"}, {"page"}],
    "grid": [{"spec"}, {"plan"}, {"stages"}, {"executor", "dry_run"}, {"run"}],
    "models": [{"source"}, {"classifier"}, {"tracing"}],
    "recognise": [
        {"families", "errors"},
        {"pairing", "prefixes"},
        {"match"},
        {"weights"},
        {"named"},
    ],
}
"""The floors of rooms that have rooms in them, from the ground up. What is not named is free."""

METHOD_ROOMS = {
    "training",
    "triggers",
    "attacks",
    "inversion",
    "purifiers",
    "reactivations",
    "paths",
}
"""They receive values: no paths, no files, no loggers."""

WITHOUT_TORCH = [
    "remission",
    "remission.errors",
    "remission.records",
    "remission.progress",
    "remission.method",
    "remission.data",
    "remission.data.catalogue",
    "remission.data.fetch",
    "remission.records.store",
    "remission.records.identity",
    "remission.intervals",
    "remission.report",
    "remission.report.tables.render",
    "remission.report.page.page",
    "remission.report.figures.style",
    "remission.cli",
]

DRAWS = {
    "bernoulli",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
}
DRAWS_IN_PLACE = {
    "bernoulli_",
    "cauchy_",
    "exponential_",
    "geometric_",
    "log_normal_",
    "normal_",
    "random_",
    "uniform_",
}
SEEDS = {"manual_seed", "manual_seed_all", "seed", "set_rng_state", "fork_rng", "initial_seed"}


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def room_of(file: Path) -> str:
    """Returns the room of a file; "" is the public face, ``__init__.py`` of the package."""
    first = file.relative_to(ROOT).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(file: Path) -> Iterator[tuple[str, int]]:
    """Returns (full name, line) of all imports, also inside functions and for types alone."""
    package = ("remission", *file.relative_to(ROOT).parts[:-1])
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else [])))
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno


def imported_rooms(file: Path) -> Iterator[tuple[str, int]]:
    """Returns (room, line) of all imports from this package; "" is its public face."""
    known = {room_of(f) for f in FILES}
    for name, line in imported(file):
        parts = name.split(".")
        if parts[0] == "remission":
            room = parts[1] if len(parts) > 1 else ""
            yield room if room in known else "", line


def height(room: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if room in layer)


def floor_of(parts: Sequence[str]) -> int | None:
    """Returns the floor of ``room.part``; None where it has none."""
    floors = FLOORS.get(parts[0], []) if len(parts) > 1 else []
    return next((i for i, floor in enumerate(floors) if parts[1] in floor), None)


def called(node: ast.Call) -> str:
    """Returns ``torch.rand`` for ``torch.rand(3)``; for a method of an expression, its own name."""
    function, parts = node.func, []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    parts.append(function.id if isinstance(function, ast.Name) else "")
    return ".".join(reversed(parts))


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Call):
            yield called(node), node


def test_every_room_has_its_place() -> None:
    placed = set[str]().union(*LAYERS, {"report", ""})
    assert {room_of(file) for file in FILES} <= placed


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_go_down(file: Path) -> None:
    room = room_of(file)
    for other, line in imported_rooms(file):
        place = f"{name_of(file)}:{line}: {room} imports {other}"
        if room in ("", other):
            continue  # the public face may name everything
        if room == "report":
            assert other in REPORT_MAY_IMPORT, place
        elif other == "":
            assert only_asks_for_the_version(file), place
        elif other == "report":
            assert room == "cli", place
        else:
            assert height(other) < height(room), place


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_within_a_room_go_down(file: Path) -> None:
    own = [part.removesuffix(".py") for part in file.relative_to(ROOT).parts]
    for name, line in imported(file):
        parts = name.split(".")[1:]
        if not parts or parts[0] != own[0]:
            continue
        here, there = floor_of(own), floor_of(parts)
        if here is not None and there is not None and own[1] != parts[1]:
            assert there < here, f"{name_of(file)}:{line}: {own[1]} imports {parts[1]}"


def only_asks_for_the_version(file: Path) -> bool:
    """Returns whether a file uses only ``remission.__version__`` of the public face."""
    uses = {
        node.attr
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "remission"
    }
    return uses <= {"__version__"}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_nothing_is_unpickled(file: Path) -> None:
    modules = {name.split(".")[0] for name, _ in imported(file)}
    assert not modules & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for name, node in calls(file):
        assert name not in ("torch.load", "np.load", "numpy.load", "eval", "exec"), node.lineno


@pytest.mark.parametrize(
    "file", [file for file in FILES if room_of(file) in METHOD_ROOMS], ids=name_of
)
def test_methods_receive_values_and_touch_no_files(file: Path) -> None:
    modules = {name.split(".")[0] for name, _ in imported(file)}
    forbidden = {"pathlib", "os", "io", "shutil", "tempfile", "logging", "argparse", "subprocess"}
    forbidden |= {"sys", "socket", "urllib", "warnings", "typer", "rich"}
    assert not modules & forbidden
    for name, node in calls(file):
        assert name not in ("open", "print", "input", "torch.save"), node.lineno


@pytest.mark.parametrize("file", [f for f in FILES if room_of(f) != "seeding"], ids=name_of)
def test_nobody_else_touches_the_global_generators(file: Path) -> None:
    modules = {name.split(".")[0] for name, _ in imported(file)}
    assert "random" not in modules
    for name, node in calls(file):
        first, _, last = name.rpartition(".")
        place = f"{name_of(file)}:{node.lineno}: {name}"
        given = {keyword.arg for keyword in node.keywords}
        assert not name.startswith(("np.random.", "numpy.random.")), place
        if first.startswith("torch") and last in SEEDS:
            raise AssertionError(place)
        if (first.startswith("torch") and last in DRAWS) or (first and last in DRAWS_IN_PLACE):
            assert "generator" in given, place
        assert last not in ("dropout", "Dropout", "Dropout2d"), place


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_files_and_functions_are_short(file: Path) -> None:
    """A file has at most 300 lines, a function fewer than 70, and than 60 without documentation."""
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = ast.get_docstring(node) is not None
            documentation = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length < 70, f"{node.name} has {length} lines"
            assert length - documentation < 60, f"{node.name} has too many lines of code"


UNIT_TESTS = sorted((Path(__file__).parent / "unit").rglob("test_*.py"))


@pytest.mark.parametrize(
    "file", UNIT_TESTS, ids=lambda file: str(file.relative_to(UNIT_TESTS[0].parents[1]))
)
def test_a_unit_test_lies_where_the_file_lies_that_it_tests(file: Path) -> None:
    """``unit/<room>/test_<file>.py`` or ``test_<file>_<topic>.py``; the room's name is a file's."""
    room = file.parent.relative_to(Path(__file__).parent / "unit")
    places = (ROOT / room).iterdir()
    names = {place.stem for place in places if place.suffix == ".py" or place.is_dir()}
    tested = file.stem.removeprefix("test_")
    assert any(tested == name or tested.startswith(f"{name}_") for name in {*names, room.name})


def test_what_needs_no_torch_imports_none() -> None:
    code = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    if "torch" in sys.modules:
        sys.exit(f"{name} imports torch")
"""
    told = subprocess.run(
        [sys.executable, "-c", code, *WITHOUT_TORCH], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")


def test_no_public_class_name_occurs_twice() -> None:
    """Classes, and names that stand for a type: ``Outcome = Literal[...]``."""
    places: dict[str, list[str]] = {}
    for file in FILES:
        for node in tree_of(file).body:
            for name in type_names(node):
                if not name.startswith("_"):
                    places.setdefault(name, []).append(name_of(file))
    double = {name: files for name, files in places.items() if len(files) > 1}
    assert double == {}


def type_names(node: ast.stmt) -> Iterator[str]:
    """Returns the class that a statement defines, or the name that it gives to a type."""
    if isinstance(node, ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        yield from (name for name in names if re.fullmatch(r"[A-Z][a-z]\w*", name))


def test_the_public_face_has_what_it_names() -> None:
    for name in remission.__all__:
        assert getattr(remission, name) is not None


def test_every_name_in_these_rules_is_a_file_or_a_folder() -> None:
    """A name that is gone would switch a rule off without a word."""
    top = {*chain.from_iterable(LAYERS), *REPORT_MAY_IMPORT, *METHOD_ROOMS, *FLOORS}
    within = {f"{room}/{name}" for room, floors in FLOORS.items() for name in chain(*floors)}
    for name in top | within:
        assert (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file(), name
