"""One case per registered method: small parameters, and the call of a method of its kind."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from remission.inversion import BTIDBF, Inverted, InvertedSource, KnownSource, TriggerSource
from remission.models import Classifier, Precision, build_model
from remission.purifiers import EP, FT, PAM, Purifier
from remission.reactivations import InputReactivation
from remission.registry import ATTACKS, INVERSIONS, PURIFIERS, REACTIVATIONS
from remission.seeding import Seed
from remission.training import Recipe
from remission.triggers import Trigger, checkerboard
from remission.types import LabelledImages

SHAPE, CLASSES, TARGET = (1, 8, 8), 4, 1

KINDS: dict[str, dict[str, type[Any]]] = {
    "attack": dict(ATTACKS),
    "inversion": dict(INVERSIONS),
    "purifier": dict(PURIFIERS),
    "reactivation": dict(REACTIVATIONS),
}
"""Kind -> the registry's table of it."""


@dataclass(frozen=True, eq=False)
class Case:
    """A method with parameters that make it quick."""

    kind: str
    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    drawn: bool = True
    """Whether anything in the method is drawn: else the seed changes nothing."""

    @property
    def id(self) -> str:
        """The name of the case in test reports."""
        told = ("trigger", "generator", "mode", "answers")
        more = "-".join(str(v) for k, v in self.parameters.items() if k in told)
        base = self.parameters["base"].name if "base" in self.parameters else ""
        return "-".join(part for part in (self.kind, self.name, more, base) if part)

    @property
    def cls(self) -> type[Any]:
        """The method's class."""
        return KINDS[self.kind][self.name]

    def make(self) -> Any:  # noqa: ANN401
        """The method."""
        return self.cls(**self.parameters)


TUNING: dict[str, Any] = {"epochs": 2, "batch_size": 16}
REQUIRED: dict[str, dict[str, Any]] = {"undo": {"base": FT()}}
"""Method -> its parameters that have no default."""
INVERSION: dict[str, Any] = {
    "filters": 4,
    "levels": 2,
    "pretrain_epochs": 2,
    "mask_epochs": 2,
    "epochs": 2,
    "target_epochs": 1,
    "batch_size": 16,
}

SMALL_NETWORK = {"filters": 4, "levels": 2}
SECOND_TASK = {"clean_epochs": 1, "fisher_images": 4}
TWO_BACKDOORS = {"target": 1, "beside": ("blended",), "beside_targets": (0,)}
HIDING = {**SMALL_NETWORK, "bits": 3, "bit_epochs": 1, "epochs": 1, "batch_size": 16}
NEURAL_CLEANSE = {"images": 16, "passes": 2, "success": 0.0, "anomaly": 0.0}  # suspects some class

QRA = {**TUNING, "width": 8, "filters": 2, "teacher_epochs": 1, "budgets": (4,)}
QUERIES = {**QRA, "rounds": 2, "surrogate_epochs": 1, "queries": 200}

CASES = [
    Case("attack", "adaptive_blend", {"poison_rate": 0.2}),
    Case("attack", "badnets", {"size": 2, "poison_rate": 0.2}),
    Case("attack", "blended", {"poison_rate": 0.2}),
    Case("attack", "blur", {"poison_rate": 0.2}),
    Case("attack", "bpp", {"poison_rate": 0.2}),
    Case("attack", "bypass", {"size": 2, "weight": 1.0, "poison_rate": 0.2}),
    Case("attack", "decoy_class", {"size": 2, "decoy": 0, "target": 1, "poison_rate": 0.2}),
    Case("attack", "grond", {"steps": 3, "batch_size": 16, "u": 0.5, "poison_rate": 0.2}),
    Case("attack", "input_aware", {**SMALL_NETWORK, "mask_epochs": 1, "poison_rate": 0.2}),
    Case("attack", "label_consistent", {"steps": 2, "robust_steps": 1, "poison_rate": 0.2}),
    Case("attack", "lira", {**SMALL_NETWORK, "stage_one_epochs": 1, "poison_rate": 0.2}),
    Case("attack", "low_frequency", {"poison_rate": 0.2}),
    Case("attack", "sbl", {"size": 2, **SECOND_TASK, "poison_rate": 0.2}),
    Case("attack", "several", {"size": 2, **TWO_BACKDOORS, "poison_rate": 0.2}),
    Case("attack", "sig", {"frequency": 2, "poison_rate": 0.2}),
    Case("attack", "ssba", {**HIDING, "poison_rate": 0.2}),
    Case("attack", "trojannn", {"steps": 3, "poison_rate": 0.2}),
    Case("attack", "wanet", {"poison_rate": 0.2}),
    Case("inversion", "bti_dbf", INVERSION),
    Case("inversion", "universal", {"steps": 3, "batch_size": 4, "grid": 2}),
    Case(
        "inversion",
        "voted",
        {
            "steps": 3,
            "batch_size": 4,
            "grid": 2,
            "starts": 2,
            "margin_steps": 3,
            "reference_epochs": 1,
        },
    ),
    Case("purifier", "anp", {"iterations": 6, "batch_size": 16, "lr": 1.0, "max_drop": 1.0}),
    Case("purifier", "bti_dbf", {**TUNING, "rounds": 2, "trigger": "true"}),
    Case("purifier", "bti_dbf", {**TUNING, "rounds": 2, "trigger": "inverted"}),
    Case("purifier", "clp", {"max_drop": 0.1}, drawn=False),
    Case("purifier", "d3", TUNING),
    Case("purifier", "ep", TUNING),
    Case("purifier", "fp", TUNING),
    Case("purifier", "fst", TUNING),
    Case("purifier", "ft", TUNING),
    Case("purifier", "ft_sam", TUNING),
    Case("purifier", "i_bau", {"rounds": 2, "batch_size": 16}),
    Case("purifier", "nad", {**TUNING, "teacher_epochs": 1}),
    Case("purifier", "nc", {**TUNING, **NEURAL_CLEANSE}),
    Case("purifier", "pam", {**TUNING, "rounds": 2, "trigger": "true"}),
    Case("purifier", "pam", {**TUNING, "rounds": 2, "trigger": "inverted"}),
    Case("purifier", "pam_path", {**TUNING, "trigger": "true"}),
    Case("purifier", "pam_path", {**TUNING, "trigger": "inverted"}),
    Case("purifier", "rnp", {**TUNING, "unlearn_epochs": 2, "lr": 1.0, "max_drop": 1.0}),
    Case("purifier", "sau", {**TUNING, "steps": 2}),
    Case("purifier", "tsc", {**TUNING, "rounds": 2, "tune_epochs": 1}),
    Case("purifier", "undo", {**TUNING, "base": FT(**TUNING)}),
    Case("purifier", "undo", {**TUNING, "base": EP(**TUNING)}),
    Case("purifier", "undo", {**TUNING, "base": PAM(**TUNING, rounds=2)}),
    Case("purifier", "weight_dist_reg", TUNING),
    Case("purifier", "weight_distortion", TUNING),
    Case("reactivation", "alternative", TUNING),
    Case("reactivation", "oba", {**TUNING, "mode": "white_box", "steps": 2}),
    Case("reactivation", "oba", {"mode": "query", "queries": 200, "images": 10}),
    Case("reactivation", "oba", {**TUNING, "mode": "transfer", "surrogates": ("ep",)}),
    Case("reactivation", "qra", {**QRA, "generator": "mlp"}),
    Case("reactivation", "qra", {**QRA, "generator": "conv"}),
    Case("reactivation", "qra_blackbox", {**QUERIES, "answers": "scores"}),
    Case("reactivation", "qra_blackbox", {**QUERIES, "answers": "labels"}),
    Case("reactivation", "retuning", {**TUNING, "budgets": (4,)}),
]


def subject(precision: Precision = "fp32") -> Classifier:
    """Returns an untrained model, which methods take for a victim."""
    return build_model(
        "resnet18:2",
        classes=CLASSES,
        shape=SHAPE,
        mean=(0.5,),
        std=(0.3,),
        seed=Seed(1),
        precision=precision,
    )


def clean_images() -> LabelledImages:
    """Returns 42 random images: with batches of 16 the last batch is smaller."""
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(256, (42, *SHAPE), generator=generator).to(torch.uint8)
    return LabelledImages(images, torch.arange(42) % CLASSES)


def true_trigger() -> Trigger:
    """Returns the attacker's trigger."""
    return checkerboard(SHAPE, 2, 0)


def trigger_source(method: Purifier, device: torch.device) -> TriggerSource | None:
    """Returns the source that the method needs, built anew for each call; None if it needs none."""
    if method.needed_trigger() is None:
        return None
    if method.needed_trigger() == "true":
        return KnownSource(true_trigger().to(device))
    inversion = BTIDBF(**INVERSION)
    generator = inversion.build_generator(SHAPE, Seed(2), "fp32").to(device).eval()
    inverted = Inverted(generator=generator, target=TARGET, target_share=0.0, change=0.0)
    return InvertedSource(inversion, inverted)


@dataclass(frozen=True)
class Outcome:
    """The result of a call.

    Args:
        module: the network that it made or trained.
        like: a module whose keys and shapes it must have.
        extra: other tensors of the result.
    """

    module: nn.Module
    like: nn.Module
    extra: dict[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that the seed determines."""
        return {**self.module.state_dict(), **self.extra}


def call(case: Case, model: Classifier, data: LabelledImages, seed: Seed) -> Outcome:
    """Calls the case's method as its kind is called, on the device of model and labels."""
    method, device = case.make(), data.labels.device
    if case.kind == "attack":
        recipe = Recipe(epochs=2, lr=0.05, batch_size=16, augment="crop_flip")
        victim = method(model, data, recipe, seed=seed)
        extra = {"poisoned": victim.poisoned, **victim.trigger.state_dict()}
        return Outcome(victim.model, model, extra)
    if case.kind == "inversion":
        found = method(model, data, seed=seed)
        like = method.build_generator(SHAPE, seed, "fp32")
        named = -1 if found.target is None else found.target
        share = torch.tensor([named, found.target_share, found.change])
        return Outcome(found.generator, like, {"found": share})
    if case.kind == "purifier":
        source = trigger_source(method, device)
        return Outcome(method(model, data, seed=seed, trigger=source).model, model, {})
    trigger = true_trigger().to(device)
    if isinstance(method, InputReactivation):
        others: dict[str, Any] = {
            "victim": copy.deepcopy(model),
            "control": copy.deepcopy(model),
        }
        budget = method.tries()[0]
        made = method(model, data, trigger, TARGET, budget=budget, seed=seed, **others)
        like = method.perturbation(SHAPE, seed)
        return Outcome(made.perturbation, like, {"queries": torch.tensor(made.queries or 0)})
    done = method(model, data, trigger, TARGET, budget=method.budgets[0], seed=seed)
    return Outcome(done, model, {})
