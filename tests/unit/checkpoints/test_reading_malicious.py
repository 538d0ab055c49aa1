"""Files that were made to do harm: nothing in them is executed, whatever route they take.

Those that only name and call functions are read as stand-ins; all others are refused in one line.
"""

from __future__ import annotations

import base64
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from remission.checkpoints import Opaque, state_of
from remission.checkpoints.values import Loaded
from remission.errors import CheckpointError
from tests.unit.checkpoints.files import legacy, pickled, read, text, zipped

CANARY = "executed"


@pytest.fixture(autouse=True)
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test in which a file was written, a module imported or a program started."""
    monkeypatch.chdir(tmp_path)
    watched = {"antigravity", "this", "pty", "webbrowser", "timeit", "pdb", "code", "runpy"}
    for name in watched:
        monkeypatch.delitem(sys.modules, name, raising=False)
    before = set(sys.modules)
    yield
    assert {path.name for path in tmp_path.iterdir()} <= {"model.pt"}
    assert not watched & (set(sys.modules) - before)


SHELL = f"touch {CANARY}"
PYTHON = f"open('{CANARY}', 'w')"
FUNCTIONS = [
    ("os", "system", SHELL),
    ("posix", "system", SHELL),
    ("nt", "system", SHELL),
    ("os", "popen", SHELL),
    ("os", "execvp", "sh"),
    ("os", "mkdir", CANARY),
    ("subprocess", "getoutput", SHELL),
    ("subprocess", "Popen", SHELL),
    ("subprocess", "check_output", SHELL),
    ("commands", "getoutput", SHELL),
    ("pty", "spawn", SHELL),
    ("builtins", "eval", PYTHON),
    ("__builtin__", "eval", PYTHON),
    ("builtins", "exec", PYTHON),
    ("builtins", "compile", PYTHON),
    ("builtins", "open", CANARY),
    ("builtins", "__import__", "antigravity"),
    ("builtins", "getattr", "system"),
    ("io", "open", CANARY),
    ("importlib", "import_module", "antigravity"),
    ("importlib", "reload", "this"),
    ("runpy", "run_path", CANARY),
    ("runpy", "_run_code", PYTHON),
    ("timeit", "timeit", PYTHON),
    ("cProfile", "run", PYTHON),
    ("pdb", "run", PYTHON),
    ("bdb", "Bdb.run", PYTHON),
    ("trace", "Trace.run", PYTHON),
    ("doctest", "debug_script", PYTHON),
    ("code", "InteractiveInterpreter.runcode", PYTHON),
    ("codeop", "compile_command", PYTHON),
    ("types", "FunctionType", PYTHON),
    ("types", "CodeType", PYTHON),
    ("marshal", "loads", PYTHON),
    ("pickle", "loads", PYTHON),
    ("_pickle", "loads", PYTHON),
    ("shelve", "open", CANARY),
    ("dill._dill", "_create_function", PYTHON),
    ("dill", "loads", PYTHON),
    ("cloudpickle.cloudpickle", "_make_function", PYTHON),
    ("joblib", "load", CANARY),
    ("operator", "methodcaller", "system"),
    ("operator", "attrgetter", "system"),
    ("functools", "partial", SHELL),
    ("functools", "reduce", SHELL),
    ("itertools", "starmap", SHELL),
    ("webbrowser", "open", "http://localhost:1"),
    ("urllib.request", "urlopen", "http://localhost:1"),
    ("socket", "create_connection", "localhost"),
    ("smtplib", "SMTP", "localhost"),
    ("ctypes", "CDLL", "libc.so.6"),
    ("shutil", "rmtree", "."),
    ("tempfile", "NamedTemporaryFile", CANARY),
    ("pathlib", "Path.touch", CANARY),
    ("logging", "FileHandler", CANARY),
    ("sqlite3", "connect", CANARY),
    ("zipfile", "ZipFile", CANARY),
    ("distutils.file_util", "write_file", CANARY),
    ("pip", "main", "install"),
    ("ensurepip", "_run_pip", "install"),
    ("idlelib.run", "Executive.runcode", PYTHON),
    ("lib2to3.pgen2.grammar", "Grammar.loads", PYTHON),
    ("uuid", "_get_command_stdout", SHELL),
    ("_osx_support", "_read_output", SHELL),
    ("multiprocessing.util", "spawnv_passfds", SHELL),
    ("asyncio.unix_events", "_UnixSubprocessTransport._start", SHELL),
    ("numpy", "load", CANARY),
    ("numpy.testing._private.utils", "runstring", PYTHON),
    ("numpy.f2py.crackfortran", "getlincoef", PYTHON),
    ("pandas", "read_pickle", CANARY),
    ("torch", "load", CANARY),
    ("torch.serialization", "load", CANARY),
    ("torch.jit", "load", CANARY),
    ("torch.hub", "load", CANARY),
    ("torch.storage", "_load_from_bytes", PYTHON),
    ("torch.utils.collect_env", "run", SHELL),
    ("torch._dynamo.guards", "GuardBuilder.get", PYTHON),
    ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression", PYTHON),
    ("torch.fx.graph_module", "reduce_graph_module", PYTHON),
    ("torch._utils", "_rebuild_wrapper_subclass", PYTHON),
    ("torch._utils", "_rebuild_sparse_tensor", PYTHON),
    ("torch.nn.modules.module", "Module.__setstate__", PYTHON),
    ("collections", "namedtuple", "f"),
    ("sys", "modules.__setitem__", "os"),
    ("sys", "exit", "1"),
    ("__main__", "anything", "x"),
    ("remission.user_methods", "use_methods", CANARY),
    ("no such module", "no such name", "x"),
    ("os\x00", "system", SHELL),
    ("", "", ""),
]


def by_reduce(module: str, name: str, argument: str) -> bytes:
    return f"c{module}\n{name}\n".encode() + text(argument) + b"\x85R"


def by_stack_global(module: str, name: str, argument: str) -> bytes:
    return text(module) + text(name) + b"\x93" + text(argument) + b"\x85R"


def by_memo(module: str, name: str, argument: str) -> bytes:
    """Names that are put aside, and brought back in another order."""
    stored = text(name) + b"\x94" + text(module) + b"\x94" + text(argument) + b"\x85\x94"
    return b"(" + stored + b"1h\x01h\x00\x93h\x02R"


def by_inst(module: str, name: str, argument: str) -> bytes:
    return b"(" + text(argument) + f"i{module}\n{name}\n".encode()


def by_obj(module: str, name: str, argument: str) -> bytes:
    return b"(" + f"c{module}\n{name}\n".encode() + text(argument) + b"o"


def by_newobj(module: str, name: str, argument: str) -> bytes:
    return f"c{module}\n{name}\n".encode() + text(argument) + b"\x85\x81"


def by_newobj_ex(module: str, name: str, argument: str) -> bytes:
    keywords = b"}" + text("x") + text(argument) + b"s"
    return f"c{module}\n{name}\n".encode() + text(argument) + b"\x85" + keywords + b"\x92"


def by_build(module: str, name: str, argument: str) -> bytes:
    """An object whose state is given to it."""
    return f"c{module}\n{name}\n".encode() + b")R}" + text("__setstate__") + text(argument) + b"sb"


def by_chain(module: str, name: str, argument: str) -> bytes:
    """What a call gives is called in its turn."""
    return by_reduce(module, name, argument) + text(argument) + b"\x85R"


def by_discarding(module: str, name: str, argument: str) -> bytes:
    """The result is thrown away, so that nobody sees it in the tree."""
    return by_reduce(module, name, argument) + b"0N"


ROUTES = [
    by_reduce,
    by_stack_global,
    by_memo,
    by_inst,
    by_obj,
    by_newobj,
    by_newobj_ex,
    by_build,
    by_chain,
    by_discarding,
]


@pytest.mark.parametrize(
    "module_name", FUNCTIONS, ids=lambda f: f"{f[0]}.{f[1]}".replace("\0", "0")
)
def test_no_route_executes_anything(module_name: tuple[str, str, str], tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    for route in ROUTES:
        body = route(*module_name)
        for content in (zipped(pickled(body)), legacy(pickled(body))):
            try:
                loaded = read(file, content)
            except CheckpointError as refusal:
                assert "\n" not in str(refusal)
                assert "Error:" not in str(refusal)
            else:
                assert is_inert(loaded)


def is_inert(loaded: Loaded) -> bool:
    """Checks that a stand-in has come of a call, or nothing at all."""
    return loaded.tree is None or isinstance(loaded.tree, Opaque)


def test_the_canary_would_sing(tmp_path: Path) -> None:
    """The same pickle, where it is executed, writes the file that the tests look for."""
    body = pickled(by_reduce("os", "system", SHELL))
    pickle.loads(body)
    assert (tmp_path / CANARY).exists()
    (tmp_path / CANARY).unlink()


NESTED = pickle.dumps(base64.b64encode(pickled(by_reduce("os", "system", SHELL))))


@pytest.mark.parametrize(
    "body",
    [
        b"cbuiltins\ngetattr\ncos\n__dict__\n" + text("system") + b"\x86R" + text(SHELL) + b"\x85R",
        b"cpickle\nloads\ncbase64\nb64decode\n" + NESTED[2:-1] + b"\x85R\x85R",
        b"csys\nmodules\n" + text("os") + b"cos\nsystem\ns0N",
        b"ccollections\nOrderedDict\n)R}" + text("__class__") + b"cos\nsystem\nsb0N",
        b"ccopyreg\n_reconstructor\n(cos\nsystem\ncbuiltins\nobject\nNtR",
        b"ccopyreg\nadd_extension\n(" + text("os") + text("system") + b"K\x01tR",
        b"ctorch.nn.modules.linear\nLinear\n)\x81}" + text("forward") + b"cos\nsystem\nsb",
        b"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nctorch\nTensor\n"
        + text(SHELL)
        + b"\x85NtR",
    ],
)
def test_compositions_execute_nothing(body: bytes, tmp_path: Path) -> None:
    for content in (zipped(pickled(body)), legacy(pickled(body))):
        try:
            loaded = read(tmp_path / "model.pt", content)
        except CheckpointError as refusal:
            assert "\n" not in str(refusal)
        else:
            assert is_inert(loaded)
            with pytest.raises(CheckpointError):
                state_of(loaded.tree)
