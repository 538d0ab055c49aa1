"""Measures what the grid itself costs: thousands of stages that return a constant at once.

    python tools/overhead.py [--seeds 15] [--jobs 2] [--ray] [--s3] [--json FILE]

The plan is that of recipes/purifiers.toml, on digits and a tiny network. A file of methods replaces
the functions of all stages, here and in every worker, so that what is left is measured:
identities, look-up, claims, artefacts of a few bytes, and records with their checksums on the disk.
Smaller plans of the same kind run in ``memory://`` and, with ``--s3``, behind an S3 server on the
same processor. docs/scale.md holds the results.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from remission.data import load_dataset
from remission.grid.plan.planner import make_plan
from remission.grid.plan.stage import DataNames, Stage
from remission.grid.run import run
from remission.grid.spec import Spec, read_spec
from remission.user_methods import use_methods
from scale import ROOT

STAND_INS = ROOT / "tools" / "stand_ins.py"
"""The functions of all stages, replaced where this file of methods is used."""


def write_spec(file: Path, seeds: int) -> Spec:
    """Writes the recipe of the purifiers for digits and a tiny network, and reads it."""
    text = (ROOT / "recipes" / "purifiers.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)
    table |= {"dataset": "digits", "arch": "resnet18:2", "precision": "fp32"}
    table |= {"name": "overhead", "seeds": list(range(seeds)), "innocent": [0]}
    table["split"] = {"victim": 1000, "defender": 100, "attacker": 200}
    for number, attack in enumerate(table["attack"]):  # some of the others need larger images
        attack.clear()
        attack |= {"method": "badnets", "size": 2, "margin": 0, "poison_rate": 0.05 + 0.01 * number}
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if _is_plain(value)]
    for name, value in table.items():
        several = isinstance(value, list)
        for section in [] if _is_plain(value) else value if several else [value]:
            lines += [f"[[{name}]]" if several else f"[{name}]"]
            for key, each in section.items():
                if key != "seeds":
                    lines += [f"{key} = {json.dumps(each)}"]
    file.write_text("\n".join(lines), encoding="utf-8")
    return read_spec(file)


def _is_plain(value: object) -> bool:
    """Whether a value of a spec is neither a table nor a list of tables."""
    return not isinstance(value[0] if isinstance(value, list) else value, dict)


def plan_of(spec: Spec) -> list[Stage]:
    """Returns the plan of the spec."""
    return make_plan(spec, "overhead", DataNames("digits", None, load_dataset("digits").classes))


def timed(work: Callable[[], object]) -> float:
    """Returns the seconds on the clock that ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def command(*arguments: str | Path) -> float:
    """Runs ``remission`` with these arguments, and returns the seconds on the clock."""
    whole = [sys.executable, "-m", "remission", *map(str, arguments)]
    began = time.perf_counter()
    done = subprocess.run(whole, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(whole)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - began


@contextmanager
def s3_bucket() -> Iterator[str]:
    """Starts an S3 server in this process, and yields the address of an empty bucket."""
    import s3fs
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "overhead",
        "AWS_SECRET_ACCESS_KEY": "overhead",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    s3fs.S3FileSystem().mkdir("overhead")
    yield "s3://overhead/store"
    server.stop()


def measure(folder: Path, seeds: int, jobs: int, *, ray: bool, s3: bool) -> dict[str, float]:
    """Returns what was run -> seconds on the clock, and how many stages there were."""
    file, store = folder / "spec.toml", folder / "store"
    spec = write_spec(file, seeds)
    plan = list[Stage]()
    out = {"plan": timed(lambda: plan.extend(plan_of(spec)))}
    out["stages"] = len(plan)
    use: list[str | Path] = ["--methods", STAND_INS, "--device", "cpu"]
    out["run"] = command("run", file, "--store", store, "--jobs", str(jobs), *use)
    out["run again"] = command("run", file, "--store", store, "--jobs", str(jobs), *use)
    out["status"] = command("status", store)
    out["verify"] = command("store", "verify", store)
    out["export"] = command("store", "export", store, "-o", folder / "cells.parquet")
    if ray:
        other = folder / "ray"
        on = ["--on", "ray", "--jobs", str(jobs)]
        out["ray"] = command("run", file, "--store", other, *on, *use)
    use_methods(STAND_INS)
    small = write_spec(folder / "small.toml", max(1, seeds // 10))
    out["few stages"] = len(plan_of(small))
    for name in ("memory", "memory again"):
        out[name] = timed(lambda: run(small, "memory://overhead", device="cpu", jobs=1))
    if s3:
        with s3_bucket() as bucket:
            for name in ("s3", "s3 again"):
                out[name] = timed(lambda: run(small, bucket, device="cpu", jobs=1))
    return out


def main() -> None:
    """Measures and prints the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--ray", action="store_true", help="on a Ray cluster of this machine, too")
    parser.add_argument("--s3", action="store_true", help="behind an S3 server of moto, too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="overhead"))
    try:
        out = measure(folder, options.seeds, options.jobs, ray=options.ray, s3=options.s3)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    stages, few = out.pop("stages"), out.pop("few stages")
    print(f"{stages:.0f} stages; in memory:// and s3:// {few:.0f}")
    for name, seconds in out.items():
        count = few if name.startswith(("memory", "s3")) else stages
        print(f"{name:14} {seconds:7.1f} s   {1000 * seconds / count:6.2f} ms per stage")
    if options.json:
        options.json.write_text(json.dumps(out | {"stages": stages, "few stages": few}, indent=1))


if __name__ == "__main__":
    main()
