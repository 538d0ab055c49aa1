"""Copies what one store has and another lacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from remission.errors import StoreError
from remission.records.artefacts import DamagedError, read_stored
from remission.records.checking import Flaw, contents_of, flaws_of_text
from remission.records.files import (
    PLANS,
    RECORDS,
    SPECS,
    VERSIONS_FILE,
    record_folders,
    record_names,
)
from remission.records.mark import check_still_there
from remission.records.places import StorePath, read_all, write
from remission.records.plans import stored_plans
from remission.records.reading import parsed, read_record
from remission.records.record import Record
from remission.records.sealing import sealed_json, unsealed
from remission.records.store import Store
from remission.records.superseded import versions_in


@dataclass
class CopyReport:
    """What a copy of a store did.

    Args:
        records: the number of records that were copied.
        bytes: how many bytes these and their artefacts have.
        there: the number of records that the other store had already.
        flaws: what could not be copied, since it is missing or damaged.
    """

    records: int = 0
    bytes: int = 0
    there: int = 0
    flaws: list[Flaw] = field(default_factory=list)


def copy_store(
    source: Store, target: Store, say: Callable[[str], None] = lambda _: None
) -> CopyReport:
    """Copies records with their artefacts, specs and plans that the target lacks.

    What is copied is compared with its checksum first. A record that is finished in the target
    stays as it is there; one that failed there is replaced by a finished one. Of each spec the plan
    of the later run stays, and the versions of methods in the store of the latest run count.
    Records follow their artefacts, so that a copy that is interrupted can be repeated.

    Args:
        source: only read.
        target: written.
        say: takes a few words on each step of the work.

    Raises:
        StoreError: a store cannot be read or written.
    """
    copied = CopyReport()
    try:
        newer = _last_run(source.folder) > _last_run(target.folder)
        for kind in record_folders(source.folder):
            names = record_names(kind)
            there = target.finished((kind.name, name.removesuffix(".json")) for name in names)
            missing = [name for name in names if name.removesuffix(".json") not in there]
            copied.there += len(there)
            for number, (name, content) in enumerate(read_all(kind, missing).items(), start=1):
                say(f"copying {kind.name} {number}/{len(missing)}")
                _copy_record(source.folder, target, kind / name, content, copied)
        for folder in (SPECS, PLANS):
            _copy_texts(source.folder / folder, target.folder / folder, copied)
        _copy_versions(source.folder, target.folder, copied, newer=newer)
    except OSError as error:
        raise StoreError(
            f"the store cannot be copied ({error})",
            "make room or check permissions and network, then run the same command again: what was "
            "copied stays",
        ) from error
    return copied


def _copy_record(
    source: StorePath, target: Store, file: StorePath, content: bytes, copied: CopyReport
) -> None:
    """Copies one record after its artefacts, or notes what is wrong with it."""
    name = f"{RECORDS}/{file.parent.name}/{file.name}"
    try:
        record = parsed(content, file, file.parent.name)
        found = _artefacts(source, target.folder, record)
    except StoreError as error:
        copied.flaws.append(Flaw(name, error.problem, error.remedy))
        return
    check_still_there(target.folder)
    for place, artefact in found.items():
        write(target.folder / place, artefact)
    if _is_as_good(target, record):
        copied.there += 1
        return
    write(target.folder / name, content)
    copied.records += 1
    copied.bytes += len(content) + sum(map(len, found.values()))


def _is_as_good(target: Store, record: Record) -> bool:
    """Returns whether the target holds a record that this one must not replace.

    A run may have written it since the copy began, so that this is asked right before each record
    is written. No record that failed replaces another one.
    """
    if record.status == "done":
        return target.find(record.kind, record.id) is not None
    try:
        read_record(target.record_file(record.kind, record.id), record.kind)
    except StoreError:  # there is none, or it is damaged
        return False
    return True


def _copy_texts(source: StorePath, target: StorePath, copied: CopyReport) -> None:
    """Copies the specs or the plans that the target lacks, or notes what is wrong with them."""
    check_still_there(target.parent)
    known = dict(contents_of(target))
    for name, content in contents_of(source):
        if name in known and not _later(content, known[name]):
            continue
        if flaws := flaws_of_text(source.name, name, content):
            copied.flaws += flaws
        else:
            write(target / name, content)


def _later(content: bytes, other: bytes) -> bool:
    """Returns whether a text is the plan of a later run than the other; a spec is none."""
    return _run_of(content) > _run_of(other)


def _run_of(content: bytes) -> str:
    """Returns when the run of a plan began; empty for a spec and for what is damaged."""
    try:
        return str(json.loads(unsealed(content.decode())).get("run", ""))
    except (ValueError, AttributeError):
        return ""


def _last_run(store: StorePath) -> str:
    """Returns when the last run into a store began; empty where no plan says it."""
    return max((plan.run for plan in stored_plans(store)[0]), default="")


def _copy_versions(
    source: StorePath, target: StorePath, copied: CopyReport, *, newer: bool
) -> None:
    """Joins the versions of methods, or notes what is wrong.

    Args:
        source: the store to read.
        target: the store to write.
        copied: gets what is wrong.
        newer: whether the last run was into the source, so that its versions count.
    """
    try:
        ours, theirs = versions_in(target), versions_in(source)
        versions = {**ours, **theirs} if newer else {**theirs, **ours}
    except StoreError as error:
        copied.flaws.append(Flaw(VERSIONS_FILE, error.problem, error.remedy))
        return
    check_still_there(target)
    text = sealed_json(dict(sorted(versions.items())))
    write(target / VERSIONS_FILE, text.encode())


def _artefacts(source: StorePath, target: StorePath, record: Record) -> dict[str, bytes]:
    """Returns name -> content of the artefacts of a record that the target lacks."""
    found = dict[str, bytes]()
    for artefact in record.artefacts.values():
        try:
            read_stored(target, artefact)
        except DamagedError:
            found[artefact.file] = read_stored(source, artefact, record.label)
    return found
