"""The user's own methods: a Python file whose classes a spec may name beside the package's.

The text of the file is part of the identity of whatever its methods compute: after a change of the
file that is computed anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import inspect
import io
import json
import linecache
import sys
import tokenize
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.abc import SourceLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from remission.errors import SpecError, UserError
from remission.method import Method, from_table
from remission.names import composed, on_disk
from remission.registry import set_own
from remission.text_files import SAVE_AS_UTF8, EncodingError, decode


@dataclass(frozen=True)
class MethodFile:
    """A file of methods as it was when it was read; workers are sent this, not the path.

    Args:
        path: where it was, for messages.
        text: its content.
    """

    path: str
    text: str

    @property
    def digest(self) -> str:
        """A hash of the text, 16 hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


_used: dict[str, MethodFile] = {}

_TAKEN = frozenset(
    {"method", "name", "paper", "published", "needs", "version"}
    | {"inversion", "seeds", "attacks", "budget"}
)
"""Keys of specs and cells, and attributes of every method: no parameter can have such a name."""


def used() -> tuple[MethodFile, ...]:
    """The files that this process takes methods from."""
    return tuple(_used.values())


def use_methods(path: str | Path) -> list[str]:
    """Makes the methods of a Python file known to specs, in this process and in its workers.

    The file is executed. Its methods are those of its classes that derive from ``Attack``,
    ``Inversion``, ``Purifier`` or ``Reactivation`` (usually through a narrower base class) and
    that define every hook of their base class. A file that was used before is read
    again; its methods then replace those that it defined before.

    Args:
        path: of the file, in UTF-8 unless its first lines declare another encoding.

    Returns:
        The names of the methods.

    Raises:
        SpecError: the file cannot be read or executed, or it defines no method; or one of its
            methods lacks something that every method has, or has the name of another.
    """
    return use(read_python(path))


def read_python(path: str | Path) -> MethodFile:
    """Reads a Python file; nothing is executed.

    Raises:
        SpecError: the file cannot be read.
    """
    file = on_disk(Path(path))
    try:
        return MethodFile(str(file.resolve()), _decoded(file.read_bytes()))
    except EncodingError as error:
        raise SpecError(f"'{file}' cannot be read: {error}", SAVE_AS_UTF8) from error
    except OSError as error:
        raise SpecError(f"'{file}' cannot be read ({error})", "name a Python file") from error


def _decoded(content: bytes) -> str:
    """The text of a Python file, which may declare its encoding as the language allows.

    Raises:
        EncodingError: it is in another encoding than the one it declares, or than UTF-8.
    """
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0]
        if not encoding.startswith("utf-8"):
            return decode(content.decode(encoding).encode())
    except (SyntaxError, UnicodeDecodeError):  # what it is instead, the line below says
        pass
    return decode(content)


def use(file: MethodFile) -> list[str]:
    """Does what :func:`use_methods` does with a file that was read already."""
    methods = _methods(executed(file), file)
    for cls in methods:
        _check(cls, file)
        cls.name = composed(cls.name)
        cls.version = _version(cls, file)
    set_own(file.path, methods)
    _used[file.path] = file
    return [cls.name for cls in methods]


class _Loader(SourceLoader):
    """Loads a module as Python does, but from text that was read before; writes no bytecode."""

    def __init__(self, file: MethodFile) -> None:
        self.file = file

    def get_filename(self, fullname: str) -> str:
        """Returns where the text was read."""
        del fullname
        return self.file.path

    def get_data(self, path: str | bytes) -> bytes:
        """Returns the text; raises OSError for bytecode, of which there is none."""
        if path != self.file.path:
            raise OSError
        return self.file.text.encode()

    def source_to_code(  # type: ignore[override]  # the stubs have a static one
        self, data: object, path: str, *, _optimize: int = -1
    ) -> CodeType:
        """Compiles the text itself: an encoding that it declares was of its bytes on disk."""
        del data
        code: CodeType = compile(
            self.file.text, path, "exec", dont_inherit=True, optimize=_optimize
        )
        return code


def executed(file: MethodFile) -> ModuleType:
    """Executes a file and returns the module that it makes.

    Raises:
        SpecError: its code raised an exception.
    """
    loader = _Loader(file)
    spec = spec_from_loader(f"remission_own_{file.digest}", loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module  # where pydantic looks for the names in annotations
    lines = file.text.splitlines(keepends=True)
    # pydantic looks up docstrings of parameters: in the text as it was read, not in the file
    linecache.cache[file.path] = (len(file.text), None, lines, file.path)
    try:
        with own_mistakes(file):
            loader.exec_module(module)
    except SpecError:
        del sys.modules[module.__name__]
        raise
    return module


@contextlib.contextmanager
def own_mistakes(*files: MethodFile) -> Iterator[None]:
    """Turns any exception that code of a user's file raises into an error that names the line.

    Args:
        files: whose code is called; without any, the files that were used, and an exception that
            arose in none of them is raised as it is.

    Raises:
        SpecError: the code raised an exception.
    """
    try:
        yield
    except (UserError, ValidationError):
        raise
    except (Exception, SystemExit) as error:  # whatever is wrong in the file is the user's to mend
        for file in files or used():
            if (line := line_of(error, file.path)) or files:
                what = f"'{file.path}'{line}: {type(error).__name__}: {error}"
                raise SpecError(what, "mend the file") from error
        raise


def line_of(error: BaseException, path: str) -> str:
    """`` line N`` of the file where an error arose; empty if that is not known."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return f" line {error.lineno}"
    lines = [
        one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == path
    ]
    return f" line {lines[-1]}" if lines else ""


def place_of(error: BaseException) -> str:
    """`` (FILE line N)`` where an error arose in a user's file of methods; else empty."""
    places = (f"{file.path}{line}" for file in used() if (line := line_of(error, file.path)))
    return next((f" ({place})" for place in places), "")


def _methods(module: ModuleType, file: MethodFile) -> list[type[Method]]:
    """The concrete methods that a module itself defines.

    Raises:
        SpecError: there is none, or a class with a ``name`` lacks a hook.
    """
    defined = [
        cls
        for cls in vars(module).values()
        if inspect.isclass(cls) and cls.__module__ == module.__name__ and issubclass(cls, Method)
    ]
    for cls in defined:
        if inspect.isabstract(cls) and "name" in vars(cls):
            hooks = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
            raise SpecError(
                f"'{file.path}': {cls.__name__} does not define {hooks}",
                "write what its base class asks for, by that name",
            )
    concrete = [cls for cls in defined if not inspect.isabstract(cls)]
    if not concrete:
        raise SpecError(
            f"'{file.path}' defines no method",
            "derive a class from a base of remission.purifiers, or of the other kinds of methods, "
            "and define all its hooks (docs/adding-a-method.md shows one)",
        )
    return concrete


def _check(cls: type[Method], file: MethodFile) -> None:
    """Checks that a class has what every method has.

    Raises:
        SpecError: it lacks something.
    """
    where = f"'{file.path}': {cls.__name__}"
    if "__pydantic_fields__" not in vars(cls):
        raise SpecError(f"{where} is not a method yet", "put @method above the class")
    fields = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for need in ("name", "paper"):
        if need in fields or not isinstance(vars(cls).get(need), str):
            raise SpecError(f"{where} has no '{need}'", f'write {need}: ClassVar[str] = "..."')
    for name, value in vars(cls).items():
        if isinstance(value, FieldInfo) and name not in fields:
            raise SpecError(
                f"{where}: the parameter '{name}' has no type", f"write {name}: float = field(...)"
            )
    if not cls.name.isidentifier():
        raise SpecError(
            f"{where} is called '{cls.name}'", "use letters, digits and underscores for its name"
        )
    for field in fields:
        if field in _TAKEN:
            raise SpecError(
                f"{where} has a parameter '{field}', which means something else in a spec",
                "give it another name",
            )
    with contextlib.suppress(ValidationError), own_mistakes(file):
        values = cls().parameters()  # where one has no default, there is nothing to try
        from_table(cls, json.loads(json.dumps(values)), f"{where}: its defaults, stored as JSON")
        cls.facts()


def _version(cls: type[Method], file: MethodFile) -> str:
    """The version of a method: the file's digest and the versions of the package's base classes."""
    later = [
        f"{base.__name__}-{base.version}"
        for base in cls.__mro__[1:]
        if issubclass(base, Method)
        and base.__module__.startswith("remission.")
        and base.version != 1
    ]
    return "+".join([file.digest, *later])
