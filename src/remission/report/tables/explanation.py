"""The view ``explanation``: what predicts relapse, as far as the intervals show it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from remission.records import Json
from remission.report.groups.estimates import MISSING
from remission.report.groups.results import Results
from remission.report.groups.thresholds import LOSS
from remission.report.measures.explanation import Explanation, Predictor, Scope, explanations
from remission.report.measures.rank_correlation import FEWEST_CLUSTERS, SAMPLES, Correlation
from remission.report.tables.formats import Table
from remission.report.tables.views import View, register_view

_FEW = 10  # with fewer clusters the intervals are known to be too narrow


def explanation_table(explanation: Explanation) -> Table:
    """Builds a row per scope and a column per predictor: rho, its interval, n where it differs."""
    predictors = explanation.predictors
    return Table(
        title=explanation.title,
        notes=[conclusion(explanation), note(explanation)],
        header=["cells", "n", "drawn", *(f"{p.title} ({p.expected})" for p in predictors)],
        rows=[
            [scope.name, str(scope.n), _drawn(scope), *(_cell(scope, p) for p in predictors)]
            for scope in explanation.scopes
        ],
    )


def _drawn(scope: Scope) -> str:
    count = max(correlation.clusters for correlation in scope.of.values())
    return f"{count} × {scope.resampled}"


def _cell(scope: Scope, predictor: Predictor) -> str:
    correlation = scope.of[predictor.key]
    if correlation.rho is None:
        return MISSING
    text = f"{round(correlation.rho, 2) + 0.0:+.2f}"
    if correlation.interval:
        text += f" [{correlation.interval[0]:+.2f}, {correlation.interval[1]:+.2f}]"
    else:
        text += f" [{MISSING}]"
    return text if correlation.n == scope.n else f"{text} (n={correlation.n})"


def note(explanation: Explanation) -> str:
    """Returns a sentence on the columns."""
    return (
        "Spearman's rank correlation of the relapse gap with each predictor, with one observation "
        "per purified model and seed. In brackets is the 95 % interval of a bootstrap "
        f"({SAMPLES} samples) that draws whole clusters: all models of one attack and seed or, "
        "within one attack, all models of one purifier; [–]: there are too few clusters. The "
        "header shows the sign that the explanation by the path expects. The lines have batch norm "
        f"{explanation.batchnorm}. Purified cells have an O-ASR at most 10 points above the "
        f"control's. {len(explanation.predictors)} predictors are tested, and no interval is "
        "widened for that. Models that lost more than "
        f"{100 * LOSS:.0f} points of clean accuracy to purification or to a retuning are left out, "
        "and so are models that the purifier returned unchanged"
    )


def conclusion(explanation: Explanation) -> str:
    """Returns sentences on what predicts relapse and what does not, from the intervals alone."""
    return " ".join(_follows(scope, explanation.predictors) for scope in explanation.scopes[:2])


def _follows(scope: Scope, predictors: Sequence[Predictor]) -> str:
    where = f"Over {scope.name} (n = {scope.n})"
    with_interval = [p for p in predictors if scope.of[p.key].interval is not None]
    clusters = max(correlation.clusters for correlation in scope.of.values())
    if not with_interval:
        if clusters >= FEWEST_CLUSTERS:
            return f"{where} nothing follows: no correlation has an interval."
        return (
            f"{where} nothing follows: an interval needs at least {FEWEST_CLUSTERS} clusters, "
            f"each an attack and seed, and there {'is' if clusters == 1 else 'are'} {clusters}."
        )
    certain = [p for p in with_interval if scope.of[p.key].certain]
    others = [p for p in with_interval if not scope.of[p.key].certain]
    if not certain:
        text = f"{where} no predictor's interval excludes 0: none is shown to predict relapse."
    else:
        texts = "; ".join(_with_interval(p, scope.of[p.key]) for p in certain)
        text = f"{where} the interval excludes 0 for {texts}."
        if others:
            text += f" It does not for {', '.join(p.title for p in others)}."
    if silent := [p.title for p in predictors if p not in with_interval]:
        text += f" There is no interval for {', '.join(silent)}."
    if clusters < _FEW:
        text += f" With only {clusters} clusters these intervals are too narrow."
    return text


def _with_interval(predictor: Predictor, correlation: Correlation) -> str:
    rho, interval = correlation.rho, correlation.interval
    assert rho is not None
    assert interval is not None
    ends = f"{rho:+.2f} [{interval[0]:+.2f}, {interval[1]:+.2f}]"
    against = (rho > 0) != (predictor.expected == "+")
    return f"{predictor.title} ({ends}{', against what is expected' if against else ''})"


def _tables(results: Results) -> list[Table]:
    """Builds one table per test, with the conclusion from it."""
    return [explanation_table(test) for test in explanations(results)]


def _objects(results: Results) -> list[Json]:
    """Builds one object per test, scope and predictor."""
    return [
        {
            "dataset": test.dataset,
            "arch": test.arch,
            "reactivation": test.reactivation,
            "batchnorm": test.batchnorm,
            "cells": scope.name,
            "predictor": predictor.key,
            "expected": predictor.expected,
            "spearman": (correlation := scope.of[predictor.key]).rho,
            "low": correlation.interval[0] if correlation.interval else None,
            "high": correlation.interval[1] if correlation.interval else None,
            "n": correlation.n,
            "clusters": correlation.clusters,
            "resampled": scope.resampled,
            "setting": json.loads(test.setting),
        }
        for test in explanations(results)
        for scope in test.scopes
        for predictor in test.predictors
    ]


register_view(
    View(
        name="explanation",
        summary="what the relapse gap correlates with on the path",
        empty="the spec has no [path], or no purified model is retuned yet",
        tables=_tables,
        objects=_objects,
    )
)
