"""The sources of facts about methods."""

from __future__ import annotations

from remission.records import Artefact
from remission.report.groups.facts import MethodFacts
from remission.report.groups.results import summarise
from remission.report.measures.victims import attacked
from tests.unit.report.report_factory import cell, record

STRIP = Artefact(file="artefacts/a.png", sha256="0", bytes=1)
MINE = {"purifier": "ft", "reactivation": "mine"}


def test_records_say_them_and_the_last_one_counts() -> None:
    said = [{"changes": "images", "triggered": True}, {"changes": "images", "triggered": False}]
    made = [
        record(
            cell(**MINE, id=str(day)),
            kind="reactivated",
            details={"facts": facts},
            finished=f"2025-01-0{day}",
        )
        for day, facts in enumerate(said, start=1)
    ]
    for order in (made, made[::-1]):
        assert MethodFacts(order).of("reactivation", "mine") == said[1]
    (group,) = summarise(made)
    (column,) = group.columns
    assert (group.perturbed(column), group.in_place(column)) == (True, True)


def test_the_catalogue_knows_the_packages_methods_of_older_records() -> None:
    facts = MethodFacts([record(cell(purifier="ft", reactivation="alternative"))])
    assert facts.of("reactivation", "alternative")["triggered"] is False
    assert facts.of("reactivation", "qra")["triggered"] is True
    assert facts.of("reactivation", "retuning")["changes"] == "weights"
    assert facts.of("purifier", "ft")["unit_of_cost"] is True
    assert facts.of("purifier", "nad") == {"needs": facts.of("purifier", "nad")["needs"]}
    assert facts.of("reactivation", "mine") == {}


def test_pictures_tell_of_ones_own_method_in_an_older_record() -> None:
    for strip, triggered in (("preview_triggered", True), ("preview_clean", False)):
        one = cell(**MINE, asr_clean=0.5, control_asr=0.1, control_asr_clean=0.1)
        pictures = {strip: STRIP, "preview_perturbed": STRIP}
        (group,) = summarise([record(one, kind="reactivated", artefacts=pictures)])
        (column,) = group.columns
        assert (column.perturbs, column.in_place) == (True, not triggered)


def test_a_method_named_like_one_of_the_package_is_what_its_records_say() -> None:
    """Facts in records take precedence over the catalogue: names alone decide nothing."""
    made = record(
        cell(purifier="ft", reactivation="alternative"),
        kind="reactivated",
        details={"facts": {"needs": [], "changes": "weights"}},
    )
    (group,) = summarise([made])
    assert not group.perturbed(group.columns[0])


def test_an_attack_of_ones_own_says_what_it_controls() -> None:
    victim = record(cell(attack="border"), kind="victim", details={"facts": {"needs": ["prayers"]}})
    assert [one.threat for one in attacked([victim])] == [("prayers",)]
    assert [one.threat for one in attacked([record(cell(attack="border"), kind="victim")])] == [()]
