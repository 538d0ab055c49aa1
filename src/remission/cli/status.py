"""``remission status``: what runs where, what failed, how much is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from remission.cli.run import StoreArgument

if TYPE_CHECKING:
    from remission.records.claims import Claim
    from remission.records.status import SpecProgress, StoreStatus

_LOG = 3
"""Lines of the log of a failed stage that are shown."""


class StatusFormat(StrEnum):
    """For people or for programs."""

    TEXT = "text"
    JSON = "json"


def status(
    store: StoreArgument,
    format: Annotated[
        StatusFormat, typer.Option(help="Text for people, JSON for programs.")
    ] = StatusFormat.TEXT,
) -> None:
    """Say what runs where in a store and since when, what failed, and how much is left."""
    from remission.cli.store import opened
    from remission.names import printable
    from remission.records.status import status_of

    found = status_of(opened(store).folder)
    if format is StatusFormat.JSON:
        print(json.dumps(found.to_json(), indent=1))
    else:
        for line in _lines(found):
            print(printable(line))


def _lines(found: StoreStatus) -> Iterator[str]:
    if not found.specs:
        yield "no spec was run into this store"
    for spec in found.specs:
        yield _spec_line(spec)
    for claim in found.running:
        silence = _silence(found.silence[claim.stage])
        yield f"running    {claim.label}: {_where(claim)}{silence}"
    for claim in found.abandoned:
        yield (
            f"abandoned  {claim.label}: {_where(claim)}; its process is gone, and the next run "
            "takes the stage over"
        )
    for record in found.failed:
        yield f"failed     {record.label}: {record.error}"
        for line in record.details.get("log", [])[-_LOG:]:
            yield f"             {line}"


def _spec_line(spec: SpecProgress) -> str:
    from remission.cli.progress import about

    parts = [f"{spec.done} of {spec.stages} stages done", f"{spec.running} running"]
    parts += [f"{spec.failed} failed"] if spec.failed else []
    parts += [f"{spec.skipped} skipped"] if spec.skipped else []
    parts += [f"{spec.left} left"]
    line = f"{spec.name}: {', '.join(parts)}"
    return line if spec.seconds is None else f"{line}; {about(spec.seconds)} to go"


def _silence(seconds: float | None) -> str:
    """Says that a heartbeat is missing; empty where it is not, or where no clock says so."""
    from remission.cli.progress import about
    from remission.records.claims import HEARTBEAT_SECONDS, PATIENCE_SECONDS

    if seconds is None or seconds < 3 * HEARTBEAT_SECONDS:
        return ""
    since = about(seconds).removeprefix("~")
    return (
        f"; no heartbeat for {since} by the clock of this computer: the process is probably gone, "
        f"and a run takes the stage over after {PATIENCE_SECONDS / 60:.0f} minutes without one"
    )


def _where(claim: Claim) -> str:
    """Says what is being done, how far, since when, and where."""
    from remission.cli.progress import about
    from remission.records.status import seconds_since

    doing = f"{claim.doing} {claim.done}/{claim.total}, " if claim.doing else ""
    since = about(seconds_since(claim.started)).removeprefix("~")
    return f"{doing}for {since}, on {claim.host}, process {claim.process}"
