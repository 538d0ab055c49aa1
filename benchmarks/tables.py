"""Processor time of commands that compute nothing, on a store of 10,000 cells.

    python benchmarks/tables.py [--cells 10000] [--only COMMAND] [--demo STORE] [--json]

Measured are `remission --help`, `remission table` in each view, `remission report`, and with
`--demo` a second `remission demo` on the store of a finished one.

The store consists of copies of results/purifiers and results/reactivation: each copy has seeds of
its own, so that the pages hold the same rows with more seeds. The records are those of real runs,
with their paths, planes, transfers and previews; weights are not needed.

A command passes if it stays within its bound. Processor time is that of the whole command, Python's
start and imports included; other work on the machine changes it less than the time on the clock.
Beside them stands `import torch`, which a second demo cannot do without.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remission.report.tables.views import VIEWS

ROOT = Path(__file__).parents[1]
SOURCES = ("purifiers", "reactivation")
HELP, TABLE, REPORT, DEMO = 0.3, 5.0, 20.0, 3.0
"""The bounds in seconds of processor time."""
_UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
_IDENTITY = re.compile(r"[0-9a-f]{16}")


def renamed(value: Any, copy: int, known: frozenset[str]) -> Any:  # noqa: ANN401 -- JSON
    """Returns a JSON value of a record, with the identities and the seeds of a copy.

    Args:
        value: any part of a record.
        copy: 0, which changes nothing, or more.
        known: all identities of the records that are copied.
    """
    if isinstance(value, dict):
        return {
            key: entry + 100 * copy if key == "seed" else renamed(entry, copy, known)
            for key, entry in value.items()
        }
    if isinstance(value, list):
        return [renamed(entry, copy, known) for entry in value]
    if isinstance(value, str):
        value = re.sub(r"/seed(\d+)/", lambda m: f"/seed{int(m[1]) + 100 * copy}/", value)
        return _IDENTITY.sub(lambda m: _identity(m[0], copy) if m[0] in known else m[0], value)
    return value


def _identity(name: str, copy: int) -> str:
    return hashlib.sha256(f"{name} {copy}".encode()).hexdigest()[:16] if copy else name


def make_store(folder: Path, cells: int) -> int:
    """Writes a store of at least so many cells; returns how many it holds."""
    files = [f for name in SOURCES for f in (ROOT / "results" / name).glob("records/*/*.json")]
    records = {file: json.loads(file.read_text(encoding="utf-8")) for file in sorted(files)}
    known = frozenset(file.stem for file in files)
    (folder / "artefacts").mkdir(parents=True)
    count = copy = 0
    while count < cells:
        for file, record in records.items():
            record.pop("checksum", None)
            one = renamed(record, copy, known)
            goal = folder / "records" / file.parent.name / f"{one['id']}.json"
            goal.parent.mkdir(parents=True, exist_ok=True)
            goal.write_text(json.dumps(one, indent=1), encoding="utf-8")
            count += one["cell"] is not None
            for name, artefact in one["artefacts"].items():
                if name.startswith("preview"):
                    before = file.parents[2] / record["artefacts"][name]["file"]
                    if before.exists():
                        (folder / artefact["file"]).write_bytes(before.read_bytes())
        copy += 1
    return count


def processor_seconds(arguments: Sequence[str]) -> float:
    """Runs Python with these arguments; returns the seconds of processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Installed modules lie there compiled; only the first run of a fresh clone compiles.
        env={name: value for name, value in os.environ.items() if name != _UNCOMPILED},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def commands(store: Path, page: Path, demo: Path | None) -> dict[str, tuple[float, list[str]]]:
    """Returns name -> bound and arguments of Python."""
    remission, place = ["-m", "remission"], str(store)
    found = {"import torch": (math.inf, ["-c", "import torch"])}
    found["--help"] = (HELP, [*remission, "--help"])
    for view in VIEWS:
        table = ["table", place, "--view", view, "--all-settings"]
        found[view] = (TABLE, [*remission, *table])
    found["report"] = (REPORT, [*remission, "report", place, "-o", str(page), "--all-settings"])
    if demo is not None:
        arguments = ["demo", "--store", str(demo), "--report", str(page)]
        found["demo"] = (DEMO, [*remission, *arguments])
    return found


def main() -> None:
    """Measures and prints; exit status 1 if a command exceeds its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--only", help="a view, 'report', 'demo' or '--help'")
    parser.add_argument("--demo", type=Path, help="the store of a finished demo")
    parser.add_argument("--store", type=Path, help="keep the store here, or use the one here")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = options.store or Path(scratch) / "store"
        if not store.exists():
            print(f"{make_store(store, options.cells)} cells", file=sys.stderr)
        results, late = {}, False
        for name, (bound, arguments) in commands(store, Path(scratch) / "p", options.demo).items():
            if options.only not in (None, name):
                continue
            if bound < TABLE:
                processor_seconds(arguments)  # compiles what is not compiled yet
            results[name] = processor_seconds(arguments)
            late |= results[name] > bound
            if not options.json:
                print(f"{name:<12} {results[name]:6.2f} s, at most {bound:g}", flush=True)
    if options.json:
        print(json.dumps(results))
    sys.exit(late)


if __name__ == "__main__":
    main()
