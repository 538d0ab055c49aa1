"""How far the runs into a store are: what runs where, what failed, how much is left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from remission.intervals import mean_of
from remission.records.cell import Json
from remission.records.claims import Claim, claims_in
from remission.records.files import ARTEFACTS, CLAIMS, record_folders, record_names
from remission.records.places import StorePath, read_all, sizes_in, unreadable
from remission.records.plans import StoredPlan, checked_plans
from remission.records.reading import parsed
from remission.records.record import Record


@dataclass(frozen=True, kw_only=True)
class SpecProgress:
    """How far the grid of one spec is.

    Args:
        name: of the spec.
        stages: the number of its stages.
        done: those of them that are finished, and whose artefacts are all there.
        failed: those that failed.
        skipped: those that build upon one that failed.
        running: those that a process is at work on.
        seconds: about how long the rest takes with as many stages at a time as run now; None where
            nothing runs, or no stage of a kind that is left was finished yet.
    """

    name: str
    stages: int
    done: int
    failed: int
    skipped: int
    running: int
    seconds: float | None

    @property
    def left(self) -> int:
        """The number of stages that are neither done nor failed nor skipped nor running."""
        return self.stages - self.done - self.failed - self.skipped - self.running


@dataclass(frozen=True, kw_only=True)
class StoreStatus:
    """How far everything in a store is.

    Args:
        specs: one entry per spec that was run into it.
        running: the claims of processes that are at work, as far as this computer knows: one of
            another computer may be gone.
        abandoned: the claims of processes of this computer that are gone; the next run takes their
            stages over.
        failed: records of stages that failed, without those that build upon them.
        silence: identity of a running stage -> seconds since the heartbeat of its claim, see
            :func:`silence_of`.
    """

    specs: tuple[SpecProgress, ...]
    running: tuple[Claim, ...]
    abandoned: tuple[Claim, ...]
    failed: tuple[Record, ...]
    silence: Mapping[str, float | None]

    def to_json(self) -> Json:
        """Returns the status as JSON values."""
        return {
            "specs": [{**asdict(spec), "left": spec.left} for spec in self.specs],
            "running": [
                {**_claim(claim), "silence": self.silence[claim.stage]} for claim in self.running
            ],
            "abandoned": [_claim(claim) for claim in self.abandoned],
            "failed": [
                {
                    "id": record.id,
                    "kind": record.kind,
                    "label": record.label,
                    "error": record.error,
                    "log": record.details.get("log", []),
                    "finished": record.finished,
                }
                for record in self.failed
            ],
        }


def _claim(claim: Claim) -> Json:
    return {**asdict(claim), "seconds": seconds_since(claim.started)}


def seconds_since(time: str) -> float:
    """Returns the seconds since an ISO 8601 time by the clock of this computer, at least 0."""
    try:
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def status_of(store: StorePath) -> StoreStatus:
    """Reads how far the runs into a store are; writes nothing.

    Raises:
        StoreError: the store cannot be read, or a record or a plan in it is damaged.
    """
    plans = checked_plans(store)
    try:
        claims = list(claims_in(store))
        sizes = sizes_in(store / ARTEFACTS)
        records = [
            parsed(content, folder / name, folder.name)
            for folder in record_folders(store)
            for name, content in read_all(folder, record_names(folder)).items()
        ]
    except OSError as error:
        raise unreadable(store, error) from error
    records = [record for record in records if _is_whole(record, sizes)]
    by_id = {record.id: record for record in records}
    finished = {record.id for record in records if record.status == "done"}
    running = [one for one in claims if not one.is_gone and one.stage not in finished]
    without_result = [record for record in records if record.status == "failed"]
    skipped = {
        record.id
        for record in without_result
        if any(by_id[p].status == "failed" for p in record.parents.values() if p in by_id)
    }
    specs = [_progress(plan, by_id, running, skipped) for plan in plans]
    failed = [record for record in without_result if record.id not in skipped]
    return StoreStatus(
        specs=tuple(specs),
        running=tuple(running),
        abandoned=tuple(one for one in claims if one.is_gone and one.stage not in finished),
        failed=tuple(sorted(failed, key=lambda record: record.label)),
        silence={one.stage: silence_of(store, one) for one in running},
    )


def _is_whole(record: Record, sizes: Mapping[str, int]) -> bool:
    """Returns whether a record has all its artefacts; the next run computes its stage otherwise.

    Args:
        record: of any status.
        sizes: name -> bytes of the files in the folder of artefacts.
    """
    files = ((Path(a.file).name, a.bytes) for a in record.artefacts.values())
    return all(sizes.get(name) == size for name, size in files)


def silence_of(store: StorePath, claim: Claim) -> float | None:
    """Returns the seconds since the last heartbeat of a claim; None where no clock says it.

    The time of the heartbeat comes from where the store lies and the present from this computer:
    it is for people, and decides nothing.
    """
    try:
        then = (store / CLAIMS / f"{claim.stage}.json").stat().st_mtime
    except (OSError, AttributeError):  # it was given back meanwhile, or the place keeps no times
        return None
    return max(0.0, time.time() - then) if then else None


def _progress(
    plan: StoredPlan,
    records: dict[str, Record],
    claims: Iterable[Claim],
    skipped: Collection[str],
) -> SpecProgress:
    stages = [tuple(stage.split("/", 1)) for stage in plan.stages]
    asked = {identity for _, identity in stages}
    running = {claim.stage for claim in claims} & asked
    status = {identity: records[identity].status for identity in asked if identity in records}
    left = Counter(kind for kind, key in stages if key not in status or key in running)
    done = [records[identity] for identity in asked if status.get(identity) == "done"]
    seconds = None
    means = {
        kind: mean_of([record.seconds for record in done if record.kind == kind])
        for kind in {record.kind for record in done}
    }
    if running and left.keys() <= means.keys():
        seconds = sum(count * means[kind] for kind, count in left.items()) / len(running)
    without_result = {key for key, one in status.items() if one == "failed" and key not in running}
    return SpecProgress(
        name=plan.name,
        stages=len(stages),
        done=len(done),
        failed=len(without_result.difference(skipped)),
        skipped=len(without_result.intersection(skipped)),
        running=len(running),
        seconds=seconds,
    )
