"""The page of the comparison says how far the comparison is."""

from __future__ import annotations

from comparison_page import so_far
from remission.records import Cell
from tests.unit.report.report_factory import cell, records


def test_it_counts_the_purifiers_of_each_victim() -> None:
    def retuned(purifier: str, **more: object) -> Cell:
        return cell(purifier=purifier, reactivation="retuning", budget=5, **more)

    made = records(
        cell(),
        retuned("control"),
        retuned("ft", purifier_params={"lr": 0.1}),
        retuned("ft", purifier_params={"lr": 0.2}),
        retuned("pam"),
        cell(purifier="ep"),  # not retuned yet
        retuned("ft", attack="wanet", seed=2),
    )
    assert so_far(made).endswith(
        "nine purifiers: `badnets` with seed 0 (2 purifiers); `wanet` with seed 2 (1 purifier)."
    )
