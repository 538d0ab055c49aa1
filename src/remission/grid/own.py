"""Methods of one's own: a Python file whose classes a spec may name, beside those of the package.

What such a file says is part of the identity of what its methods compute: after a change of the
file they are computed anew.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import traceback
from dataclasses import dataclass
from importlib.abc import SourceLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

from remission.errors import SpecError
from remission.method import Method
from remission.registry import add_method


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
        source = Source(str(place), place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"'{place}' cannot be read ({error})", "name a Python file") from error
    return use(source)


def use(source: Source) -> list[str]:
    """As :func:`use_methods`, of a file that was read."""
    found = [_checked(cls, source) for cls in _methods(_executed(source), source)]
    for cls in found:
        add_method(cls, source.path)
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
    try:
        loader.exec_module(module)
    except Exception as error:  # whatever the file does wrong is the user's to mend
        del sys.modules[module.__name__]
        where = _line_of(error, source.path)
        raise SpecError(
            f"'{source.path}'{where}: {type(error).__name__}: {error}", "mend the file"
        ) from error
    return module


def _line_of(error: Exception, path: str) -> str:
    """The line of the file that an error goes back to, if it is known."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return f" line {error.lineno}"
    lines = [
        one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == path
    ]
    return f" line {lines[-1]}" if lines else ""


def _methods(module: ModuleType, source: Source) -> list[type[Method]]:
    """The concrete methods that a module defines itself."""
    found = [
        cls
        for cls in vars(module).values()
        if inspect.isclass(cls)
        and cls.__module__ == module.__name__
        and issubclass(cls, Method)
        and not inspect.isabstract(cls)
    ]
    if not found:
        raise SpecError(
            f"'{source.path}' defines no method",
            "derive a class from a base of remission.purifiers, or of the other methods, and write "
            "all its hooks (docs/adding-a-method.md shows one)",
        )
    return found


def _checked(cls: type[Method], source: Source) -> type[Method]:
    """A class that has what every method has; its version is the text it was read from."""
    where = f"'{source.path}': {cls.__name__}"
    if "__pydantic_fields__" not in vars(cls):
        raise SpecError(f"{where} is not a method yet", "put @method above the class")
    for need in ("name", "paper"):
        if not isinstance(getattr(cls, need, None), str):
            raise SpecError(f"{where} has no '{need}'", f'write {need}: ClassVar[str] = "..."')
    if not cls.name.isidentifier():
        raise SpecError(
            f"{where} is called '{cls.name}'", "use letters, digits and underscores for its name"
        )
    cls.version = source.digest
    return cls
