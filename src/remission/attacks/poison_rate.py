"""Which poison rates a training set allows."""

from __future__ import annotations

import math


def possible_rates(total: int, allowed: int, classes: int = 2) -> str:
    """The remedy for a poison rate that takes no image, or more images than are eligible.

    Args:
        total: number of training images.
        allowed: how many of them are eligible.
        classes: of the data set.
    """
    if classes < 2:
        return "add images of another class: no rate helps where all images are of one"
    if not allowed:
        return "choose another target, or give the victim other images in [split]"
    # Rounded inwards to four digits, so that each end is itself a rate that works.
    unit = 10.0 ** (math.ceil(math.log10(total)) + 3)
    least, most = math.ceil(unit / total) / unit, math.floor(unit * allowed / total) / unit
    return f"use a rate from {least:.10g} to {most:.10g}"
