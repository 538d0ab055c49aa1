"""``remission run``: computes what of a spec's grid the store does not hold yet."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from remission.grid.reporter import Outcome
    from remission.grid.spec import Spec


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


StoreOption = Annotated[
    Path, typer.Option(help="Folder that keeps the results; made if missing.", metavar="DIR")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no log.")]


def run(
    spec: Annotated[Path, typer.Argument(help="The spec, a TOML file.", metavar="SPEC.toml")],
    store: StoreOption = Path("remission-store"),
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default="one a core, at most 4; one on an accelerator",
            help="Processes at once; results do not depend on it.",
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="GLOB",
            help="Only stages whose label matches, as 'badnets/*/pam*', and their parents.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Compute what of a spec's grid the store does not hold yet."""
    from remission.grid.spec import read_spec

    loaded = read_spec(spec)
    if dry_run:
        show_plan(loaded, store, only, device.value)
        return
    outcome = compute(loaded, store, device=device.value, jobs=jobs, only=only, quiet=quiet)
    if not quiet:
        print(f"see: remission table {store}", file=sys.stderr)
    raise typer.Exit(1 if outcome.failed else 0)


def compute(
    spec: Spec,
    store: Path,
    *,
    device: str,
    jobs: int | None,
    only: str | None,
    quiet: bool,
) -> Outcome:
    """Runs a spec with progress on standard error, and says what was computed and what failed."""
    from remission.cli.progress import reporting
    from remission.grid.run import run as run_spec

    with reporting(quiet) as reporter:
        outcome = run_spec(spec, store, only=only, device=device, jobs=jobs, reporter=reporter)
    if not quiet:
        print(
            f"{len(outcome.computed)} stages computed, {len(outcome.stored)} were stored already",
            file=sys.stderr,
        )
    for label, reason in outcome.failed.items():
        print(f"remission: {label} failed: {reason}", file=sys.stderr)
    if outcome.skipped:
        count = len(outcome.skipped)
        print(f"remission: {count} stages that build upon these were not computed", file=sys.stderr)
    return outcome


def show_plan(spec: Spec, store: Path, only: str | None, device: str) -> None:
    """Prints every stage, one a line, and whether the store holds it; computes nothing."""
    from remission.grid.run import plan_of, resolve_device
    from remission.grid.store import Store

    known = Store(store) if store.is_dir() and any(store.iterdir()) else None
    missing = 0
    for stage in plan_of(spec, only, resolve_device(device)):
        stored = bool(known and known.find(stage.kind, stage.id))
        missing += not stored
        print(f"{'stored ' if stored else 'compute'}  {stage.kind:<11}  {stage.id}  {stage.label}")
    print(f"{missing} stages to compute", file=sys.stderr)
