"""What the last runs into a store were to compute, and how much of it is not there yet."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from remission.records.files import PLANS, RECORDS


def plan_text(name: str, stages: Iterable[tuple[str, str]]) -> str:
    """The text of a plan's file: the spec's name, the time now, each stage's kind and identity."""
    files = sorted(f"{kind}/{identity}" for kind, identity in stages)
    now = datetime.now(UTC).isoformat()
    return json.dumps({"name": name, "run": now, "stages": files}, indent=1)


def unfinished(folder: Path) -> list[str]:
    """A sentence for each spec of a store of which stages are missing, by name.

    Failed stages are there; a folder that keeps no plans, as of records in git, misses nothing.
    """
    told = []
    for file in sorted((folder / PLANS).glob("*.json")):
        try:
            plan = json.loads(file.read_text(encoding="utf-8"))
            name, stages = str(plan["name"]), [str(stage) for stage in plan["stages"]]
        except (OSError, ValueError, TypeError, KeyError):
            continue  # nobody's result depends on it
        missing = [s for s in stages if not (folder / RECORDS / f"{s}.json").is_file()]
        if missing:
            are = "is" if len(missing) == 1 else "are"
            said = json.dumps(name, ensure_ascii=False)  # a control character would act
            told.append(f"{len(missing)} of {len(stages)} stages of {said} {are} not computed")
    return told
