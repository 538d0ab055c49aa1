"""``remission table``: results on standard output."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class View(StrEnum):
    """What a line of the table is."""

    SUMMARY = "summary"
    CELLS = "cells"
    PATHS = "paths"
    ATTACKS = "attacks"
    INNOCENT = "innocent"
    OVERVIEW = "overview"
    SCORES = "scores"
    EXPLANATION = "explanation"
    TRANSFER = "transfer"
    INVERSIONS = "inversions"


class Format(StrEnum):
    """Percentages for people (text, markdown), fractions for programs (csv, json)."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


_EMPTY = {
    View.SUMMARY: "no model is measured yet",
    View.ATTACKS: "no victim is measured yet",
    View.OVERVIEW: "no purified model is measured yet",
    View.INNOCENT: "the spec has no `innocent = [SEED]`",
    View.SCORES: "no purified model is retuned yet",
    View.EXPLANATION: "the spec has no [path], or no purified model is retuned yet",
    View.TRANSFER: "the spec has no `transfer = true`, or no reactivation that perturbs images",
    View.INVERSIONS: "no purifier of the spec inverts the trigger",
}
"""What to say of a view without content."""


def table(
    store: Annotated[Path, typer.Argument(help="folder that `remission run` wrote")],
    view: Annotated[
        View,
        typer.Option(
            help="summary: a row a purifier; cells: a row a model; paths: along the path; "
            "attacks: a row a victim, with the stealth of its trigger; overview: a row a purifier, "
            "all attacks beside each other; scores: relapse curves in single numbers; "
            "explanation: what these correlate with on the path; "
            "innocent: purifiers on a model without a backdoor; "
            "transfer: perturbations made for one model, tried on all; "
            "inversions: which class each names, and which is the true one"
        ),
    ] = View.SUMMARY,
    format: Annotated[
        Format, typer.Option(help="text and markdown show percentages, csv and json fractions")
    ] = Format.TEXT,
) -> None:
    """Print the results of a store."""
    from remission.records import read_records
    from remission.records.unfinished import unfinished
    from remission.report.tables.render import render

    text = render(read_records(store), view.value, format.value)
    print(text)
    if not text and view in _EMPTY:
        print(f"remission: nothing to show: {_EMPTY[view]}", file=sys.stderr)
    for told in unfinished(store):
        rest = "run the spec again, or remove its file in plans/ if it is given up"
        print(f"remission: {told}; {rest}", file=sys.stderr)
