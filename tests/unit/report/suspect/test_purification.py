"""The page on a purification, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

from remission.report.suspect.purification import purification_page
from remission.report.suspect.sentences import result_lines
from tests.unit.report.suspect.suspect_factory import (
    HOSTILE,
    check_alone,
    purification,
    rate,
    strips,
    suspicion,
)


def test_a_page_stands_alone() -> None:
    check_alone(purification_page(purification(model=HOSTILE), strips()))


def test_a_purification_says_what_it_cost_and_what_to_do_next() -> None:
    lines = " ".join(result_lines(purification()))
    assert "92.0 % [" in lines
    assert "remission audit model.pth --purified pure.safetensors" in lines
    assert "still works" not in lines
    assert "still works" in " ".join(result_lines(purification(after=40)))
    assert "says little" in " ".join(result_lines(purification(before=20)))
    dear = purification(after=1)
    dear = replace(dear, after=replace(dear.after, clean_acc=rate(80)))
    assert "cost 12.0 points" in " ".join(result_lines(dear))


def test_a_model_that_was_purified_anyway_is_named_so() -> None:
    page = purification_page(purification(suspicion=suspicion(named=False)), strips())
    assert "No class stood out, and the model was purified all the same." in page
    assert "The likeliest are classes 3 (bag) and 5." in page
