"""The base classes of reactivations, which change a purified model's weights or its images."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from inspect import signature
from typing import Any, ClassVar, Literal, final

from pydantic import NonNegativeInt

from remission.method import Method, field, method, returned
from remission.models import Classifier
from remission.reactivations.access import Access, Oracle, answering
from remission.reactivations.attacker import Attacker, Other
from remission.reactivations.perturbations import Perturbation
from remission.seeding import Seed
from remission.training.loop import check_finite
from remission.triggers import Trigger
from remission.types import LabelledImages, Shape, Target


@method
class Reactivation(Method, ABC):
    """Tries to bring a backdoor back."""

    def tries(self) -> tuple[int | None, ...]:
        """Returns the numbers of poisoned images to try in turn; (None,) if it uses none."""
        return (None,)


@method
class Poisoning:
    """The parameters of methods that train on a few poisoned images; derive from it first."""

    budgets: tuple[NonNegativeInt, ...] = field(default=(5,), min_length=1, strict=False)
    """Numbers of poisoned images that the attacker uses, one try for each (5 in the paper)."""

    def tries(self) -> tuple[int | None, ...]:
        """Returns the budgets: there is one try for each."""
        return self.budgets


@method
class CraftedPoisoning(Poisoning):
    """The parameters of methods that train on the attacker's own poisoned images."""

    poisons: Literal["own", "relabelled"] = field(default="own", later=True)
    """After clean-label attacks: own, images of the target class that the attacker crafted for the
    victim's training, as in the paper; or relabelled, images of other classes with the trigger of
    test time and the target's label. After other attacks both are the latter."""

    def usable(self, crafted: LabelledImages | None) -> LabelledImages | None:
        """Returns the crafted images, where ``poisons`` asks for them."""
        return crafted if self.poisons == "own" else None


def trains_on_crafted(reactivation: Reactivation) -> bool:
    """Returns whether a method trains on crafted images wherever the attacker has some."""
    return isinstance(reactivation, CraftedPoisoning) and reactivation.poisons == "own"


@method
class WeightReactivation(Reactivation, ABC):
    """A reactivation that trains the purified model further."""

    @classmethod
    def facts(cls) -> dict[str, Any]:
        """Returns that the weights change and the images do not."""
        return {**super().facts(), "changes": "weights"}

    @abstractmethod
    def reactivate(
        self,
        model: Classifier,
        images: LabelledImages,
        trigger: Trigger,
        target: Target,
        *,
        budget: int,
        seed: Seed,
    ) -> Classifier:
        """Trains ``model``, a copy that may be changed in place, and returns the result.

        Arguments and errors are those of a call. A hook that takes ``crafted`` as well, a keyword
        with the default None, is given it.
        """

    @final
    def __call__(
        self,
        model: Classifier,
        images: LabelledImages,
        trigger: Trigger,
        target: Target,
        *,
        budget: int,
        seed: Seed,
        crafted: LabelledImages | None = None,
    ) -> Classifier:
        """Reactivates a copy of ``model``, which stays as it is; returns the copy in eval mode.

        Args:
            model: a purified model, or the control.
            images: the attacker's clean images with labels, on the model's device.
            trigger: the trigger of the attack.
            target: the target of the attack.
            budget: number of poisoned images.
            seed: the source of everything random; the same for all models that are compared.
            crafted: images that the attacker crafted for a clean-label attack, with their labels,
                on the models' device, see :class:`remission.attacks.Victim`; None after others.

        Raises:
            SpecError: the attacker has fewer images outside the target class, or crafted fewer
                images, than the budget.
        """
        purified = copy.deepcopy(model).requires_grad_(True)
        takes = "crafted" in signature(self.reactivate).parameters
        more: dict[str, Any] = {"crafted": crafted} if takes else {}
        awake = self.reactivate(purified, images, trigger, target, budget=budget, seed=seed, **more)
        return returned(self, "reactivate", awake, Classifier).eval()


@dataclass(frozen=True, eq=False)
class Perturbed:
    """The result of a method that perturbs images.

    Args:
        perturbation: image -> perturbed image in [0, 1]; frozen and in eval mode.
        queries: number of images that the model under attack was asked about; None if the method
            asks nothing.
    """

    perturbation: Perturbation
    queries: int | None


@method
class InputReactivation(Reactivation, ABC):
    """A reactivation that perturbs images and leaves the purified model as it is.

    A method has the hooks :meth:`perturbation` and :meth:`learn`; :meth:`access` and
    :meth:`borrows` say what the latter needs.
    """

    triggered: ClassVar[bool] = True
    """Whether perturbed images also carry the trigger; otherwise the perturbation replaces it."""

    epsilon: float = field(default=16 / 255, gt=0, le=1)
    """The largest change of a pixel, in [0, 1] (16/255 in the paper of QRA)."""

    @classmethod
    def facts(cls) -> dict[str, Any]:
        """Returns that the images change, and whether those submitted carry the trigger."""
        return {**super().facts(), "changes": "images", "triggered": cls.triggered}

    def access(self) -> Access:
        """Returns what :meth:`learn` sees of the model under attack."""
        return Access("weights")

    def borrows(self) -> tuple[Other, ...]:
        """Returns which other models :meth:`learn` needs."""
        return ()

    @abstractmethod
    def perturbation(self, shape: Shape, seed: Seed) -> Perturbation:
        """Makes the perturbation before any training; a stored one is loaded into it by key.

        Args:
            shape: (C, H, W) of the images.
            seed: the source of its first values.

        Raises:
            SpecError: the method cannot work with such images.
        """

    @abstractmethod
    def learn(
        self,
        perturbation: Perturbation,
        model: Classifier | Oracle | None,
        attacker: Attacker,
        *,
        budget: int | None,
        seed: Seed,
    ) -> None:
        """Trains ``perturbation`` in place.

        Args:
            perturbation: as :meth:`perturbation` made it.
            model: the model under attack, frozen and in eval mode, where :meth:`access` asks for
                weights; an oracle where it asks for answers; otherwise None.
            attacker: what the attacker has beside it.
            budget: number of poisoned images; None for a method that uses none.
            seed: the source of everything random in the method.
        """

    @final
    def __call__(
        self,
        model: Classifier,
        images: LabelledImages,
        trigger: Trigger,
        target: Target,
        *,
        budget: int | None = None,
        seed: Seed,
        victim: Classifier | None = None,
        control: Classifier | None = None,
        crafted: LabelledImages | None = None,
    ) -> Perturbed:
        """Makes a perturbation against ``model``; all models stay as they are.

        Args:
            model: a purified model, or the control.
            images: the attacker's clean images with labels, on the models' device.
            trigger: the trigger of the attack.
            target: the target of the attack.
            budget: number of poisoned images, for the methods that use some.
            seed: the source of everything random; the same for all models that are compared.
            victim: the backdoored model, for the methods that need it.
            control: a model without backdoor, for the methods that need it.
            crafted: images that the attacker crafted for a clean-label attack, with their labels,
                on the models' device, see :class:`remission.attacks.Victim`; None after others.

        Raises:
            ValueError: the method needs another model, and there is none.
            SpecError: the attacker has too few images outside the target class, or too few crafted
                ones.
            DivergedError: a value of the perturbation is not finite.
        """
        lent: dict[Other, Classifier | None] = {"victim": victim, "control": control}
        others: dict[str, Classifier] = {}
        for name in self.borrows():
            if (other := lent[name]) is None:
                raise ValueError(f"{self.name} needs the {name}: pass {name}=")
            others[name] = _frozen(other)
        attacker = Attacker(
            images=images,
            trigger=trigger,
            target=target,
            classes=model.classes,
            crafted=crafted,
            **others,
        )
        untrained = self.perturbation(images.shape, seed.child("perturbation"))
        perturbation = returned(self, "perturbation", untrained, Perturbation)
        perturbation = perturbation.to(images.labels.device, model.mean.dtype).requires_grad_(True)
        access, queries, own = self.access(), None, _frozen(model)
        if access.kind == "weights":
            self.learn(perturbation, own, attacker, budget=budget, seed=seed)
        elif access.kind == "nothing":
            self.learn(perturbation, None, attacker, budget=budget, seed=seed)
        else:
            with answering(own, access.kind, access.queries) as oracle:
                del own
                self.learn(perturbation, oracle, attacker, budget=budget, seed=seed)
                queries = oracle.used
        check_finite(perturbation, self.name)
        for parameter in perturbation.parameters():
            parameter.grad = None
        return Perturbed(perturbation.requires_grad_(False).eval(), queries)


def _frozen(model: Classifier) -> Classifier:
    """Returns a copy in eval mode whose weights require no gradients."""
    return copy.deepcopy(model).requires_grad_(False).eval()
