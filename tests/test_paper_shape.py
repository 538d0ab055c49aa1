"""The page of the comparison shows the chosen settings in the shape of the paper's table."""

from __future__ import annotations

from paper_shape import PAPER, paper_shape
from remission.records import Record
from remission.registry import known
from remission.report.groups.results import Results
from tests.unit.report.report_factory import cell, records

CHOSEN = {"fst": {"lr": 0.1}, "pam": {"lr": 0.3}, "nad": {"lr": 0.1}}


def trials() -> Results:
    """Returns trials on another attack, in which the settings meet the criterion."""
    seen = {"validation_clean_acc": 0.9, "attack": "bpp"}
    victim = cell(**seen, validation_asr=0.99, asr=0.99)
    control = cell(**seen, validation_asr=0.02, purifier="control", asr=0.02)
    tried = [
        cell(**seen, validation_asr=0.03, asr=0.03, purifier=name, purifier_params=settings)
        for name, settings in CHOSEN.items()
    ]
    return Results(records(victim, control, *tried))


def model(asrs: dict[int | None, float], **more: object) -> list[Record]:
    """Returns the records of a model before any retuning (None) and after each."""
    return records(
        *(
            cell(**more, asr=asr, **({"reactivation": "retuning", "budget": n} if n else {}))
            for n, asr in asrs.items()
        )
    )


def lines(**purified: dict[int | None, float]) -> list[str]:
    """Returns the rows of the section, of models of each purifier at its chosen setting."""
    made = [
        *model({None: 0.99, 5: 0.99, 20: 0.99}),
        *model({None: 0.02, 5: 0.03, 20: 0.1}, purifier="control"),
    ]
    for name, asrs in purified.items():
        made += model(asrs, purifier=name, purifier_params=CHOSEN[name])
        made += model({None: 0.01}, purifier=name, purifier_params={"lr": 0.7})
    return [line for line in paper_shape(Results(made, trials=trials())) if line[:1] == "|"]


def test_a_row_says_from_which_number_of_images_on_a_model_relapses() -> None:
    rows = lines(
        pam={None: 0.02, 5: 0.03, 20: 0.12},
        fst={None: 0.02, 5: 0.03, 20: 0.9},
    )
    assert rows == [
        "| purifier | C-Acc | O-ASR | P-ASR n=5 | P-ASR n=20 | here | in the paper |",
        "| :-- | --: | --: | --: | --: | :-- | :-- |",
        "| victim | 91.0 | 99.0 | 99.0 | 99.0 | – | – |",
        "| control | 91.0 | 2.0 | 3.0 | 10.0 | – | – |",
        "| fst (lr=0.1) | 91.0 | 2.0 | 3.0 | 90.0 | relapses from n=20 on | relapses |",
        "| pam (lr=0.3) | 91.0 | 2.0 | 3.0 | 12.0 | no relapse | no relapse |",
    ]


def test_what_kept_its_backdoor_did_not_relapse() -> None:
    (row,) = (line for line in lines(fst={None: 0.8, 5: 0.9}) if "fst" in line)
    assert row.endswith("| not purified | relapses |")


def test_without_chosen_settings_of_the_paper_there_is_no_section() -> None:
    assert lines(nad={None: 0.02, 5: 0.03}) == []
    assert paper_shape(Results(records(cell()))) == []


def test_every_purifier_of_the_paper_is_one_of_ours() -> None:
    assert PAPER.keys() <= set(known("purifier"))
