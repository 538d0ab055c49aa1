"""Spearman's rank correlation with bootstrap intervals over clusters.

Observations of one victim are not independent, so whole clusters are drawn with replacement (Field
and Welsh, JRSS B 2007), and the interval reaches from the 2.5 % to the 97.5 % quantile of the
correlations of the samples. With few clusters such intervals are too narrow. Samples in which a
side is constant have no correlation and are left out.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]

SAMPLES = 2000
FEWEST = 4
"""The fewest observations for a correlation."""
FEWEST_CLUSTERS = 3
"""The fewest clusters for an interval."""


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Spearman's rho.

    Args:
        rho: None with too few observations, or where a side is constant.
        interval: 95 %, from the bootstrap; None with too few clusters.
        n: number of observations.
        clusters: number of clusters.
    """

    rho: float | None
    interval: tuple[float, float] | None
    n: int
    clusters: int

    @property
    def certain(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Returns Spearman's rho, ties at their mean rank; None if too few or constant."""
    import numpy as np

    if len(x) < FEWEST or min(x) == max(x) or min(y) == max(y):
        return None
    # Importing scipy.stats would take longer than drawing a page.
    once = np.ones((1, len(x)))
    return float(_weighted(np.array(x, dtype=float), np.array(y, dtype=float), once)[0])


def correlate(
    x: Sequence[float],
    y: Sequence[float],
    clusters: Sequence[Hashable],
    within: Sequence[Hashable] | None = None,
) -> Correlation:
    """Returns the rank correlation of ``x`` and ``y`` with its interval.

    Args:
        x: one number per observation.
        y: one number per observation.
        clusters: one key per observation; those of the same key are drawn together.
        within: one stratum per observation: rho is computed within each stratum, and the result is
            their mean, weighted by the number of observations; None: one stratum.
    """
    strata = within or [0] * len(x)
    parts = [
        [i for i, stratum in enumerate(strata) if stratum == name] for name in dict.fromkeys(strata)
    ]
    correlations = [
        (spearman([x[i] for i in part], [y[i] for i in part]), len(part)) for part in parts
    ]
    finite = [(rho, n) for rho, n in correlations if rho is not None]
    if not finite:
        return Correlation(rho=None, interval=None, n=len(x), clusters=len(set(clusters)))
    rho = math.fsum(rho * n for rho, n in finite) / sum(n for _, n in finite)
    usable = [
        part for part, (value, _) in zip(parts, correlations, strict=True) if value is not None
    ]
    n, count = sum(map(len, usable)), len({clusters[i] for part in usable for i in part})
    return Correlation(
        rho=rho,
        interval=_interval(x, y, clusters, usable) if count >= FEWEST_CLUSTERS else None,
        n=n,
        clusters=count,
    )


def _interval(
    x: Sequence[float],
    y: Sequence[float],
    clusters: Sequence[Hashable],
    parts: Sequence[Sequence[int]],
) -> tuple[float, float] | None:
    """Returns the bootstrap interval; None if fewer than half of the samples have a correlation."""
    import numpy as np
    from numpy.random import default_rng

    names = list(dict.fromkeys(clusters[i] for part in parts for i in part))
    draws = default_rng(0).integers(len(names), size=(SAMPLES, len(names)))
    times = np.stack([(draws == k).sum(axis=1) for k in range(len(names))], axis=1)
    total, weight = np.zeros(SAMPLES), np.zeros(SAMPLES)
    for part in parts:
        counts = times[:, [names.index(clusters[i]) for i in part]].astype(float)
        rho = _weighted(np.array([x[i] for i in part]), np.array([y[i] for i in part]), counts)
        finite = np.isfinite(rho)
        total[finite] += (rho * counts.sum(axis=1))[finite]
        weight[finite] += counts.sum(axis=1)[finite]
    samples = total[weight > 0] / weight[weight > 0]
    if 2 * len(samples) < SAMPLES:
        return None
    low, high = np.quantile(samples, [0.025, 0.975])
    return float(low), float(high)


def _weighted(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Returns (B,) Spearman's rho of samples that hold observation i ``counts[b, i]`` times.

    It is NaN for samples without a correlation. The mean rank of an observation is, up to a
    constant, the number of observations below it plus half the number of those equal to it: one
    product of matrices for all samples.
    """
    import numpy as np

    def ranks(values: Floats) -> Floats:
        below = (values[:, None] < values) + 0.5 * (values[:, None] == values)
        ranked = counts @ below
        size = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        centred: Floats = ranked - (counts * ranked).sum(axis=1, keepdims=True) / size
        return centred

    a, b = ranks(x), ranks(y)
    spread = (counts * a * a).sum(axis=1) * (counts * b * b).sum(axis=1)
    together = (counts * a * b).sum(axis=1)
    correlations: Floats = np.where(
        spread > 1e-9, together / np.sqrt(np.maximum(spread, 1e-9)), np.nan
    )
    return correlations
