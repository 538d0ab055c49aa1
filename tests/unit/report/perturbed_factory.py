"""Synthetic records of reactivations that perturb images, and of their transfer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from remission.records import Record
from tests.unit.report.report_factory import PURIFIERS, cell, grid, preview, record

REACTIVATIONS: dict[str, tuple[int | None, int | None, float]] = {
    # name: budget, queries, how much of the backdoor it brings back
    "qra": (5, None, 0.95),
    "qra_blackbox": (5, 9400, 0.7),
    "oba": (None, None, 0.85),
    "alternative": (None, None, 0.5),
}
PARAMS: dict[str, Any] = {"epsilon": 0.0627}


def perturbed(folder: Path, *, attack: str = "badnets", seed: int = 0) -> list[Record]:
    """Returns a grid with perturbed images, and a transfer matrix for two of the methods."""
    made = grid(folder, attack=attack)
    strips = {
        "preview_triggered": preview(folder, f"{attack}-before", trigger=True),
        "preview_perturbed": preview(folder, f"{attack}-after", trigger=False),
    }
    victim = next(r for r in made if r.kind == "victim")
    models: list[tuple[str, dict[str, Any], float]] = [("control", {}, 0.01)]
    models += [
        (label.partition("/")[0], params, 0.9 - 0.2 * number)
        for number, (label, (params, _, _)) in enumerate(PURIFIERS.items())
    ]
    for name, (budget, queries, strength) in REACTIVATIONS.items():
        for purifier, params, depth in models:
            one = cell(
                attack=attack,
                seed=seed,
                purifier=purifier,
                purifier_params=params,
                reactivation=name,
                reactivation_params=PARAMS,
                budget=budget,
                queries=queries,
                asr=round(strength * depth, 4),
                asr_clean=round((1 if name == "alternative" else 0.3) * strength * depth, 4),
                control_asr=0.03,
                control_asr_clean=0.02,
                clean_acc=0.88,
            )
            made.append(
                record(
                    one,
                    kind="reactivated",
                    label=f"{purifier} {name}",
                    parents={"victim": victim.id},
                    artefacts=strips,
                    details={"preview_count": 8},
                )
            )
        if name in ("qra", "oba"):
            made.append(_transfer(name, attack, budget, seed, models, strength))
    return made


def _transfer(
    name: str,
    attack: str,
    budget: int | None,
    seed: int,
    models: list[tuple[str, dict[str, Any], float]],
    strength: float,
) -> Record:
    asr = [
        [strength * on * (1.0 if i == j else 0.7) for j, (_, _, on) in enumerate(models)]
        for i in range(len(models))
    ]
    details = {
        "dataset": "fashion-mnist",
        "arch": "resnet18:16",
        "attack": attack,
        "attack_params": {"size": 3},
        "poison_rate": 0.05,
        "target": 0,
        "seed": seed,
        "reactivation": name,
        "reactivation_params": PARAMS,
        "budget": budget,
        "models": [{"purifier": p, "purifier_params": q} for p, q, _ in models],
        "asr": asr,
        "asr_clean": [[0.1 * value for value in row] for row in asr],
        "n_triggered": 9000,
    }
    return record(
        id=f"transfer-{name}-{attack}-{seed}",
        kind="transfer",
        label=f"{attack} transfer {name}",
        details={"transfer": details},
    )
