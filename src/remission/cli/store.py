"""``remission store``: checks a store, copies and exports it, removes what nothing needs."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remission.cli.run import QuietOption, StoreArgument

if TYPE_CHECKING:
    from remission.records import Store

app = typer.Typer(help="Check a store, copy it, export it, or clear it up.", no_args_is_help=True)

FollowLinks = Annotated[
    bool,
    typer.Option(
        "--follow-links",
        help="Also remove files in folders that a link leads to. Without this they are left alone, "
        "as another store may use them.",
    ),
]


def opened(where: str) -> Store:
    """Opens a store, which must exist: these commands create none."""
    from remission.records import STORE_MARK, Store
    from remission.records.places import no_store, place_of

    if STORE_MARK not in _names_in(place_of(where)):
        raise no_store(where)
    return Store(where)


def _names_in(place: Path) -> list[str]:
    from remission.records.places import unreadable

    try:
        return [file.name for file in place.iterdir()] if place.is_dir() else []
    except OSError as error:
        raise unreadable(place, error) from error


@app.command()
def verify(store: StoreArgument, quiet: QuietOption = False) -> None:
    """Compare every file of a store with its checksum; exit status 1 if one is damaged.

    Each damaged file is named with what mends it. A damaged artefact is renamed, and a damaged
    record counts as none, so that the next run of the spec computes them anew.
    """
    from remission.cli.progress import waiting
    from remission.records.checking import check_store
    from remission.records.files import RECORDS, STORE_MARK
    from remission.records.places import no_store, place_of

    place = place_of(store)
    if not {STORE_MARK, RECORDS} & set(_names_in(place)):
        raise no_store(store)
    with waiting(quiet, "checking") as say:
        check = check_store(place, say)
    for flaw in check.flaws:
        label = f"{flaw.label}: " if flaw.label else ""
        print(f"{label}{flaw.what}; {flaw.remedy}")
    print(f"{check.files} files checked, {len(check.flaws)} damaged", file=sys.stderr)
    if check.unsealed:
        print(
            f"{check.unsealed} records of an older remission have no checksum of their own: their "
            "layout was checked, and their numbers could not be",
            file=sys.stderr,
        )
    raise typer.Exit(1 if check.flaws else 0)


@app.command()
def copy(
    source: Annotated[str, typer.Argument(help="The store to read.", metavar="FROM")],
    target: Annotated[
        str,
        typer.Argument(help="The store to write, which is created if it is missing.", metavar="TO"),
    ],
    quiet: QuietOption = False,
) -> None:
    """Copy what one store has and another lacks; exit status 1 if a damaged file was left out."""
    from remission.cli.progress import waiting
    from remission.records import Store
    from remission.records.copying import copy_store

    with waiting(quiet, "copying") as say:
        copied = copy_store(opened(source), Store(target), say)
    for flaw in copied.flaws:
        print(f"not copied: {flaw.what}; {flaw.remedy}")
    print(
        f"{copied.records} records copied with their artefacts, {copied.bytes / 1e6:.1f} MB; "
        f"{copied.there} were there already",
        file=sys.stderr,
    )
    raise typer.Exit(1 if copied.flaws else 0)


class ExportFormat(StrEnum):
    """How cells are written."""

    PARQUET = "parquet"


@app.command()
def export(
    store: StoreArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    format: Annotated[ExportFormat, typer.Option(help="How it is written.")] = ExportFormat.PARQUET,
) -> None:
    """Write one row with typed columns per cell, whatever its settings.

    Cells of superseded versions of a method are left out. `remission table --view cells
    --all-settings` prints them as CSV or JSON; without --all-settings it leaves out those of other
    settings than the last run's.
    """
    from remission.records import read_records
    from remission.records.export import write_parquet
    from remission.records.places import place_of

    rows = write_parquet(read_records(place_of(store)), output)
    print(f"{rows} rows: {output}", file=sys.stderr)
    del format


@app.command()
def gc(store: StoreArgument, follow_links: FollowLinks = False) -> None:
    """Remove artefacts that no record names, damaged ones that were set aside, unfinished files.

    Files of the last hour are left alone, as a run may be at work on them. Snapshots stay: the next
    run goes on from them.
    """
    from remission.errors import StoreError
    from remission.records import read_records
    from remission.records.checking import unneeded, young

    found = opened(store)
    count = total = young_files = 0
    records = read_records(found.folder, superseded=True)
    for file in unneeded(found, records, follow_links=follow_links):
        try:
            if young(file):
                young_files += 1
                continue
            size = file.stat().st_size
            file.unlink()
        except FileNotFoundError:  # another process has finished or removed it
            continue
        except OSError as error:
            raise StoreError(
                f"'{file}' cannot be removed ({error})", "check its permissions, then run gc again"
            ) from error
        count, total = count + 1, total + size
        print(file)
    print(f"{count} files removed, {total / 1e6:.1f} MB freed", file=sys.stderr)
    if young_files:
        print(
            f"{young_files} files of the last hour were left alone, as a run may be at work on "
            "them; run gc again later",
            file=sys.stderr,
        )
    if not follow_links:
        _name_linked(found)


@app.command()
def prune(
    store: StoreArgument,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Name what would be removed, remove nothing.")
    ] = False,
    follow_links: FollowLinks = False,
) -> None:
    """Remove results that no spec's last run asked for, such as those of older data or settings.

    The store keeps a plan per spec: the stages that its last run asked for. Snapshots of trainings
    that were begun go with their stages. What was written within the last hour is left alone, as a
    run may be at work.
    """
    from remission.records import read_records
    from remission.records.places import size_of
    from remission.records.pruning import remove, unasked, unasked_snapshots
    from remission.records.snapshots import drop_snapshot

    found = opened(store)
    count = size = left = 0
    records = read_records(found.folder, superseded=True)
    for removal in list(unasked(found, records, follow_links=follow_links)):
        if removal.recent:
            left += 1
        elif dry_run or remove(found, removal):
            print(f"{removal.record.kind:<11}  {removal.record.id}  {removal.record.label}")
            count, size = count + 1, size + removal.size
    snapshots = unasked_snapshots(found)
    for file in snapshots:
        print(f"{'snapshot':<11}  {file.stem}")
        size += size_of(file) or 0
        if not dry_run:
            drop_snapshot(found.folder, file.stem)
    what = "would be removed" if dry_run else "removed"
    begun = f" and {len(snapshots)} trainings that were begun" if snapshots else ""
    print(
        f"{count} of {len(records)} records{begun} {what} with their artefacts, "
        f"{size / 1e6:.1f} MB",
        file=sys.stderr,
    )
    if left:
        print(
            f"{left} records of the last hour were left alone, as a run may be at work; run prune "
            "again later",
            file=sys.stderr,
        )
    if not follow_links:
        _name_linked(found)


def _name_linked(store: Store) -> None:
    """Prints which folders were left alone because they lie behind a link."""
    from remission.records.checking import linked_folders

    for folder in linked_folders(store):
        print(
            f"'{folder}' lies behind a link and was left alone: another store may use its files; "
            "--follow-links clears it up too",
            file=sys.stderr,
        )
