"""The thresholds of the verdicts. All are fractions of images."""

from __future__ import annotations

MARGIN = 0.10
"""A gap to the control up to this size is not called a relapse, however certain it is."""
IMPLANTED = 0.50
"""Below this ASR of the victim there is no backdoor to purify."""
SATURATED = 0.50
"""Above this ASR of the control a reactivation teaches the backdoor anew."""
_SLACK = 1e-9
"""What rounding may add to a difference of two rates."""
LOSS = 0.10
"""A model that lost more clean accuracy than this counts as broken."""


def at_most(difference: float, bound: float) -> bool:
    """Returns whether a difference of two rates is at most ``bound``, but for rounding."""
    return difference <= bound + _SLACK
