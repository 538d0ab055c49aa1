"""What is said of a row, and on which side of a threshold it lies."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from remission import report
from remission.records import Cell
from remission.report.groups.results import summarise
from remission.report.groups.sentences import broken, headline, sentence
from remission.report.groups.thresholds import MARGIN, at_most
from remission.report.measures.scores import scores
from remission.report.tables.render import render
from tests.unit.report.report_factory import cell, failed, records


def judged(*rows: Cell, control: float = 0.05) -> tuple[str, str]:
    base = [
        cell(asr=0.99),
        cell(purifier="control", asr=0.01),
        cell(purifier="control", asr=control, reactivation="retuning", budget=5),
    ]
    (group,) = summarise(records(*base, *rows))
    verdict = group.verdict(group.rows[2])
    return verdict.outcome, headline([group])


def after(asr: float | None, **changes: object) -> Cell:
    return cell(purifier="ft", asr=asr, reactivation="retuning", budget=5, **changes)


BEFORE = cell(purifier="ft", asr=0.02)


def over_seeds(
    *models: dict[str, float], controls: Sequence[float] = (0.01, 0.01, 0.01), retuned: bool = True
) -> list[Cell]:
    """Returns a victim, a control, and fields of a purified model that relapses, per seed."""
    made = []
    for seed, model in enumerate(models):
        made += [
            cell(seed=seed, asr=0.99),
            cell(seed=seed, purifier="control", asr=controls[seed]),
            cell(seed=seed, purifier="control", asr=0.05, reactivation="retuning", budget=5),
            cell(seed=seed, purifier="ft", **({"asr": 0.02} | model)),
        ]
        if retuned:
            made.append(after(0.9, seed=seed, clean_acc=model.get("clean_acc", 0.91)))
    return made


def test_relapse_beyond_the_control() -> None:
    outcome, text = judged(BEFORE, after(0.8))
    assert outcome == "relapse"
    assert text == "1 of 1 purified models is only in remission: ft (retuning at n=5)."


def test_a_gap_that_closes_again_is_not_claimed() -> None:
    retuned = {"reactivation": "retuning"}
    rates = {1: (0.5, 0.02), 5: (0.8, 0.3), 100: (0.97, 0.95)}
    made = [cell(purifier="control", asr=0.01), BEFORE]
    for n, (ours, theirs) in rates.items():
        made.append(cell(purifier="ft", asr=ours, budget=n, **retuned))
        made.append(cell(purifier="control", asr=theirs, budget=n, **retuned))
    (group,) = summarise(records(*made))
    assert group.verdict(group.rows[1]).text == "relapses: retuning at n=1, 5"


def test_what_the_control_learns_too_is_no_relapse() -> None:
    outcome, text = judged(BEFORE, after(0.85), control=0.80)
    assert outcome == "none found"
    assert text.startswith("None of 1 purified models is shown to be only in remission.")


def test_a_wide_interval_is_not_called_a_relapse() -> None:
    outcome, _ = judged(BEFORE, after(0.3, asr_interval=(0.01, 0.9)))
    assert outcome == "unclear"


def test_a_backdoor_that_was_never_removed() -> None:
    outcome, text = judged(cell(purifier="ft", asr=0.7), after(0.9))
    assert outcome == "survived"
    assert "The backdoor survived purification itself with ft." in text


def test_failed_and_untested_models_are_not_judged() -> None:
    broken = failed(purifier="ft", reactivation="retuning", budget=5)
    assert judged(BEFORE, broken)[0] == "failed"
    assert judged(BEFORE)[0] == "untested"


def test_nothing_purified_and_a_saturated_control() -> None:
    back = {"reactivation": "retuning", "budget": 5}
    (group,) = summarise(records(cell(), cell(purifier="control", asr=0.9, **back)))
    assert headline([group]) == "The store holds no purified model yet: there is nothing to judge."
    assert [column.budget for column in group.saturated] == [5]


def test_several_groups_are_counted_together() -> None:
    made = [
        one
        for attack, asr in (("badnets", 0.8), ("blended", 0.06))
        for one in (
            cell(attack=attack, purifier="control", asr=0.01),
            cell(attack=attack, purifier="control", asr=0.05, reactivation="qra"),
            cell(attack=attack, purifier="ft", asr=0.02),
            cell(attack=attack, purifier="ft", asr=asr, reactivation="qra"),
        )
    ]
    groups = summarise(records(*made))
    assert headline(groups) == (
        "1 of 2 purified models is only in remission, over 2 attacks. "
        "The others: 1 within 10 points of the control at every judged budget."
    )
    assert sentence(groups[0]) == "1 of 1 purified models is only in remission: ft (qra)."


def test_one_attack_on_two_architectures_makes_two_settings() -> None:
    made = [
        cell(arch=arch, purifier=purifier, asr=0.01)
        for arch in ("resnet18:2", "resnet18:4")
        for purifier in ("control", "ft")
    ]
    assert "over 2 settings." in headline(summarise(records(*made)))


def test_a_small_gap_that_may_be_large_is_no_reassurance() -> None:
    outcome, text = judged(BEFORE, after(0.1, asr_interval=(0.0, 0.6)))
    assert outcome == "unclear"
    assert "too wide to judge ft" in text


def test_without_a_backdoor_in_the_victim_nothing_is_judged() -> None:
    made = [
        cell(asr=0.03),
        cell(purifier="control", asr=0.02),
        cell(purifier="control", asr=0.05, reactivation="retuning", budget=5),
        BEFORE,
        after(0.8),
    ]
    (group,) = summarise(records(*made))
    assert group.verdict(group.rows[2]).outcome == "no backdoor"
    text = sentence(group)
    assert "Nothing can be said of ft" in text
    assert "1 of 1" not in text


def test_models_that_a_reactivation_broke_are_named() -> None:
    columns = {"reactivation": "retuning", "budget": 5}
    made = [
        cell(purifier="control", asr=0.01),
        cell(purifier="control", asr=0.05, clean_acc=0.85, **columns),
        cell(purifier="ft", asr=0.02),
        cell(purifier="ft", asr=0.9, clean_acc=0.262, **columns),
        cell(purifier="ft", asr=0.9, clean_acc=0.1, asr_clean=0.1, reactivation="oba"),
    ]
    (group,) = summarise(records(*made))
    told = "lower after the reactivation of ft (retuning n=5: 26.2): an ASR there"
    assert told in broken(group)
    assert told in " ".join(render(records(*made), "summary", "text").split())
    assert broken(summarise(records(*made[:3]))[0]) == ""


def test_an_attack_that_failed_has_left_nothing_to_judge() -> None:
    control = [
        cell(purifier="control", asr=0.01),
        cell(purifier="control", asr=0.05, reactivation="retuning", budget=5),
    ]
    (group,) = summarise(records(cell(asr=0.3), *control, BEFORE, after(0.8)))
    verdict = group.verdict(group.rows[2])
    assert verdict.outcome == "no backdoor"
    assert verdict.text == "not judged: the attack failed, the victim's ASR is 30.0"


def test_a_victim_is_no_failed_attack_because_two_controls_differ() -> None:
    made = over_seeds({}, {}, controls=(0.004, 0.226))
    (group,) = summarise(records(*made))
    assert group.verdict(group.rows[2]).text == "relapses: retuning at n=5"


def test_a_model_that_purification_broke_is_no_relapse() -> None:
    outcome, text = judged(
        cell(purifier="ft", asr=0.0, clean_acc=0.008),
        after(0.96, clean_acc=0.7),
    )
    assert outcome == "broken"
    assert "Broken, with clean accuracy more than 10 points below the victim's: ft" in text
    assert "1 of 1" not in text


def test_what_a_reactivation_broke_is_not_judged() -> None:
    """One budget breaks the model, another the control; the third is judged."""
    retuned = {"reactivation": "retuning"}
    made = [cell(asr=0.99), cell(purifier="control", asr=0.01), BEFORE]
    for n, ours, theirs in ((1, 0.91, 0.91), (5, 0.6, 0.91), (20, 0.91, 0.6)):
        made.append(
            cell(purifier="ft", asr=0.05 if n == 1 else 0.9, clean_acc=ours, budget=n, **retuned)
        )
        made.append(cell(purifier="control", asr=0.02, clean_acc=theirs, budget=n, **retuned))
    (group,) = summarise(records(*made))
    assert group.verdict(group.rows[2]).text == "no relapse found: retuning, up to n=1"
    assert "of the control at every budget that is judged" in sentence(group)
    assert scores(group) == [], "one budget makes no curve"
    (group,) = summarise(records(*(one for one in made if one.budget != 1)))
    verdict = group.verdict(group.rows[2])
    assert verdict.text == "not judged: every reactivation broke the model or the control"
    assert "Nothing that can be judged was measured for ft" in sentence(group)
    left = records(*(one for one in made if one.budget != 1))
    assert "| ft | not judged |" in render(left, "overview", "markdown")


def test_one_broken_seed_hides_no_relapse_of_the_others() -> None:
    made = over_seeds({"clean_acc": 0.5}, {}, {})
    (group,) = summarise(records(*made))
    wanted = "relapses: retuning at n=5; broken with 1 of 3 seeds"
    assert group.verdict(group.rows[2]).text == wanted


def test_a_seed_that_was_not_retuned_breaks_nothing() -> None:
    made = over_seeds(*({"clean_acc": acc} for acc in (0.94, 0.94, 0.85)), retuned=False)
    (group,) = summarise(records(*made, after(0.9, seed=2, clean_acc=0.82)))
    assert group.verdict(group.rows[2]).outcome == "relapse"
    assert broken(group) == ""


def test_the_summary_tells_the_verdicts_in_every_format() -> None:
    made = records(
        cell(asr=0.99),
        cell(purifier="control", asr=0.01),
        cell(purifier="control", asr=0.05, reactivation="retuning", budget=5),
        BEFORE,
        after(0.8),
    )
    (group,) = json.loads(render(made, "summary", "json"))
    assert [row["outcome"] for row in group["rows"]] == [None, None, "relapse"]
    assert [row["verdict"] for row in group["rows"]] == [None, None, "relapses: retuning at n=5"]
    text = " ".join(render(made, "summary", "text").split())
    assert "1 of 1 purified models is only in remission: ft (retuning at n=5)" in text
    (line,) = json.loads(render(made, "overview", "json"))
    assert (line["outcome"], line["verdict"]) == ("relapse", "relapses: retuning at n=5")


def test_a_seed_that_was_not_purified_is_told() -> None:
    made = over_seeds({"asr": 0.5}, {}, {})
    (group,) = summarise(records(*made))
    wanted = "relapses: retuning at n=5; not purified with 1 of 3 seeds"
    assert group.verdict(group.rows[2]).text == wanted


@pytest.mark.parametrize(("ours", "theirs"), [(0.4, 0.3), (0.3, 0.2), (0.7, 0.6), (0.13, 0.03)])
def test_ten_points_are_at_most_ten_points_whatever_their_last_digit(
    ours: float, theirs: float
) -> None:
    assert at_most(ours - theirs, MARGIN)
    assert not at_most(ours - theirs + 1e-6, MARGIN)


def test_no_threshold_is_compared_without_the_slack_for_rounding() -> None:
    """0.4 - 0.3 is above 0.1 and 0.3 - 0.2 below it: ``at_most`` is what says it everywhere."""
    for file in sorted(Path(report.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
                assert names.isdisjoint({"MARGIN", "LOSS", "MOST_LOST"}), (file, node.lineno)
