"""Synthetic records of a finished grid, made in milliseconds."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from remission.records import Artefact, Cell, PathCurve, Plane, Record

BUDGETS = (1, 5, 20, 100)
PURIFIERS: dict[str, tuple[dict[str, Any], float, float]] = {
    # label: parameters, O-ASR, number of poisoned images at which half the backdoor is back
    "ft": ({"epochs": 10}, 0.04, 1.2),
    "nad": ({"beta": 500.0}, 0.02, 4.0),
    "anp": ({"threshold": 0.2}, 0.01, 9.0),
    "pam/0.3": ({"rho": 0.3}, 0.008, 60.0),
    "pam/0.5": ({"rho": 0.5}, 0.006, 140.0),
}

STEALTH = {"psnr": 21.44, "ssim": 0.9837, "largest_change": 0.8, "images": 500, "unchanged": 0}


def wilson(rate: float, n: int) -> tuple[float, float]:
    z = 1.959964
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def cell(**changes: Any) -> Cell:  # noqa: ANN401  # any field
    asr = changes.get("asr", 0.9)
    base: dict[str, Any] = {
        "dataset": "fashion-mnist",
        "arch": "resnet18:16",
        "attack": "badnets",
        "attack_params": {"size": 3},
        "poison_rate": 0.05,
        "target": 0,
        "seed": 0,
        "purifier": "none",
        "purifier_params": {},
        "clean_acc": 0.91,
        "asr": asr,
        "robust_acc": None if asr is None else round(0.95 * (1 - asr), 4),
        "asr_interval": None if asr is None else wilson(asr, 9000),
        "clean_acc_interval": wilson(0.91, 10000),
        "n_clean": 10000,
        "n_triggered": 9000,
        "seconds": 12.5,
    }
    base |= changes
    base.setdefault("id", hashlib.sha256(repr(sorted(base.items())).encode()).hexdigest())
    return Cell(**base)


def failed(**changes: Any) -> Cell:  # noqa: ANN401  # any field
    rates = ("clean_acc", "asr", "robust_acc", "asr_interval", "clean_acc_interval")
    base: dict[str, Any] = dict.fromkeys(rates) | {"error": "the loss became NaN in step 7"}
    return cell(**(base | changes), status="failed")


def curve(**changes: Any) -> PathCurve:  # noqa: ANN401  # any field
    base: dict[str, Any] = {
        "id": "path",
        "dataset": "fashion-mnist",
        "arch": "resnet18:16",
        "attack": "badnets",
        "attack_params": {"size": 3},
        "poison_rate": 0.05,
        "target": 0,
        "seed": 0,
        "purifier": "ft",
        "purifier_params": {"epochs": 10},
        "batchnorm": "recalibrated",
        "t": [0.0, 0.5, 1.0],
        "asr": [1.0, 0.9, 0.1],
        "clean_acc": [0.9, 0.9, 0.9],
        "n_clean": 10000,
        "n_triggered": 9000,
    }
    return PathCurve(**(base | changes))


def record(measured: Cell | None = None, **changes: Any) -> Record:  # noqa: ANN401  # any field
    base: dict[str, Any] = {
        "id": measured.id if measured else "record",
        "kind": "purified",
        "label": "a record",
        "status": measured.status if measured else "done",
        "settings": {},
        "parents": {},
        "cell": measured,
    }
    return Record(**(base | changes))


def baseline(control: Cell, victim: Cell, **changes: Any) -> Record:  # noqa: ANN401  # any field
    """Returns the control, measured with the trigger of a victim."""
    parents = {"model": "control", "victim": victim.id}
    return record(control, kind="baseline", parents=parents, **changes)


def records(*measured: Cell) -> list[Record]:
    return [record(one) for one in measured]


def preview(folder: Path, name: str, *, trigger: bool, mode: str = "L", side: int = 28) -> Artefact:
    """Returns eight square drawings side by side, with or without a 3 x 3 patch in the corner."""
    strip = Image.new(mode, (8 * side, side))
    draw = ImageDraw.Draw(strip)
    grey = [(40 + 25 * i) for i in range(8)]
    for i, value in enumerate(grey):
        ink = value if mode == "L" else (value, 120, 255 - value)
        draw.ellipse((side * i + 4, 3 + i, side * (i + 1) - 6, side - 4), fill=ink)
        if trigger:
            end = side * (i + 1)
            draw.rectangle((end - 4, side - 4, end - 2, side - 2), fill="white")
    file = folder / "artefacts" / f"{identity_of(name)}.preview.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    strip.save(file)
    data = file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return Artefact(file=f"artefacts/{file.name}", sha256=digest, bytes=len(data))


def _asr(budget: int, half: float, start: float) -> float:
    return start + (0.97 - start) / (1 + math.pow(half / budget, 1.6))


def grid(
    folder: Path, *, seeds: int = 1, attack: str = "badnets", rich: bool = False
) -> list[Record]:
    """Returns victim, control, five purifiers, retuning at four budgets, paths, one failed branch.

    With ``rich`` the paths have losses and distances, and there are paths to the retuned model, the
    curve and the plane; otherwise they are as older records hold them.
    """
    made: list[Record] = []
    environment = {"torch": "2.6.0", "python": "3.12.1", "threads": 2, "precision": "fp32"}
    clean = preview(folder, f"{attack}-clean", trigger=False)
    triggered = preview(folder, f"{attack}-triggered", trigger=True)
    for seed in range(seeds):
        shift = 0.011 * math.sin(3 * seed)
        common: dict[str, Any] = {"attack": attack, "seed": seed}
        victim = cell(**common, asr=0.985 + shift / 2, seconds=61.0)
        control = cell(**common, purifier="control", asr=0.004, clean_acc=0.913, seconds=60.2)
        shared: dict[str, Any] = {"environment": environment, "finished": "2025-01-01T00:00:00Z"}
        made.append(
            record(
                victim,
                kind="victim",
                label=f"{attack} victim seed {seed}",
                settings={"attack": {"method": attack, "size": 3}, "seed": seed, "epochs": 8},
                artefacts={"preview_clean": clean, "preview_triggered": triggered},
                details={"preview_count": 8, "stealth": STEALTH},
                **shared,
            )
        )
        made.append(baseline(control, victim, label=f"control seed {seed}", **shared))
        made.append(
            record(
                id=f"inversion-{attack}-{seed}",
                kind="inversion",
                label=f"inversion of {attack} seed {seed}",
                parents={"victim": victim.id},
                artefacts={"preview_clean": clean, "preview_inverted": triggered},
                details={"preview_count": 8, "target": 0, "target_share": 0.973},
                **shared,
            )
        )
        for budget in BUDGETS:
            back = {"reactivation": "retuning", "budget": budget, "seconds": 2.5}
            asr = _asr(budget, 70.0, 0.004) + shift / 3
            one = cell(**common, purifier="control", asr=max(0.0, asr), **back)
            made.append(record(one, kind="reactivated", parents={"control": control.id}))
        for number, (label, (params, before, half)) in enumerate(PURIFIERS.items()):
            named = common | {"purifier": label.partition("/")[0], "purifier_params": params}
            purified = cell(
                **named, asr=before, clean_acc=0.905 - 0.004 * number + shift, seconds=8.0 + number
            )
            parents = {"victim": victim.id}
            made.append(record(purified, label=label, settings=params, parents=parents, **shared))
            for budget in BUDGETS:
                back = {"reactivation": "retuning", "budget": budget, "seconds": 2.5}
                one = cell(**named, asr=_asr(budget, half, before) + shift, **back)
                if label == "anp" and budget == 20 and seed == 0:
                    one = failed(**named, **back)
                name = f"{label} retuning n={budget} seed {seed}"
                made.append(
                    record(one, kind="reactivated", label=name, parents={"purified": purified.id})
                )
            walked = _walk(label, purified, number, shift)
            made.append(_enriched(walked, number) if rich else walked)
    return made


def _walk(label: str, purified: Cell, number: int, shift: float) -> Record:
    t = [i / 20 for i in range(21)]
    paths = tuple(
        curve(
            id=f"{purified.id}-{policy}",
            attack=purified.attack,
            seed=purified.seed,
            purifier=purified.purifier,
            purifier_params=purified.purifier_params,
            batchnorm=policy,
            t=t,
            asr=[1 / (1 + math.exp(14 * (x - edge - shift))) for x in t],
            clean_acc=[0.905 - drop * 4 * x * (1 - x) for x in t],
        )
        for policy, drop, edge in (
            ("interpolated", 0.25, 0.45 - 0.05 * number),
            ("recalibrated", 0.01, 0.9 - 0.13 * number),
        )
    )
    return record(
        id=f"{purified.id}-path",
        kind="path",
        label=f"path {label}",
        parents={"purified": purified.id},
        paths=paths,
    )


def _enriched(walked: Record, number: int) -> Record:
    """Returns the same path with everything that a spec can ask for."""
    length = 3.0 + 2 * number
    lines = [
        dataclasses.replace(
            line,
            clean_loss=[0.3 + 2 * (0.905 - rate) for rate in line.clean_acc],
            backdoor_loss=[0.01 + 5 * (1 - rate) for rate in line.asr],
            distance=length,
            relative_distance=length / 20,
        )
        for line in walked.paths
    ]
    last = lines[-1]
    lines += [
        dataclasses.replace(line, walk="retuned", asr=line.asr[::-1], distance=0.4)
        for line in lines
    ]
    lines.append(
        dataclasses.replace(
            last,
            walk="bezier",
            asr=[rate**2 for rate in last.asr],
            clean_acc=[0.905] * len(last.t),
            distance=None,
            relative_distance=None,
        )
    )
    layers = [[f"layer{k}", 0.1 * k, 0.02 * (1 + k % 3) * (1 + number)] for k in range(12)]
    return dataclasses.replace(
        walked,
        paths=tuple(lines),
        plane=plane(length),
        details={"layers, line": layers, "layers, retuned": layers},
    )


def plane(length: float = 3.0, points: int = 9) -> Plane:
    """Returns a plane with a valley of clean loss, and one of backdoor loss at the victim."""
    x = [length * (-0.25 + 1.5 * k / (points - 1)) for k in range(points)]
    y = [0.5 * (-0.25 + 1.5 * k / (points - 1)) for k in range(points)]
    clean = [[0.25 + b * b + 0.01 * (a - length / 2) ** 2 for a in x] for b in y]
    backdoor = [[0.002 + (a / length) ** 2 * (2 - 2 * b) for a in x] for b in y]
    return Plane(
        x=x,
        y=y,
        models={"victim": (0.0, 0.0), "purified": (length, 0.0), "retuned": (0.8 * length, 0.5)},
        budget=5,
        clean_loss=clean,
        backdoor_loss=backdoor,
        asr=[[math.exp(-value) for value in row] for row in backdoor],
        clean_acc=[[max(0.0, 1 - value) for value in row] for row in clean],
        n_clean=500,
        n_triggered=450,
    )


def identity_of(name: str) -> str:
    """Returns an identity like those of real records, in place of a name."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def write_store(folder: Path, made: list[Record]) -> Path:
    """Writes records into a store, under identities in place of their names."""
    for named in made:
        one = dataclasses.replace(
            named,
            id=identity_of(named.id),
            parents={role: identity_of(name) for role, name in named.parents.items()},
            cell=named.cell and dataclasses.replace(named.cell, id=identity_of(named.cell.id)),
        )
        file = folder / "records" / one.kind / f"{one.id}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(one.to_json())
    return folder
