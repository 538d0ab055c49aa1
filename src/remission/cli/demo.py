"""``remission demo``: the shipped spec ``quickstart``, its table, its report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from remission.cli.run import QuietOption, StoreOption
from remission.errors import StoreError


def demo(
    store: StoreOption = "demo/store",
    report: Annotated[
        Path, typer.Option(help="Where to write the report.", metavar="FILE.html")
    ] = Path("demo/report.html"),
    quiet: QuietOption = False,
) -> None:
    """Run the shipped spec 'quickstart', print its table, write its report."""
    from remission.cli.progress import waiting
    from remission.cli.run import compute
    from remission.grid.spec.spec import read_spec
    from remission.records import read_records
    from remission.records.places import place_of
    from remission.report.page.page import write_report
    from remission.report.tables.render import render

    spec = read_spec(Path(__file__).parent.parent / "recipes" / "quickstart.toml")
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder '{report.parent}' cannot be made ({error})", "name another with --report"
        ) from error
    outcome = compute(spec, store, device="auto", jobs=None, only=None, quiet=quiet)
    print(render(read_records(store), "summary", "text"))
    with waiting(quiet, "starting") as say:
        write_report(place_of(store), report, say)
    if not quiet:
        print(f"report: {report}", file=sys.stderr)
    raise typer.Exit(1 if outcome.failed else 0)
