"""Runs the quickstart anew and compares it with the claims about it and with its records."""

from __future__ import annotations

from pathlib import Path

import pytest

from remission import read_records, read_spec, run
from remission.records import Cell, PathCurve, Record, cells, path_curves

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.claims


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    store = tmp_path_factory.mktemp("claims") / "store"
    outcome = run(read_spec(ROOT / "recipes" / "quickstart.toml"), store)
    assert not outcome.failed
    return read_records(store)


def rates(records: list[Record], purifier: str, budget: int | None = None) -> tuple[float, float]:
    (cell,) = [c for c in cells(records) if (c.purifier, c.budget) == (purifier, budget)]
    assert cell.clean_acc is not None
    assert cell.asr is not None
    return cell.clean_acc, cell.asr


def backdoor_error_half_way(records: list[Record], purifier: str) -> float:
    (curve,) = [
        c for c in path_curves(records) if (c.purifier, c.batchnorm) == (purifier, "recalibrated")
    ]
    return 1 - curve.asr[curve.t.index(0.5)]


def test_victim_and_control(records: list[Record]) -> None:
    clean, asr = rates(records, "none")
    assert clean >= 0.90
    assert asr >= 0.98
    assert rates(records, "control")[1] <= 0.03


def test_fine_tuning_relapses_and_exact_purification_does_not(records: list[Record]) -> None:
    assert rates(records, "ft", 5)[1] >= 0.9
    assert rates(records, "ep")[1] <= 0.03
    assert rates(records, "ep", 5)[1] <= 0.05


def test_pam_with_the_inverted_trigger(records: list[Record]) -> None:
    clean, asr = rates(records, "pam")
    assert asr <= 0.03
    assert clean >= rates(records, "none")[0] - 0.02
    assert rates(records, "pam", 5)[1] <= rates(records, "control", 5)[1] + 0.10
    (inversion,) = [r for r in records if r.kind == "inversion"]
    assert inversion.details["target"] == 0


def test_paths_half_way(records: list[Record]) -> None:
    assert backdoor_error_half_way(records, "ft") <= 0.1
    assert backdoor_error_half_way(records, "ep") >= 0.9
    pam = backdoor_error_half_way(records, "pam")
    assert pam >= 0.5
    assert pam > backdoor_error_half_way(records, "fst")
    assert {c.batchnorm for c in path_curves(records)} == {"interpolated", "recalibrated"}


def test_what_is_on_record_is_measured_again(records: list[Record]) -> None:
    """Another machine or thread count sums in another order: rates may differ, findings not."""

    def key(cell: Cell | PathCurve) -> tuple[object, ...]:
        return cell.purifier, getattr(cell, "budget", None)

    found = {key(c): c for c in cells(records)}
    recorded = cells(read_records(ROOT / "results" / "quickstart"))
    assert {key(c) for c in recorded} == found.keys()
    for old in recorded:
        new = found[key(old)]
        assert old.clean_acc is not None
        assert new.clean_acc is not None
        assert abs(new.clean_acc - old.clean_acc) <= 0.02, old
        if old.purifier in ("none", "control", "ft", "ft_sam", "ep", "pam") and old.budget != 100:
            assert old.asr is not None
            assert new.asr is not None
            assert abs(new.asr - old.asr) <= 0.1, old
