"""What a stage works on: its settings turned into objects, its parents into models."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from remission.attacks import Victim
from remission.data import load_dataset, split_dataset
from remission.data.decode import Resize
from remission.errors import DataError, StoreError
from remission.grid.plan.stage import NOBODY, Stage
from remission.grid.stages.previews import previews, shown
from remission.inversion import Inverted
from remission.mapped_tensors import chunks
from remission.models import Classifier, build_model, load_weights, resolve_precision
from remission.reactivations import InputReactivation, Perturbation
from remission.records import Record, Store
from remission.registry import make_attack, make_inversion
from remission.seeding import Seed
from remission.stealth import Stealth, measure_stealth
from remission.training import Recipe, fit
from remission.triggers import Trigger
from remission.types import Dataset, LabelledImages, Split, Target

_COMPARED = 500  # test images behind the stealth of a trigger, at the most,
_COMPARED_PIXELS = 2_000_000  # and fewer where they are large: 500 of 64x64, 40 of 224x224


@lru_cache(maxsize=2)
def dataset_of(name: str, size: int | None = None, resize: Resize = "crop") -> Dataset:
    """The data set, read once a process."""
    return load_dataset(name, size=size, resize=resize)


@lru_cache(maxsize=2)
def digest_of(dataset: Dataset) -> str:
    """16 hexadecimal digits of all images and labels."""
    found = hashlib.sha256()
    for part in (dataset.train, dataset.test):
        found.update(repr(tuple(part.images.shape)).encode())
        for each in chunks(part.images):
            found.update(part.images[each].reshape(-1).numpy().data)
        found.update(part.labels.contiguous().numpy().data)
    return found.hexdigest()[:16]


@lru_cache(maxsize=2)
def _split_of(
    place: tuple[str, int | None, Resize],
    seed: int,
    counts: tuple[tuple[str, Any], ...],
    device: str,
) -> Split:
    split = split_dataset(dataset_of(*place), Seed(seed).child("split"), **dict(counts))
    return split.to(device)


class StageInputs:
    """A stage's settings turned into objects, its parents' artefacts into models."""

    def __init__(self, stage: Stage, store: Store, device: torch.device) -> None:
        self.stage, self.store, self.device = stage, store, device
        self.context: dict[str, Any] = stage.settings["context"]
        self.seed = Seed(self.context["seed"])
        self.dataset = dataset_of(*self._place)
        if digest_of(self.dataset) != self.context["data"]:
            raise DataError(f"the data set '{self._place[0]}' changed during the run", "run again")
        self.precision = resolve_precision(self.context["precision"], device)
        self.recipe = Recipe(**self.context["recipe"])

    @property
    def split(self) -> Split:
        """The four sets of images of this seed."""
        counts = tuple(self.context["split"].items())
        return _split_of(self._place, self.seed.root, counts, str(self.device))

    def some_test(self, most: int | None, name: str) -> LabelledImages:
        """At most so many test images at random, the same for every model; all for None.

        Args:
            most: how many.
            name: of the child of the seed that draws them.
        """
        test = self.split.test
        if most is None or most >= len(test):
            return test
        order = torch.randperm(len(test), generator=self.seed.child(name).generator())
        return test[order[:most].to(self.device)]

    @property
    def _place(self) -> tuple[str, int | None, Resize]:
        """Which data set, and how it is read."""
        names = self.stage.names
        where = names.folder if names and names.folder else self.context["dataset"]
        return where, self.context["size"], self.context.get("resize", "crop")

    def new_model(self) -> Classifier:
        """The untrained model: the same first weights for victim and control."""
        return build_model(
            self.context["arch"],
            classes=len(self.dataset.classes),
            shape=self.dataset.train.shape,
            mean=self.dataset.mean,
            std=self.dataset.std,
            seed=self.seed.child("model"),
            precision=self.precision,
        ).to(self.device)

    def parent(self, role: str, kinds: tuple[str, ...]) -> Record:
        """The record of a parent, which must be whole."""
        identity = self.stage.parents[role]
        for kind in kinds:
            if record := self.store.find(kind, identity):
                return record
        raise StoreError(
            f"the result {identity} that '{self.stage.label}' builds upon is gone from the store",
            "run the spec again: it is computed anew",
        )

    def model(self, role: str) -> Classifier:
        """The model of a parent, in eval mode."""
        model = self.new_model()
        record = self.parent(role, ("victim", "control", "purified"))
        load_weights(model, self.store.file(record, "weights"))
        return model.eval()

    def perturbation(self, role: str, method: InputReactivation) -> Perturbation:
        """The perturbation that a parent holds, made by ``method``."""
        made = method.perturbation(self.dataset.train.shape, self.seed)
        load_weights(made, self.store.file(self.parent(role, ("reactivated",)), "perturbation"))
        return made.to(self.device).requires_grad_(False).eval()

    @property
    def target(self) -> Target | None:
        """The attacker's; None where nobody attacked."""
        if self.stage.settings["attack"]["method"] == NOBODY:
            return None
        return make_attack(self.stage.settings["attack"]).target

    def trigger(self) -> tuple[Trigger, Target]:
        """The victim's trigger and target."""
        attack = make_attack(self.stage.settings["attack"])
        trigger = attack.trigger(self.dataset.train.shape, self._attack_seed.child("trigger"))
        load_weights(trigger, self.store.file(self.parent("victim", ("victim",)), "trigger"))
        return trigger.to(self.device), attack.target

    @property
    def _attack_seed(self) -> Seed:
        return self.seed.child("victim")

    def previews(
        self, name: str, change: Callable[[Tensor], Tensor], target: Target | None
    ) -> dict[str, bytes]:
        """A few test images before and after ``change``, see :func:`previews.previews`."""
        return previews(self.split.test, name, change, target, len(self.dataset.classes))

    def stealth(self, trigger: Trigger, target: Target) -> Stealth:
        """How little the trigger changes up to 500 of the test images behind the ASR."""
        test = self.split.test
        _, height, width = test.shape
        most = min(_COMPARED, max(1, _COMPARED_PIXELS // (height * width)))
        chosen = shown(test, target, len(self.dataset.classes), most)
        return measure_stealth(test[chosen], trigger)

    def train_victim(self) -> Victim:
        """Runs the attack."""
        attack = make_attack(self.stage.settings["attack"])
        return attack(self.new_model(), self.split.victim, self.recipe, seed=self._attack_seed)

    def train_control(self) -> tuple[Classifier, list[float]]:
        """Trains as the victim is trained: same weights, order and augmentation, no poison."""
        model = self.new_model()
        trained = fit(
            model,
            self.split.victim,
            self.recipe,
            seed=self._attack_seed.child("training"),
            what="control",
        )
        return model.eval(), trained.losses

    def inverted(self) -> Inverted:
        """The inversion that a parent holds."""
        inversion = make_inversion(self.stage.settings["inversion"])
        record = self.parent("inversion", ("inversion",))
        generator = inversion.build_generator(self.dataset.train.shape, self.seed, self.precision)
        load_weights(generator, self.store.file(record, "generator"))
        details = record.details
        return Inverted(
            generator=generator.to(self.device).eval(),
            target=details["target"],
            target_share=details["target_share"],
            change=details["change"],
            lead=details.get("lead"),
        )
