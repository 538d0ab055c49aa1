"""A small world in which every method has something to do: 8x8 digits and a patched victim."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F

from remission.attacks import Attack, BadNets, Victim
from remission.data import load_dataset, split_dataset
from remission.inversion import KnownSource
from remission.metrics import Rates
from remission.models import Classifier, build_model
from remission.paths.linear import interpolate
from remission.purifiers import EP
from remission.seeding import Seed
from remission.training import Recipe, evaluate, fit, recalibrate
from remission.types import Dataset, LabelledImages, Split, as_float

RECIPE = Recipe(epochs=8, lr=0.1, schedule="one_cycle", weight_decay=5e-4, batch_size=64)

_VICTIMS: dict[Hashable, tuple[Split, Victim]] = {}


@dataclass(frozen=True)
class World:
    """The data and the models that methods are tried on.

    Args:
        data: digits.
        split: its four parts.
        seed: the seed of everything.
        victim: trained with BadNets.
        exact: the victim purified with its own trigger.
        control: trained as the victim, without poison.
    """

    data: Dataset
    split: Split
    seed: Seed
    victim: Victim
    exact: Classifier
    control: Classifier

    @property
    def clean(self) -> LabelledImages:
        """The defender's images."""
        return self.split.defender

    @cached_property
    def in_remission(self) -> Classifier:
        """A model in remission: its ASR is at most 0.1, and close to it the backdoor is active."""
        return self.asleep(0.1)

    def asleep(self, asr: float) -> Classifier:
        """Returns the point of the path to the exactly purified model where the ASR gets below one.

        How close a purifier's model is to the backdoor depends on the processor's rounding and on
        the first weights; this model is close by construction.
        """
        backdoored, cured = 0.0, 1.0
        for _ in range(7):
            t = (backdoored + cured) / 2
            if self.rates(self.between(t)).asr.value < asr:
                cured = t
            else:
                backdoored = t
        return self.between(cured)

    def between(self, t: float, end: Classifier | None = None) -> Classifier:
        """Returns (1 - t) * victim + t * end, with batch-norm statistics of the defender's images.

        ``end`` is the exactly purified model by default.
        """
        model = copy.deepcopy(self.victim.model)
        interpolate(model, self.victim.model, end or self.exact, t)
        recalibrate(model, self.clean)
        return model.eval()

    def rates(self, model: Classifier, victim: Victim | None = None) -> Rates:
        """Returns clean accuracy, ASR and robust accuracy on the test images."""
        victim = victim or self.victim
        return evaluate(model, self.split.test, victim.trigger, victim.target)


def make_world(number: int = 0) -> World:
    """Trains the victim and purifies it exactly; a few seconds."""
    data, seed = load_dataset("digits"), Seed(number)
    split = split_dataset(data, seed, defender=150, attacker=200)
    victim = implant(BadNets(size=2, margin=0), data, split, seed)
    exact = EP(epochs=10, lr=0.02, batch_size=32, augment="none")(
        victim.model, split.defender, seed=seed, trigger=KnownSource(victim.trigger)
    )
    control = build_model(
        "resnet18:8", classes=10, shape=(1, 8, 8), mean=data.mean, std=data.std, seed=seed
    )
    fit(control, split.victim, RECIPE, seed=seed.child("training"))
    return World(data, split, seed, victim, exact.model, control.eval())


def implant(
    attack: Attack, data: Dataset, split: Split, seed: Seed, epochs: int = RECIPE.epochs
) -> Victim:
    """Returns a victim of ``attack``; several tests look at the same ones, which train once."""
    key = (attack, type(attack).train, id(split), seed, epochs)
    if key not in _VICTIMS:
        model = build_model(
            "resnet18:8", classes=10, shape=(1, 8, 8), mean=data.mean, std=data.std, seed=seed
        )
        victim = attack(model, split.victim, replace(RECIPE, epochs=epochs), seed=seed)
        _VICTIMS[key] = split, victim  # as long as the split lives, no other has its id
    return copy.deepcopy(_VICTIMS[key][1])


def shaken(model: Classifier, strength: float, number: int = 0) -> Classifier:
    """Returns a copy with weights multiplied by 1 + strength * normal noise."""
    generator = torch.Generator().manual_seed(number)
    model = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + strength * torch.randn(parameter.shape, generator=generator))
    return model


def loss_uphill(model: Classifier, images: LabelledImages, rho: float) -> float:
    """Returns the loss where the weights are moved by rho in SAM's worst direction.

    eps = rho * w^2 g / || |w| g ||, with batch norm in train mode, as while training.
    """
    model = copy.deepcopy(model).train()
    weights, x = list(model.parameters()), as_float(images.images)
    grads = torch.autograd.grad(F.cross_entropy(model(x), images.labels), weights)
    with torch.no_grad():
        length = torch.cat([(w * g).flatten() for w, g in zip(weights, grads, strict=True)]).norm()
        for w, g in zip(weights, grads, strict=True):
            w.add_(rho * w * w * g / length)
        return float(F.cross_entropy(model(x), images.labels))
