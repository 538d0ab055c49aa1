"""Guarantees of the purifiers' wrapper, tested with purifiers that break the rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import nn

from remission.attacks import BadNets
from remission.errors import DivergedError, MethodError
from remission.inversion import Universal
from remission.inversion.base import TargetClass
from remission.method import Method, method
from remission.models import Classifier
from remission.purifiers import EP, PAM, BTIDBFUnlearning, CleanPurifier
from remission.reactivations import QRA, Retuning
from remission.seeding import Seed
from remission.training import Recipe
from remission.types import LabelledImages
from tests.contract.cases import clean_images, subject
from tests.contract.test_methods import assert_unchanged, hooks, snapshot


def say_nothing(*args: object) -> None:
    """A hook."""


def leave_hooks(model: Classifier) -> None:
    for layer in (model, model.final_linear):
        layer.register_forward_hook(say_nothing)
        layer.register_forward_pre_hook(say_nothing)
        layer.register_full_backward_hook(say_nothing)
        layer.register_full_backward_pre_hook(say_nothing)


@method
class Careless(CleanPurifier):
    """Leaves hooks, train mode and frozen parameters behind."""

    name: ClassVar[str] = "careless"
    paper: ClassVar[str] = "none"

    fails: bool = False
    """Raise after all that."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        leave_hooks(model)
        model.train().requires_grad_(False)
        with torch.no_grad():
            model.final_linear.weight.zero_()
        if self.fails:
            raise RuntimeError("in the middle")
        return model


@method
class Spoiling(CleanPurifier):
    """Makes one weight, or one running statistic, infinite."""

    name: ClassVar[str] = "spoiling"
    paper: ClassVar[str] = "none"

    key: str = "linear.weight"
    """Of the state dict."""

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        model.state_dict()[self.key].view(-1)[0] = torch.inf
        return model


@method
class Reshaping(CleanPurifier):
    """Gives the model another head."""

    name: ClassVar[str] = "reshaping"
    paper: ClassVar[str] = "none"

    def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
        model.linear = nn.Linear(model.final_linear.in_features, 7)
        return model


def test_nothing_is_left_on_the_result_or_the_victim() -> None:
    model = subject().train()
    before = snapshot(model)
    result = Careless()(model, clean_images(), seed=Seed(0)).model
    assert hooks(result) == 0
    assert not any(module.training for module in result.modules())
    assert all(p.requires_grad for p in result.parameters())
    assert float(result.final_linear.weight.detach().abs().sum()) == 0.0
    assert_unchanged(model, before)


def test_nothing_is_left_on_the_victim_after_an_error() -> None:
    model = subject().train()
    before = snapshot(model)
    with pytest.raises(RuntimeError, match="in the middle"):
        Careless(fails=True)(model, clean_images(), seed=Seed(0))
    assert_unchanged(model, before)


@pytest.mark.parametrize("key", ["linear.weight", "bn1.running_var"])
def test_a_result_that_is_not_finite_is_refused(key: str) -> None:
    with pytest.raises(DivergedError, match=f"spoiling: '{key}' is not finite; use a smaller lr"):
        Spoiling(key=key)(subject(), clean_images(), seed=Seed(0))


def test_a_result_of_another_shape_is_refused() -> None:
    with pytest.raises(MethodError) as caught:
        Reshaping()(subject(), clean_images(), seed=Seed(0))
    assert caught.value.problem.startswith("reshaping: 'purify' returned a model with other keys")
    assert caught.value.remedy.startswith("change the values of weights and buffers")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "forgetful: 'purify' returned nothing"),
        ((1, 2), "forgetful: 'purify' returned a value of type tuple"),
        (nn.Identity(), "forgetful: 'purify' returned a value of type Identity"),
    ],
)
def test_a_hook_that_returns_something_else_is_named(value: object, told: str) -> None:
    @method
    class Forgetful(CleanPurifier):
        """Returns no classifier."""

        name: ClassVar[str] = "forgetful"
        paper: ClassVar[str] = "none"

        def purify(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Classifier:
            return value  # type: ignore[return-value]

    with pytest.raises(MethodError) as caught:
        Forgetful()(subject(), clean_images(), seed=Seed(0))
    assert caught.value.problem == told
    assert caught.value.remedy == "return an object of type Classifier, as the base class says"


def test_every_wrapper_looks_at_what_its_hooks_return(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images, recipe = subject(), clean_images(), Recipe(epochs=1, lr=0.1)
    trigger = BadNets(size=2).trigger(images.shape, Seed(0))

    def attack() -> None:
        BadNets(size=2, poison_rate=0.3, target=1)(model, images, recipe, seed=Seed(0))

    def retune() -> None:
        Retuning()(model, images, trigger, 1, budget=1, seed=Seed(0))

    def invert() -> None:
        Universal()(model, images, seed=Seed(0))

    def perturb() -> None:
        QRA()(model, images, trigger, 1, seed=Seed(0), victim=model, control=model)

    cases: list[tuple[type[Method], str, Callable[[], None], str]] = [
        (BadNets, "trigger", attack, "Trigger"),
        (BadNets, "train", attack, "Trained"),
        (Retuning, "reactivate", retune, "Classifier"),
        (Universal, "build_generator", invert, "Module"),
        (Universal, "invert", invert, "TargetClass"),
        (QRA, "perturbation", perturb, "Perturbation"),
    ]
    for cls, hook, call, wanted in cases:
        with monkeypatch.context() as patch:
            patch.setattr(cls, hook, lambda self, *args, **more: 3)
            with pytest.raises(MethodError) as caught:
                call()
        assert caught.value.problem.endswith(f"'{hook}' returned a value of type int")
        assert caught.value.problem.startswith(cls.name)
        assert f"of type {wanted}," in caught.value.remedy
    monkeypatch.setattr(Universal, "invert", lambda self, *args, **more: TargetClass(9, 1.0))
    with pytest.raises(MethodError, match=r"universal: 'invert' named class 9 of \d"):
        invert()


@pytest.mark.parametrize("made", [EP(), PAM(), BTIDBFUnlearning()], ids=lambda made: made.name)
def test_a_method_that_needs_a_trigger_says_so(made: EP | PAM | BTIDBFUnlearning) -> None:
    with pytest.raises(ValueError, match=f"{made.name} needs a trigger: pass trigger="):
        made(subject(), clean_images(), seed=Seed(0))
