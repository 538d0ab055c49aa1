"""The same plan on Ray: the same bits, lost workers are replaced, other code is refused."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remission.records import read_records
from remission.records.claims import claims_in
from tests.environment import THREADS
from tests.unit.grid.small import (
    LABELS,
    Told,
    assert_one_line,
    assert_whole,
    by_label,
    computed,
    remission,
    results,
    run,
    write_spec,
)

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(THREADS != 1, reason="a stage on Ray has one thread here"),
]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("RAY_DISABLE_IMPORT_WARNING", "1")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else other work on the machine starves them
    yield
    ray.shutdown()


def on_ray(spec: Path, store: Path | str, *options: str) -> Told:
    return remission("run", spec, "--store", store, "--on", "ray", *options)


def test_the_same_bits_as_on_this_computer(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # what Ray knows of a cluster that is gone
    store, spec = tmp_path / "store", write_spec(tmp_path)
    told = on_ray(spec, store, "--jobs", "2")
    assert told.status == 0, told
    assert sorted(computed(told)) == LABELS
    assert results(store) == results(finished)
    assert list(claims_in(store)) == []
    assert_whole(store)
    assert computed(on_ray(spec, store)) == []
    assert computed(run(spec, store)) == []


@pytest.mark.claims
def test_a_node_that_is_removed_in_the_middle(finished: Path, tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        cluster.wait_for_nodes()
        store = tmp_path / "store"

        def remove() -> None:
            while not list(store.glob("records/victim/*.json")):
                time.sleep(0.05)
            cluster.remove_node(nodes[0], allow_graceful=False)

        remover = threading.Thread(target=remove, daemon=True)
        remover.start()
        told = on_ray(write_spec(tmp_path), store, "--address", cluster.address)
        assert told.status == 0, told
        remover.join(60)
        assert results(store) == results(finished)
        assert_whole(store)
    finally:
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]


def test_a_worker_with_other_code_refuses(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pam = by_label(store)["badnets/seed0/pam"]
    for record in read_records(store):
        if pam.id in (record.id, *record.parents.values()):
            (store / "records" / record.kind / f"{record.id}.json").unlink()
    monkeypatch.setattr("remission.grid.executor.on_ray.own_code", lambda: "9.9 (abc)")
    told = on_ray(write_spec(tmp_path), store, "--jobs", "1")
    assert told.status == 1, told
    (line,) = (line for line in told.lines if "pam failed:" in line)
    assert "has remission 0." in line
    assert "the run has 9.9 (abc): install the same version on every node" in line


def test_a_stage_that_fails_by_itself_is_not_repeated(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "from typing import ClassVar\n"
        "from remission.method import method\n"
        "from remission.purifiers import FT\n"
        "@method\n"
        "class Broken(FT):\n"
        "    name: ClassVar[str] = 'broken'\n"
        "    paper: ClassVar[str] = 'none'\n"
        "    def purify(self, model, clean, *, seed):\n"
        f"        open({str(tmp_path / 'tries')!r}, 'a').write('x')\n"
        "        raise RuntimeError('out of luck')\n"
    )
    spec = write_spec(tmp_path, ('method = "ft"', 'method = "broken"'))
    store = tmp_path / "store"
    told = on_ray(
        spec, store, "--jobs", "1", "--methods", str(own), "--only", "badnets/seed0/broken*"
    )
    assert told.status == 1, told
    assert "remission: badnets/seed0/broken failed: RuntimeError: out of luck" in told.err
    assert (tmp_path / "tries").read_text() == "x"
    assert computed(told).count("badnets/seed0/broken") == 1


@pytest.mark.parametrize("readable", [True, False])
def test_an_error_of_a_task_is_no_lost_worker(readable: bool) -> None:
    from ray.exceptions import RayTaskError, WorkerCrashedError

    from remission.grid.executor.on_ray import _reason

    cause: Any = ModuleNotFoundError("No module named 'own'") if readable else None
    text = "a traceback\n\nModuleNotFoundError: No module named 'own'\n"
    error: Any = RayTaskError("compute_stages", text, cause)  # type: ignore[no-untyped-call]
    for raised in [error, error.as_instanceof_cause()] if readable else [error]:
        assert _reason(raised) == (
            "its task failed on a worker: ModuleNotFoundError: No module named 'own'"
        )
    lost = _reason(WorkerCrashedError())
    assert lost.startswith("its worker was lost 4 times: WorkerCrashedError: The worker died")


def test_a_worker_that_cannot_be_prepared_is_named_as_that(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "import os\n"
        f"if os.getpid() != {os.getpid()}:\n"
        "    raise RuntimeError('a library is missing here')\n"
        "from typing import ClassVar\n"
        "from remission.method import method\n"
        "from remission.purifiers import FT\n"
        "@method\n"
        "class Own(FT):\n"
        "    name: ClassVar[str] = 'own'\n"
        "    paper: ClassVar[str] = 'none'\n"
    )
    spec, store = write_spec(tmp_path, ('method = "ft"', 'method = "own"')), tmp_path / "store"
    told = on_ray(spec, store, "--jobs", "1", "--methods", str(own))
    assert told.status == 1, told
    (line,) = (
        line for line in told.lines if "control/seed0 failed:" in line or "seed0 failed: " in line
    )
    assert "failed: its task failed on a worker: " in line
    assert "a library is missing here" in line
    assert {record.status for record in by_label(store).values()} == {"failed"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--address", "127.0.0.1:1"), "cannot be used"),
        (("--address", "auto", "--jobs", "2"), "leave one of them out"),
    ],
)
def test_what_a_cluster_cannot_do(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    told = on_ray(write_spec(tmp_path), tmp_path / "store", *options)
    assert told.status == 2
    assert words in told.lines[-1]


def test_options_of_ray_belong_to_ray(tmp_path: Path) -> None:
    told = remission("run", write_spec(tmp_path), "--gpus-per-stage", "0.5")
    assert_one_line(told, "are options of Ray", "--on ray")


@pytest.mark.parametrize(
    "options",
    [
        ("--cpus-per-stage", "99", "--jobs", "2"),
        ("--cpus-per-stage", "3", "--jobs", "2"),
        ("--gpus-per-stage", "1.5"),
        ("--gpus-per-stage", "99"),
    ],
)
def test_a_stage_without_room_is_refused_before_anything_starts(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    assert_one_line(on_ray(write_spec(tmp_path), tmp_path / "store", *options), options[0])
    assert not (tmp_path / "store").exists()


def test_memory_is_no_place_for_a_cluster(tmp_path: Path) -> None:
    assert_one_line(on_ray(write_spec(tmp_path), "memory://x"), "workers do not see")


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_what_is_not_for_ray_is_refused_with_it_and_before_a_dry_run(
    dry: tuple[str, ...], tmp_path: Path
) -> None:
    spec = write_spec(tmp_path)
    told = remission("run", spec, "--on", "ray", "--device", "cuda", *dry)
    assert_one_line(told, "--device cuda is for this computer", "--gpus-per-stage decides")
    told = remission("run", spec, "--address", "auto", *dry)
    assert_one_line(told, "are options of Ray", "--on ray")
