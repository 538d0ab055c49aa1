"""Runs a spec into a store: the one function behind ``remission run`` and ``remission.run``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from remission.data import CATALOGUE
from remission.errors import SpecError
from remission.grid.dry_run import elapsed, estimate, stand_in
from remission.grid.executor.local import default_jobs, run_plan, threads
from remission.grid.executor.reporter import Outcome, Reporter, SilentReporter
from remission.grid.plan.planner import make_plan
from remission.grid.plan.select import select
from remission.grid.plan.stage import Stage
from remission.grid.spec.fits_data import check_against
from remission.grid.spec.spec import Spec
from remission.grid.stages.inputs import dataset_of, digest_of
from remission.models import resolve_precision
from remission.records import Store
from remission.types import Dataset


def resolve_device(wanted: str) -> torch.device:
    """``"auto"`` -> the accelerator if there is one.

    Raises:
        SpecError: ``"cuda"`` where there is none.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise SpecError("--device cuda: torch finds no CUDA device", "use --device cpu or auto")
    return torch.device(wanted)


def plan_of(spec: Spec, only: str | None = None, device: torch.device | None = None) -> list[Stage]:
    """The stages of a spec; loads (and fetches) its data set.

    ``precision = "auto"`` is settled here, for ``device`` (the CPU when not given): results in bf16
    and in fp32 are different results.

    Raises:
        DataError: the data set cannot be had.
        SpecError: the data set has not what the spec asks of it, or ``only`` matches nothing.
    """
    dataset = dataset_of(spec.dataset, spec.size, spec.resize, spec.white)
    return _plan(spec, dataset, digest_of(dataset), only, device or torch.device("cpu"))


def _plan(
    spec: Spec, dataset: Dataset, digest: str, only: str | None, device: torch.device
) -> list[Stage]:
    check_against(spec, dataset)
    settled = spec.model_copy(update={"precision": resolve_precision(spec.precision, device)})
    return select(make_plan(settled, digest), only)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a run would do.

    Args:
        plan: all stages.
        stored: identities of those that the store holds.
        seconds: of each stage that it does not hold; None where no estimate was possible.
        jobs: processes at once.
        elapsed: seconds of the whole with that many.
        here: the data set is on this computer; else it was planned from its description, and what
            is stored cannot be told.
        notes: of the data set, sentences that a user should read.
    """

    plan: list[Stage]
    stored: set[str]
    seconds: dict[str, float | None]
    jobs: int
    elapsed: float
    here: bool
    notes: tuple[str, ...] = ()


def preview(
    spec: Spec,
    store: Path,
    *,
    only: str | None = None,
    device: str = "auto",
    jobs: int | None = None,
    tell: Callable[[Stage], None] | None = None,
) -> Preview:
    """Plans a run and measures how long it would take; fetches, stores and trains nothing.

    Arguments as for :func:`run`; ``tell`` is called with each stage that is rehearsed.

    Raises:
        UserError: something the user must change.
    """
    where = resolve_device(device)
    source = CATALOGUE.get(spec.dataset)
    here = source is None or source.found() is not None
    if source is None or here:
        dataset = dataset_of(spec.dataset, spec.size, spec.resize, spec.white)
        digest = digest_of(dataset)
    else:
        dataset, digest = stand_in(source), "not on this computer"
    plan = _plan(spec, dataset, digest, only, where)
    known = Store(store) if store.is_dir() and any(store.iterdir()) else None
    stored = {stage.id for stage in plan if known and known.find(stage.kind, stage.id)}
    missing = [stage for stage in plan if stage.id not in stored]
    with _threads():
        seconds = estimate(missing, dataset, where, tell=tell)
    count = jobs or default_jobs(where)
    return Preview(
        plan=plan,
        stored=stored,
        seconds=seconds,
        jobs=count,
        elapsed=elapsed(missing, seconds, count),
        here=here,
        notes=dataset.notes,
    )


def run(
    spec: Spec,
    store: Path,
    *,
    only: str | None = None,
    device: str = "auto",
    jobs: int | None = None,
    reporter: Reporter | None = None,
) -> Outcome:
    """Computes what of a spec's grid the store does not hold yet.

    Args:
        spec: see :func:`remission.grid.spec.spec.read_spec`.
        store: folder of the store, made if missing.
        only: a glob over stage labels; what matches, the control's beside it, and what these build
            upon.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        jobs: processes at once; on a CPU one a core (at most 4) when not given.
        reporter: told how it goes.

    Raises:
        UserError: something the user must change.
    """
    where = resolve_device(device)
    whole = plan_of(spec, None, where)
    plan = select(whole, only)
    for note in dataset_of(spec.dataset, spec.size, spec.resize, spec.white).notes:
        (reporter or SilentReporter()).note(note)
    kept = Store(store)
    kept.keep_spec(spec.name, spec.model_dump_json(indent=1))
    kept.keep_plan(spec.name, ((stage.kind, stage.id) for stage in whole))
    kept.keep_versions((stage.kind, stage.settings) for stage in plan)
    count = jobs or default_jobs(where)
    with _threads():
        return run_plan(plan, kept, reporter or SilentReporter(), device=where, jobs=count)


@contextmanager
def _threads() -> Iterator[None]:
    """Within this context torch has as many threads as a stage is given, see :func:`threads`."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)
