"""``remission inspect``: what a checkpoint holds."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class InspectionFormat(StrEnum):
    """How an inspection is printed."""

    TEXT = "text"
    JSON = "json"


def inspect(
    model: Annotated[
        Path,
        typer.Argument(
            help="A file of weights, or a folder with a file of weights and, if there are any, its "
            "configurations.",
            metavar="MODEL",
        ),
    ],
    keys: Annotated[
        bool, typer.Option("--keys", help="List every tensor with its shape and dtype.")
    ] = False,
    format_: Annotated[
        InspectionFormat, typer.Option("--format", help="text is for people, json for programs.")
    ] = InspectionFormat.TEXT,
) -> None:
    """Say what a checkpoint holds: its networks, architecture, classes. Nothing is executed."""
    from remission.audit.suspect.inspection import inspect as read

    found = read(model)
    if format_ is InspectionFormat.JSON:
        print(json.dumps(found.to_json(), indent=1))
    else:
        print(found.to_text(keys=keys))
