"""Short names for methods: the parameters appear only where two of a kind differ in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from remission.records import Json


def canonical(value: object) -> str:
    """Compact JSON of a JSON value with sorted keys: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, order=True)
class MethodKey:
    """A method with its parameters; ``params`` is canonical JSON, so that it can be a key."""

    name: str
    params: str = "{}"

    @classmethod
    def of(cls, name: str, params: Json, *, without: tuple[str, ...] = ()) -> MethodKey:
        """The method, less the parameters that the table already shows in a column."""
        kept = {key: value for key, value in params.items() if key not in without}
        return cls(name, canonical(kept))

    @property
    def parameters(self) -> Json:
        """The parameters as a dictionary."""
        return dict(json.loads(self.params))


def flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters with dotted names, values as people write them."""
    found: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value if isinstance(value, str) else canonical(value)
    return found


def label_methods(methods: Iterable[MethodKey]) -> dict[MethodKey, str]:
    """A label for each method, unique among them: ``pam (rho=0.3)`` beside ``pam (rho=0.5)``."""
    by_name: dict[str, list[MethodKey]] = {}
    for method in sorted(set(methods)):
        by_name.setdefault(method.name, []).append(method)
    labels: dict[MethodKey, str] = {}
    for name, variants in by_name.items():
        params = {variant: flat(variant.parameters) for variant in variants}
        keys = sorted({key for values in params.values() for key in values})
        differing = [k for k in keys if len({params[v].get(k) for v in variants}) > 1]
        for variant in variants:
            own = params[variant]
            parts = [f"{key}={own[key]}" for key in differing if key in own]
            labels[variant] = printable(f"{name} ({', '.join(parts)})" if parts else name)
    return labels


def printable(text: str) -> str:
    """``text`` on one line: names come from users, and a control character would break a table."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
