"""``remission purify``: purifies somebody's own model with a folder of clean images."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remission.cli.run import Device, QuietOption
from remission.cli.suspect import (
    PURIFIED_WITH,
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
    purifier_of,
)
from remission.errors import CheckpointError

if TYPE_CHECKING:
    from remission.audit.purification import SuspectPurifier
    from remission.inversion import Inverted
    from remission.models import Classifier

ModelArgument = Annotated[
    Path, typer.Argument(help="A file of weights, or a folder with one.", metavar="MODEL")
]
WeightsOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT.safetensors", help="The purified model.")
]
MethodOption = Annotated[str, typer.Option(help="The purifier.", metavar="NAME")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the purifier."),
]
AnywayOption = Annotated[
    bool, typer.Option("--anyway", help="Purify the model also where no class stands out.")
]
LikeSourceOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Also write the weights in the container and under the keys of MODEL."
    ),
]
ReportOption = Annotated[Path | None, typer.Option(metavar="FILE.html", help="Also write a page.")]


@dataclass(frozen=True)
class _Outputs:
    """The files to write; None: not asked for."""

    weights: Path
    like_source: Path | None
    page: Path | None
    numbers: Path | None

    def named(self) -> Sequence[Path]:
        """Returns those that are asked for."""
        files = (self.weights, self.like_source, self.page, self.numbers)
        return [file for file in files if file]


def purify(
    model: ModelArgument,
    data: DataOption,
    output: WeightsOption,
    arch: ArchOption = "",
    key: KeyOption = "",
    mean: MeanOption = "",
    std: StdOption = "",
    size: SizeOption = None,
    method: MethodOption = "pam_path",
    settings: SetOption = None,
    anyway: AnywayOption = False,
    like_source: LikeSourceOption = None,
    report: ReportOption = None,
    json_file: JsonOption = None,
    device: DeviceOption = Device.AUTO,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Purify a model of unknown origin. Nothing in its file is executed."""
    from remission.cli.progress import waiting

    outputs = _Outputs(output, like_source, report, json_file)
    check_outputs(outputs.named(), [model, code_of(arch)])
    purifier = purifier_of(method, settings or [])
    with waiting(quiet, "reading the model and the images"):
        from remission.audit.purification import SuspectPurifier
        from remission.audit.suspect.opening import find_model
        from remission.inversion import Voted
        from remission.seeding import Seed

        found = find_model(model, place=key, arch=arch)
        images = images_of(data, found, size, PURIFIED_WITH)
        suspect = opened(found, images, mean=mean, std=std, device=device)
        work = SuspectPurifier(
            suspect=suspect, purifier=purifier, inversion=Voted(), seed=Seed(seed)
        )
    print_reading(suspect, images.notes, quiet)
    _run(work, outputs, anyway=anyway, quiet=quiet)


def _run(work: SuspectPurifier, outputs: _Outputs, *, anyway: bool, quiet: bool) -> None:
    """Inverts, purifies, prints and writes.

    Raises:
        CheckpointError: no class stands out, and the user did not say ``--anyway``.
    """
    from remission.cli.progress import loops_shown, said_to_take
    from remission.report.suspect.sentences import suspicion_line

    said_to_take(quiet, work.estimate)
    began = time.perf_counter()
    with loops_shown(quiet):
        inverted = work.invert()
    print(suspicion_line(work.suspicion(inverted)), flush=True)
    if not work.stands_out(inverted) and not anyway:
        raise CheckpointError(
            f"'{work.suspect.opened.found.file}': no class stands out, so there may be no "
            "backdoor, and purifying an innocent model costs accuracy",
            "give --anyway to purify it all the same",
        )
    with loops_shown(quiet):
        purified = work.purify(inverted)
    _write(work, inverted, purified, outputs, began)


def _write(
    work: SuspectPurifier,
    inverted: Inverted,
    purified: Classifier,
    outputs: _Outputs,
    began: float,
) -> None:
    """Writes the files, each whole or not at all, and prints what the purification did."""
    from remission.audit.suspect.writing import as_safetensors, like_source
    from remission.disk import write_whole
    from remission.records.suspect import as_json
    from remission.report.suspect.purification import purification_page
    from remission.report.suspect.sentences import result_lines

    result = work.record(inverted, purified, output=str(outputs.weights), began=began)
    content = {outputs.weights: as_safetensors(purified)}
    if outputs.like_source:
        content[outputs.like_source] = like_source(purified, work.suspect.opened.found)
    if outputs.numbers:
        content[outputs.numbers] = json.dumps(as_json(result), indent=1).encode()
    if outputs.page:
        content[outputs.page] = purification_page(result, work.pictures(inverted)).encode()
    for file, whole in content.items():
        write_whole(file, [whole])
    for line in result_lines(result):
        print(line)
    print(f"Written: {', '.join(map(str, outputs.named()))}.")
