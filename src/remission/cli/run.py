"""``remission run``: computes the part of a spec's grid that the store does not hold yet."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remission.grid.executor.cluster import Cluster
    from remission.grid.executor.reporter import RunOutcome
    from remission.grid.run import DryRun
    from remission.grid.spec.spec import Spec


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Executor(StrEnum):
    """What computes the stages."""

    LOCAL = "local"
    RAY = "ray"


StoreOption = Annotated[
    str,
    typer.Option(
        help="Where the results lie: a folder, which is created if it is missing, or an s3:// "
        "address.",
        metavar="STORE",
    ),
]
StoreArgument = Annotated[
    str,
    typer.Argument(
        help="What `remission run` wrote: a folder, or an s3:// address.", metavar="STORE"
    ),
]
AllSettingsOption = Annotated[
    bool,
    typer.Option(
        "--all-settings",
        help="Also show results of other data or settings than those of the last runs, each with "
        "its setting.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no log.")]


SpecArgument = Annotated[Path, typer.Argument(help="The spec, a TOML file.", metavar="SPEC.toml")]
JobsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        show_default="one per core, at most 4; one on an accelerator; with --on ray, all cores",
        help="Number of processes; results do not depend on it. With --on ray: processors of the "
        "cluster that is started on this computer.",
    ),
]
OnOption = Annotated[
    Executor, typer.Option(help="What computes: processes of this computer, or a Ray cluster.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT",
        show_default="a cluster of this computer, for the time of the run",
        help="The Ray cluster.",
    ),
]
CpusPerStage = Annotated[
    int,
    typer.Option(
        min=1,
        help="With --on ray: processors per stage, and as many threads; the last bits of results "
        "depend on their number.",
    ),
]
GpusPerStage = Annotated[
    float,
    typer.Option(
        min=0,
        help="With --on ray: accelerators per stage, for example 0.25; with 0 stages run on "
        "processors.",
    ),
]
OnlyOption = Annotated[
    str | None,
    typer.Option(
        metavar="GLOB",
        help="Compute only stages whose label matches, for example 'badnets/*/pam*', or those of a "
        "row of a table, for example 'pam (rho=0.3)', with the stages that they build upon and "
        "are compared with.",
    ),
]
MethodsOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE.py",
        help="A Python file with methods of your own that the spec names; it is executed. The "
        "option can be repeated.",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print the plan and how long it would take on this computer, also with --on ray; "
        "train and store nothing.",
    ),
]


def run(
    spec: SpecArgument,
    store: StoreOption = "remission-store",
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    jobs: JobsOption = None,
    on: OnOption = Executor.LOCAL,
    address: AddressOption = None,
    cpus_per_stage: CpusPerStage = 1,
    gpus_per_stage: GpusPerStage = 0.0,
    only: OnlyOption = None,
    methods: MethodsOption = None,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compute the part of a spec's grid that the store does not hold yet."""
    from remission.grid.spec.spec import read_spec
    from remission.user_methods import use_methods

    for file in methods or []:
        use_methods(file)
    loaded = read_spec(spec)
    cluster = _cluster(on, address, cpus_per_stage, gpus_per_stage, jobs, device)
    if dry_run:
        show_plan(loaded, store, only=only, device=device.value, jobs=jobs, quiet=quiet)
        return
    outcome = compute(
        loaded,
        store,
        device=device.value,
        jobs=jobs,
        only=only,
        quiet=quiet,
        cluster=cluster,
    )
    if not quiet:
        print(f"see: remission table {shlex.quote(store)}", file=sys.stderr)
    raise typer.Exit(1 if outcome.failed else 0)


def _cluster(
    on: Executor,
    address: str | None,
    cpus: int,
    gpus: float,
    jobs: int | None,
    device: Device,
) -> Cluster | None:
    """Returns the cluster that the options name; None for this computer's processes."""
    from remission.errors import SpecError

    if on is Executor.LOCAL:
        if address or cpus != 1 or gpus:
            raise SpecError(
                "--address, --cpus-per-stage and --gpus-per-stage are options of Ray",
                "add --on ray, or leave them out",
            )
        return None
    if device is not Device.AUTO:
        raise SpecError(
            f"--device {device.value} is for this computer; on Ray --gpus-per-stage decides",
            "leave --device out",
        )
    if address and jobs:
        raise SpecError(
            "--jobs sets the size of a cluster that is started here, and --address names another",
            "leave one of them out",
        )
    from remission.grid.executor.cluster import Cluster

    return Cluster(address=address, cpus_per_stage=cpus, gpus_per_stage=gpus, jobs=jobs)


def compute(
    spec: Spec,
    store: str,
    *,
    device: str,
    jobs: int | None,
    only: str | None,
    quiet: bool,
    cluster: Cluster | None = None,
) -> RunOutcome:
    """Runs a spec with progress on standard error; prints how much was computed and what failed."""
    from remission.cli.progress import reporting
    from remission.grid.run import run as run_spec
    from remission.names import printable

    with reporting(quiet) as reporter:
        outcome = run_spec(
            spec, store, only=only, device=device, jobs=jobs, cluster=cluster, reporter=reporter
        )
    if not quiet:
        line = f"{len(outcome.computed)} stages computed, {len(outcome.stored)} were stored already"
        if outcome.elsewhere:
            line += f", {len(outcome.elsewhere)} were computed by other runs meanwhile"
        print(line, file=sys.stderr)
    for label, reason in outcome.failed.items():
        print(printable(f"remission: {label} failed: {reason}"), file=sys.stderr)
    if outcome.skipped:
        count = len(outcome.skipped)
        print(f"remission: {count} stages that build upon these were skipped", file=sys.stderr)
    if outcome.failed and not quiet:
        status = f"remission status {shlex.quote(store)}"
        print(f"see: {status}, with their last output", file=sys.stderr)
    return outcome


def show_plan(
    spec: Spec, store: str, *, only: str | None, device: str, jobs: int | None, quiet: bool
) -> None:
    """Prints each stage on a line with the time that it would take here; stores nothing."""
    from remission.cli.progress import about, waiting
    from remission.grid.run import dry_run

    with waiting(quiet, "measuring step times") as show:
        plan = dry_run(
            spec,
            store,
            only=only,
            device=device,
            jobs=jobs,
            announce=lambda stage: show(f"measuring step times: {stage.label}"),
        )
    for stage in plan.plan:
        stored = stage.id in plan.stored
        line = f"{'stored ' if stored else 'compute'}  {stage.kind:<11}  {stage.id}  "
        print(line + (" " * 14 if stored else f"{about(plan.seconds[stage.id]):<14}") + stage.label)
    notes = () if quiet else (f"data: {note}" for note in plan.notes)
    for line in (*notes, *_summary(plan, spec.dataset)):
        print(line, file=sys.stderr)


def _summary(plan: DryRun, dataset: str) -> Iterator[str]:
    """Yields lines that say how much there is to compute and how long it would take."""
    from remission.cli.progress import about

    yield f"{len(plan.seconds)} stages to compute"
    if together := sum(seconds or 0.0 for seconds in plan.seconds.values()):
        yield (
            f"{about(plan.elapsed)} with --jobs {plan.jobs}, {about(together)} one stage after "
            "the other: estimated from step times measured on this machine just now"
        )
    if unknown := sum(seconds is None for seconds in plan.seconds.values()):
        yield f"not counting {unknown} of them, whose duration could not be measured"
    if not plan.data_is_here:
        yield (
            f"'{dataset}' is not on this computer: the plan is made from its description, and "
            f"nothing says which stages are stored; 'remission data fetch {dataset}' fetches it"
        )
