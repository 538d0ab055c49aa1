"""What people call methods: the one place where rows of tables and stages of plans get their names.

A label shows parameters only where two methods of one name differ in them. Labels are for people:
no identity depends on them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from remission.catalogue import default_inversion
from remission.names import printable
from remission.records.cell import Json


def canonical(value: object) -> str:
    """Writes a JSON value compactly, with sorted keys: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, order=True)
class MethodKey:
    """A method with its parameters; ``params`` is canonical JSON, so that it can be a key."""

    name: str
    params: str = "{}"

    @classmethod
    def of(cls, name: str, params: Json, *, without: tuple[str, ...] = ()) -> MethodKey:
        """Returns the method, less the parameters that the table already shows in a column."""
        rest = {key: value for key, value in params.items() if key not in without}
        return cls(name, canonical(rest))

    @property
    def parameters(self) -> Json:
        """The parameters as a dictionary."""
        return dict(json.loads(self.params))


def purifier_key(name: str, params: Mapping[str, Any]) -> MethodKey:
    """Returns a purifier as a key, from what a cell says of it.

    Args:
        name: the name of the purifier.
        params: its parameters. They name the inversion only where it is not the default; the key
            names it wherever the purifier works with an inverted trigger.
    """
    if trigger_of(params) == "inverted":
        params = {"inversion": default_inversion(), **params}
    return MethodKey.of(name, dict(params))


def trigger_of(params: Mapping[str, Any]) -> str | None:
    """Returns which trigger a purifier with these parameters is given; None if it needs none.

    A purifier that runs another one, its ``base``, is given the trigger that this one needs.
    """
    base = params.get("base")
    trigger = (base if isinstance(base, Mapping) else params).get("trigger")
    return trigger if isinstance(trigger, str) else None


def flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flattens nested parameters: dotted names, and values as people write them."""
    texts: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            texts |= flat(value, f"{prefix}{key}.")
        else:
            texts[prefix + key] = value if isinstance(value, str) else canonical(value)
    return texts


def label_methods(methods: Iterable[MethodKey]) -> dict[MethodKey, str]:
    """Gives each method a label, unique among them, such as ``pam (rho=0.3)``."""
    by_name: dict[str, list[MethodKey]] = {}
    for method in sorted(set(methods)):
        by_name.setdefault(method.name, []).append(method)
    labels: dict[MethodKey, str] = {}
    for name, variants in by_name.items():
        params = {variant: flat(variant.parameters) for variant in variants}
        for variant in variants:
            entries = params[variant]
            alike = [v for v in variants if params[v].get(_OF_BASE) == entries.get(_OF_BASE)]
            parts = [
                f"{key}={entries[key]}"
                for key in sorted(entries)
                # parameters of another base have the same names and mean something else
                if len({params[v].get(key) for v in (alike if _in_base(key) else variants)}) > 1
            ]
            labels[variant] = printable(f"{name} ({', '.join(parts)})" if parts else name)
    return labels


_BASE = "base."
_OF_BASE = f"{_BASE}method"
"""The flat names of the parameters of a purifier inside another, and of its method among them."""


def _in_base(key: str) -> bool:
    return key.startswith(_BASE) and key != _OF_BASE


def is_label_of(text: str, method: MethodKey) -> bool:
    """Returns whether :func:`label_methods` may give a method this label, depending on the others.

    A label is the method's name, followed by some of its parameters in brackets: which of them a
    table shows depends on the other methods in it.
    """
    name = printable(method.name)
    if text == name:
        return True
    if not (text.startswith(f"{name} (") and text.endswith(")")):
        return False
    rest = text[len(name) + 2 : -1] + ", "
    for key, value in sorted(flat(method.parameters).items()):
        rest = rest.removeprefix(printable(f"{key}={value}") + ", ")
    return not rest
