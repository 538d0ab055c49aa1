"""``remission table``: results on standard output."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from remission.cli.run import AllSettingsOption, StoreArgument


class TableFormat(StrEnum):
    """Percentages for people (text, markdown), fractions for programs (csv, json)."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


class TableCommand(TyperCommand):
    """The command, whose help lists the views.

    They are imported only for the help, so that all other commands start faster.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 -- private types
        """Writes the help, with the views as the help of ``--view``."""
        from remission.report.tables.views import VIEWS

        for parameter in self.params:
            if parameter.name == "view":
                listed = (f"{view.name}: {view.summary}" for view in VIEWS.values())
                parameter.help = "\n\n".join(listed)  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


def table(
    store: StoreArgument,
    view: Annotated[str, typer.Option(metavar="NAME", help="The view to show.")] = "summary",
    format: Annotated[
        TableFormat,
        typer.Option(help="Text and markdown show percentages, csv and json fractions."),
    ] = TableFormat.TEXT,
    all_settings: AllSettingsOption = False,
    trials: Annotated[
        str | None,
        typer.Option(
            metavar="STORE",
            help="Results of the models on which settings were chosen, as the view trials shows "
            "them; the view choices then shows these settings.",
        ),
    ] = None,
) -> None:
    """Print the results of a store."""
    from remission.errors import UserError
    from remission.records.places import place_of
    from remission.records.plans import unfinished
    from remission.report.groups.results import Results
    from remission.report.tables.render import check_view, render
    from remission.report.tables.views import VIEWS

    check_view(view)
    if trials is not None and view != "choices":
        raise UserError(f"--trials says nothing to the view {view}", "use it with --view choices")
    place = place_of(store)
    others = Results.of_store(place_of(trials)) if trials is not None else None
    results = Results.of_store(place, all_settings=all_settings, trials=others)
    text = render(results, view, format.value)
    print(text)
    if results.note and format in (TableFormat.CSV, TableFormat.JSON):
        print(f"remission: {results.note}", file=sys.stderr)
    if not text:
        print(f"remission: nothing to show: {VIEWS[view].empty}", file=sys.stderr)
    for sentence in unfinished(place):
        rest = "run the spec again, or remove its file in plans/ if you no longer use it"
        print(f"remission: {sentence}; {rest}", file=sys.stderr)
