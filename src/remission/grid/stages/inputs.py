"""The inputs of a stage: objects made from its settings, models loaded from its parents."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from remission.attacks import Attack, CleanLabel
from remission.data.decode import Resize
from remission.errors import DataError, StoreError
from remission.grid.plan.cell_keys import cell_keys
from remission.grid.plan.stage import (
    ATTACK,
    INVERSION,
    NOBODY,
    PATH_SECTION,
    PURIFIER,
    REACTIVATION,
    RETUNING,
    Stage,
)
from remission.grid.spec.tables import PathSection
from remission.grid.stages.datasets import dataset_of, digest_of, split_of
from remission.inversion import Inversion, Inverted
from remission.models import Classifier, build_model_for, resolve_precision
from remission.models.checkpoint import unpack, unpack_tensors
from remission.previews import previews
from remission.purifiers import Purifier
from remission.reactivations import (
    InputReactivation,
    Perturbation,
    Reactivation,
    WeightReactivation,
)
from remission.records import Record, Store, kinds
from remission.records.details import InversionDetails
from remission.records.kinds import KINDS, Kind
from remission.registry import make_attack, make_inversion, make_purifier, make_reactivation
from remission.seeding import Seed
from remission.training import Recipe
from remission.triggers import Trigger
from remission.types import LabelledImages, Split, Target


class StageInputs:
    """The inputs of one stage.

    Each method is built once, and each parent's record is read once.

    Args:
        stage: its parents are finished.
        store: holds the results of the parents.
        device: where to compute.

    Raises:
        DataError: the data set is not the one that the stage was planned for.
    """

    def __init__(self, stage: Stage, store: Store, device: torch.device) -> None:
        self.stage, self.store, self.device = stage, store, device
        self.context = stage.context
        self.seed = Seed(self.context.seed)
        self.dataset = dataset_of(*self._place)
        if digest_of(self.dataset) != self.context.data:
            raise DataError(f"the data set '{self._place[0]}' changed during the run", "run again")
        self.precision = resolve_precision(self.context.precision, device)
        self._records: dict[str, Record] = {}

    @cached_property
    def recipe(self) -> Recipe:
        """How victim and control are trained."""
        return Recipe(**self.context.recipe)

    @cached_property
    def attack(self) -> Attack:
        """The attack; a stage on a model that was never backdoored has none."""
        return make_attack(self.stage.table(ATTACK))

    @cached_property
    def purifier(self) -> Purifier:
        """The purifier; a stage that measures the control has none."""
        return make_purifier(self.stage.table(PURIFIER))

    @cached_property
    def inversion(self) -> Inversion:
        """The inversion."""
        return make_inversion(self.stage.table(INVERSION))

    @cached_property
    def reactivation(self) -> Reactivation:
        """The reactivation, whose budget is :attr:`Stage.budget`."""
        return make_reactivation(self.stage.table(REACTIVATION))

    @cached_property
    def retuning(self) -> Reactivation:
        """The retuning that a path goes on to."""
        return make_reactivation(self.stage.table(RETUNING))

    @cached_property
    def path(self) -> PathSection:
        """The table [path] of the spec."""
        return PathSection(**self.stage.table(PATH_SECTION))

    @cached_property
    def cell_keys(self) -> dict[str, Any]:
        """The fields of a cell that the settings determine."""
        return cell_keys(self.stage)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.dataset.classes)

    @property
    def split(self) -> Split:
        """The sets of images of this seed."""
        counts = tuple(self.context.split.items())
        return split_of(self._place, self.seed.root, counts, str(self.device))

    def some_test(self, most: int | None, name: str) -> LabelledImages:
        """Draws test images at random, the same for every model.

        Args:
            most: the largest number of images; None: all of them.
            name: the name of the child seed that draws them.
        """
        test = self.split.test
        if most is None or most >= len(test):
            return test
        order = torch.randperm(len(test), generator=self.seed.child(name).generator())
        return test[order[:most].to(self.device)]

    @property
    def _place(self) -> tuple[str, int | None, Resize, int | None]:
        """Which data set is read, and how."""
        names, context = self.stage.names, self.context
        where = names.folder if names and names.folder else context.dataset
        return where, context.size, context.resize, context.white

    def new_model(self) -> Classifier:
        """Builds the untrained model: with the same first weights for victim and control."""
        model = build_model_for(
            self.dataset,
            self.context.arch,
            seed=self.seed.child("model"),
            precision=self.precision,
        )
        return model.to(self.device)

    def parent(self, role: str, *among: Kind) -> Record:
        """Reads the record of a parent.

        Args:
            role: the role of the parent, a key of the stage's parents.
            among: the kinds that the parent may be of; without them every kind.

        Raises:
            StoreError: the store has no such record, or not all of its artefacts.
        """
        identity = self.stage.parents[role]
        if identity not in self._records:
            self._records[identity] = self._stored(identity, among or tuple(KINDS.values()))
        return self._records[identity]

    def _stored(self, identity: str, among: tuple[Kind, ...]) -> Record:
        for kind in among:
            if record := self.store.find(kind.name, identity):
                return record
        raise StoreError(
            f"the result {identity} that '{self.stage.label}' builds upon is gone from the store",
            "run the spec again: it is computed anew",
        )

    def _fill(self, module: nn.Module, record: Record, name: str) -> None:
        """Fills ``module`` from an artefact of ``record``, which is read and checked once."""
        unpack(module, self.store.read(record, name), record.artefacts[name].file)

    def model(self, role: str) -> Classifier:
        """Loads the model of a parent, in eval mode."""
        model = self.new_model()
        with_weights = (kind for kind in KINDS.values() if kind.stores_weights)
        self._fill(model, self.parent(role, *with_weights), "weights")
        return model.eval()

    def perturbation(self, role: str, method: InputReactivation) -> Perturbation:
        """Loads the perturbation of a parent, which ``method`` made."""
        perturbation = method.perturbation(self.dataset.train.shape, self.seed)
        self._fill(perturbation, self.parent(role, kinds.REACTIVATED), "perturbation")
        return perturbation.to(self.device).requires_grad_(False).eval()

    @property
    def target(self) -> Target | None:
        """The attacker's target; None where nobody attacked."""
        return None if self.stage.method(ATTACK) == NOBODY else self.attack.target

    def trigger(self) -> tuple[Trigger, Target]:
        """Loads the victim's trigger; returns it with the attacker's target."""
        seed = self.attack_seed.child("trigger")
        trigger = self.attack.trigger(self.dataset.train.shape, seed)
        self._fill(trigger, self.parent("victim", kinds.VICTIM), "trigger")
        return trigger.to(self.device), self.attack.target

    def reactivated(
        self,
        method: WeightReactivation,
        model: Classifier,
        trigger: Trigger,
        target: Target,
        *,
        budget: int,
    ) -> Classifier:
        """Reactivates ``model`` with the attacker's images, and with the seed of all such stages.

        So every stage that needs the same reactivation of a model gets the same result.
        """
        return method(
            model,
            self.split.attacker,
            trigger,
            target,
            budget=budget,
            seed=self.seed.child("reactivation", method.name),
            crafted=self.crafted,
        )

    @cached_property
    def crafted(self) -> LabelledImages | None:
        """The images that the attacker crafted; None if the attack is no clean-label one."""
        if not isinstance(self.attack, CleanLabel):
            return None
        record = self.parent("victim", kinds.VICTIM)
        content = self.store.read(record, "crafted")
        tensors = unpack_tensors(content, record.artefacts["crafted"].file)
        return LabelledImages(tensors["images"], tensors["labels"]).to(self.device)

    @property
    def attack_seed(self) -> Seed:
        """The seed that victim and control are trained from."""
        return self.seed.child("victim")

    def previews(
        self, name: str, change: Callable[[Tensor], Tensor], target: Target | None
    ) -> dict[str, bytes]:
        """Draws a few test images before and after ``change``, see :func:`previews.previews`."""
        return previews(self.split.test, name, change, target, self.classes)

    def inverted(self) -> Inverted:
        """Loads the inversion of a parent."""
        record = self.parent("inversion", kinds.INVERSION)
        shape = self.dataset.train.shape
        generator = self.inversion.build_generator(shape, self.seed, self.precision)
        self._fill(generator, record, "generator")
        details = InversionDetails.of(record)
        return Inverted(
            generator=generator.to(self.device).eval(),
            target=details.target,
            target_share=details.target_share or 0.0,
            change=details.change or 0.0,
            lead=details.lead,
            margin_lead=details.margin_lead,
            vote=details.vote,
            pair_vote=details.pair_vote,
            candidates=tuple(details.candidates),
        )
