"""The base of every method: a frozen keyword-only dataclass whose fields are its parameters.

Each field has a default, a range where it has one (``field(gt=0)``), and a docstring below it
(meaning, unit, source). Values are checked when the object is made, from a spec as from Python.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import textwrap
from itertools import pairwise
from typing import Any, ClassVar, Protocol, TypeVar, cast, dataclass_transform

import pydantic
from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from remission.errors import MethodError, SpecError, UserError, closest
from remission.names import composed

__all__ = ["Method", "describe", "explain", "field", "from_table", "method", "returned"]

T = TypeVar("T")

_NO_KEY = re.compile(r"function-|constrained-|literal\[|int$|str$")
"""Parts that pydantic adds to the place of a mistake where values of several types are allowed."""

_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


LATER: dict[str, JsonValue] = {"later": True}
"""Marks a parameter, or a key of a spec's section, that is younger than some stored results."""


def field(*, default: Any, later: bool = False, **limits: Any) -> Any:  # noqa: ANN401
    """Declares a parameter with limits (``gt``, ``ge``, ``lt``, ``le``, ``min_length``).

    Args:
        default: the parameter's default.
        later: whether the parameter is younger than stored results of its method. Settings then
            leave it out where it has its default, so that these results keep their identities;
            whoever changes such a default raises the method's version.
        limits: those of pydantic's ``Field``.
    """
    return pydantic.Field(
        default, kw_only=True, json_schema_extra=LATER if later else None, **limits
    )


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def method(cls: type[T]) -> type[T]:
    """Makes a class a frozen, keyword-only dataclass that checks types and ranges."""
    checked = pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=_CONFIG)(cls)
    return cast("type[T]", checked)


class _Checked(Protocol):
    """What :func:`method` adds to a class."""

    __pydantic_fields__: ClassVar[dict[str, FieldInfo]]


class Method:
    """Base of attacks, inversions, purifiers and reactivations.

    ``name`` is the method's name in specs and tables, ``paper`` says where it was published, and
    ``needs`` lists what it needs beyond a model and images. ``published`` is False for a method of
    this project, whose defaults no paper has chosen. Raise ``version`` when a change of the
    code changes the results: results that were stored before are then not reused. The version of a
    user's method is the digest of its file.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[bool] = True
    version: ClassVar[int | str] = 1

    @classmethod
    def facts(cls) -> dict[str, Any]:
        """Returns what tables must know of the method beside its name, as JSON values.

        Records and the catalogue hold it, so that no table has to know a method by its name. A
        base class adds what it has in common: ``{**super().facts(), "changes": "weights"}``.
        """
        return {}

    def requirements(self) -> tuple[str, ...]:
        """Returns ``needs``, and what the methods need that are parameters of this one."""
        return self.needs

    def code_version(self) -> int | str:
        """Returns ``version``, and those of the methods that are parameters of this one."""
        return self.version

    def parameters(self) -> dict[str, Any]:
        """Returns the name and the value of every parameter, as JSON values."""
        dumped: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, mode="json")
        return dumped

    def settings(self) -> dict[str, Any]:
        """Returns the parameters as the settings of stages hold them, and so cells and labels.

        These are all of :meth:`parameters`, but for those that were declared as ``later`` and have
        their default.
        """
        declared = cast("type[_Checked]", type(self)).__pydantic_fields__
        return {
            name: value
            for name, value in self.parameters().items()
            if declared[name].json_schema_extra != LATER
            or getattr(self, name) != declared[name].default
        }


def returned(method: Method, hook: str, value: T, kind: type) -> T:
    """Returns ``value`` if a method's hook returned what its base class asks for.

    Args:
        method: whose hook it is.
        hook: the hook's name.
        value: what it returned.
        kind: the type that it must have.

    Raises:
        MethodError: it has another type.
    """
    if isinstance(value, kind):
        return value
    what = "nothing" if value is None else f"a value of type {type(value).__name__}"
    raise MethodError(
        f"{method.name}: '{hook}' returned {what}",
        f"return an object of type {kind.__name__}, as the base class says",
    )


def from_table(cls: type[T], table: dict[str, Any], where: str) -> T:
    """Builds a method from a table of a spec, without its ``method`` key.

    Args:
        cls: the method's class.
        table: parameter name -> value.
        where: the place in messages, for example ``[purifier] pam``.

    Raises:
        SpecError: a key is unknown, or a value has the wrong type or is out of its range.
    """
    known = set(inspect.signature(cls).parameters)
    table = {composed(key): value for key, value in table.items()}
    for key in table:
        if key not in known:
            raise SpecError(f"{where}: unknown key '{key}'", closest(key, known))
    try:
        return cls(**table)
    except ValidationError as error:
        raise SpecError(*explain(error, where, cls)) from error
    except UserError:
        raise
    except Exception as error:  # of the checks in a user's own method
        raise SpecError(
            f"{where}: {type(error).__name__}: {error}", "change a value, or mend the method"
        ) from error


def explain(error: ValidationError, where: str, cls: type) -> tuple[str, str]:
    """Turns the first complaint of pydantic into (problem, remedy).

    Args:
        error: pydantic's error.
        where: the place in messages.
        cls: the class that has the wrong value; the defaults of its parameters serve as examples.
    """
    first = error.errors()[0]
    if isinstance(own := first.get("ctx", {}).get("error"), UserError):
        return f"{where}: {own.problem}", own.remedy
    key, got = _key(first["loc"]), first.get("input")
    if first["type"] == "missing":
        examples = cast("type[_Checked]", cls).__pydantic_fields__[key].examples or [f"{key} = ..."]
        return f"{where}: '{key}' is missing", f"add it, for example {examples[0]}"
    rivals = [_wanted(e, cls) for e in error.errors() if _key(e["loc"]) == key]
    text = " or ".join(
        dict.fromkeys((m[0].lower() + m[1:]).removeprefix("value error, ") for m in rivals)
    )
    return (
        f"{where}: '{key}' is {_shown(got)}" if key else f"{where}: {_shown(got)}",
        f"{text}" if "should" in text or "must" in text else f"allowed: {text}",
    )


def _shown(value: object) -> str:
    """Returns a wrong value as text; Python writes no number of thousands of digits."""
    try:
        return repr(value)
    except ValueError:
        return "a number of thousands of digits"


def _wanted(complaint: ErrorDetails, cls: type) -> str:
    """The value that pydantic wants; a list is described as in a spec, with an example."""
    if complaint["type"] not in ("list_type", "tuple_type", "too_short"):
        return complaint["msg"]
    parameter = inspect.signature(cls).parameters.get(str(complaint["loc"][-1]))
    default = parameter.default if parameter else None
    example = json.dumps(default if default and isinstance(default, list | tuple) else [1, 5])
    if complaint["type"] == "too_short":
        return f"list should have at least {complaint['ctx']['min_length']} item, like {example}"
    return f"input should be a list like {example}"


def _key(loc: tuple[int | str, ...]) -> str:
    """The key of a value in the table, without pydantic's names of the types that it tried."""
    return ".".join(str(part) for part in loc if not _NO_KEY.match(str(part)))


def describe(cls: type[Method]) -> dict[str, Any]:
    """A method's entry in the catalogue.

    It has its summary, its paper, whether it was published, its needs, facts and parameters. Each
    parameter has ``name``, ``default``, ``allowed`` (its type and range) and ``meaning``.
    """
    parameters = []
    schema = TypeAdapter(cls).json_schema().get("properties", {})
    meanings = {  # a docstring is written once, in the class that declares the field
        name: meaning for base in reversed(cls.__mro__) for name, meaning in _meanings(base).items()
    }
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        entry = schema[field.name]
        parameters.append(
            {
                "name": field.name,
                "default": entry.get("default"),
                "allowed": _allowed(entry),
                "meaning": meanings.get(field.name, ""),
            }
        )
    return {
        "name": cls.name,
        "summary": inspect.getdoc(cls).split("\n\n")[0].replace("\n", " "),  # type: ignore[union-attr]
        "paper": cls.paper,
        "published": cls.published,
        "needs": list(cls.needs),
        "facts": cls.facts(),
        "parameters": parameters,
    }


def _meanings(cls: type) -> dict[str, str]:
    """The docstrings below the fields that a class declares itself: name -> text on one line.

    Read from the source only where the catalogue is written. Pydantic would read them whenever a
    class is made, which takes a fifth of the time that importing the package takes.
    """
    if not dataclasses.is_dataclass(cls):
        return {}
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):  # a class that a call made
        return {}
    body = ast.parse(textwrap.dedent(source)).body[0].body  # type: ignore[attr-defined]
    return {
        declared.target.id: " ".join(below.value.value.split())
        for declared, below in pairwise(body)
        if isinstance(declared, ast.AnnAssign)
        and isinstance(declared.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _allowed(entry: dict[str, Any]) -> str:
    """A short text for a property of a JSON schema: its type, its choices or its range."""
    if "anyOf" in entry:
        return " or ".join(_allowed(option) for option in entry["anyOf"])
    if "enum" in entry:
        return " | ".join(str(choice) for choice in entry["enum"])
    if "const" in entry:
        return str(entry["const"])
    kind = str(entry.get("type", "value"))
    if kind == "array":
        return f"list of {_allowed(entry.get('items', {}))}"
    signs = {
        "exclusiveMinimum": ">",
        "minimum": ">=",
        "exclusiveMaximum": "<",
        "maximum": "<=",
    }
    bounds = [f"{sign} {entry[key]:g}" for key, sign in signs.items() if key in entry]
    return " ".join([kind, ", ".join(bounds)]).strip()
