"""``remission methods``: every method with its parameters, from the catalogue."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from remission.catalogue import methods_by_kind
from remission.errors import SpecError, closest
from remission.names import composed


class Format(StrEnum):
    """How it is printed."""

    TEXT = "text"
    JSON = "json"


def read_catalogue() -> dict[str, list[dict[str, Any]]]:
    """Every method and data set; imports no method, so that it is quick."""
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
    return {**methods_by_kind(), "datasets": datasets}


def methods(
    which: Annotated[
        str | None,
        typer.Argument(
            help="Only these: attacks, purifiers, reactivations, inversions, models or datasets; "
            "or what bears one name.",
            metavar="[KIND or NAME]",
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.TEXT,
) -> None:
    """List every method with its parameters, defaults, needs and paper."""
    found = read_catalogue()
    if which:
        found = _only(found, which)
    if format is Format.JSON:
        print(json.dumps(found, indent=1))
        return
    for name, entries in found.items():
        print(f"{name.upper()}\n")
        for entry in entries:
            print(_text(entry), end="\n\n")


def _only(found: dict[str, list[dict[str, Any]]], which: str) -> dict[str, list[dict[str, Any]]]:
    """One kind, or the methods of one name, which several kinds may have."""
    if kind := next((kind for kind in found if which in (kind, kind.removesuffix("s"))), None):
        return {kind: found[kind]}
    named = {
        kind: [entry for entry in entries if entry["name"] == composed(which)]
        for kind, entries in found.items()
    }
    if not any(named.values()):
        known = {*found, *(entry["name"] for entries in found.values() for entry in entries)}
        raise SpecError(f"nothing is called '{which}'", closest(which, known))
    return {kind: entries for kind, entries in named.items() if entries}


def _text(entry: dict[str, Any]) -> str:
    """One method as indented lines."""
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
