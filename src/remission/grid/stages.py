"""What is done in each stage: read the parents from the store, compute, measure, keep."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from remission.attacks import Victim
from remission.data import load_dataset, split_dataset
from remission.errors import StoreError
from remission.grid.environment import environment
from remission.grid.plan import Stage
from remission.grid.store import Store
from remission.inversion import Inverted, InvertedSource, KnownSource, TriggerSource
from remission.metrics import Rates
from remission.models import Classifier, build_model, load_weights, resolve_precision
from remission.models.checkpoint import pack
from remission.paths import linear_path
from remission.purifiers import TriggerPurifier
from remission.records import Artefact, Cell, PathCurve, Record
from remission.registry import make_attack, make_inversion, make_purifier, make_reactivation
from remission.seeding import Seed
from remission.training import Recipe, evaluate, fit
from remission.triggers import Trigger
from remission.types import Dataset, Split, as_bytes, as_float

PREVIEWS = 8
"""Test images kept as pictures with each victim and each inversion."""


@lru_cache(maxsize=2)
def dataset_of(name: str) -> Dataset:
    """The data set, read once a process."""
    return load_dataset(name)


def digest_of(dataset: Dataset) -> str:
    """16 hexadecimal digits of all images and labels."""
    found = hashlib.sha256()
    for part in (dataset.train, dataset.test):
        found.update(repr(tuple(part.images.shape)).encode())
        found.update(part.images.contiguous().numpy().tobytes())
        found.update(part.labels.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


@lru_cache(maxsize=2)
def _split_of(name: str, seed: int, sizes: tuple[tuple[str, Any], ...], device: str) -> Split:
    split = split_dataset(dataset_of(name), Seed(seed).child("split"), **dict(sizes))
    return Split(
        victim=split.victim.to(device),
        defender=split.defender.to(device),
        attacker=split.attacker.to(device),
        test=split.test.to(device),
    )


class Bench:
    """One stage on the bench: its settings turned into objects, its parents into models."""

    def __init__(self, stage: Stage, store: Store, device: torch.device) -> None:
        self.stage, self.store, self.device = stage, store, device
        self.context: dict[str, Any] = stage.settings["context"]
        self.seed = Seed(self.context["seed"])
        self.dataset = dataset_of(self.context["dataset"])
        self.precision = resolve_precision(self.context["precision"], device)
        self.recipe = Recipe(**self.context["recipe"])

    @property
    def split(self) -> Split:
        """The four sets of images of this seed."""
        sizes = tuple(self.context["split"].items())
        return _split_of(self.dataset.name, self.seed.root, sizes, str(self.device))

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

    def trigger(self) -> tuple[Trigger, int]:
        """The victim's trigger and target class."""
        attack = make_attack(self.stage.settings["attack"])
        trigger = attack.trigger(self.dataset.train.shape, self._attack_seed.child("trigger"))
        load_weights(trigger, self.store.file(self.parent("victim", ("victim",)), "trigger"))
        return trigger.to(self.device), attack.target

    @property
    def _attack_seed(self) -> Seed:
        return self.seed.child("victim")

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
        )

    def cell(self, rates: Rates, seconds: float) -> Cell:
        """The measured model as a cell."""
        return Cell(
            **cell_keys(self.stage),
            clean_acc=rates.clean_acc.value,
            asr=rates.asr.value,
            robust_acc=rates.robust_acc.value,
            clean_acc_interval=rates.clean_acc.interval,
            asr_interval=rates.asr.interval,
            n_clean=rates.clean_acc.total,
            n_triggered=rates.asr.total,
            seconds=seconds,
        )


def cell_keys(stage: Stage) -> dict[str, Any]:
    """The keys of a cell that the settings alone fix; also for a cell that failed."""
    settings, context = stage.settings, stage.settings["context"]
    attack = dict(settings["attack"])
    purifier = dict(settings.get("purifier", {"method": "none"}))
    if stage.kind == "baseline":
        purifier = {"method": "control"}
    reactivation = dict(settings.get("reactivation", {"method": "none"}))
    return {
        "id": stage.id,
        "dataset": context["dataset"],
        "arch": context["arch"],
        "attack": attack.pop("method"),
        "poison_rate": attack.pop("poison_rate"),
        "target": attack.pop("target"),
        "attack_params": attack,
        "seed": context["seed"],
        "purifier": purifier.pop("method"),
        "purifier_params": purifier,
        "reactivation": reactivation.pop("method"),
        "reactivation_params": reactivation,
        "budget": settings.get("budget"),
    }


class Kept:
    """What a stage hands back to be kept."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.details: dict[str, Any] = {}
        self.rates: Rates | None = None
        self.paths: tuple[PathCurve, ...] = ()


def execute(stage: Stage, store: Store, device: torch.device) -> Record:
    """Computes one stage and keeps its record and artefacts.

    Args:
        stage: its parents are finished.
        store: read and written.
        device: where to compute.
    """
    bench, kept, began = Bench(stage, store, device), Kept(), time.perf_counter()
    _STAGES[stage.kind](bench, kept)
    seconds = time.perf_counter() - began
    artefacts: dict[str, Artefact] = store.keep_artefacts(stage.id, kept.files)
    record = Record(
        id=stage.id,
        kind=stage.kind,
        label=stage.label,
        status="done",
        settings=stage.settings,
        parents=stage.parents,
        cell=bench.cell(kept.rates, seconds) if kept.rates else None,
        paths=kept.paths,
        details=kept.details,
        artefacts=artefacts,
        environment=environment(device, bench.precision),
        seconds=seconds,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    store.keep(record)
    return record


def _victim(bench: Bench, kept: Kept) -> None:
    victim = bench.train_victim()
    victim.model.eval()
    kept.rates = evaluate(victim.model, bench.split.test, victim.trigger, victim.target)
    kept.files = {
        "weights.safetensors": pack(victim.model),
        "trigger.safetensors": safetensors.torch.save(
            {key: value.cpu().contiguous() for key, value in victim.trigger.state_dict().items()}
        ),
        **previews(bench, "triggered", victim.trigger, victim.target),
    }
    kept.details = {
        "poisoned": len(victim.poisoned),
        "losses": victim.trained.losses,
        "preview_count": PREVIEWS,
        "split": {
            name: len(getattr(bench.split, name))
            for name in ("victim", "defender", "attacker", "test")
        },
    }


def _control(bench: Bench, kept: Kept) -> None:
    model, losses = bench.train_control()
    kept.files = {"weights.safetensors": pack(model)}
    kept.details = {"losses": losses}


def _baseline(bench: Bench, kept: Kept) -> None:
    trigger, target = bench.trigger()
    kept.rates = evaluate(bench.model("model"), bench.split.test, trigger, target)


def _inversion(bench: Bench, kept: Kept) -> None:
    inversion = make_inversion(bench.stage.settings["inversion"])
    found = inversion(
        bench.model("victim"),
        bench.split.defender,
        seed=bench.seed.child("inversion", inversion.name),
    )
    _, target = bench.trigger()
    kept.files = {
        "generator.safetensors": pack(found.generator),
        **previews(bench, "inverted", found.generator, target),
    }
    kept.details = {**_described(found), "preview_count": PREVIEWS}


def _described(found: Inverted) -> dict[str, Any]:
    return {
        "target": found.target,
        "target_share": found.target_share,
        "change": found.change,
    }


def _purified(bench: Bench, kept: Kept) -> None:
    purifier = make_purifier(bench.stage.settings["purifier"])
    trigger, target = bench.trigger()
    rounds: list[dict[str, Any]] = []
    source: TriggerSource | None = None
    if isinstance(purifier, TriggerPurifier):
        source = KnownSource(trigger)
        if purifier.trigger == "inverted":
            source = InvertedSource(
                make_inversion(bench.stage.settings["inversion"]),
                bench.inverted(),
                lambda found: rounds.append(_described(found)),
            )
    purified = purifier(
        bench.model("victim"),
        bench.split.defender,
        seed=bench.seed.child("purifier", purifier.name),
        trigger=source,
    )
    kept.rates = evaluate(purified.model, bench.split.test, trigger, target)
    kept.files = {"weights.safetensors": pack(purified.model)}
    kept.details = {"later_inversions": rounds} if rounds else {}


def _reactivated(bench: Bench, kept: Kept) -> None:
    reactivation = make_reactivation(bench.stage.settings["reactivation"])
    trigger, target = bench.trigger()
    model = reactivation(
        bench.model("model"),
        bench.split.attacker,
        trigger,
        target,
        budget=bench.stage.settings["budget"],
        seed=bench.seed.child("reactivation", reactivation.name),
    )
    kept.rates = evaluate(model, bench.split.test, trigger, target)


def _path(bench: Bench, kept: Kept) -> None:
    trigger, target = bench.trigger()
    walk = bench.stage.settings["path"]
    test = bench.split.test
    if walk["test"]:
        order = torch.randperm(len(test), generator=bench.seed.child("path").generator())
        test = test[order[: walk["test"]].to(bench.device)]
    start, end = bench.model("victim"), bench.model("model")
    keys = cell_keys(bench.stage)
    curves = []
    for policy in walk["batchnorm"]:
        found = linear_path(
            start,
            end,
            test,
            trigger,
            target,
            points=walk["points"],
            batchnorm=policy,
            clean=bench.split.defender,
        )
        curves.append(
            PathCurve(
                **{key: keys[key] for key in _PATH_KEYS},
                batchnorm=policy,
                t=found.t,
                asr=[rates.asr.value for rates in found.rates],
                clean_acc=[rates.clean_acc.value for rates in found.rates],
                n_clean=found.rates[0].clean_acc.total,
                n_triggered=found.rates[0].asr.total,
            )
        )
    kept.paths = tuple(curves)


_PATH_KEYS = (
    "id",
    "dataset",
    "arch",
    "attack",
    "attack_params",
    "seed",
    "purifier",
    "purifier_params",
)

_STAGES: dict[str, Callable[[Bench, Kept], None]] = {
    "victim": _victim,
    "control": _control,
    "baseline": _baseline,
    "inversion": _inversion,
    "purified": _purified,
    "reactivated": _reactivated,
    "path": _path,
}


def previews(bench: Bench, name: str, change: nn.Module | Trigger, target: int) -> dict[str, bytes]:
    """A few test images of other classes, before and after ``change``, as two strips of PNG."""
    test = bench.split.test
    others = test.images[test.labels != target][:PREVIEWS]
    with torch.inference_mode():
        changed = change(as_float(others))
    return {"preview_clean.png": strip(others), f"preview_{name}.png": strip(changed)}


def strip(images: torch.Tensor) -> bytes:
    """(N, C, H, W) images side by side in one PNG."""
    from PIL import Image

    rows = as_bytes(images.cpu()).permute(2, 0, 3, 1)  # H, N, W, C
    height, count, width, channels = rows.shape
    flat = rows.reshape(height, count * width, channels).numpy()
    stream = io.BytesIO()
    Image.fromarray(flat[:, :, 0] if channels == 1 else flat).save(stream, format="PNG")
    return stream.getvalue()


__all__ = ["Path", "cell_keys", "dataset_of", "digest_of", "execute"]
