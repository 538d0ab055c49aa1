"""Methods of one's own: a Python file whose classes a spec may name, beside those of the package.

What such a file says is part of the identity of what its methods compute: after a change of the
file they are computed anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import inspect
import json
import linecache
import sys
import traceback
from dataclasses import dataclass
from importlib.abc import SourceLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from remission.errors import SpecError
from remission.method import Method, from_table
from remission.registry import set_own


@dataclass(frozen=True)
class Source:
    """A file of methods as it was when it was read; a worker is handed it and not the file.

    Args:
        path: where it was, for messages.
        text: what it said.
    """

    path: str
    text: str

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


_used: dict[str, Source] = {}

_TAKEN = frozenset(
    {"method", "name", "paper", "needs", "version", "inversion", "seeds", "attacks", "budget"}
)
"""Keys of specs and cells, and what every class has: no names for parameters."""


def used() -> tuple[Source, ...]:
    """The files that this process takes methods from."""
    return tuple(_used.values())


def use_methods(path: str | Path) -> list[str]:
    """Makes the methods of a Python file known to specs, in this process and in its workers.

    The file is executed. Its methods are the classes it defines that derive from ``Attack``,
    ``Inversion``, ``Purifier`` or ``Reactivation`` (usually by way of a narrower base class) and
    leave nothing abstract. A file that was used before is read again, and replaces what it gave.

    Returns:
        The names of its methods.

    Raises:
        SpecError: the file cannot be read or executed, holds no method, or one that is not made
            as methods are, or whose name is taken.
    """
    place = Path(path)
    try:
        source = Source(str(place.resolve()), place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"'{place}' cannot be read ({error})", "name a Python file") from error
    return use(source)


def use(source: Source) -> list[str]:
    """As :func:`use_methods`, of a file that was read."""
    found = _methods(_executed(source), source)
    for cls in found:
        _check(cls, source)
        cls.version = _version(cls, source)
    set_own(source.path, found)
    _used[source.path] = source
    return [cls.name for cls in found]


class _Loader(SourceLoader):
    """Python's own way to load a module, from text that was read before; writes no bytecode."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def get_filename(self, fullname: str) -> str:
        """Where the text was read."""
        del fullname
        return self.source.path

    def get_data(self, path: str | bytes) -> bytes:
        """The text; of bytecode there is none."""
        if path != self.source.path:
            raise OSError
        return self.source.text.encode()


def _executed(source: Source) -> ModuleType:
    loader = _Loader(source)
    spec = spec_from_loader(f"remission_own_{source.digest}", loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module  # where pydantic looks for the names in annotations
    lines = source.text.splitlines(keepends=True)
    # pydantic looks up docstrings of parameters: in the text as it was read, not in the file
    linecache.cache[source.path] = (len(source.text), None, lines, source.path)
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the file does wrong is the user's to mend
        del sys.modules[module.__name__]
        where = _line_of(error, source.path)
        raise SpecError(
            f"'{source.path}'{where}: {type(error).__name__}: {error}", "mend the file"
        ) from error
    return module


def _line_of(error: BaseException, path: str) -> str:
    """The line of the file that an error goes back to, if it is known."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return f" line {error.lineno}"
    lines = [
        one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == path
    ]
    return f" line {lines[-1]}" if lines else ""


def _methods(module: ModuleType, source: Source) -> list[type[Method]]:
    """The methods that a module defines itself; what helps to define them is left out.

    Raises:
        SpecError: there is none, or a class that has a name lacks a hook.
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
                f"'{source.path}': {cls.__name__} does not write {hooks}",
                "write what its base class asks for, by that name",
            )
    found = [cls for cls in defined if not inspect.isabstract(cls)]
    if not found:
        raise SpecError(
            f"'{source.path}' defines no method",
            "derive a class from a base of remission.purifiers, or of the other methods, and write "
            "all its hooks (docs/adding-a-method.md shows one)",
        )
    return found


def _check(cls: type[Method], source: Source) -> None:
    """That a class has what every method has.

    Raises:
        SpecError: it has not.
    """
    where = f"'{source.path}': {cls.__name__}"
    if "__pydantic_fields__" not in vars(cls):
        raise SpecError(f"{where} is not a method yet", "put @method above the class")
    fields = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for need in ("name", "paper"):
        if need in fields or not isinstance(vars(cls).get(need), str):
            raise SpecError(f"{where} has no '{need}'", f'write {need}: ClassVar[str] = "..."')
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
    with contextlib.suppress(ValidationError):  # a parameter without a default: nothing to try
        values = cls().parameters()
        from_table(cls, json.loads(json.dumps(values)), f"{where}: its defaults, kept as JSON")


def _version(cls: type[Method], source: Source) -> str:
    """The text, and the versions of those methods of the package that the class is made from."""
    later = [
        f"{base.__name__}-{base.version}"
        for base in cls.__mro__[1:]
        if issubclass(base, Method)
        and base.__module__.startswith("remission.")
        and base.version != 1
    ]
    return "+".join([source.digest, *later])
