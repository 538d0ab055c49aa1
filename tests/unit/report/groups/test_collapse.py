"""A model that gives one answer for all images says nothing about a backdoor."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from remission.intervals import wilson
from remission.records import Cell, Record
from remission.report.groups.results import summarise
from remission.report.groups.sentences import headline, sentence
from remission.report.groups.verdict import Verdict
from remission.report.measures.scores import scores
from remission.report.tables.render import render
from tests.unit.report.report_factory import cell, record, records

BACK: dict[str, Any] = {"reactivation": "retuning"}
NOTED = {"test_classes": {"number": 4, "largest": 0.25}}


def model(hits: int, total: int, target: int, asr: float, **changes: Any) -> Cell:  # noqa: ANN401
    """Returns a model with ``right`` of ``total`` test images, ``target`` of them of class 0."""
    triggered = total - target
    return cell(
        clean_acc=hits / total,
        clean_acc_interval=wilson(hits, total),
        n_clean=total,
        asr=asr,
        asr_interval=wilson(round(asr * triggered), triggered),
        n_triggered=triggered,
        **changes,
    )


Hits = tuple[int, float]
"""Images that a model gets right, and its ASR."""


def store(victim: Hits, control: Hits, purified: Hits, seed: int = 0) -> list[Cell]:
    """Returns a victim, a control and a retuned model on four classes of 25 test images."""
    four: dict[str, Any] = {"total": 100, "target": 25, "seed": seed}
    ft: dict[str, Any] = {"purifier": "ft"}
    none: dict[str, Any] = {"purifier": "control"}
    return [
        model(victim[0], asr=victim[1], **four),
        model(control[0], asr=control[1], **none, **four),
        model(purified[0], asr=purified[1], **ft, **four),
        *(model(control[0], asr=control[1], **none, **BACK, budget=n, **four) for n in (1, 5)),
        *(model(purified[0], asr=purified[1], **ft, **BACK, budget=n, **four) for n in (1, 5)),
    ]


def verdict(made: list[Record]) -> Verdict:
    (group,) = summarise(made)
    row = group.row("ft")
    assert row is not None
    return group.verdict(row)


def noted(cells: list[Cell]) -> list[Record]:
    """Returns records that hold the classes of the test images, as present ones do."""
    return [
        record(one, kind="victim" if one.purifier == "none" else "purified", details=NOTED)
        for one in cells
    ]


GOOD, CONSTANT = (95, 1.0), (25, 1.0)
INNOCENT = (95, 0.0)


@pytest.mark.parametrize(
    ("models", "who"),
    [
        ((CONSTANT, INNOCENT, (90, 1.0)), "victim"),
        ((GOOD, CONSTANT, (90, 0.0)), "control"),
        ((GOOD, (25, 0.0), (90, 0.9)), "control"),
        (((30, 1.0), INNOCENT, CONSTANT), "victim"),
    ],
)
@pytest.mark.parametrize("today", [True, False])
def test_nothing_is_judged_beside_a_collapsed_model(
    models: tuple[Hits, Hits, Hits], who: str, today: bool
) -> None:
    cells = store(*models)
    made = noted(cells) if today else records(*cells)
    found = verdict(made)
    assert found.outcome == "collapsed"
    assert f"the {who} is not shown to be better than one answer for all images" in found.text
    assert ("of 4 classes" in found.text) == today
    assert "makes up 25.0 % of the images" in found.text
    text = render(made, "summary", "text")
    assert "survived" not in text
    assert "no working backdoor" not in text
    assert "-100" not in text, "no gap to such a model"
    (group,) = summarise(made)
    assert scores(group) == []
    assert "Nothing can be said of ft: the " in sentence(group)
    assert "| ft | collapsed |" in render(made, "overview", "markdown")
    attacks = json.loads(render(noted(cells[:1]), "attacks", "json"))
    assert [one["collapsed"] for one in attacks] == [who == "victim"]
    note = "the ASR says nothing about a backdoor: badnets (seed 0)"
    assert (note in render(noted(cells[:1]), "attacks", "markdown")) == (who == "victim")
    assert "Nothing can be judged here: the" in render(made[:2], "summary", "markdown")
    (row,) = (r for r in json.loads(render(made, "summary", "json"))[0]["rows"] if r["outcome"])
    assert row["outcome"] == "collapsed"


def test_three_hundred_classes_of_which_one_image_is_right() -> None:
    """Clean accuracy 0.3 %: chance, and no backdoor that survived or relapsed."""
    made = [
        model(1, 300, 1, 0.9),
        model(2, 300, 1, 0.0, purifier="control"),
        model(1, 300, 1, 0.9, purifier="ft"),
    ]
    found = verdict(records(*made))
    assert found.outcome == "collapsed"
    assert "clean accuracy 0.3" in found.text


def test_a_collapsed_purified_model_is_not_judged_by_its_asr() -> None:
    """25 of a victim's 34 %: too small a loss to count as broken."""
    found = verdict(records(*store((40, 1.0), (40, 0.0), (32, 0.0))))
    assert found.outcome == "collapsed"
    assert "the purified model is not shown to be better" in found.text
    found = verdict(records(*store(GOOD, INNOCENT, CONSTANT)))
    assert found.outcome == "broken", "from 95 to 25 % it is said as what it is"


def test_the_largest_class_counts_and_not_the_target() -> None:
    """Half of the images are of one class: 50 % is chance, although the target has 5 %."""
    made = [
        model(50, 100, 5, 1.0),
        model(90, 100, 5, 0.0, purifier="control"),
        model(88, 100, 5, 1.0, purifier="ft"),
    ]
    details = {"test_classes": {"number": 11, "largest": 0.5}}
    assert verdict([record(one, kind="victim", details=details) for one in made]).outcome == (
        "collapsed"
    )


def test_one_seed_of_three_is_left_out_and_said() -> None:
    made = [
        *store(GOOD, INNOCENT, (92, 0.8), seed=0),
        *store(GOOD, INNOCENT, (92, 0.9), seed=1),
        *store(CONSTANT, INNOCENT, (92, 0.0), seed=2),
    ]
    made = [
        dataclasses.replace(m, asr=0.0) if m.purifier == "ft" and not m.budget else m for m in made
    ]
    (group,) = summarise(records(*made))
    row = group.row("ft")
    assert row is not None
    assert group.gap(row, group.columns[0]).mean == pytest.approx(0.85), "not over three seeds"
    found = group.verdict(row)
    assert found.outcome == "relapse"
    assert found.text == "relapses: retuning at n=1, 5; collapsed with 1 of 3 seeds"


def test_a_reactivation_that_leaves_one_answer_is_no_relapse() -> None:
    made = [one for one in store((34, 1.0), (34, 0.0), (34, 0.0)) if one.budget != 5]
    made = [
        dataclasses.replace(one, clean_acc=0.25, clean_acc_interval=wilson(25, 100), asr=1.0)
        if one.purifier == "ft" and one.budget
        else one
        for one in made
    ]
    found = verdict(records(*made))
    assert found.outcome == "untested"
    assert "every reactivation broke the model or the control" in found.text


def test_a_good_model_with_few_classes_is_judged() -> None:
    assert verdict(records(*store(GOOD, INNOCENT, (93, 0.9)))).outcome == "survived"


def test_the_headline_boasts_of_no_collapsed_victim() -> None:
    made = [
        model(95, 100, 25, 0.9, attack="badnets"),
        model(95, 100, 25, 0.95, attack="blended"),
        model(25, 100, 25, 1.0, attack="sig"),
    ]
    text = headline(summarise(records(*made)))
    assert text.startswith("2 attacks: ASR lies between 90.0 and 95.0 %")
    assert "in 1 more the victim is not shown to be better than one answer for all images" in text


def test_a_failed_attack_with_some_seeds_hides_no_backdoor_of_the_others() -> None:
    """Victims with an ASR of 0.2, 0.0 and 1.0, whose mean is no working backdoor."""
    cells = [
        *store((95, 0.2), (95, 0.02), (95, 0.02), seed=0),
        *store((95, 0.0), (95, 0.02), (95, 0.02), seed=1),
        *store((95, 1.0), (95, 0.02), (95, 1.0), seed=2),
    ]
    judged = verdict(records(*cells))
    assert judged.outcome == "survived"
    assert judged.failed_attacks == (2, 3)
    assert judged.text.endswith("; the attack failed with 2 of 3 seeds")
    assert judged.text.startswith("not purified: O-ASR 98.")
    for form in ("text", "markdown"):
        assert "not purified" in render(records(*cells), "overview", form)


def test_an_attack_that_failed_with_every_seed_is_said_as_before() -> None:
    cells = [cell for seed in (0, 1) for cell in store((95, 0.2), (95, 0.02), (95, 0.1), seed)]
    judged = verdict(records(*cells))
    assert judged.outcome == "no backdoor"
    assert judged.failed_attacks == (0, 2)
