"""Runs a spec into a store: the one function behind ``remission run`` and ``remission.run``."""

from __future__ import annotations

from pathlib import Path

import torch

from remission.errors import SpecError
from remission.grid.feasible import check_against
from remission.grid.inputs import dataset_of, digest_of
from remission.grid.local import default_jobs, run_plan, threads
from remission.grid.plan import Stage, make_plan, select
from remission.grid.reporter import Outcome, Reporter, SilentReporter
from remission.grid.spec import Spec
from remission.grid.store import Store
from remission.models import resolve_precision


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
    dataset = dataset_of(spec.dataset, spec.size)
    check_against(spec, dataset)
    precision = resolve_precision(spec.precision, device or torch.device("cpu"))
    settled = spec.model_copy(update={"precision": precision})
    return select(make_plan(settled, digest_of(dataset)), only)


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
        spec: see :func:`remission.grid.spec.read_spec`.
        store: folder of the store, made if missing.
        only: a glob over stage labels; what matches, and what that builds upon.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        jobs: processes at once; on a CPU one a core (at most 4) when not given.
        reporter: told how it goes.

    Raises:
        UserError: something the user must change.
    """
    where = resolve_device(device)
    plan = plan_of(spec, only, where)
    kept = Store(store)
    kept.keep_spec(spec.name, spec.model_dump_json(indent=1))
    count = jobs or default_jobs(where)
    before = torch.get_num_threads()
    torch.set_num_threads(threads())
    try:
        return run_plan(plan, kept, reporter or SilentReporter(), device=where, jobs=count)
    finally:
        torch.set_num_threads(before)
