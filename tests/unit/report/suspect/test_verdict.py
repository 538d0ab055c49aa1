"""Which verdict an audit gets, by the numbers in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remission.records.suspect import ModelClass, SuspectAudit
from remission.report.suspect.depth import TriggerComparison, decisive
from remission.report.suspect.verdict import AuditOutcome, judge
from tests.unit.report.suspect.suspect_factory import audit, rate, suspicion, trigger

RISING = trigger(1, 40, 80, 99, 100, role="suspected", worst=99)
SLOW = trigger(1, 2, 3, 6, 22, role="suspected", worst=8)
FRESH = (
    trigger(0, 1, 2, 5, 20, role="fresh", worst=6),
    trigger(0, 1, 4, 7, 30, role="fresh", worst=10),
)
UNNAMED = suspicion(named=False)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (audit(SLOW, FRESH), "no relapse found"),
        (audit(RISING, FRESH), "in remission"),
        (audit(RISING, FRESH, suspicion=UNNAMED), "in remission"),
        (audit(SLOW, FRESH, suspicion=UNNAMED), "no backdoor found"),
        (audit(RISING, FRESH, alone_on_purified=rate(60)), "not purified"),
        (audit(SLOW, FRESH, alone_on_purified=rate(14)), "no relapse found"),
        (audit(SLOW, FRESH, alone=rate(20)), "cannot tell"),
        (audit(SLOW, FRESH, alone=rate(90, 30)), "cannot tell"),
        (audit(SLOW, FRESH, alone=rate(20), suspicion=UNNAMED), "no backdoor found"),
        (audit(purified=None, alone_on_purified=None), "not purified"),
        (audit(purified=None, alone_on_purified=None, suspicion=UNNAMED), "no backdoor found"),
        (audit(purified=None, alone_on_purified=None, alone=rate(10)), "cannot tell"),
        (replace(audit(), triggers=audit(RISING).triggers[:1]), "cannot tell"),
    ],
)
def test_the_numbers_give_the_verdict(found: SuspectAudit, outcome: AuditOutcome) -> None:
    verdict = judge(found)
    assert verdict.outcome == outcome
    assert verdict.reasons
    assert verdict.limits
    for sentence in (*verdict.reasons, *verdict.limits):
        assert sentence.endswith("."), sentence
        assert sentence[0].isupper(), sentence


def test_success_of_fresh_triggers_excuses_that_of_the_suspected_one() -> None:
    """A purified model that gives most images class 3 anyway still holds nothing special."""
    fresh = tuple(replace(one, as_purified=rate(45)) for one in FRESH)
    excused = judge(audit(SLOW, fresh, alone_on_purified=rate(50)))
    assert excused.outcome == "no relapse found"
    assert any("Other triggers succeed on up to 45 %" in reason for reason in excused.reasons)
    assert judge(audit(SLOW, fresh, alone_on_purified=rate(60))).outcome == "not purified"


def decides(found: SuspectAudit) -> TriggerComparison:
    """Returns the comparison that counts."""
    comparison = decisive(found)
    assert comparison
    return comparison


def test_a_worst_retuning_counts_where_the_curve_points_the_same_way() -> None:
    hidden = trigger(1, 8, 10, 14, 30, role="suspected", worst=95)
    assert decides(audit(hidden, FRESH)).blind_gap() == pytest.approx(0.07, abs=0.02)
    assert judge(audit(hidden, FRESH)).outcome == "in remission"
    alone = trigger(1, 1, 2, 5, 25, role="suspected", worst=95)
    assert judge(audit(alone, FRESH)).outcome == "no relapse found"


def test_gaps_are_differences_to_the_mean_of_fresh_triggers() -> None:
    found = decides(audit(RISING, FRESH))
    gaps = found.gaps()
    assert [gap.budget for gap in gaps] == [0, 1, 5, 20, 100]
    assert gaps[2].gap == pytest.approx(0.8 - 0.03)
    assert gaps[3].highest == pytest.approx(0.07)
    assert found.worst_gap() == pytest.approx(0.99 - 0.08)
    assert found.perturbed_gap() == pytest.approx(1 - 0.25)
    assert found.blind_gap() == pytest.approx(0.77, abs=0.05)


def test_a_fresh_trigger_that_is_learnt_faster_excuses_the_suspected_one() -> None:
    """Fresh triggers differ: the suspected one is nothing special if one of them is faster."""
    easy = trigger(0, 30, 85, 100, 100, role="fresh")
    many = (*FRESH, *FRESH, easy)
    found = decides(audit(RISING, many))
    assert (found.blind_gap() or 0) > 0.5
    assert found.least_gap() == pytest.approx(0, abs=0.05)
    slower = trigger(0, 35, 60, 98, 100, role="fresh")
    assert (decides(audit(RISING, (*FRESH, slower))).least_gap() or 0) > 0.02
    assert judge(audit(RISING, (*FRESH, slower))).outcome == "in remission"
    faster = trigger(0, 45, 85, 100, 100, role="fresh")
    assert judge(audit(RISING, (*FRESH, faster))).outcome == "no relapse found"


PARTED = tuple(replace(one, beside="warp to class 3") for one in FRESH)


def test_of_two_triggers_of_a_class_the_slower_counts() -> None:
    parted = replace(RISING, name="warp to class 3")
    both = replace(audit(), triggers=(SLOW, parted, *FRESH, *PARTED))
    assert decides(both).suspected is SLOW
    assert judge(both).outcome == "no relapse found"


def test_of_two_classes_the_faster_counts() -> None:
    other = replace(RISING, name="warp to class 3", target=ModelClass(index=8))
    both = replace(audit(), triggers=(SLOW, other, *FRESH, *PARTED))
    assert decides(both).suspected is other
    assert judge(both).outcome == "in remission"


def test_a_class_that_nothing_points_to_must_also_be_learnt_faster_than_its_like() -> None:
    others = (trigger(2, 35, 75, 98, 100, role="other"), trigger(2, 50, 80, 99, 100, role="other"))
    found = audit(RISING, (*FRESH, *others))
    assert judge(found).outcome == "in remission"
    assert judge(replace(found, suspicion=UNNAMED)).outcome == "no backdoor found"


def test_a_quick_audit_says_what_it_leaves_out() -> None:
    limits = judge(audit(left_out=("the search for small perturbations",))).limits
    assert "The quick audit leaves out the search for small perturbations." in limits


def test_models_of_other_shapes_have_no_line() -> None:
    limits = judge(audit(lines=(), relative_distance=None)).limits
    assert any("their weights differ by name or by shape" in sentence for sentence in limits)
    limits = judge(audit(lines=())).limits
    assert any("there are only triggered images" in sentence for sentence in limits)
    assert not any("line" in sentence for sentence in judge(audit()).limits)
