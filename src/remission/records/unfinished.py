"""What the last runs into a store were to compute, and how much of it is missing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from remission.records.files import PLANS, RECORDS, spec_file_name


@dataclass(frozen=True)
class StoredPlan:
    """What a store knows of the last run of one spec.

    Args:
        name: the spec's.
        stages: ``kind/identity`` of each stage of its grid.
    """

    name: str
    stages: tuple[str, ...]


def plan_text(name: str, stages: Iterable[tuple[str, str]]) -> str:
    """The text of a plan's file: the spec's name, and the kind and identity of each stage."""
    files = sorted(f"{kind}/{identity}" for kind, identity in stages)
    return json.dumps({"name": name, "stages": files}, indent=1)


def stored_plans(folder: Path) -> tuple[list[StoredPlan], list[Path]]:
    """Reads the plans that a store keeps.

    Args:
        folder: the store. One that keeps no plans, as records in git, has none.

    Returns:
        The plans, sorted by file name, and the files that hold none, which are damaged. A copy
        under another name than its spec's, as synchronisations make, is neither.
    """
    plans, broken = [], []
    for file in sorted((folder / PLANS).glob("[!.]*.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            name, stages = content["name"], content["stages"]
            if not isinstance(name, str) or not all(isinstance(stage, str) for stage in stages):
                raise TypeError(file)
        except (OSError, ValueError, TypeError, KeyError):
            if spec_file_name(file.stem) == file.stem:
                broken.append(file)
            continue
        if spec_file_name(name) == file.stem:
            plans.append(StoredPlan(name, tuple(stages)))
    return plans, broken


def unfinished(folder: Path) -> list[str]:
    """A sentence for each spec of a store of which stages are missing, by name.

    A failed stage is not missing. What a damaged plan asked for is not known, and no result
    depends on it.
    """
    sentences = []
    for plan in stored_plans(folder)[0]:
        missing = [s for s in plan.stages if not (folder / RECORDS / f"{s}.json").is_file()]
        if missing:
            are = "is" if len(missing) == 1 else "are"
            name = json.dumps(plan.name, ensure_ascii=False)  # a control character would act
            sentences.append(
                f"{len(missing)} of {len(plan.stages)} stages of {name} {are} not computed"
            )
    return sentences
