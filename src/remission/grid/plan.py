"""The plan: a spec unrolled into stages, each named by what changes its result."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from remission.attacks import Attack
from remission.errors import SpecError
from remission.grid.identity import identity
from remission.grid.spec import Spec
from remission.inversion import Inversion
from remission.method import Method
from remission.purifiers import Purifier, TriggerPurifier

Settings = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One unit of work: everything a worker must know beyond the store.

    Args:
        kind: see :class:`remission.records.Record`.
        label: ``attack/seed/purifier/...``, unique in a plan, for people and ``--only``.
        settings: everything that changes the result, as JSON values.
        parents: role -> id of the stages it builds upon.
    """

    kind: str
    label: str
    settings: Settings
    parents: dict[str, str]

    @property
    def id(self) -> str:
        """The stage's identity."""
        return identity(self.kind, self.settings, self.parents)


def table_of(method: Method) -> Settings:
    """A method as a table of a spec, all parameters spelled out."""
    return {"method": method.name, **method.parameters()}


def make_plan(spec: Spec, data_digest: str) -> list[Stage]:
    """Unrolls a spec; every stage comes after its parents, those shared stand once.

    Args:
        spec: checked.
        data_digest: of the data set's images and labels, so that a changed folder is noticed.
    """
    stages: dict[str, Stage] = {}

    def add(kind: str, label: str, settings: Settings, **parents: str) -> str:
        stage = Stage(kind, label, settings, parents)
        return stages.setdefault(stage.id, stage).id

    attacks = _labelled(spec.attacks())
    purifiers, inverter = _labelled(spec.purifiers()), spec.inverter()
    for seed in spec.seeds:
        context = {
            "dataset": spec.dataset,
            "data": data_digest,
            "arch": spec.arch,
            "seed": seed,
            "precision": spec.precision,
            "split": spec.split.model_dump(),
            "recipe": spec.victim.model_dump(),
        }
        control = add("control", f"control/seed{seed}", {"context": context})
        for name, attack in attacks:
            here = f"{name}/seed{seed}"
            base = {"context": context, "attack": table_of(attack)}
            victim = add("victim", f"{here}/victim", base)
            add("baseline", f"{here}/control", base, model=control, victim=victim)
            models = [("control", "control", {"method": "control"}, control)]
            for label, purifier in purifiers:
                models.append(_purified(add, here, label, base, purifier, inverter, victim))
            for label, kind, table, model in models:
                own = {**base, "purifier": table}
                _reactivated(add, spec, f"{here}/{label}", own, model, victim)
                if spec.path and kind != "control":
                    walk = {**own, "path": spec.path.model_dump()}
                    add("path", f"{here}/{label}/path", walk, victim=victim, model=model)
    return list(stages.values())


def _purified(
    add: Any,  # noqa: ANN401  (the closure of make_plan)
    here: str,
    label: str,
    base: Settings,
    purifier: Purifier,
    inverter: Inversion,
    victim: str,
) -> tuple[str, str, Settings, str]:
    """Adds a purified model, and the inversion it needs."""
    settings, parents = {**base, "purifier": table_of(purifier)}, {"victim": victim}
    if isinstance(purifier, TriggerPurifier) and purifier.trigger == "inverted":
        inversion = {**base, "inversion": table_of(inverter)}
        settings["inversion"] = inversion["inversion"]
        parents["inversion"] = add("inversion", f"{here}/inversion", inversion, victim=victim)
    added = add("purified", f"{here}/{label}", settings, **parents)
    return label, "purified", settings["purifier"], added


def _reactivated(
    add: Any,  # noqa: ANN401  (the closure of make_plan)
    spec: Spec,
    here: str,
    settings: Settings,
    model: str,
    victim: str,
) -> None:
    """Adds every reactivation of a model at every budget."""
    for label, reactivation in _labelled(spec.reactivations()):
        table = table_of(reactivation)
        for budget in table.pop("budgets"):
            add(
                "reactivated",
                f"{here}/{label}-{budget}",
                {**settings, "reactivation": table, "budget": budget},
                model=model,
                victim=victim,
            )


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
        text = ",".join(f"{key}={value}" for key, value in differing.items())
        labels.append((f"{method.name}({text})" if text else method.name, method))
    return labels


def select(plan: list[Stage], only: str | None) -> list[Stage]:
    """The stages whose label matches a glob, and everything they build upon.

    Raises:
        SpecError: nothing matches.
    """
    if only is None:
        return plan
    chosen = {s.id for s in plan if fnmatch.fnmatchcase(s.label, only)}
    if not chosen:
        raise SpecError(
            f"--only '{only}' matches none of {len(plan)} stages",
            f"their labels look like '{plan[-1].label}'; see them all with --dry-run",
        )
    for stage in reversed(plan):  # parents come before their children
        if stage.id in chosen:
            chosen.update(stage.parents.values())
    return [stage for stage in plan if stage.id in chosen]


__all__ = ["Attack", "Stage", "make_plan", "select", "table_of"]
