"""The plan: a spec unrolled into stages, each named by what changes its result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from remission.attacks import Attack
from remission.catalogue import default_inversion
from remission.grid.plan.ensembles import ensemble_settings, without_budgets
from remission.grid.plan.row_labels import method_labels, row_labels
from remission.grid.plan.stage import (
    ATTACK,
    INVERSION,
    NOBODY,
    PATH_SECTION,
    PURIFIER,
    REACTIVATION,
    REFERENCE,
    RETUNING,
    THE_CONTROL,
    Context,
    DataNames,
    Settings,
    Stage,
    table_of,
    versions,
)
from remission.grid.spec.methods import PlannedPurifier
from remission.grid.spec.spec import Spec
from remission.inversion import Inversion
from remission.reactivations import InputReactivation, Reactivation
from remission.records import kinds
from remission.records.identity import FOLDER
from remission.records.kinds import Kind


def make_plan(spec: Spec, data_digest: str, names: DataNames | None = None) -> list[Stage]:
    """Unrolls a spec; every stage comes after its parents, and a shared stage comes once.

    Args:
        spec: checked, every target a number.
        data_digest: digest of the data set's images and labels, so that a changed folder is
            noticed. It alone distinguishes image folders: neither their path nor their name is in
            an identity.
        names: the names of the data set; None: those that the spec alone gives.
    """
    folder = spec.folder()
    if names is None:
        names = DataNames(spec.dataset) if folder is None else DataNames(folder.name, str(folder))
    planner = _Planner(spec, names)
    for seed in spec.seeds:
        context = Context(
            dataset=spec.dataset if folder is None else FOLDER,
            size=spec.size,
            data=data_digest,
            arch=spec.arch,
            seed=seed,
            precision=spec.precision,
            split=spec.split.model_dump(),
            recipe=spec.victim.model_dump(),
            resize=spec.resize,
            white=spec.white,
        )
        planner.add_seed(seed, {"context": context.to_settings()})
    return list(planner.stages.values())


class _Planner:
    """Collects stages; two stages with one identity are the same stage."""

    def __init__(self, spec: Spec, names: DataNames) -> None:
        self.spec, self.names = spec, names
        methods = spec.methods
        attacks = method_labels(planned.attack for planned in methods.attacks)
        self.attacks = list(zip(attacks, methods.attacks, strict=True))
        self.rows = list(zip(row_labels(methods.purifiers), methods.purifiers, strict=True))
        reactivations = method_labels(planned.reactivation for planned in methods.reactivations)
        self.reactivations = list(zip(reactivations, methods.reactivations, strict=True))
        self.several_inversions = len({row.inversion.name for row in methods.purifiers}) > 1
        self.stages: dict[str, Stage] = {}

    def add(self, kind: Kind, label: str, settings: Settings, **parents: str) -> str:
        """Adds a stage and returns its identity."""
        stage = Stage(kind.name, label, settings, parents, self.names)
        return self.stages.setdefault(stage.id, stage).id

    def add_seed(self, seed: int, context: Settings) -> None:
        """Adds the control of a seed, the victims, and the stages that build upon them."""
        control = self.add(kinds.CONTROL, f"control/seed{seed}", context)
        rows = [(label, row) for label, row in self.rows if seed in row.seeds]
        for label, planned in self.attacks:
            if seed in planned.seeds:
                base = {**context, ATTACK: table_of(planned.attack)}
                self.add_attack(f"{label}/seed{seed}", base, planned.attack, control, rows)
        if seed in self.spec.innocent:
            self.add_innocent(f"{NOBODY}/seed{seed}", context, control, rows)

    def add_attack(
        self, prefix: str, base: Settings, attack: Attack, control: str, rows: _Rows
    ) -> None:
        """Adds the victim of an attack, and the stages that build upon it and upon the control.

        Args:
            prefix: of all labels: the attack and the seed.
            base: the settings that all stages have in common.
            attack: the method.
            control: identity of the control.
            rows: the purifiers, with their labels.
        """
        victim = self.add(kinds.VICTIM, f"{prefix}/victim", {**base, **versions(attack=attack)})
        self.add(kinds.BASELINE, f"{prefix}/control", base, model=control, victim=victim)
        settings = {**base, PURIFIER: {"method": THE_CONTROL}}
        references = {"victim": victim, "control": control}
        reactivated = {
            control: self.add_reactivations(f"{prefix}/control", settings, control, references)
        }
        self.add_ensemble(f"{prefix}/control", settings, victim=victim, model=control)
        for label, row in rows:
            settings = {**base, PURIFIER: table_of(row.purifier)}
            if row.inverts and row.inversion.name != default_inversion():  # its cells name it, too
                settings[INVERSION] = table_of(row.inversion)
            model = self.add_purified(kinds.PURIFIED, prefix, label, settings, row, victim)
            reactivated[model] = self.add_reactivations(
                f"{prefix}/{label}", settings, model, references
            )
            self.add_ensemble(f"{prefix}/{label}", settings, victim=victim, model=model)
            self.add_path(f"{prefix}/{label}/path", settings, victim=victim, model=model)
        if self.spec.transfer and len(reactivated) > 1:
            self.add_transfers(prefix, base, reactivated, victim)

    def add_innocent(self, prefix: str, context: Settings, control: str, rows: _Rows) -> None:
        """Adds the control in the place of a victim: as it is, and purified by each purifier."""
        base = {**context, ATTACK: {"method": NOBODY, "poison_rate": 0.0, "target": None}}
        untouched = {**base, PURIFIER: {"method": THE_CONTROL}}
        self.add(kinds.INNOCENT, f"{prefix}/control", untouched, victim=control)
        for label, row in rows:
            if row.purifier.needed_trigger() != "true":
                settings = {**base, PURIFIER: table_of(row.purifier)}
                self.add_purified(kinds.INNOCENT, prefix, label, settings, row, control)

    def add_purified(
        self,
        kind: Kind,
        prefix: str,
        label: str,
        settings: Settings,
        row: PlannedPurifier,
        victim: str,
    ) -> str:
        """Adds a purified model and the inversion that it needs; returns the model's identity.

        Args:
            kind: of the stage.
            prefix: of all labels: the attack and the seed.
            label: of the row.
            settings: of the stage, but for the inversion and the versions of the methods.
            row: the purifier and its inversion.
            victim: identity of the model that is purified.
        """
        settings = {**settings, **versions(purifier=row.purifier)}
        if not row.inverts:
            return self.add(kind, f"{prefix}/{label}", settings, victim=victim)
        name, table = row.inversion.name, table_of(row.inversion)
        references = self.add_references(row.inversion, settings["context"])
        inversion = self.add(
            kinds.INVERSION,
            f"{prefix}/inversion" + (f"-{name}" if self.several_inversions else ""),
            {
                "context": settings["context"],
                ATTACK: settings[ATTACK],
                INVERSION: table,
                **versions(inversion=row.inversion),
            },
            victim=victim,
            **references,
        )
        settings[INVERSION] = table
        return self.add(kind, f"{prefix}/{label}", settings, victim=victim, inversion=inversion)

    def add_references(self, inversion: Inversion, context: Settings) -> dict[str, str]:
        """Adds the models that an inversion compares with; returns role -> identity.

        Every victim of a seed is compared with the same ones, since they depend on no attack.
        """
        settings = {
            "context": context,
            INVERSION: {"method": inversion.name, **inversion.reference_settings()},
            **versions(inversion=inversion),
        }
        return {
            f"{REFERENCE}{number}": self.add(
                kinds.REFERENCE,
                f"{REFERENCE}{number}/seed{context['seed']}",
                {**settings, "number": number},
            )
            for number in range(inversion.reference_count())
        }

    def add_reactivations(
        self, label: str, settings: Settings, model: str, references: dict[str, str]
    ) -> dict[str, str]:
        """Adds every reactivation of a model at every budget; returns name -> identity.

        Args:
            label: of the model.
            settings: of the model.
            model: its identity.
            references: the identities of the victim and of the control.
        """
        stages = {}
        for name, reactivation, own_settings in self.tries(settings):
            parents = {"model": model, "victim": references["victim"]}
            if isinstance(reactivation, InputReactivation):  # it is tried on the control as well
                parents["control"] = references["control"]
            stages[name] = self.add(
                kinds.REACTIVATED, f"{label}/{name}", {**settings, **own_settings}, **parents
            )
        return stages

    def add_ensemble(self, label: str, settings: Settings, *, victim: str, model: str) -> None:
        """Adds the stage that retunes a model by the spec's whole ensemble, if it has one."""
        if own := ensemble_settings(self.spec.methods.ensemble, settings[ATTACK]["method"]):
            stage = {**settings, **own}
            self.add(kinds.ENSEMBLE, f"{label}/ensemble", stage, victim=victim, model=model)

    def add_path(self, label: str, settings: Settings, *, victim: str, model: str) -> None:
        """Adds the path from a victim to a purified model, if the spec asks for one."""
        if (path := self.spec.path) is None:
            return
        settings = {**settings, PATH_SECTION: path.model_dump()}
        retuning = self.spec.methods.retuning
        if retuning and path.retuned is not None:
            settings |= {RETUNING: without_budgets(retuning), **versions(retuning=retuning)}
        self.add(kinds.PATH, label, settings, victim=victim, model=model)

    def add_transfers(
        self, prefix: str, base: Settings, reactivated: dict[str, dict[str, str]], victim: str
    ) -> None:
        """Adds one stage per reactivation and budget that tries every perturbation on every model.

        Args:
            prefix: of all labels: the attack and the seed.
            base: settings of the victim.
            reactivated: identity of a model -> its reactivations, name -> identity; the control is
                the first model.
            victim: identity of the victim.
        """
        for name, reactivation, own_settings in self.tries(base):
            if not isinstance(reactivation, InputReactivation):
                continue
            if reactivation.access().kind == "nothing":  # the same perturbation for every model
                continue
            parents = {"victim": victim}
            for number, (model, stages) in enumerate(reactivated.items()):
                parents |= {f"model{number}": model, f"trained{number}": stages[name]}
            self.add(
                kinds.TRANSFER, f"{prefix}/transfer/{name}", {**base, **own_settings}, **parents
            )

    def tries(self, base: Settings) -> Iterator[tuple[str, Reactivation, Settings]]:
        """Yields every reactivation after an attack at every budget: name, method, settings."""
        for label, planned in self.reactivations:
            reactivation = planned.reactivation
            if base[ATTACK]["method"] not in planned.attacks:
                continue
            for budget in reactivation.tries():
                name = label if budget is None else f"{label}-{budget}"
                own_settings = {
                    REACTIVATION: without_budgets(reactivation),
                    "budget": budget,
                    **versions(reactivation=reactivation),
                }
                yield name, reactivation, own_settings


_Rows = Sequence[tuple[str, PlannedPurifier]]
"""Purifiers with the labels of their rows."""
