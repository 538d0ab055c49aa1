"""What ``purify`` and ``audit`` share: the options that say how somebody's model is opened."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remission.cli.run import Device
from remission.disk import obstacle
from remission.errors import CheckpointError, DataError, SpecError

if TYPE_CHECKING:
    from remission.audit.suspect.opening import FoundModel
    from remission.audit.suspect.preprocessing import Preprocessing
    from remission.audit.suspicion import Suspect
    from remission.purifiers import Purifier
    from remission.types import Dataset

PURIFIED_WITH = 20
"""Held-out images of other classes, whatever the class, that a purification needs at least."""

DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Clean images with a folder per class, DIR/class/image.png. A fifth of each class "
        "is held out for measurement.",
    ),
]
ArchOption = Annotated[
    str,
    typer.Option(
        help="The architecture of the model, where the weights fit several; or FILE.py:function, "
        "your own code, which is then executed.",
        metavar="NAME",
    ),
]
KeyOption = Annotated[
    str,
    typer.Option(
        help="The key of the network in the file of the model, where there are several.",
        metavar="KEY",
    ),
]
MeanOption = Annotated[
    str,
    typer.Option(
        help="Mean that is subtracted from images in [0, 1], for example 0.5 or 0.49,0.48,0.45; "
        "or the name of a preset, for example cifar10 or imagenet.",
        metavar="M",
    ),
]
StdOption = Annotated[
    str, typer.Option(help="Standard deviation by which they are divided.", metavar="S")
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write all numbers as JSON.")
]
SizeOption = Annotated[
    int | None,
    typer.Option(
        min=4,
        metavar="PIXELS",
        help="Side in pixels to which images are resized; without it, the size that the file of "
        "the model states, else that of the images.",
    ),
]
SeedOption = Annotated[int, typer.Option(min=0, help="The source of everything random.")]


def check_outputs(files: Sequence[Path | None], inputs: Sequence[Path | None]) -> None:
    """Checks that files can be written, and are none of those that are read.

    Raises:
        CheckpointError: one cannot be written, two are the same, or one is an input.
    """
    wanted = [file for file in files if file is not None]
    for number, file in enumerate(wanted):
        if problem := obstacle(file):
            raise CheckpointError(*problem)
        if any(file.resolve() == other.resolve() for other in wanted[:number]):
            raise CheckpointError(f"'{file}' would be written twice", "name different files")
        for source in inputs:
            if source is not None and _within(file, source):
                raise CheckpointError(f"'{file}' is part of '{source}'", "name another file")


def code_of(arch: str) -> Path | None:
    """Returns the file of ``--arch FILE.py:function``; None for the name of an architecture."""
    file, _, function = arch.rpartition(":")
    return Path(file) if function and file.endswith(".py") else None


def _within(file: Path, source: Path) -> bool:
    """Returns whether a file is another, or would lie in a folder of a model or a trigger."""
    if source.is_dir():
        return file.resolve().parent == source.resolve()
    return file.exists() and source.exists() and file.samefile(source)


def print_reading(suspect: Suspect, notes: Sequence[str], quiet: bool) -> None:
    """Prints how a model was read, and on standard error what is to be said of the images."""
    from remission.report.suspect.sentences import normalisation_lines, reading_lines

    for note in () if quiet else notes:
        print(f"data: {note}", file=sys.stderr)
    reading = suspect.reading()
    for line in (*reading_lines(reading), *normalisation_lines(reading)):
        print(line, flush=True)


def opened(
    found: FoundModel,
    dataset: Dataset,
    *,
    mean: str,
    std: str,
    device: Device,
    like: Suspect | None = None,
) -> Suspect:
    """Builds a model that was found, and shows it a data set.

    Args:
        found: the model.
        dataset: clean images.
        mean: of ``--mean``.
        std: of ``--std``.
        device: of ``--device``.
        like: a model that it was made of: where nothing else is stated, its classes are matched and
            its images are normalised in the same way.

    Raises:
        UserError: model and images do not belong together.
    """
    from remission.audit.suspect.opening import image_channels
    from remission.audit.suspicion import with_images
    from remission.models import resolve_device

    given = normalisation(mean, std, image_channels(found) or dataset.train.shape[0])
    return with_images(found, dataset, resolve_device(device.value), given=given, like=like)


def images_of(folder: Path, found: FoundModel, size: int | None, fewest: int) -> Dataset:
    """Reads a folder of images in the size that a model takes.

    Args:
        folder: of images.
        found: the model.
        size: (pixels) of ``--size``; None: what the model's file says, else as the images are.
        fewest: number of held-out images of other classes that are needed, whatever the class.

    Raises:
        DataError: there is no such folder, it holds too few images, or these have several sizes
            and nothing says which is right.
    """
    from remission.audit.suspect.opening import image_size
    from remission.data import load_dataset

    if not folder.is_dir():
        raise DataError(f"there is no folder '{folder}'", "give one with a folder per class")
    dataset = load_dataset(folder, size=size or image_size(found))
    counts = dataset.test.labels.bincount(minlength=len(dataset.classes))
    if len(dataset.test) - int(counts.max()) < fewest:
        raise DataError(
            f"'{folder}' holds {len(dataset.train) + len(dataset.test)} images of "
            f"{len(dataset.classes)} classes, of which {len(dataset.test)} would be held out",
            f"give more: of any class, {fewest} images of other classes must be held out",
        )
    return dataset


def normalisation(mean: str, std: str, channels: int) -> Preprocessing | None:
    """Returns the normalisation of --mean and --std; None without them.

    Raises:
        SpecError: they are no numbers, not as many as there are channels, a standard deviation is
            not above 0, one is given without the other, or there is no such preset.
    """
    from remission.audit.suspect.preprocessing import COLOUR, GREY, Preprocessing

    presets = {one.name: one for one in (GREY if channels == 1 else COLOUR)}
    if mean in presets and not std:
        return presets[mean]
    if not mean and not std:
        return None
    known = f"or the name of a preset alone: --mean {', '.join(presets)}"
    if not mean or not std:
        raise SpecError("--mean and --std belong together", f"give both, {known}")
    try:
        numbers = [tuple(float(part) for part in text.split(",")) for text in (mean, std)]
        first, second = (n * channels if len(n) == 1 else n for n in numbers)
        if len(first) != channels:
            raise ValueError
        return Preprocessing(name="as given", mean=first, std=second)
    except ValueError:
        raise SpecError(
            f"--mean {mean} --std {std} is no normalisation of {channels} channels",
            f"give one number, or {channels} with commas between; those of --std above 0, {known}",
        ) from None


def purifier_of(method: str, settings: Sequence[str]) -> Purifier:
    """Builds a purifier from --method and --set.

    Raises:
        SpecError: there is no such method, a value is wrong, or it needs the attacker's trigger.
    """
    from remission.registry import make_purifier

    table: dict[str, Any] = {"method": method}
    for setting in settings:
        key, sign, text = setting.partition("=")
        if not sign or not key.strip():
            raise SpecError(
                f"--set {setting} names no value", "write KEY=VALUE, for example --set epochs=20"
            )
        if (key := key.strip()) in table:
            remedy = "choose the purifier by --method" if key == "method" else "give it once"
            raise SpecError(f"--set {setting} sets '{key}' for a second time", remedy)
        try:
            table[key] = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):  # no TOML, or more of it than can be read
            table[key] = text.strip()
    purifier = make_purifier(table)
    if purifier.needed_trigger() == "true":
        raise SpecError(
            f"{method} needs the attacker's trigger, which nobody knows here",
            "choose a method that inverts the trigger, or needs none",
        )
    return purifier
