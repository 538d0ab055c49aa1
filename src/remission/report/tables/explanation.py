"""The test of the explanation as tables, and in the words that its intervals allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remission.records import Record
from remission.report.groups.estimates import MISSING
from remission.report.groups.results import Results
from remission.report.groups.thresholds import LOSS
from remission.report.measures.explanation import Explanation, Predictor, Scope, explanations
from remission.report.measures.rank_correlation import FEWEST_CLUSTERS, SAMPLES, Correlation
from remission.report.tables.formats import Lines, Section

_FEW = 10  # clusters, below which intervals are known to be too narrow


def table_lines(found: Explanation) -> tuple[list[str], Lines]:
    """A row a scope, a column a predictor: rho, its interval, n where it differs from the row's."""
    header = ["cells", "n", "drawn", *(f"{p.title} ({p.expected})" for p in found.predictors)]
    return header, [
        [scope.name, str(scope.n), _drawn(scope), *(_cell(scope, p) for p in found.predictors)]
        for scope in found.scopes
    ]


def _drawn(scope: Scope) -> str:
    count = max(each.clusters for each in scope.of.values())
    return f"{count} × {scope.resampled}"


def _cell(scope: Scope, predictor: Predictor) -> str:
    each = scope.of[predictor.key]
    if each.rho is None:
        return MISSING
    text = f"{round(each.rho, 2) + 0.0:+.2f}"
    if each.interval:
        text += f" [{each.interval[0]:+.2f}, {each.interval[1]:+.2f}]"
    else:
        text += f" [{MISSING}]"
    return text if each.n == scope.n else f"{text} (n={each.n})"


def note(found: Explanation) -> str:
    """What the columns are."""
    return (
        "Spearman's rank correlation of the relapse gap with each predictor, a purified model of "
        f"one seed an observation; in brackets the 95 % interval of a bootstrap ({SAMPLES} "
        "samples) that draws whole clusters: all models of one attack and seed, or, within one "
        "attack, all of one purifier; [–]: none can be given. In the header the sign that the "
        f"explanation by the path expects. Lines with batch norm {found.batchnorm}. Purified: "
        f"O-ASR at most 10 points above the control's. {len(found.predictors)} predictors are "
        "tested, and no interval is widened for that. Without models that purification or a "
        f"retuning cost more than {100 * LOSS:.0f} points of clean accuracy"
    )


def conclusion(found: Explanation) -> str:
    """What predicts relapse and what does not, from the intervals alone."""
    return " ".join(_said(scope, found.predictors) for scope in found.scopes[:2])


def _said(scope: Scope, predictors: Sequence[Predictor]) -> str:
    where = f"Over {scope.name} (n = {scope.n})"
    known = [p for p in predictors if scope.of[p.key].interval is not None]
    clusters = max(each.clusters for each in scope.of.values())
    if not known:
        if clusters >= FEWEST_CLUSTERS:
            return f"{where} nothing follows: no correlation has an interval."
        return (
            f"{where} nothing follows: an interval takes {FEWEST_CLUSTERS} clusters at least, an "
            f"attack and seed each, and there {'is' if clusters == 1 else 'are'} {clusters}."
        )
    certain = [p for p in known if scope.of[p.key].certain]
    others = [p for p in known if not scope.of[p.key].certain]
    if not certain:
        text = f"{where} no predictor's interval excludes 0: none is shown to predict relapse."
    else:
        told = "; ".join(_told(p, scope.of[p.key]) for p in certain)
        text = f"{where} the interval excludes 0 for {told}."
        if others:
            text += f" It does not for {', '.join(p.title for p in others)}."
    if silent := [p.title for p in predictors if p not in known]:
        text += f" No interval for {', '.join(silent)}."
    if clusters < _FEW:
        text += f" With {clusters} clusters these intervals are too narrow."
    return text


def _told(predictor: Predictor, each: Correlation) -> str:
    assert each.rho is not None
    assert each.interval is not None
    ends = f"{each.rho:+.2f} [{each.interval[0]:+.2f}, {each.interval[1]:+.2f}]"
    against = (each.rho > 0) != (predictor.expected == "+")
    return f"{predictor.title} ({ends}{', against what is expected' if against else ''})"


def explanation_sections(records: Sequence[Record]) -> list[Section]:
    """For people: a table a test, and what follows from it."""
    found = []
    for each in explanations(Results(records).overviews):
        header, lines = table_lines(each)
        notes = [conclusion(each), note(each)]
        found.append(Section(title=each.title, notes=notes, header=header, lines=lines))
    return found


def explanation_objects(records: Sequence[Record]) -> list[dict[str, Any]]:
    """For programs: one object a test, scope and predictor."""
    return [
        {
            "dataset": found.dataset,
            "arch": found.arch,
            "reactivation": found.reactivation,
            "batchnorm": found.batchnorm,
            "cells": scope.name,
            "predictor": predictor.key,
            "expected": predictor.expected,
            "spearman": (each := scope.of[predictor.key]).rho,
            "low": each.interval[0] if each.interval else None,
            "high": each.interval[1] if each.interval else None,
            "n": each.n,
            "clusters": each.clusters,
            "resampled": scope.resampled,
        }
        for found in explanations(Results(records).overviews)
        for scope in found.scopes
        for predictor in found.predictors
    ]
