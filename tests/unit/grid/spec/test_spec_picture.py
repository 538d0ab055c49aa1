"""A picture in a spec is stored by its content, and shown by a short name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from remission.grid.plan.planner import make_plan
from remission.grid.spec.spec import read_spec
from tests.unit.grid.small import by_label, computed, remission, run, write_spec

TWO = """
[[attack]]
method = "badnets"
size = 2
margin = 0
poison_rate = 0.1
image = "pictures/patch.png"

[[attack]]
method = "blended"
poison_rate = 0.1
image = "pictures/patch.png"
"""


def paint(file: Path, number: int) -> None:
    file.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(file)


def stages(spec: Path) -> dict[str, str]:
    """Returns label -> identity."""
    return {stage.label: stage.id for stage in make_plan(read_spec(spec), "data")}


def test_a_stage_is_called_by_what_the_picture_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_spec(tmp_path, more=TWO)
    paint(tmp_path / "pictures/patch.png", 1)
    first = stages(spec)
    monkeypatch.chdir("/")
    relative = Path(os.path.relpath(spec, "/"))
    assert stages(relative) == first, "the path is relative to the spec"
    paint(tmp_path / "pictures/patch.png", 2)
    assert not set(stages(spec).values()) & {
        identity for label, identity in first.items() if "image=png" in label or "blended" in label
    }
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "spec.toml").write_text(spec.read_text().replace("pictures/patch.png", "other.bmp"))
    paint(moved / "other.bmp", 1)
    assert stages(moved / "spec.toml") == first, "its name and its format do not matter"


def test_labels_tables_and_reports_show_a_short_name(tmp_path: Path) -> None:
    spec, store = write_spec(tmp_path, more=TWO), tmp_path / "store"
    paint(tmp_path / "pictures/patch.png", 1)
    told = run(spec, store, "--only", "*/victim")
    assert told.status == 0, told
    uri = read_spec(spec).attack[1]["image"]
    assert len(uri) > 10_000
    labels = [label for label in by_label(store) if "image=png:" in label]
    assert len(labels) == 1
    assert len(labels[0]) < 60

    page = tmp_path / "report.html"
    assert remission("report", store, "-o", page).status == 0
    shown = [page.read_text(encoding="utf-8"), told.err]
    for view in ("summary", "cells"):
        for format in ("text", "markdown", "csv", "json"):
            told = remission("table", store, "--view", view, "--format", format)
            assert told.status == 0
            shown.append(told.out)
            assert max(map(len, told.out.splitlines())) < 1000
    assert not any(uri[:200] in text or uri[-200:] in text for text in shown)
    found = remission("table", store, "--view", "cells", "--format", "json")
    cells = json.loads(found.out)
    assert {cell["attack_params"]["image"][:4] for cell in cells} == {"", "png:"}

    again = run(spec, store, "--only", "*/victim")
    assert (again.status, computed(again)) == (0, [])
    record = by_label(store)[labels[0]]
    assert record.settings["attack"]["image"] == uri, "the record holds the picture itself"
