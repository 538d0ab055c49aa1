from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng

from remission.records import Record
from remission.report.groups.results import Results
from remission.report.measures.explanation import Explanation, explanations
from remission.report.measures.rank_correlation import SAMPLES, correlate, spearman
from remission.report.page.page import build_page
from remission.report.tables.explanation import conclusion
from remission.report.tables.render import render
from tests.unit.report.report_factory import cell, curve, grid, record, write_store


def ranks(values: list[float]) -> list[float]:
    """Returns mean ranks, counted one by one."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2
        for value in values
    ]


def slow_spearman(x: list[float], y: list[float]) -> float:
    a, b = ranks(x), ranks(y)
    ma, mb = math.fsum(a) / len(a), math.fsum(b) / len(b)
    together = math.fsum((p - ma) * (q - mb) for p, q in zip(a, b, strict=True))
    spread = math.fsum((p - ma) ** 2 for p in a) * math.fsum((q - mb) ** 2 for q in b)
    return together / math.sqrt(spread) if spread > 1e-9 else math.nan


X = [0.1, 0.4, 0.4, 0.9, 0.3, 0.7, 0.2, 0.8, 0.5, 0.6]
Y = [1.0, 0.8, 0.7, 0.2, 0.7, 0.1, 0.9, 0.4, 0.6, 0.5]
CLUSTERS = ["a", "a", "b", "b", "b", "c", "c", "d", "e", "e"]


def test_rho_by_hand() -> None:
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert spearman(X, Y) == pytest.approx(slow_spearman(X, Y))
    assert spearman([1, 2, 3], [1, 2, 3]) is None, "too few"
    assert spearman([1, 1, 1, 1], [1, 2, 3, 4]) is None, "constant"


def test_the_interval_is_that_of_drawn_clusters() -> None:
    """The same draws, made one by one and ranked anew each time."""
    names = list(dict.fromkeys(CLUSTERS))
    drawn = default_rng(0).integers(len(names), size=(SAMPLES, len(names)))
    found = []
    for row in drawn[:300]:
        times = Counter(names[k] for k in row)
        chosen = [i for i, name in enumerate(CLUSTERS) for _ in range(times[name])]
        found.append(slow_spearman([X[i] for i in chosen], [Y[i] for i in chosen]))
    assert not any(map(math.isnan, found))
    low, high = np.quantile(found, [0.025, 0.975])
    told = correlate(X, Y, CLUSTERS)
    assert told.interval is not None
    # 300 of the 2000 samples, which took a second
    assert told.interval == pytest.approx((low, high), abs=0.05)
    assert (told.n, told.clusters) == (10, 5)
    assert told.certain
    assert correlate(X, Y, CLUSTERS) == told, "seeded"


def test_few_clusters_have_no_interval() -> None:
    told = correlate(X, Y, ["a"] * 5 + ["b"] * 5)
    assert (told.interval, told.clusters) == (None, 2)
    assert told.rho is not None
    assert not told.certain
    nothing = correlate([1.0], [1.0], ["a"])
    assert (nothing.rho, nothing.interval, nothing.n) == (None, None, 1)


def test_within_strata() -> None:
    """Two strata that fall within and rise between: pooled and within disagree."""
    x = [1.0, 2, 3, 4, 11, 12, 13, 14]
    y = [4.0, 3, 2, 1, 14, 13, 12, 11]
    strata = ["a"] * 4 + ["b"] * 4
    clusters = list("pqrspqrs")
    pooled, within = correlate(x, y, clusters), correlate(x, y, clusters, strata)
    assert pooled.rho is not None
    assert pooled.rho > 0
    assert within.rho == pytest.approx(-1)
    # a stratum without a correlation does not count
    told = correlate([*x, 5.0], [*y, 5.0], [*clusters, "p"], [*strata, "c"])
    assert told.rho == pytest.approx(-1)
    assert told.n == 8


def test_clusters_of_strata_without_a_correlation_are_not_drawn() -> None:
    """One victim with five models, three victims with one each: nothing can be drawn."""
    x, y = [1.0, 2, 3, 4, 5, 1, 2, 3], [2.0, 1, 4, 3, 5, 1, 2, 3]
    told = correlate(x, y, [*"aaaaa", *"bcd"], [*"sssss", *"ttt"])
    assert told.rho == pytest.approx(0.8)
    assert (told.interval, told.n, told.clusters) == (None, 5, 1)


def store(tells: bool, *, attacks: int = 4, distance: bool = True) -> list[Record]:
    """Returns purifiers whose relapse follows the distance of their line, or does not."""
    made: list[Record] = []
    for a in range(attacks):
        named: dict[str, Any] = {"attack": f"attack{a}"}
        made.append(record(cell(**named, asr=0.99)))
        made.append(record(cell(**named, purifier="control", asr=0.01)))
        for n in (1, 100):
            back: dict[str, Any] = {"reactivation": "retuning", "budget": n}
            made.append(record(cell(**named, purifier="control", asr=0.02, **back)))
        for k in range(6):
            own = named | {"purifier": f"p{k}", "purifier_params": {}}
            gap = 0.1 + 0.14 * ((5 - k) if tells else (k * 5 + a * 7) % 6)
            made.append(record(cell(**own, asr=0.01 + 0.001 * ((k * 7 + a) % 5))))
            for n in (1, 100):
                back = {"reactivation": "retuning", "budget": n}
                made.append(record(cell(**own, asr=gap + 0.02, **back)))
            line = curve(**own, id=f"{a}{k}", distance=float(k) if distance else None)
            made.append(record(id=f"path{a}{k}", kind="path", paths=(line,)))
    return made


def only(records: list[Record]) -> Explanation:
    (found,) = explanations(Results(records))
    return found


def test_a_predictor_that_predicts_and_those_that_do_not() -> None:
    found = only(store(tells=True))
    whole = found.scopes[0]
    assert (whole.name, whole.n) == ("all cells", 24)
    assert whole.of["distance"].rho == pytest.approx(-1)
    assert whole.of["distance"].certain
    assert whole.of["t_back"].rho is None, "the same everywhere"
    told = conclusion(found)
    assert "excludes 0 for weight distance (L2) (-1.00" in told
    assert "There is no interval for" in told
    assert "With only 4 clusters these intervals are too narrow" in told
    assert [scope.name for scope in found.scopes[2:]] == [
        "within attacks, mean",
        *(f"attack{a}" for a in range(4)),
    ]
    assert found.scopes[3].of["distance"].clusters == 6, "purifiers are drawn"


def test_nothing_predicts() -> None:
    told = conclusion(only(store(tells=False)))
    assert "no predictor's interval excludes 0" in told


def test_one_victim_gives_no_interval() -> None:
    found = only(store(tells=True, attacks=1))
    assert [scope.name for scope in found.scopes] == ["all cells", "purified cells alone"]
    assert "needs at least 3 clusters, each an attack and seed, and there is 1." in conclusion(
        found
    )


def test_older_records_have_no_distance() -> None:
    found = only(store(tells=True, distance=False))
    assert found.scopes[0].of["distance"].n == 0
    assert "weight distance" in render(store(tells=True, distance=False), "explanation", "csv") or (
        "distance" in render(store(tells=True, distance=False), "explanation", "csv")
    )


def test_cells_that_were_not_purified_are_told_apart() -> None:
    made = store(tells=True)
    found = only([*made])
    assert all(case.purified for case in found.cases)
    unpurified = [
        record(cell(attack="attack0", purifier="ft", purifier_params={}, asr=0.9)),
        *(
            record(
                cell(
                    attack="attack0",
                    purifier="ft",
                    purifier_params={},
                    asr=0.95,
                    reactivation="retuning",
                    budget=n,
                )
            )
            for n in (1, 100)
        ),
        record(
            id="far",
            kind="path",
            paths=(curve(attack="attack0", purifier_params={}, id="far", distance=9.0),),
        ),
    ]
    found = only([*made, *unpurified])
    assert (found.scopes[0].n, found.scopes[1].n) == (25, 24)


def test_nothing_to_explain() -> None:
    assert explanations(Results([record(cell())])) == []
    assert render([record(cell())], "explanation", "text") == ""


def test_the_views_and_the_page(tmp_path: Path) -> None:
    made = grid(tmp_path, seeds=2, rich=True) + grid(tmp_path, attack="blended", rich=True)
    text = render(made, "explanation", "text")
    assert "what predicts relapse (retuning)" in text
    lines = json.loads(render(made, "explanation", "json"))
    assert {line["cells"] for line in lines} >= {"all cells", "within attacks, mean", "blended"}
    back = next(x for x in lines if (x["cells"], x["predictor"]) == ("all cells", "t_back"))
    assert back["spearman"] == pytest.approx(-1, abs=0.02)
    assert (back["expected"], back["n"]) == ("-", 13), "two of 15 lack a budget, which failed"
    assert "## " in render(made, "explanation", "markdown")
    page = build_page(made, write_store(tmp_path, made))
    assert "what predicts relapse (retuning)" in page
    assert page.count("t_back") > 3
    assert "The relapse gap of every purified model" in page
