"""``remission methods``: prints every method with its parameters, from the catalogue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from remission.catalogue import methods_by_kind
from remission.errors import SpecError, closest
from remission.names import composed


class Format(StrEnum):
    """The format of the list."""

    TEXT = "text"
    JSON = "json"


def read_catalogue(files: Sequence[Path] = ()) -> dict[str, list[dict[str, Any]]]:
    """Reads the catalogue of methods and data sets; imports no method, so that it is quick.

    Args:
        files: of the user's own methods; where there are any, they are executed, and every method
            is imported.
    """
    from remission.data.catalogue import CATALOGUE

    datasets: list[dict[str, Any]] = [
        {
            "name": source.name,
            "summary": source.description,
            "paper": "",
            "needs": [],
            "parameters": [],
        }
        for source in CATALOGUE.values()
    ]
    return {**(_with_own(files) if files else methods_by_kind()), "datasets": datasets}


def _with_own(files: Sequence[Path]) -> dict[str, list[dict[str, Any]]]:
    """Describes the methods of the package and those of the user's files."""
    from remission.registry import catalogue
    from remission.user_methods import use_methods

    for file in files:
        use_methods(file)
    return catalogue()


def methods(
    which: Annotated[
        str | None,
        typer.Argument(
            help="Print one kind (attacks, purifiers, reactivations, inversions, models or "
            "datasets), or the methods of one name.",
            metavar="[KIND or NAME]",
        ),
    ] = None,
    format: Annotated[
        Format, typer.Option(help="Print text for people or JSON for programs.")
    ] = Format.TEXT,
    methods: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.py",
            help="A Python file with methods of your own, which are listed as well; it is "
            "executed. The option can be repeated.",
        ),
    ] = None,
) -> None:
    """List every method with its parameters, defaults, needs and paper."""
    entries_by_kind = read_catalogue(methods or ())
    if which:
        entries_by_kind = _only(entries_by_kind, which)
    if format is Format.JSON:
        print(json.dumps(entries_by_kind, indent=1))
        return
    for name, entries in entries_by_kind.items():
        print(f"{name.upper()}\n")
        for entry in entries:
            print(_text(entry), end="\n\n")


def _only(
    entries_by_kind: dict[str, list[dict[str, Any]]], which: str
) -> dict[str, list[dict[str, Any]]]:
    """Returns the entries of one kind, or those of one name in all kinds."""
    if kind := next(
        (kind for kind in entries_by_kind if which in (kind, kind.removesuffix("s"))), None
    ):
        return {kind: entries_by_kind[kind]}
    matches = {
        kind: [entry for entry in entries if entry["name"] == composed(which)]
        for kind, entries in entries_by_kind.items()
    }
    if not any(matches.values()):
        names = {
            *entries_by_kind,
            *(entry["name"] for entries in entries_by_kind.values() for entry in entries),
        }
        hint = f"{closest(which, names)}; methods of your own: --methods FILE.py"
        raise SpecError(f"nothing is called '{which}'", hint)
    return {kind: entries for kind, entries in matches.items() if entries}


def _text(entry: dict[str, Any]) -> str:
    """Returns a method's entry as indented lines."""
    lines = [f"  {entry['name']}: {entry['summary']}"]
    if entry["paper"]:
        lines.append(f"      paper: {entry['paper']}")
    if entry["needs"]:
        lines.append(f"      needs: {', '.join(entry['needs'])}")
    if entry.get("has"):
        lines.append(f"      has: {', '.join(entry['has'])}")
    lines += [
        f"      {parameter['name']} = {json.dumps(parameter['default'])}"
        f"   ({parameter['allowed']})  {parameter['meaning']}"
        for parameter in entry["parameters"]
    ]
    return "\n".join(lines)
