"""Rates counted one image at a time, and Wilson's interval by its formula."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from remission.intervals import Rate
from remission.metrics import accuracy, attack_success_rate, goals, robust_accuracy

labels = st.integers(0, 3)


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=40), labels)
@settings(max_examples=60, deadline=None)
def test_rates(pairs: list[tuple[int, int]], target: int) -> None:
    predicted, true = (torch.tensor(column) for column in zip(*pairs, strict=True))
    wanted = goals(true, target, 4)
    hits = others = sent = kept = 0
    for guess, label in pairs:
        hits += guess == label
        if label != target:  # images of the target class do not count
            others += 1
            sent += guess == target
            kept += guess == label
    assert accuracy(predicted, true) == Rate(hits, len(pairs))
    assert attack_success_rate(predicted, true, wanted) == Rate(sent, others)
    assert robust_accuracy(predicted, true, wanted) == Rate(kept, others)


@pytest.mark.parametrize(
    ("hits", "total"), [(0, 1), (1, 1), (0, 250), (250, 250), (3, 10), (9000, 9001), (17, 34)]
)
def test_the_wilson_interval(hits: int, total: int) -> None:
    p, z = hits / total, float(norm.ppf(0.975))
    middle = (p + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    low, high = Rate(hits, total).interval
    assert low == pytest.approx(max(0.0, middle - half), rel=1e-9, abs=1e-12)
    assert high == pytest.approx(min(1.0, middle + half), rel=1e-9, abs=1e-12)
    assert low <= Rate(hits, total).value <= high


def test_a_classifier_that_ignores_the_trigger_has_no_asr_on_target_class_images() -> None:
    """If they counted, a perfect classifier would have an ASR above zero."""
    true = torch.tensor([0, 0, 0, 1, 2])
    assert attack_success_rate(true, true, torch.zeros_like(true)) == Rate(0, 2)
    assert robust_accuracy(true, true, torch.zeros_like(true)) == Rate(2, 2)


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=40))
@settings(max_examples=30, deadline=None)
def test_all_to_all_wants_the_next_class_of_each(pairs: list[tuple[int, int]]) -> None:
    predicted, true = (torch.tensor(column) for column in zip(*pairs, strict=True))
    wanted = goals(true, "all-to-all", 4)
    sent = sum(guess == (label + 1 if label < 3 else 0) for guess, label in pairs)
    assert attack_success_rate(predicted, true, wanted) == Rate(sent, len(pairs))
    kept = sum(guess == label for guess, label in pairs)
    assert robust_accuracy(predicted, true, wanted) == Rate(kept, len(pairs))
