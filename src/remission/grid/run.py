"""Runs a spec into a store: the one function behind ``remission run`` and ``remission.run``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from remission.data import CATALOGUE, Source
from remission.errors import StoreError
from remission.grid.dry_run import elapsed, estimate, stand_in
from remission.grid.executor.cluster import Cluster, ClusterError, check_ray, check_shared
from remission.grid.executor.reporter import Reporter, RunOutcome, SilentReporter
from remission.grid.executor.run_plan import default_jobs, run_plan, threads
from remission.grid.plan.planner import make_plan
from remission.grid.plan.select import select
from remission.grid.plan.stage import DataNames, Stage
from remission.grid.spec.fits_data import check_against, remarks
from remission.grid.spec.spec import Spec
from remission.grid.stages.datasets import dataset_of, digest_of
from remission.models import resolve_device, resolve_precision
from remission.names import printable
from remission.records import Store
from remission.records.places import StorePath, is_shared, place_of
from remission.records.plans import shares_name_only
from remission.records.reading import folder_name
from remission.types import Dataset


def plan_of(spec: Spec, only: str | None = None, device: torch.device | None = None) -> list[Stage]:
    """Plans a spec; loads (and fetches) its data set.

    ``precision = "auto"`` is settled for ``device`` (the CPU when not given): results in bf16
    and in fp32 are different results.

    Raises:
        DataError: the data set cannot be read or fetched.
        SpecError: the data set does not fit the spec, or ``only`` matches nothing.
    """
    return _plan(spec, _data_of(spec, None), only, device or torch.device("cpu"))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Data:
    """The data set of a run.

    Args:
        dataset: its images, or a stand-in.
        digest: of its content.
        names: what it is called; without classes where their names are not known.
    """

    dataset: Dataset
    digest: str
    names: DataNames


def _data_of(spec: Spec, store: StorePath | None) -> _Data:
    """Reads (and fetches) the data set of a spec.

    A folder has the name under which the store knows its content, or else its own: the results of
    a folder that was renamed or moved stay together.

    Raises:
        DataError: the data set cannot be read or fetched.
    """
    dataset = dataset_of(spec.source(), spec.size, spec.resize, spec.white)
    digest, folder = digest_of(dataset), spec.folder()
    if folder is None:
        names = DataNames(spec.dataset, None, dataset.classes)
    else:
        name = (folder_name(store, digest) if store else None) or folder.name or str(folder)
        names = DataNames(name, str(folder), dataset.classes)
    return _Data(dataset=dataset, digest=digest, names=names)


def _stand_in_data(source: Source) -> _Data:
    """Makes a stand-in for a data set that is not on this computer."""
    names = DataNames(source.name, None, source.class_names)
    return _Data(dataset=stand_in(source), digest="not on this computer", names=names)


def _plan(spec: Spec, data: _Data, only: str | None, device: torch.device) -> list[Stage]:
    spec = spec.with_targets(data.names.classes)
    check_against(spec, data.dataset)
    settled = spec.model_copy(update={"precision": resolve_precision(spec.precision, device)})
    return select(make_plan(settled, data.digest, data.names), only)


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a run would do.

    Args:
        plan: all stages.
        stored: identities of the stages that the store holds.
        seconds: identity of each other stage -> seconds; None where no estimate was possible.
        jobs: processes at once.
        elapsed: seconds from start to end with that many processes.
        data_is_here: whether the data set is on this computer. If not, the plan was made from its
            description, and it is not known which stages are stored.
        notes: sentences on the data that a user should read once.
    """

    plan: list[Stage]
    stored: set[str]
    seconds: dict[str, float | None]
    jobs: int
    elapsed: float
    data_is_here: bool
    notes: tuple[str, ...] = ()


def dry_run(
    spec: Spec,
    store: StorePath | str,
    *,
    only: str | None = None,
    device: str = "auto",
    jobs: int | None = None,
    announce: Callable[[Stage], None] | None = None,
) -> DryRun:
    """Plans a run and measures how long it would take; fetches, stores and trains nothing.

    Arguments as for :func:`run`; ``announce`` is called with each stage before it is rehearsed.

    Raises:
        UserError: something the user must change.
    """
    where, store = resolve_device(device), place_of(store)
    source = CATALOGUE.get(spec.dataset)
    is_here = source is None or source.found() is not None
    data = _stand_in_data(source) if source and not is_here else _data_of(spec, store)
    plan = _plan(spec, data, only, where)
    results = Store(store) if store.is_dir() and any(store.iterdir()) else None
    stored = set(results.finished((s.kind, s.id) for s in plan)) if results else set[str]()
    missing = [stage for stage in plan if stage.id not in stored]
    with _threads():
        seconds = estimate(missing, data.dataset, where, announce=announce)
    count = jobs or default_jobs(where)
    return DryRun(
        plan=plan,
        stored=stored,
        seconds=seconds,
        jobs=count,
        elapsed=elapsed(missing, seconds, count),
        data_is_here=is_here,
        notes=(*data.dataset.notes, *remarks(spec, data.dataset)),
    )


@contextmanager
def _threads() -> Iterator[None]:
    """Gives torch the number of threads of a stage within this context, see :func:`threads`."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_threads()  # from the start: threads that wait while the data are read cost time
def run(
    spec: Spec,
    store: StorePath | str,
    *,
    only: str | None = None,
    device: str = "auto",
    jobs: int | None = None,
    cluster: Cluster | None = None,
    reporter: Reporter | None = None,
) -> RunOutcome:
    """Computes the stages of a spec's grid that the store does not hold yet.

    Args:
        spec: see :func:`remission.grid.spec.spec.read_spec`.
        store: folder of the store, which is created if it is missing; or an address, see
            :func:`remission.records.places.place_of`.
        only: names a part of the grid, see :func:`remission.grid.plan.select.select`; the stages
            that this part builds upon and is compared with are computed as well.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        jobs: processes at once; None: one per core on a CPU (at most 4), one on an accelerator.
        cluster: a Ray cluster that computes instead of this computer's processes.
        reporter: hears how the run goes.

    Raises:
        UserError: something the user must change.
    """
    where, store = _device_of(device, cluster), place_of(store)
    if cluster is not None:
        _check_cluster(spec, store, cluster)
    data = _data_of(spec, store)
    whole = _plan(spec, data, None, where)
    plan = select(whole, only)
    reporter = reporter or SilentReporter()
    for note in (*data.dataset.notes, *remarks(spec, data.dataset)):
        reporter.note(note)
    results = Store(store)
    results.prepare(stage.kind for stage in plan)
    results.keep_spec(spec.name, spec.model_dump_json(indent=1))
    stages = [(stage.kind, stage.id) for stage in whole]
    if shares_name_only(store, spec.name, stages):
        reporter.note(
            f"another grid was run into this store under the name '{printable(spec.name)}'; "
            "`remission store prune` would remove its results: give each spec a name of its own"
        )
    results.keep_plan(spec.name, stages)
    results.keep_versions((stage.kind, stage.settings) for stage in plan)
    count = jobs or (default_jobs(where) if is_shared(store) else 1)
    if count > 1 and not is_shared(store):
        raise StoreError(
            f"other processes do not see what is written to '{store}'",
            "give --jobs 1, or a store that lies in a folder or behind s3://",
        )
    return run_plan(plan, results, reporter, device=where, jobs=count, cluster=cluster)


def _device_of(device: str, cluster: Cluster | None) -> torch.device:
    """Returns where stages are computed; on a cluster that depends on what a stage takes."""
    if cluster is None:
        return resolve_device(device)
    return torch.device("cuda" if cluster.gpus_per_stage else "cpu")


def _check_cluster(spec: Spec, store: StorePath, cluster: Cluster) -> None:
    """Checks that a cluster can compute a spec.

    Raises:
        UserError: Ray is not installed; its processes would not see the store; the precision
            depends on accelerators that this computer may not have; or no stage finds room.
    """
    check_ray()
    check_shared(store)
    if cluster.gpus_per_stage and spec.precision == "auto" and not torch.cuda.is_available():
        raise ClusterError(
            'precision = "auto" depends on the accelerator, and this computer has none',
            'set precision to "bf16" or "fp32" in the spec',
        )
    if cluster.address is None:
        cpus = cluster.jobs or os.cpu_count() or 1
        cluster.check(cpus, torch.cuda.device_count(), "the cluster of this computer")
