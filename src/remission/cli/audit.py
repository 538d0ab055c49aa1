"""``remission audit``: is there a backdoor, and how deep is the safety of a purified model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remission.cli.run import Device, QuietOption
from remission.cli.suspect import (
    ArchOption,
    DataOption,
    DeviceOption,
    JsonOption,
    KeyOption,
    MeanOption,
    SeedOption,
    SizeOption,
    StdOption,
    check_outputs,
    code_of,
    images_of,
    opened,
    print_reading,
)

if TYPE_CHECKING:
    from remission.audit.auditing import Auditor
    from remission.records.suspect import SuspectAudit

SuspectArgument = Annotated[
    Path,
    typer.Argument(
        help="The suspect model: a file of weights, or a folder with one.", metavar="SUSPECT"
    ),
]
PageOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE.html", help="The page to write.")
]
PurifiedOption = Annotated[
    Path | None,
    typer.Option(metavar="MODEL", help="The purified model that was made of SUSPECT."),
]
PurifiedArchOption = Annotated[
    str, typer.Option(help="As --arch, for the purified model.", metavar="NAME")
]
PurifiedKeyOption = Annotated[
    str, typer.Option(help="As --key, for the purified model.", metavar="KEY")
]
TriggerOption = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="The trigger, if you know it: a PNG of the images' size, transparent where it changes "
        "nothing; a folder with pattern.png and mask.png; or a folder of triggered images, "
        "DIR/true class/image.png.",
    ),
]
QuickOption = Annotated[
    bool, typer.Option("--quick", help="Leave out what takes longest; the page says what.")
]


def audit(
    suspect: SuspectArgument,
    data: DataOption,
    output: PageOption,
    purified: PurifiedOption = None,
    trigger: TriggerOption = None,
    quick: QuickOption = False,
    arch: ArchOption = "",
    key: KeyOption = "",
    purified_arch: PurifiedArchOption = "",
    purified_key: PurifiedKeyOption = "",
    mean: MeanOption = "",
    std: StdOption = "",
    size: SizeOption = None,
    json_file: JsonOption = None,
    device: DeviceOption = Device.AUTO,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Say whether a model has a backdoor, and how deep a purified model's safety is."""
    from remission.cli.progress import waiting

    read = [suspect, purified, trigger, code_of(arch), code_of(purified_arch)]
    check_outputs([output, json_file], read)
    with waiting(quiet, "reading the models and the images"):
        from remission.audit.auditing import Auditor
        from remission.audit.given_trigger import given_trigger
        from remission.audit.suspect.opening import find_model
        from remission.inversion import Voted
        from remission.report.suspect.verdict import FEWEST
        from remission.seeding import Seed

        source, found = Seed(seed), find_model(suspect, place=key, arch=arch)
        dataset = images_of(data, found, size, FEWEST)
        before = opened(found, dataset, mean=mean, std=std, device=device)
        after = None
        if purified:
            made = find_model(
                purified, place=purified_key, arch=purified_arch, option="--purified-key"
            )
            after = opened(made, dataset, mean=mean, std=std, device=device, like=before)
        known = given_trigger(trigger, before, source) if trigger else None
        work = Auditor(
            suspect=before,
            purified=after,
            inversion=Voted(),
            seed=source,
            known=known,
            quick=quick,
        )
    print_reading(before, dataset.notes, quiet)
    _run(work, output, json_file, quiet)


def _run(work: Auditor, output: Path, json_file: Path | None, quiet: bool) -> None:
    """Runs the audit; prints and writes what it finds."""
    from remission.cli.progress import loops_shown, said_to_take
    from remission.disk import write_whole
    from remission.report.suspect.audit import audit_page
    from remission.report.suspect.verdict import judge

    said_to_take(quiet, work.estimate)
    with loops_shown(quiet):
        result, pictures = work.audit()
    write_whole(output, [audit_page(result, pictures).encode()])
    if json_file:
        write_whole(json_file, [json.dumps(_as_json(result), indent=1).encode()])
    verdict = judge(result)
    print(f"Verdict: {verdict.outcome}.")
    for sentence in (*verdict.reasons, *verdict.limits):
        print(sentence)
    print(f"Written: {', '.join(str(file) for file in (output, json_file) if file)}.")


def _as_json(result: SuspectAudit) -> dict[str, object]:
    """Returns the verdict with its reasons, and all numbers."""
    from remission.records.suspect import as_json
    from remission.report.suspect.depth import decisive
    from remission.report.suspect.verdict import judge

    verdict, found = judge(result), decisive(result)
    return {
        "verdict": verdict.outcome,
        "reasons": verdict.reasons,
        "limits": verdict.limits,
        "blind_gap": found.blind_gap() if found else None,
        "worst_gap": found.worst_gap() if found else None,
        "decided_by": found.suspected.name if found else None,
        **as_json(result),
    }
