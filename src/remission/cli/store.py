"""``remission store``: compares artefacts with their checksums; removes files without use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from remission.records import Store

app = typer.Typer(help="Check a store, or clear it up.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Folder of the store.", metavar="DIR")]
FollowLinks = Annotated[
    bool,
    typer.Option(
        "--follow-links",
        help="Also remove files in folders that a link leads to. Without this they are left alone, "
        "as another store may use them.",
    ),
]


def _opened(folder: Path) -> Store:
    """Opens the store in a folder, which must exist: these commands create none."""
    from remission.errors import StoreError
    from remission.records import STORE_MARK, Store

    if not (folder / STORE_MARK).is_file():
        raise StoreError(f"there is no store at '{folder}'", "name one that `remission run` made")
    return Store(folder)


@app.command()
def verify(folder: Folder) -> None:
    """Compare every artefact with its checksum; exit status 1 if one is damaged.

    A damaged artefact is renamed, so that the next run of the spec computes it anew.
    """
    from remission.records import read_records
    from remission.records.checking import damaged

    store, records = _opened(folder), read_records(folder, superseded=True)
    flaws = damaged(store, records)
    for record, what in flaws:
        print(f"{record.label}: {what}")
    checked = sum(len(record.artefacts) for record in records)
    remedy = "; run the spec again: they are computed anew" if flaws else ""
    print(f"{checked} artefacts checked, {len(flaws)} damaged{remedy}", file=sys.stderr)
    raise typer.Exit(1 if flaws else 0)


@app.command()
def gc(folder: Folder, follow_links: FollowLinks = False) -> None:
    """Remove artefacts that no record names, and damaged ones that were set aside.

    Files of the last hour are left alone, as a run may be at work on them.
    """
    from remission.errors import StoreError
    from remission.records import read_records
    from remission.records.checking import unneeded, young

    store = _opened(folder)
    count = total = young_files = 0
    records = read_records(folder, superseded=True)
    for file in unneeded(store, records, follow_links=follow_links):
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
        _name_linked(store)


@app.command()
def prune(
    folder: Folder,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Name what would be removed, remove nothing.")
    ] = False,
    follow_links: FollowLinks = False,
) -> None:
    """Remove results that no spec's last run asked for, such as those of older data or settings.

    The store keeps a plan per spec: the stages that its last run asked for. Records of the last
    hour are left alone, as a run may be at work.
    """
    from remission.records import read_records
    from remission.records.pruning import remove, unasked

    store = _opened(folder)
    count = size = left = 0
    records = read_records(folder, superseded=True)
    for removal in list(unasked(store, records, follow_links=follow_links)):
        if removal.recent:
            left += 1
        elif dry_run or remove(store, removal):
            print(f"{removal.record.kind:<11}  {removal.record.id}  {removal.record.label}")
            count, size = count + 1, size + removal.size
    what = "would be removed" if dry_run else "removed"
    print(
        f"{count} of {len(records)} records {what} with their artefacts, {size / 1e6:.1f} MB",
        file=sys.stderr,
    )
    if left:
        print(
            f"{left} records of the last hour were left alone, as a run may be at work; run prune "
            "again later",
            file=sys.stderr,
        )
    if not follow_links:
        _name_linked(store)


def _name_linked(store: Store) -> None:
    """Prints which folders were left alone because they lie behind a link."""
    from remission.records.checking import linked_folders

    for folder in linked_folders(store):
        print(
            f"'{folder}' lies behind a link and was left alone: another store may use its files; "
            "--follow-links clears it up too",
            file=sys.stderr,
        )
