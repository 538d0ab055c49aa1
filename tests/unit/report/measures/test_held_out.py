"""From which attacks a setting is free: by the trials on other victims."""

from __future__ import annotations

from remission.report.groups.labels import MethodKey
from remission.report.groups.results import Results
from remission.report.measures.held_out import Trials
from tests.unit.report.measures.test_choices import PUBLISHED_FT, ft
from tests.unit.report.measures.test_trials import seen, setting, victims
from tests.unit.report.report_factory import records


def trials() -> Trials:
    cells = [*victims("bpp"), setting(0.2, 0.9, 0.02, attack="bpp"),
             setting(0.9, 0.8, 0.02, attack="bpp")]  # fmt: skip
    return Trials.of(Results(records(*cells)))


def test_a_chosen_setting_is_free_of_the_attacks_of_other_names() -> None:
    found = trials()
    assert found.origin(ft(0.2)) == "chosen"
    assert found.held_out(ft(0.2), ["badnets", "sig", "bpp"]) == 2


def test_a_published_setting_of_the_same_purifier_is_free_of_all() -> None:
    found, published = trials(), MethodKey.of("ft", PUBLISHED_FT)
    assert found.origin(published) == "published"
    assert found.held_out(published, ["badnets", "bpp"]) == 2


def test_of_any_other_setting_nothing_is_shown() -> None:
    found = trials()
    for other in (ft(0.9), ft(0.5), MethodKey.of("sau", {})):
        assert found.origin(other) == ""
        assert found.held_out(other, ["badnets"]) == 0


def test_without_trials_nothing_is_known() -> None:
    found = Trials.of(None)
    assert not found.known
    assert found.origin(MethodKey.of("ft", PUBLISHED_FT)) == ""


def test_the_defaults_of_this_projects_own_purifiers_are_free_of_nothing() -> None:
    ours = {"purifier": "pam_path", "purifier_params": {"lr": 0.02}}
    found = Trials.of(Results(records(*victims("bpp"), seen(0.9, 0.02, attack="bpp", **ours))))
    assert found.held_out(MethodKey.of("pam_path", {}), ["badnets"]) == 0
    assert found.held_out(MethodKey.of("pam_path", {"lr": 0.02}), ["badnets", "bpp"]) == 1
