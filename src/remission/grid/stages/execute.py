"""What is done in each kind of stage: compute, measure, keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import torch

from remission.grid.plan.stage import PAPERS, Stage
from remission.grid.stages import previews as pictures
from remission.grid.stages.environment import environment
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.paths import Walks
from remission.grid.stages.perturbed import Shown, try_everywhere, wake
from remission.grid.stages.result import Kept, Spent
from remission.inversion import Inverted, InvertedSource, KnownSource, TriggerSource
from remission.metrics import Rate, Rates, accuracy
from remission.models import Classifier
from remission.models.checkpoint import pack
from remission.purifiers import TriggerPurifier, inverts
from remission.reactivations import InputReactivation, WeightReactivation
from remission.records import Cell, Record, Store, brief
from remission.registry import make_inversion, make_purifier, make_reactivation
from remission.training import evaluate, predict


def cell_keys(stage: Stage) -> dict[str, Any]:
    """The keys of a cell that the settings alone fix; also for a cell that failed.

    A picture among the parameters goes by its digest; the record's settings hold it.
    """
    settings, context = brief(stage.settings), stage.settings["context"]
    attack = dict(settings["attack"])
    purifier = dict(settings.get("purifier", {"method": "none"}))
    if (inversion := settings.get("inversion", {}).get("method", PAPERS)) != PAPERS:
        purifier["inversion"] = inversion
    if stage.kind == "baseline":
        purifier = {"method": "control"}
    reactivation = dict(settings.get("reactivation", {"method": "none"}))
    return {
        "id": stage.id,
        "dataset": stage.dataset,
        "arch": context["arch"],
        "attack": attack.pop("method"),
        "poison_rate": attack.pop("poison_rate"),
        "target": attack.pop("target"),
        "target_name": stage.target_name,
        "attack_params": attack,
        "seed": context["seed"],
        "purifier": purifier.pop("method"),
        "purifier_params": purifier,
        "reactivation": reactivation.pop("method"),
        "reactivation_params": reactivation,
        "budget": settings.get("budget"),
    }


def measured_cell(stage: Stage, rates: Rates | Rate, spent: Spent) -> Cell:
    """The cell of a measured model; clean accuracy alone where nobody attacked."""
    clean = rates if isinstance(rates, Rate) else rates.clean_acc
    cell = Cell(
        **cell_keys(stage),
        clean_acc=clean.value,
        clean_acc_interval=clean.interval,
        n_clean=clean.total,
        seconds=spent.seconds,
        cpu_seconds=spent.cpu,
    )
    if isinstance(rates, Rate):
        return cell
    return replace(
        cell,
        asr=rates.asr.value,
        robust_acc=rates.robust_acc.value,
        asr_interval=rates.asr.interval,
        n_triggered=rates.asr.total,
    )


def execute(stage: Stage, store: Store, device: torch.device) -> Record:
    """Computes one stage and keeps its record and artefacts.

    Args:
        stage: its parents are finished.
        store: read and written.
        device: where to compute.
    """
    if device.type == "cuda":  # fp32 means fp32, and the same numbers again
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
    began, kept = Spent.until_now(), Kept()
    given = StageInputs(stage, store, device)
    perform(given, kept)
    spent = Spent.until_now() - began
    own = (kept.spent or spent) + kept.before
    artefacts = store.keep_artefacts(stage.id, kept.files)
    record = Record(
        id=stage.id,
        kind=stage.kind,
        label=stage.label,
        status="done",
        settings=stage.settings,
        parents=stage.parents,
        cell=replace(measured_cell(stage, kept.rates, own), **kept.more) if kept.rates else None,
        paths=kept.paths,
        plane=kept.plane,
        details=kept.details,
        artefacts=artefacts,
        environment=environment(device, given.precision),
        seconds=spent.seconds,
        cpu_seconds=spent.cpu,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    store.keep(record)
    return record


def perform(given: StageInputs, kept: Kept) -> None:
    """Computes and measures what the stage's kind asks for, and hands back what is to be kept."""
    _STAGES[given.stage.kind](given, kept)


def _victim(given: StageInputs, kept: Kept) -> None:
    victim = given.train_victim()
    victim.model.eval()
    rates = evaluate(victim.model, given.split.test, victim.trigger, victim.target)
    kept.rates = rates
    kept.files = {
        "weights.safetensors": pack(victim.model),
        "trigger.safetensors": pack(victim.trigger),
        **given.previews("triggered", victim.trigger, victim.target),
    }
    kept.details = {
        "classes": list(given.dataset.classes),
        "poisoned": len(victim.poisoned),
        "losses": victim.trained.losses,
        "stealth": asdict(given.stealth(victim.trigger, victim.target)),
        "preview_count": min(pictures.COUNT, rates.asr.total),
        "split": {
            name: len(getattr(given.split, name))
            for name in ("victim", "defender", "attacker", "test")
        },
    }


def _control(given: StageInputs, kept: Kept) -> None:
    model, losses = given.train_control()
    kept.files = {"weights.safetensors": pack(model)}
    kept.details = {"classes": list(given.dataset.classes), "losses": losses}


def _baseline(given: StageInputs, kept: Kept) -> None:
    trigger, target = given.trigger()
    kept.rates = evaluate(given.model("model"), given.split.test, trigger, target)
    kept.before = Spent.on(given.parent("model", ("control",)))


def _inversion(given: StageInputs, kept: Kept) -> None:
    inversion = make_inversion(given.stage.settings["inversion"])
    found = inversion(
        given.model("victim"),
        given.split.defender,
        seed=given.seed.child("inversion", inversion.name),
    )
    target = given.target
    shown = found.target if target is None else target
    kept.files = {
        "generator.safetensors": pack(found.generator),
        **given.previews("inverted", found.generator, shown),
    }
    kept.details = {
        **_described(found, given.stage),
        "true_target": target,
        "true_target_name": given.stage.target_name,
        "preview_count": pictures.COUNT,
    }


def _described(found: Inverted, stage: Stage) -> dict[str, Any]:
    return {
        "target": found.target,
        "target_name": stage.class_name(found.target),
        "target_share": found.target_share,
        "change": found.change,
        **({} if found.lead is None else {"lead": found.lead}),
    }


def _purified(given: StageInputs, kept: Kept) -> None:
    model = _purify(given, kept)
    kept.rates = evaluate(model, given.split.test, *given.trigger())
    kept.files = {"weights.safetensors": pack(model)}


def _innocent(given: StageInputs, kept: Kept) -> None:
    handed = given.stage.settings["purifier"]["method"] == "control"
    model = given.model("victim") if handed else _purify(given, kept)
    test = given.split.test
    kept.rates = accuracy(predict(model, test), test.labels)
    if "inversion" in given.stage.parents:
        kept.details["inversion"] = _described(given.inverted(), given.stage)


def _purify(given: StageInputs, kept: Kept) -> Classifier:
    """The purified model; what it cost, and what later inversions found, are noted in ``kept``."""
    purifier = make_purifier(given.stage.settings["purifier"])
    rounds: list[dict[str, Any]] = []
    source: TriggerSource | None = None
    if inverts(purifier):
        kept.before = Spent.on(given.parent("inversion", ("inversion",)))
        source = InvertedSource(
            make_inversion(given.stage.settings["inversion"]),
            given.inverted(),
            lambda found: rounds.append(_described(found, given.stage)),
        )
    elif isinstance(purifier, TriggerPurifier):
        source = KnownSource(given.trigger()[0])
    victim, clean = given.model("victim"), given.split.defender
    began = Spent.until_now()
    purified = purifier(
        victim, clean, seed=given.seed.child("purifier", purifier.name), trigger=source
    )
    kept.spent = Spent.until_now() - began
    if rounds:
        kept.details["later_inversions"] = rounds
    return purified.model


def _reactivated(given: StageInputs, kept: Kept) -> None:
    reactivation = make_reactivation(given.stage.settings["reactivation"])
    if isinstance(reactivation, InputReactivation):
        _perturbed(given, kept, reactivation)
        return
    assert isinstance(reactivation, WeightReactivation)
    trigger, target = given.trigger()
    model = reactivation(
        given.model("model"),
        given.split.attacker,
        trigger,
        target,
        budget=given.stage.settings["budget"],
        seed=given.seed.child("reactivation", reactivation.name),
    )
    kept.rates = evaluate(model, given.split.test, trigger, target)


def _perturbed(given: StageInputs, kept: Kept, reactivation: InputReactivation) -> None:
    shown = Shown.of(given, reactivation, wake(given, reactivation))
    kept.rates, kept.more, kept.details, kept.files = shown.kept()


def _transfer(given: StageInputs, kept: Kept) -> None:
    kept.details = {"transfer": try_everywhere(given, cell_keys(given.stage))}


def _path(given: StageInputs, kept: Kept) -> None:
    walks = Walks(given, cell_keys(given.stage))
    walks.go()
    kept.paths, kept.plane, kept.details = tuple(walks.curves), walks.plane, walks.details


_STAGES: dict[str, Callable[[StageInputs, Kept], None]] = {
    "victim": _victim,
    "control": _control,
    "baseline": _baseline,
    "inversion": _inversion,
    "purified": _purified,
    "reactivated": _reactivated,
    "path": _path,
    "innocent": _innocent,
    "transfer": _transfer,
}
