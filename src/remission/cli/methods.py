"""``remission methods``: every method with its parameters, from the catalogue."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Kind(StrEnum):
    """What can be listed."""

    ATTACKS = "attacks"
    PURIFIERS = "purifiers"
    REACTIVATIONS = "reactivations"
    INVERSIONS = "inversions"
    MODELS = "models"
    DATASETS = "datasets"


class Format(StrEnum):
    """How it is printed."""

    TEXT = "text"
    JSON = "json"


def read_catalogue() -> dict[str, list[dict[str, Any]]]:
    """Every method and data set; imports no method, so that it is quick."""
    from remission.data.sources import CATALOGUE

    text = (Path(__file__).parent.parent / "catalogue.json").read_text(encoding="utf-8")
    found: dict[str, list[dict[str, Any]]] = json.loads(text)
    found["datasets"] = [
        {
            "name": source.name,
            "summary": source.description,
            "paper": "",
            "needs": [],
            "parameters": [],
        }
        for source in CATALOGUE.values()
    ]
    return found


def methods(
    kind: Annotated[Kind | None, typer.Argument(help="Only these.")] = None,
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.TEXT,
) -> None:
    """List every method with its parameters, defaults, needs and paper."""
    found = read_catalogue()
    if kind:
        found = {kind.value: found[kind.value]}
    if format is Format.JSON:
        print(json.dumps(found, indent=1))
        return
    for name, entries in found.items():
        print(f"{name.upper()}\n")
        for entry in entries:
            print(_text(entry), end="\n\n")


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
