"""What a reactivation is: it changes the weights of a purified model, or the images shown to it."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, final

from pydantic import NonNegativeInt

from remission.method import Method, field, method
from remission.models import Classifier
from remission.reactivations.access import Access, Oracle, answering
from remission.reactivations.attacker import Attacker, Other
from remission.reactivations.perturbations import Perturbation, Shape
from remission.seeding import Seed
from remission.training.loop import check_finite
from remission.triggers import Trigger
from remission.types import LabelledImages, Target


@method
class Reactivation(Method, ABC):
    """Tries to bring a backdoor back."""

    def tries(self) -> tuple[int | None, ...]:
        """How often it is done: once for every number of poisoned images; once, if it uses none."""
        return (None,)


@method
class Poisoning:
    """What the methods have that train on a few poisoned images; put before the base class."""

    budgets: tuple[NonNegativeInt, ...] = field(default=(5,), min_length=1, strict=False)
    """Numbers of poisoned images the attacker may use, each a try of its own (5 in the paper)."""

    def tries(self) -> tuple[int | None, ...]:
        """Once for every budget."""
        return self.budgets


@method
class WeightReactivation(Reactivation, ABC):
    """Trains the purified model further."""

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
        """Changes ``model``, a copy, in place and returns it."""

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
    ) -> Classifier:
        """The reactivated copy of ``model``, in eval mode; ``model`` stays as it is.

        Args:
            model: a purified model, or the control.
            images: the attacker's clean images with labels, on the model's device.
            trigger: the attacker's.
            target: the attacker's.
            budget: number of poisoned images.
            seed: of the choice of images and of the training; the same for every model compared.

        Raises:
            SpecError: the attacker has fewer images outside the target class than the budget.
        """
        mine = copy.deepcopy(model).requires_grad_(True)
        done = self.reactivate(mine, images, trigger, target, budget=budget, seed=seed)
        return done.eval()


@dataclass(frozen=True)
class Perturbed:
    """What a method that changes images leaves.

    Args:
        perturbation: image -> perturbed image in [0, 1]; frozen, in eval mode.
        queries: images that the model under attack was asked about; None if it was not asked.
    """

    perturbation: Perturbation
    queries: int | None


@method
class InputReactivation(Reactivation, ABC):
    """Leaves the purified model as it is and perturbs the images that are shown to it.

    An author writes :meth:`perturbation` and :meth:`learn`, and says what the latter asks for.
    """

    triggered: ClassVar[bool] = True
    """Whether the perturbed images carry the trigger; else the perturbation takes its place."""

    epsilon: float = field(default=16 / 255, gt=0, le=1)
    """The largest change of a pixel, in [0, 1] (16/255 in the paper of QRA)."""

    @classmethod
    def facts(cls) -> dict[str, Any]:
        """Returns that the images change, and whether those submitted carry the trigger."""
        return {**super().facts(), "changes": "images", "triggered": cls.triggered}

    def access(self) -> Access:
        """What :meth:`learn` sees of the model under attack."""
        return Access("weights")

    def borrows(self) -> tuple[Other, ...]:
        """The other models that :meth:`learn` is given."""
        return ()

    @abstractmethod
    def perturbation(self, shape: Shape, seed: Seed) -> Perturbation:
        """The perturbation before any training; a stored one is loaded into it by key.

        Raises:
            SpecError: images that the method cannot work with.
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
            model: under attack: itself, frozen and in eval mode, where the method asks for its
                weights; an oracle where it asks for answers; else None.
            attacker: what else there is.
            budget: number of poisoned images; None for a method that uses none.
            seed: of everything random in the method.
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
    ) -> Perturbed:
        """A perturbation made for ``model``; all models stay as they are.

        Args:
            model: a purified model, or the control.
            images: the attacker's clean images with labels, on the models' device.
            trigger: the attacker's.
            target: the attacker's.
            budget: number of poisoned images, for the methods that use some.
            seed: of everything random; the same for every model compared.
            victim: the backdoored model, for the methods that borrow it.
            control: a model that was never backdoored, for the methods that borrow it.

        Raises:
            ValueError: a method that borrows a model was not given it.
            SpecError: the attacker has too few images outside the target class.
            DivergedError: a value of the perturbation is not finite.
        """
        lent: dict[Other, Classifier | None] = {"victim": victim, "control": control}
        others: dict[str, Classifier] = {}
        for name in self.borrows():
            if (other := lent[name]) is None:
                raise ValueError(f"{self.name} needs the {name}: pass {name}=")
            others[name] = _frozen(other)
        attacker = Attacker(
            images=images, trigger=trigger, target=target, classes=model.classes, **others
        )
        made = self.perturbation(images.shape, seed.child("perturbation"))
        made = made.to(images.labels.device, model.mean.dtype).requires_grad_(True)
        asked, queries, own = self.access(), None, _frozen(model)
        if asked.kind == "weights":
            self.learn(made, own, attacker, budget=budget, seed=seed)
        elif asked.kind == "nothing":
            self.learn(made, None, attacker, budget=budget, seed=seed)
        else:
            with answering(own, asked.kind, asked.queries) as oracle:
                del own
                self.learn(made, oracle, attacker, budget=budget, seed=seed)
                queries = oracle.used
        check_finite(made, self.name)
        for parameter in made.parameters():
            parameter.grad = None
        return Perturbed(made.requires_grad_(False).eval(), queries)


def _frozen(model: Classifier) -> Classifier:
    """A copy in eval mode whose weights take no gradients."""
    return copy.deepcopy(model).requires_grad_(False).eval()
