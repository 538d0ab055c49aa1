"""The later keys of [path]: identities stay without them, and each gives its results."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from remission.errors import SpecError
from remission.grid.plan.planner import make_plan
from remission.grid.plan.stage import Stage
from remission.grid.spec.spec import parse_spec
from remission.records import read_records
from tests.unit.grid.small import SPEC, by_label, computed, remission, run, write_spec

ROOT = Path(__file__).parents[4]
FULL = "points = 3\nretuned = 3\nplane = 3\nplane_test = 50\ncurve = 1"


def plan(**path: Any) -> list[Stage]:  # noqa: ANN401  # any key
    return make_plan(parse_spec({**tomllib.loads(SPEC), "path": path}), "0" * 16)


def names(**path: Any) -> set[str]:  # noqa: ANN401  # any key
    return {stage.id for stage in plan(**path)}


def test_paths_on_record_keep_their_names() -> None:
    stored = {r.id for r in read_records(ROOT / "results" / "quickstart") if r.kind == "path"}
    (context,) = {
        (r.settings["context"]["precision"], r.settings["context"]["data"])
        for r in read_records(ROOT / "results" / "quickstart")
        if r.kind == "path"
    }
    table = tomllib.loads((ROOT / "recipes" / "quickstart.toml").read_text(encoding="utf-8"))
    spec = parse_spec({**table, "precision": context[0]})
    planned = {stage.id for stage in make_plan(spec, context[1]) if stage.kind == "path"}
    assert stored == planned


def test_defaults_spelled_out_are_the_defaults() -> None:
    assert names(points=2) == names(points=2, plane=0, curve=0, plane_test=500)
    path = next(stage for stage in plan(points=2) if stage.kind == "path")
    assert set(path.settings["path"]) == {"points", "batchnorm", "test"}
    assert "retuning" not in path.settings


def test_each_key_is_another_path_and_nothing_else() -> None:
    usual = plan(points=2)
    rest = {stage.id for stage in usual if stage.kind != "path"}
    kinds: list[dict[str, Any]] = [
        {"retuned": 3},
        {"retuned": 0},
        {"retuned": 3, "plane": 3},
        {"retuned": 3, "plane": 3, "plane_test": 60},
        {"curve": 2},
        {"statistics": 20},
    ]
    seen = [{stage.id for stage in usual}]
    for keys in kinds:
        seen.append(names(points=2, **keys))
        assert rest < seen[-1]
    paths = [frozenset(each - rest) for each in seen]
    assert len(set().union(*paths)) == sum(map(len, paths))


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"plane": 5}, r"\[path\]: plane without a retuned model"),
        ({"plane": 1, "retuned": 5}, r"\[path\]: plane is 1"),
        ({"batchnorm": ["recalibrated"] * 2}, "batchnorm names one policy twice"),
        ({"plane": -1}, "greater than or equal to 0"),
        ({"retuned": -1}, "greater than or equal to 0"),
        ({"plane_test": 3}, "greater than or equal to 50"),
        ({"statistics": 1}, "greater than or equal to 2"),
        ({"curve": 1.5}, "path.curve"),
        ({"curves": 1}, r"\[path\]: unknown key 'curves'.*"),
    ],
)
def test_mistakes(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        plan(points=2, **keys)


def test_nothing_to_retune_with() -> None:
    table = tomllib.loads(SPEC)
    del table["reactivation"]
    with pytest.raises(SpecError, match="retuned without a retuning"):
        parse_spec({**table, "path": {"points": 2, "retuned": 5}})
    assert parse_spec({**table, "path": {"points": 2}}).methods.retuning is None


def test_more_poisoned_images_than_the_attacker_has(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ("points = 2", "points = 2\nretuned = 40"))
    told = run(spec, tmp_path / "store", "--dry-run")
    assert told.status == 2
    assert "retuned = 40 poisoned images, and the attacker has" in told.err


def test_a_whole_run_and_its_report(tmp_path: Path) -> None:
    spec, store = write_spec(tmp_path, ("points = 2", FULL)), tmp_path / "store"
    told = run(spec, store, "--only", "*/ft*")
    assert told.status == 0, told
    records = by_label(store)
    path, cell = records["badnets/seed0/ft/path"], records["badnets/seed0/ft/retuning-3"].cell
    walks = [(curve.walk, curve.batchnorm) for curve in path.paths]
    policies = ("interpolated", "recalibrated")
    assert walks == [
        *(("line", policy) for policy in policies),
        *(("retuned", policy) for policy in policies),
        ("bezier", "recalibrated"),
    ]
    onward = path.paths[2]
    assert cell is not None
    assert (onward.asr[-1], onward.clean_acc[-1]) == (cell.asr, cell.clean_acc), "the same model"
    assert onward.asr[0] == path.paths[0].asr[-1]
    assert path.plane is not None
    assert (len(path.plane.x), len(path.plane.y), path.plane.n_clean) == (3, 3, 50)
    assert path.paths[0].distance == pytest.approx(path.plane.models["purified"][0], rel=1e-6)
    assert "barriers" not in path.details, "they are computed from the curves"
    first, *_, last = path.details["layers, line"]
    assert "conv" in first[0], "in the order of the model"
    assert last[1] > 0
    assert remission("report", store, "-o", tmp_path / "report.html").status == 0
    page = (tmp_path / "report.html").read_text()
    assert "plane through the backdoored" in page
    assert "Bezier" in page
    again = run(spec, store, "--only", "*/ft*")
    assert computed(again) == []


def test_statistics_of_fewer_images(tmp_path: Path) -> None:
    def losses(keys: str, name: str) -> tuple[list[list[float] | None], list[list[float]]]:
        spec, store = write_spec(tmp_path, ("points = 2", FULL + keys)), tmp_path / name
        assert run(spec, store, "--only", "*/ft/path").status == 0
        path = by_label(store)["badnets/seed0/ft/path"]
        assert path.plane is not None
        return [curve.clean_loss for curve in path.paths], path.plane.clean_loss

    whole, on_whole = losses("", "whole")
    fewer, on_fewer = losses("\nstatistics = 10", "fewer")
    assert losses("\nstatistics = 99", "more") == (whole, on_whole), "the defender has 40"
    differ = [left != right for left, right in zip(whole, fewer, strict=True)]
    assert differ == [False, True, False, True, True], "where they are collected"
    assert on_whole != on_fewer
    line, bezier = fewer[1], fewer[4]
    assert line is not None
    assert bezier is not None
    assert bezier[::2] == pytest.approx(line[::2], rel=1e-4), "the same ends"


def test_the_estimate_counts_the_further_work(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ("points = 2", FULL))
    told = run(spec, tmp_path / "store", "--dry-run", "--only", "*/ft/path")
    assert told.status == 0, told
    assert "not estimated" not in told.out + told.err
