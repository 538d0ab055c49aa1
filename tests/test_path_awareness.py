"""The page of the comparison pairs PAM with BTI-DBF where both cost the same and are purified."""

from __future__ import annotations

from path_awareness import path_awareness
from remission.records import Record
from tests.unit.report.report_factory import cell, record


def model(
    purifier: str, lr: float, clean_acc: float, asr: float, after: dict[int, float], **more: object
) -> list[Record]:
    """Returns the records of a purified model and of its retunings."""
    base: dict[str, object] = {
        "purifier": purifier,
        "purifier_params": {"lr": lr, "epochs": 5},
        **more,
    }
    retuned = [
        record(cell(**base, clean_acc=0.9, asr=p_asr, reactivation="retuning", budget=n))
        for n, p_asr in after.items()
    ]
    return [*retuned, record(cell(**base, clean_acc=clean_acc, asr=asr))]


def references(seed: int = 0, attack: str = "badnets") -> list[Record]:
    """Returns the victim and the control of an attack; the control's ASR is 4 %."""
    asrs = {"none": 0.99, "control": 0.04}
    return [
        record(cell(purifier=name, seed=seed, attack=attack, clean_acc=0.9, asr=asr))
        for name, asr in asrs.items()
    ]


def lines(*models: list[Record]) -> list[str]:
    """Returns the rows of the table."""
    victims = [references(), references(seed=1), references(attack="wanet")]
    text = path_awareness([one for each in (*models, *victims) for one in each])
    return [line for line in text if line.startswith("| badnets") or line.startswith("| wanet")]


WEAK = model("bti_dbf", 1e-3, 0.9, 0.05, {5: 0.6, 20: 0.9})


def test_a_pair_shows_the_difference_at_each_number_of_images() -> None:
    found = lines(model("pam", 0.1, 0.902, 0.02, {20: 0.95, 5: 0.35}), WEAK)
    assert found == [
        "| badnets, seed 0 | 0.1 | 0.001 | 90.2 and 90.0 | 2.0 and 5.0 | -25.0 | +5.0 |"
    ]


def test_three_tenths_of_a_point_are_the_same_and_more_are_not() -> None:
    assert lines(model("pam", 0.1, 0.897, 0.02, {5: 0.3}), WEAK)
    assert not lines(model("pam", 0.1, 0.896, 0.02, {5: 0.3}), WEAK)


def test_what_is_not_purified_and_another_victim_are_not_compared() -> None:
    assert lines(model("pam", 0.1, 0.9, 0.14, {5: 0.3}), WEAK)
    assert not lines(model("pam", 0.1, 0.9, 0.15, {5: 0.3}), WEAK)
    assert not lines(model("pam", 0.1, 0.9, 0.1, {5: 0.3}, seed=1), WEAK)
    assert not lines(model("pam", 0.1, 0.9, 0.1, {5: 0.3}, attack="wanet"), WEAK)
    assert path_awareness([]) == []


def test_rates_are_sorted_as_numbers() -> None:
    models = [model("pam", lr, 0.9, 0.1, {5: 0.3}) for lr in (0.3, 0.01, 0.1)]
    assert [line.split(" | ")[1] for line in lines(*models, WEAK)] == ["0.01", "0.1", "0.3"]
