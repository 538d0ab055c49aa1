"""An audit in half a minute: the verdict in one sentence, and what to do."""

from __future__ import annotations

from typing import get_args

import pytest

from remission.report.suspect.in_short import in_short, one_sentence
from remission.report.suspect.verdict import AuditOutcome, judge
from tests.unit.report.suspect.suspect_factory import audit, rate, suspicion, trigger

ALONE = audit(purified=None, alone_on_purified=None, purified_clean_acc=None, lines=())
SLEEPING = audit(trigger(2, 30, 60, 90, 99, role="suspected"))


@pytest.mark.parametrize("outcome", get_args(AuditOutcome))
def test_each_verdict_has_a_sentence_and_an_advice(outcome: AuditOutcome) -> None:
    for found in (audit(), ALONE):
        assert one_sentence(found, outcome).endswith(".")
        question, answer = in_short(found, outcome)[-1]
        assert question == "What to do"
        assert answer.endswith(".")


def test_a_model_in_remission_shows_what_comes_back() -> None:
    answers = dict(in_short(SLEEPING, judge(SLEEPING).outcome))
    assert judge(SLEEPING).outcome == "in remission"
    assert answers["Is there a backdoor?"] == (
        "Class 3 (bag) stands out as the target of a backdoor."
    )
    assert answers["Does its trigger work?"] == (
        "On the suspect model with 95 % of 200 images of other classes; on the purified model with "
        "2 %."
    )
    assert answers["Does it come back?"] == (
        "Trained further with 20 poisoned images, the purified model obeys it with 90 % of the "
        "images, and a trigger that it never saw with 5 %."
    )
    assert answers["What is the model worth?"] == (
        "The suspect model classifies 92.0 % of clean images correctly, the purified 91.0 %."
    )
    assert answers["What to do"].startswith("Do not pass the purified model on")


def test_a_suspect_model_alone_has_nothing_that_comes_back() -> None:
    answers = dict(in_short(ALONE, judge(ALONE).outcome))
    assert "Does it come back?" not in answers
    assert answers["What to do"].startswith("Do not use the model. Purify it")
    assert answers["What is the model worth?"] == "It classifies 92.0 % of clean images correctly."


def test_what_is_not_known_is_said() -> None:
    few = audit(alone=rate(50, 20), suspicion=suspicion(named=False), triggers=())
    answers = dict(in_short(few, judge(few).outcome))
    assert answers["Is there a backdoor?"] == "No class stands out as the target of a backdoor."
    assert "too few to judge" in answers["Does its trigger work?"]
    assert answers["Does it come back?"] == "Nothing could be compared."
    assert "search" in dict(in_short(audit(exact=True), "in remission"))["Is there a backdoor?"]
