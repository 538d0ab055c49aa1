"""Spearman's rank correlation with bootstrap intervals over clusters.

Observations of one victim are not independent, so whole clusters are drawn with replacement (Field
and Welsh, JRSS B 2007), and the interval is what lies between the 2.5 % and the 97.5 % point of the
correlations of the samples. With few clusters such intervals
are too narrow. Samples in which a side is constant have no correlation and are left out.
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
"""Observations, below which no correlation is told."""
FEWEST_CLUSTERS = 3
"""Clusters, below which no interval is told."""


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Spearman's rho.

    Args:
        rho: None with too few observations, or where a side is constant.
        interval: 95 %, from the bootstrap; None with too few clusters.
        n: observations.
        clusters: that were drawn.
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
    """Spearman's rho, ties at their mean rank; None below ``FEWEST`` or for a constant side."""
    import numpy as np

    if len(x) < FEWEST or min(x) == max(x) or min(y) == max(y):
        return None
    # as in the bootstrap: scipy.stats would take longer to import than a page takes to draw
    once = np.ones((1, len(x)))
    return float(_weighted(np.array(x, dtype=float), np.array(y, dtype=float), once)[0])


def correlate(
    x: Sequence[float],
    y: Sequence[float],
    clusters: Sequence[Hashable],
    within: Sequence[Hashable] | None = None,
) -> Correlation:
    """The rank correlation of ``x`` and ``y`` with its interval.

    Args:
        x: one number an observation.
        y: as many.
        clusters: which of them are drawn together.
        within: strata: rho is taken in each by itself, and their mean, weighted by the number of
            observations, is told; None: one stratum.
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
    """From ``SAMPLES`` samples; None if fewer than half of them have a correlation."""
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
    """(B,) Spearman's rho of samples that hold observation i ``counts[b, i]`` times; NaN: none.

    An observation's mean rank is the number of those below it and half of those equal to it, up
    to a constant: a product of matrices for all samples at once.
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
