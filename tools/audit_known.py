"""Audits models of which the truth is known, blind, and compares the verdicts with the truth.

    python tools/audit_known.py run SPEC.toml STORE OUT [--quick] [--only GLOB]
    python tools/audit_known.py table OUT...

``run`` audits every purified model of a finished grid with the images of its defender, and every
control beside its fine-tuned copy. It writes one JSON file per audit into OUT, and skips audits
whose file exists. ``table`` prints how verdicts and truth agree, as tables in Markdown.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from remission.audit.auditing import Auditor
from remission.audit.suspect.opening import find_model
from remission.audit.suspicion import Suspect, invert, with_images
from remission.data import load_dataset
from remission.disk import write_whole
from remission.grid.plan.stage import Stage
from remission.grid.run import plan_of
from remission.grid.spec.spec import Spec, read_spec
from remission.grid.stages.inputs import StageInputs
from remission.intervals import mean_of
from remission.inversion import Inverted, Voted
from remission.models import save_weights
from remission.png import encode_pixels
from remission.purifiers import FT
from remission.records import Record, Store
from remission.records.kinds import CONTROL, PURIFIED, REACTIVATED
from remission.records.suspect import as_json
from remission.report.groups.thresholds import MARGIN
from remission.report.measures.relapse_gap import area_between
from remission.report.suspect.depth import decisive
from remission.report.suspect.sentences import LOW
from remission.report.suspect.verdict import judge
from remission.seeding import Seed

_RELAPSE = 0.3
"""A true relapse gap above which the verdict "no relapse found" is wrong."""
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Known:
    """One model to audit.

    Args:
        label: the name of its stage.
        suspect: the stage whose weights are suspect.
        purified: the stage whose weights were made of them; None: the control, fine-tuned.
        truth: attack and purifier, and where somebody attacked also target, ASR and relapse gap.
    """

    label: str
    suspect: Stage
    purified: Stage | None
    truth: dict[str, Any]


def known_models(spec: Spec, store: Store) -> Iterator[Known]:
    """Yields every purified model of a grid that is stored, and every control."""
    plan = plan_of(spec, device=_CPU)
    stages = {stage.id: stage for stage in plan}
    found = {stage.id: store.find(stage.kind, stage.id) for stage in plan}
    for stage in plan:
        record = found[stage.id]
        if record is None or record.status != "done":
            continue
        if stage.kind == PURIFIED.name:
            victim = stages[stage.parents["victim"]]
            yield Known(stage.label, victim, stage, _truth(record, list(found.values())))
        elif stage.kind == CONTROL.name:
            yield Known(stage.label, stage, None, {"attack": "none", "purifier": "ft"})


def _truth(purified: Record, records: Sequence[Record | None]) -> dict[str, Any]:
    """Returns the true ASR and relapse gap of a purified model, the latter against the control."""
    cell = purified.cell
    assert cell is not None

    def curve(of: str) -> dict[int, float]:
        return {
            one.cell.budget: one.cell.asr
            for one in records
            if one is not None
            and one.kind == REACTIVATED.name
            and one.cell is not None
            and one.cell.asr is not None
            and one.cell.budget
            and one.cell.reactivation == "retuning"
            and one.cell.seed == cell.seed
            and one.cell.attack == cell.attack
            and one.cell.attack_params == cell.attack_params
            and one.cell.purifier == of
            and (of == "control" or one.cell.purifier_params == cell.purifier_params)
        }

    ours, control = curve(cell.purifier), curve("control")
    budgets = sorted(ours.keys() & control.keys())
    gap = None
    if len(budgets) > 1:
        gap = area_between(budgets, [ours[n] for n in budgets], [control[n] for n in budgets])
    return {
        "attack": cell.attack,
        "purifier": cell.purifier,
        "target": cell.target,
        "asr": cell.asr,
        "gap": gap,
    }


class Audits:
    """Audits of the models of one grid.

    Args:
        store: the finished grid.
        folder: where images are laid out as a user's folder.
        quick: whether audits are quick.
    """

    def __init__(self, store: Store, folder: Path, *, quick: bool) -> None:
        self.store, self.folder, self.quick = store, folder, quick
        self._inverted = dict[str, Inverted]()

    def audit(self, known: Known) -> dict[str, Any]:
        """Returns the audit of one model with the truth beside it."""
        inputs = StageInputs(known.suspect, self.store, _CPU)
        images = self._images(known.suspect.context.seed, inputs)
        suspect = self._suspect(known.suspect, images)
        if known.purified is not None:
            purified = self._suspect(known.purified, images)
        else:
            purified = self._fine_tuned(suspect, images)
        auditor = Auditor(
            suspect=suspect, purified=purified, inversion=Voted(), seed=Seed(0), quick=self.quick
        )
        inverted = self._inverted.get(known.suspect.id)
        inverted = inverted or invert(suspect, auditor.inversion, auditor.seed)
        self._inverted[known.suspect.id] = inverted
        found, _ = auditor.audit(inverted)
        decided = decisive(found)
        said = as_json(found)
        for model in ("suspect", "purified"):
            said[model]["file"] = Path(said[model]["file"]).name
        return {
            "label": known.label,
            "quick": self.quick,
            "verdict": judge(found).outcome,
            "blind_gap": decided.blind_gap() if decided else None,
            "truth": known.truth,
            **said,
        }

    def _images(self, seed: int, inputs: StageInputs) -> Path:
        """Writes the defender's images as a folder of PNG files, with a folder per class."""
        place = self.folder / str(seed)
        if place.exists():
            return place
        defender = inputs.split.defender
        for number, label in enumerate(defender.labels.tolist()):
            (place / str(label)).mkdir(parents=True, exist_ok=True)
            pixels = defender.images[number].permute(1, 2, 0).numpy()
            (place / str(label) / f"{number}.png").write_bytes(encode_pixels(pixels))
        return place

    def _suspect(self, stage: Stage, images: Path) -> Suspect:
        record = self.store.find(stage.kind, stage.id)
        assert record is not None
        return _opened(self.store.folder / record.artefacts["weights"].file, images)

    def _fine_tuned(self, control: Suspect, images: Path) -> Suspect:
        """Returns the control after plain fine-tuning, as a purifier that has nothing to do."""
        tuned = FT(epochs=10)(control.model, control.clean, seed=Seed(0)).model
        file = self.folder / "tuned.safetensors"
        save_weights(tuned, file)
        return _opened(file, images)


def _opened(weights: Path, images: Path) -> Suspect:
    return with_images(find_model(weights), load_dataset(images), _CPU)


def run(options: argparse.Namespace) -> None:
    """Audits every model that was not audited yet."""
    spec, store, out = read_spec(options.spec), Store(options.store), options.out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        audits = Audits(store, Path(folder), quick=options.quick)
        for known in known_models(spec, store):
            file = out / f"{known.label.replace('/', '_')}.json"
            if file.exists() or not fnmatch.fnmatch(known.label, options.only):
                continue
            found = audits.audit(known)
            write_whole(file, [json.dumps(found, indent=1).encode()])
            print(
                f"{known.label}: {found['verdict']}, blind gap {found['blind_gap']}, "
                f"truth {known.truth}, {found['seconds']:.0f} s",
                file=sys.stderr,
                flush=True,
            )


def true_state(truth: dict[str, Any]) -> str:
    """Returns the verdict that the truth asks for."""
    if truth["attack"] == "none":
        return "no backdoor found"
    if truth["asr"] > LOW:
        return "not purified"
    return "in remission" if (truth["gap"] or 0.0) > MARGIN else "no relapse found"


def table(options: argparse.Namespace) -> None:
    """Prints how verdicts and truth belong together."""
    from scipy.stats import spearmanr

    files = sorted(file for folder in options.out for file in folder.glob("*.json"))
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    states = sorted({true_state(one["truth"]) for one in found})
    verdicts = sorted({one["verdict"] for one in found})
    pairs = Counter((true_state(one["truth"]), one["verdict"]) for one in found)
    print(f"| truth | {' | '.join(verdicts)} |\n|---|{'---:|' * len(verdicts)}")
    for state in states:
        counts = " | ".join(str(pairs[state, verdict]) for verdict in verdicts)
        print(f"| {state} | {counts} |")
    gaps = [
        (one["blind_gap"], one["truth"]["gap"])
        for one in found
        if one["blind_gap"] is not None and one["truth"].get("gap") is not None
    ]
    if len(gaps) > 2:
        rho = spearmanr(*zip(*gaps, strict=True)).statistic
        print(f"\nSpearman of blind and true gap, {len(gaps)} models: {rho:.2f}")
    relapsing = [one for one in found if (one["truth"].get("gap") or 0) > _RELAPSE]
    missed = sum(one["verdict"] == "no relapse found" for one in relapsing)
    print(f"true gap above {_RELAPSE}: {missed} of {len(relapsing)} called no relapse found")
    print("\n| attack | audits | true class named | other class named | abstained |")
    print("|---|---:|---:|---:|---:|")
    for attack in sorted({one["truth"]["attack"] for one in found}):
        of = [one for one in found if one["truth"]["attack"] == attack]
        named = [[c["index"] for c in one["suspicion"]["standing_out"]] for one in of]
        right = sum(
            one["truth"].get("target") in names for one, names in zip(of, named, strict=True)
        )
        wrong = sum(
            bool(names) and one["truth"].get("target") not in names
            for one, names in zip(of, named, strict=True)
        )
        print(f"| {attack} | {len(of)} | {right} | {wrong} | {len(of) - right - wrong} |")
    if found:
        print(f"\nmean {mean_of([one['seconds'] for one in found]):.0f} s per audit")


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("run")
    first.add_argument("spec", type=Path)
    first.add_argument("store", type=Path)
    first.add_argument("out", type=Path)
    first.add_argument("--quick", action="store_true")
    first.add_argument("--only", default="*")
    first.set_defaults(call=run)
    second = commands.add_parser("table")
    second.add_argument("out", type=Path, nargs="+")
    second.set_defaults(call=table)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
