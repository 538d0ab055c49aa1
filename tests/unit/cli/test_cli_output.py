"""Results go to standard output, everything else to standard error, nothing with --quiet."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.grid.small import LABELS, by_label, remission, run, snapshot, write_spec

ESTIMATE = r"~\d+ (s|min) with --jobs \d, ~\d+ (s|min) one stage after the other: estimated .*"


def test_a_dry_run_shows_the_plan_and_leaves_no_trace(spec: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    told = remission("run", spec, "--store", store, "--dry-run")
    assert told.status == 0
    assert sorted(line.split()[-1] for line in told.out.splitlines()) == LABELS
    assert {line.split()[0] for line in told.out.splitlines()} == {"compute"}
    assert told.lines[0] == f"{len(LABELS)} stages to compute"
    assert re.fullmatch(ESTIMATE, told.lines[1]), told.lines
    assert list(tmp_path.iterdir()) == [spec]


def test_a_dry_run_on_a_store_says_what_it_holds(finished: Path, tmp_path: Path) -> None:
    before = snapshot(finished)
    spec = write_spec(tmp_path, ("[0, 3]", "[0, 4]"))
    told = remission("run", spec, "--store", finished, "--dry-run", "--only", "*/ft*")
    shown = [(line.split()[0], line.split()[-1]) for line in told.out.splitlines()]
    assert shown == [
        ("stored", "control/seed0"),
        ("stored", "badnets/seed0/victim"),
        ("stored", "badnets/seed0/control"),
        ("stored", "badnets/seed0/control/retuning-0"),
        ("compute", "badnets/seed0/control/retuning-4"),
        ("stored", "badnets/seed0/ft"),
        ("stored", "badnets/seed0/ft/retuning-0"),
        ("compute", "badnets/seed0/ft/retuning-4"),
        ("stored", "badnets/seed0/ft/path"),
    ]
    assert told.lines[0] == "2 stages to compute"
    assert re.fullmatch(ESTIMATE, told.lines[1]), told.lines
    assert snapshot(finished) == before


def test_a_dry_run_names_the_identities_that_a_run_stores(finished: Path, spec: Path) -> None:
    told = remission("run", spec, "--store", finished, "--dry-run")
    assert told.lines == ["0 stages to compute"], "and measures nothing"
    shown = {line.split()[-1]: line.split()[2] for line in told.out.splitlines()}
    assert shown == {label: record.id for label, record in by_label(finished).items()}


def test_a_run_prints_nothing_on_standard_output(spec: Path, tmp_path: Path) -> None:
    told = run(spec, tmp_path / "store", "--only", "control/*")
    assert told.status == 0
    assert told.out == ""
    assert told.lines[0] == "1 stages, 0 stored already"
    assert told.lines[-1] == f"see: remission table {tmp_path / 'store'}"


def test_quiet_prints_nothing_at_all(spec: Path, tmp_path: Path) -> None:
    told = run(spec, tmp_path / "store", "--quiet", "--only", "control/*")
    assert (told.status, told.out, told.err) == (0, "", "")
    assert len(list((tmp_path / "store" / "records").rglob("*.json"))) == 1


def test_quiet_still_says_what_failed(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ("[victim]\nepochs = 1", "[victim]\nepochs = 2\nlr = 1e30"))
    told = run(spec, tmp_path / "store", "--quiet", "--only", "control/*")
    assert told.status == 1
    (line,) = told.lines
    assert line.startswith("remission: control/seed0 failed: DivergedError: ")


@pytest.mark.parametrize("view", ["summary", "cells", "paths"])
@pytest.mark.parametrize("form", ["text", "markdown", "csv", "json"])
def test_tables_go_to_standard_output_alone(finished: Path, view: str, form: str) -> None:
    told = remission("table", finished, "--view", view, "--format", form)
    assert (told.status, told.err) == (0, "")
    assert told.out.strip()
    if form == "json":
        assert json.loads(told.out)
    if form == "csv":
        lines = list(csv.reader(io.StringIO(told.out)))
        assert len({len(line) for line in lines}) == 1
        assert len(lines) > 1


def test_the_summary_begins_with_the_victim_and_the_control(finished: Path) -> None:
    (group,) = json.loads(remission("table", finished, "--format", "json").out)
    assert [row["purifier"] for row in group["rows"]] == ["none", "control", "ft", "pam"]


def test_a_table_reads_but_never_writes(finished: Path, tmp_path: Path) -> None:
    before = snapshot(finished)
    remission("table", finished)
    remission("store", "verify", finished)
    remission("report", finished, "-o", tmp_path / "page.html")
    assert snapshot(finished) == before


def test_records_alone_are_enough_for_a_table(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "records", tmp_path / "kept")
    assert remission("table", tmp_path / "kept").out == remission("table", finished).out


def test_a_report_is_one_page(finished: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = remission("report", finished, "-o", page)
    assert (told.status, told.out, told.lines) == (0, "", [f"report: {page}"])
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")
    told = remission("report", finished, "-o", page, "--quiet")
    assert (told.status, told.out, told.err) == (0, "", "")


def test_verify_counts_what_it_checked(finished: Path) -> None:
    told = remission("store", "verify", finished)
    files = sum(file.is_file() for file in finished.rglob("*"))
    assert (told.status, told.out) == (0, "")
    assert told.lines == [f"{files} files checked, 0 damaged"]


def test_methods_lists_every_method_of_the_registry() -> None:
    from remission.registry import ATTACKS, INVERSIONS, PURIFIERS, REACTIVATIONS

    listed = json.loads(remission("methods", "--format", "json").out)
    tables = {
        "attacks": ATTACKS,
        "purifiers": PURIFIERS,
        "reactivations": REACTIVATIONS,
        "inversions": INVERSIONS,
    }
    for kind, table in tables.items():
        assert [entry["name"] for entry in listed[kind]] == sorted(table)
    text = remission("methods").out
    for entries in listed.values():
        for entry in entries:
            assert f"  {entry['name']}: " in text
            for parameter in entry["parameters"]:
                assert parameter["meaning"], (entry["name"], parameter["name"])


def test_the_catalogue_in_the_package_is_that_of_the_code() -> None:
    from remission.cli.methods import read_catalogue
    from remission.registry import catalogue

    shown = read_catalogue()
    del shown["datasets"]
    assert shown == json.loads(json.dumps(catalogue()))


@pytest.mark.parametrize("kind", ["attacks", "purifiers", "models", "datasets"])
def test_methods_of_one_kind_stand_alone(kind: str) -> None:
    told = remission("methods", kind, "--format", "json")
    assert list(json.loads(told.out)) == [kind]


def test_data_list_names_every_data_set() -> None:
    told = remission("data", "list")
    assert (told.status, told.err) == (0, "")
    assert "digits" in told.out
    assert "fashion-mnist" in told.out


def test_a_reader_that_leaves_early_is_no_error(finished: Path) -> None:
    code = f"""
import sys
sys.argv = ["remission", "table", {str(finished)!r}, "--view", "cells", "--format", "json"]
from remission.cli import main
main()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
    assert b"Traceback" not in told
    assert told == b""


def test_methods_of_one_name() -> None:
    listed = json.loads(remission("methods", "bti_dbf", "--format", "json").out)
    assert {kind: [e["name"] for e in entries] for kind, entries in listed.items()} == {
        "inversions": ["bti_dbf"],
        "purifiers": ["bti_dbf"],
    }


@pytest.mark.usefixtures("forgotten_methods")
def test_methods_of_a_file_are_listed_with_those_of_the_package() -> None:
    halving = str(Path(__file__).parents[3] / "examples/halving.py")
    told = remission("methods", "purifiers", "--format", "json", "--methods", halving)
    entries = {entry["name"]: entry for entry in json.loads(told.out)["purifiers"]}
    assert {"ft", "halving"} <= set(entries)
    assert entries["halving"]["parameters"] == [
        {
            "name": "factor",
            "default": 0.5,
            "allowed": "number > 0, <= 1",
            "meaning": "What the weights are multiplied by.",
        }
    ]


def test_a_method_that_no_file_defines_is_asked_for_with_its_file() -> None:
    told = remission("methods", "halving")
    assert told.status == 2
    assert "nothing is called 'halving'" in told.err
    assert told.err.rstrip().endswith("methods of your own: --methods FILE.py")
