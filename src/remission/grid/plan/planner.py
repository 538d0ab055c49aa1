"""The plan: a spec unrolled into stages, each named by what changes its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from remission.attacks import Attack
from remission.grid.plan.stage import (
    NOBODY,
    PAPERS,
    DataNames,
    Settings,
    Stage,
    table_of,
    versions,
)
from remission.grid.spec.spec import Spec
from remission.inversion import Inversion
from remission.purifiers import Purifier, TriggerPurifier, inverts
from remission.reactivations import InputReactivation, Reactivation
from remission.records import brief
from remission.records.identity import FOLDER


def make_plan(spec: Spec, data_digest: str, names: DataNames | None = None) -> list[Stage]:
    """Unrolls a spec; every stage comes after its parents, those shared stand once.

    Args:
        spec: checked, every target a number.
        data_digest: of the data set's images and labels, so that a changed folder is noticed. It
            alone tells image folders apart: neither their path nor their name is in an identity.
        names: of the data set; without them those that the spec alone gives.
    """
    folder = spec.folder()
    if names is None:
        names = DataNames(spec.dataset) if folder is None else DataNames(folder.name, str(folder))
    planner = _Planner(spec, names)
    for seed in spec.seeds:
        context = {
            "dataset": spec.dataset if folder is None else FOLDER,
            "size": spec.size,
            "data": data_digest,
            "arch": spec.arch,
            "seed": seed,
            "precision": spec.precision,
            "split": spec.split.model_dump(),
            "recipe": spec.victim.model_dump(),
        }
        if spec.resize != "crop":  # stored results of specs without the key keep their names
            context["resize"] = spec.resize
        control = planner.add("control", f"control/seed{seed}", {"context": context})
        for label, attack in planner.attacks:
            base = {"context": context, "attack": table_of(attack)}
            planner.add_attack(f"{label}/seed{seed}", base, attack, control)
        if seed in spec.innocent:
            planner.add_innocent(f"{NOBODY}/seed{seed}", {"context": context}, control)
    return list(planner.stages.values())


class _Planner:
    """Collects stages; one with the identity of another is that other."""

    def __init__(self, spec: Spec, names: DataNames) -> None:
        self.names = names
        self.attacks = _labelled(spec.attacks())
        self.purifiers = [
            (label, purifier, inversion, seeds)
            for (label, purifier), inversion, seeds in zip(
                _labelled(spec.purifiers()), spec.inverters(), spec.purifier_seeds(), strict=True
            )
        ]
        self.usual = spec.inversions()[0].name
        self.reactivations = [
            (label, reactivation, attacks)
            for (label, reactivation), attacks in zip(
                _labelled(spec.reactivations()), spec.reactivated(), strict=True
            )
        ]
        self.transfer = spec.transfer
        self.path = spec.path.model_dump() if spec.path else None
        self.retuned: Settings = {}
        if (retuning := spec.retuning()) and "retuned" in (self.path or {}):
            table = {k: v for k, v in table_of(retuning).items() if k != "budgets"}
            self.retuned = {"retuning": table, **versions(retuning=retuning)}
        self.stages: dict[str, Stage] = {}

    def add(self, kind: str, label: str, settings: Settings, **parents: str) -> str:
        """Adds a stage and returns its identity."""
        stage = Stage(kind, label, settings, parents, self.names)
        return self.stages.setdefault(stage.id, stage).id

    def add_attack(self, here: str, base: Settings, attack: Attack, control: str) -> None:
        """The victim of an attack, the control beside it, and all that is done to both."""
        victim = self.add("victim", f"{here}/victim", {**base, **versions(attack=attack)})
        self.add("baseline", f"{here}/control", base, model=control, victim=victim)
        settings, both = {**base, "purifier": {"method": "control"}}, (victim, control)
        made = {control: self.add_reactivations(f"{here}/control", settings, control, both)}
        for label, purifier, inversion in self.rows(base["context"]["seed"]):
            settings = {**base, "purifier": table_of(purifier)}
            if inverts(purifier) and inversion.name != PAPERS:  # all cells of a row must say so
                settings["inversion"] = table_of(inversion)
            name = f"{here}/{label}"
            model = self.add_purified("purified", name, settings, purifier, inversion, victim)
            made[model] = self.add_reactivations(name, settings, model, both)
            if self.path:
                walk = {**settings, "path": self.path, **self.retuned}
                self.add("path", f"{name}/path", walk, victim=victim, model=model)
        if self.transfer and len(made) > 1:
            self.add_transfers(here, base, made, victim)

    def add_innocent(self, here: str, context: Settings, control: str) -> None:
        """The control in the victim's place: measured as it is, and handed to the purifiers."""
        base = {**context, "attack": {"method": NOBODY, "poison_rate": 0.0, "target": None}}
        asis = {**base, "purifier": {"method": "control"}}
        self.add("innocent", f"{here}/control", asis, victim=control)
        for label, purifier, inversion in self.rows(context["context"]["seed"]):
            if not isinstance(purifier, TriggerPurifier) or inverts(purifier):
                settings = {**base, "purifier": table_of(purifier)}
                self.add_purified(
                    "innocent", f"{here}/{label}", settings, purifier, inversion, control
                )

    def rows(self, seed: int) -> Iterator[tuple[str, Purifier, Inversion]]:
        """The purifiers that a seed is computed for, their labels and inversions."""
        for label, purifier, inversion, seeds in self.purifiers:
            if seed in seeds:
                other = inverts(purifier) and inversion.name != self.usual
                yield label + (f"+{inversion.name}" if other else ""), purifier, inversion

    def add_purified(
        self,
        kind: str,
        label: str,
        settings: Settings,
        purifier: Purifier,
        inversion: Inversion,
        victim: str,
    ) -> str:
        """A purified model, and the inversion that it needs."""
        settings = {**settings, **versions(purifier=purifier)}
        if not inverts(purifier):
            return self.add(kind, label, settings, victim=victim)
        table = table_of(inversion)
        base = {key: settings[key] for key in ("context", "attack")}
        several = len({each.name for _, _, each, _ in self.purifiers}) > 1
        found = self.add(
            "inversion",
            f"{label.rpartition('/')[0]}/inversion" + (f"-{inversion.name}" if several else ""),
            {**base, "inversion": table, **versions(inversion=inversion)},
            victim=victim,
        )
        return self.add(
            kind, label, {**settings, "inversion": table}, victim=victim, inversion=found
        )

    def add_reactivations(
        self, here: str, settings: Settings, model: str, both: tuple[str, str]
    ) -> dict[str, str]:
        """Every reactivation of a model at every budget: its name -> identity.

        Args:
            here: label of the model.
            settings: of the model.
            model: its identity.
            both: the identities of the victim and of the control.
        """
        made = {}
        for name, reactivation, tried in self.tries(settings):
            parents = {"model": model, "victim": both[0]}
            if isinstance(reactivation, InputReactivation):  # is tried on the control as well
                parents["control"] = both[1]
            made[name] = self.add("reactivated", f"{here}/{name}", {**settings, **tried}, **parents)
        return made

    def add_transfers(
        self, here: str, base: Settings, made: dict[str, dict[str, str]], victim: str
    ) -> None:
        """Every perturbation tried on every model: one stage a reactivation and budget.

        Args:
            here: label of the attack and seed.
            base: settings of the victim.
            made: model -> its reactivations, name -> identity; the control is the first model.
            victim: its identity.
        """
        for name, reactivation, tried in self.tries(base):
            if not isinstance(reactivation, InputReactivation):
                continue
            if reactivation.access().kind == "nothing":  # the same perturbation for every model
                continue
            parents = {"victim": victim}
            for number, (model, found) in enumerate(made.items()):
                parents |= {f"model{number}": model, f"trained{number}": found[name]}
            self.add("transfer", f"{here}/transfer/{name}", {**base, **tried}, **parents)

    def tries(self, base: Settings) -> Iterator[tuple[str, Reactivation, Settings]]:
        """Every reactivation after an attack at every budget: name, method, settings."""
        for label, reactivation, attacks in self.reactivations:
            if base["attack"]["method"] not in attacks:
                continue
            table = table_of(reactivation)
            table.pop("budgets", None)
            for budget in reactivation.tries():
                name = label if budget is None else f"{label}-{budget}"
                tried = {
                    "reactivation": table,
                    "budget": budget,
                    **versions(reactivation=reactivation),
                }
                yield name, reactivation, tried


def _labelled(methods: Iterable[Any]) -> list[tuple[str, Any]]:
    """Names for methods: those that occur twice get the parameters in which they differ."""
    found = list(methods)
    labels = []
    for method in found:
        rivals = [m.parameters() for m in found if m.name == method.name]
        own = method.parameters()
        differing = {
            key: value for key, value in own.items() if any(r[key] != value for r in rivals)
        }
        text = ",".join(f"{key}={brief(value)}" for key, value in differing.items())
        labels.append((f"{method.name}({text})" if text else method.name, method))
    return labels
