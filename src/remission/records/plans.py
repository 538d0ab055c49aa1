"""The plans that a store keeps: which stages the last run of each spec asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from remission.errors import StoreError
from remission.records.files import PLANS, RECORDS, is_name_in, plan_file_names
from remission.records.places import StorePath, unreadable
from remission.records.sealing import sealed_json, unsealed


@dataclass(frozen=True)
class StoredPlan:
    """The stages that the last run of one spec asked for.

    Args:
        name: the name of the spec.
        stages: ``kind/identity`` of each stage of its grid.
        run: when the run began, ISO 8601 in UTC; empty in plans of older stores.
    """

    name: str
    stages: tuple[str, ...]
    run: str = ""


def plan_text(name: str, stages: Iterable[tuple[str, str]]) -> str:
    """Returns the text of a plan's file: checksum, the spec's name, the time, and the stages."""
    files = sorted(f"{kind}/{identity}" for kind, identity in stages)
    now = datetime.now(UTC).isoformat()
    return sealed_json({"name": name, "run": now, "stages": files})


def stored_plans(folder: StorePath) -> tuple[list[StoredPlan], list[StorePath]]:
    """Reads the plans that a store keeps.

    Args:
        folder: the store, or a folder of records in git, which keeps no plans.

    Returns:
        The plans, sorted by file name, and the files of plans that are damaged. A copy of a plan
        under another name than the spec's, such as a synchronisation makes, is neither.
    """
    plans, broken = [], []
    for file in sorted((folder / PLANS).glob("[!.]*.json")):
        try:
            content = json.loads(unsealed(file.read_text(encoding="utf-8")))
            name, stages = content["name"], content["stages"]
            if not isinstance(name, str) or not all(isinstance(stage, str) for stage in stages):
                raise TypeError(file)
        except (OSError, ValueError, TypeError, KeyError):
            if is_name_in(PLANS, file.name):
                broken.append(file)
            continue
        names = plan_file_names(name)
        if file.name == names[0] or (file.name in names and not (file.parent / names[0]).is_file()):
            plans.append(StoredPlan(name, tuple(stages), str(content.get("run", ""))))
    return plans, broken


def checked_plans(folder: StorePath) -> list[StoredPlan]:
    """Reads the plans that a store keeps, all of which must be undamaged.

    Raises:
        StoreError: one of them is damaged or cannot be read.
    """
    try:
        plans, broken = stored_plans(folder)
    except OSError as error:
        raise unreadable(folder, error) from error
    if broken:
        raise StoreError(
            f"the plan '{broken[0]}' is damaged, so that nothing says what it asks for",
            "run its spec again, or remove the file if you no longer use the spec",
        )
    return plans


def shares_name_only(folder: StorePath, name: str, stages: Iterable[tuple[str, str]]) -> bool:
    """Returns whether a store keeps a plan of this name that has no stage in common with a grid.

    Args:
        folder: the store.
        name: the name of the grid's spec.
        stages: (kind, identity) of each of its stages.
    """
    asked = {f"{kind}/{identity}" for kind, identity in stages}
    return any(
        plan.name == name and plan.stages and asked.isdisjoint(plan.stages)
        for plan in stored_plans(folder)[0]
    )


def drop_older_plan(folder: StorePath, name: str) -> None:
    """Removes the plan of a spec that an older remission wrote under a name that specs share.

    Args:
        folder: the store, which holds a newer plan of the spec.
        name: the name of the spec. A plan of another spec stays.
    """
    for file in (folder / PLANS / older for older in plan_file_names(name)[1:]):
        with suppress(OSError, ValueError, TypeError, KeyError):
            if json.loads(unsealed(file.read_text(encoding="utf-8")))["name"] == name:
                file.unlink()


def unfinished(folder: StorePath) -> list[str]:
    """Returns a sentence for each spec of which a store lacks stages.

    A stage that failed is not missing. A damaged plan is ignored, as no result depends on it.
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
