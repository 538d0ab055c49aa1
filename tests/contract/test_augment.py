"""Every purifier that trains follows the victim's augmentation, unless its own is stated."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from remission.errors import SpecError
from remission.method import method
from remission.models import Classifier
from remission.purifiers import CleanPurifier, Purifier, PurifierAugment
from remission.registry import PURIFIERS
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.training.batches import Augment, _Crops
from remission.types import LabelledImages
from tests.contract.cases import CASES, REQUIRED, Case, call, clean_images, subject

TRAINED = [case for case in CASES if case.kind == "purifier" and case.name != "clp"]
"""``clp`` prunes by the weights alone; all others train."""


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects the augmentation of every pass over images that are augmented."""
    seen: list[str] = []

    begin = _Crops.__init__

    def heard(self: _Crops, images: Tensor, augment: Augment, generator: torch.Generator) -> None:
        seen.append(augment)
        begin(self, images, augment, generator)

    monkeypatch.setattr(_Crops, "__init__", heard)
    return seen


@pytest.mark.parametrize("case", TRAINED, ids=lambda case: case.id)
def test_without_a_spec_nothing_is_augmented(case: Case, drawn: list[str]) -> None:
    call(case, subject(), clean_images(), Seed(0))
    assert drawn == []


@pytest.mark.parametrize("case", TRAINED, ids=lambda case: case.id)
def test_what_is_stated_is_done(case: Case, drawn: list[str]) -> None:
    parameters = {**case.parameters, "augment": "crop"}
    if "base" in parameters:
        parameters["base"] = dataclasses.replace(parameters["base"], augment="crop")
    stated = dataclasses.replace(case, parameters=parameters)
    call(stated, subject(), clean_images(), Seed(0))
    assert set(drawn) == {"crop"}


@pytest.mark.parametrize("name", sorted({case.name for case in TRAINED}))
@pytest.mark.parametrize("victim", ["none", "crop", "crop_flip"])
def test_the_victims_takes_its_place(name: str, victim: Augment) -> None:
    cls = PURIFIERS[name]
    required = REQUIRED.get(name, {})
    followed = cls(**required).resolved(victim)
    settled = {key: value.resolved(victim) for key, value in required.items()}
    assert followed == cls(augment=victim, **settled)  # type: ignore[call-arg]
    assert followed.resolved("crop") == followed, "what is stated stays"


def test_a_purifier_without_the_parameter_stays() -> None:
    without = PURIFIERS["clp"]()
    assert without.resolved("crop") is without


@method
class Own(CleanPurifier):
    """A user's own, with a parameter of that name and no base class that has it."""

    name: ClassVar[str] = "own"
    paper: ClassVar[str] = "none"

    augment: PurifierAugment = "victim"
    """The augmentation."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        recipe = Recipe(epochs=1, lr=0.1, batch_size=16, augment=self.augment)  # type: ignore[arg-type]
        fit(model, clean, recipe, seed=seed, what=self.name)
        return model


@pytest.mark.parametrize(
    ("purifier", "wanted"),
    [
        (Own(), []),
        (Own().resolved("crop_flip"), ["crop_flip"]),
        (Own(augment="crop"), ["crop"]),
        (Own(augment="crop").resolved("crop_flip"), ["crop"]),
    ],
)
def test_the_hook_of_a_users_own_never_sees_the_word(
    purifier: Purifier, wanted: list[str], drawn: list[str]
) -> None:
    purifier(subject(), clean_images(), seed=Seed(0))
    assert drawn == wanted


def test_what_the_parameter_does_not_allow_is_named() -> None:
    @method
    class Narrow(Own):
        """Follows the victim where that was not augmented."""

        name: ClassVar[str] = "narrow"

        augment: PurifierAugment = "victim"

        def __post_init__(self) -> None:
            if self.augment == "crop":
                raise SpecError("'augment' is 'crop'", "state another one")

    with pytest.raises(SpecError) as caught:
        Narrow().resolved("crop")
    assert caught.value.problem == "[purifier] narrow: 'augment' is 'crop'"
    assert caught.value.remedy == "state another one"
