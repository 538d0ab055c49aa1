"""``remission purify``: purifies somebody's own model with a folder of clean images."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remission.cli.progress import loops_shown
from remission.errors import CheckpointError, DataError, SpecError

if TYPE_CHECKING:
    from remission.models import Classifier
    from remission.purifiers import Purifier
    from remission.suspect.normalisation import Normalisation
    from remission.suspect.opening import FoundModel, OpenedModel
    from remission.suspect.purification import SuspectPurification
    from remission.types import Dataset


def purify(
    model: Annotated[
        Path, typer.Argument(help="A file of weights, or a folder with one.", metavar="MODEL")
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Clean images: DIR/class/image.png. A fifth only measures.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT.safetensors", help="The purified model.")
    ],
    arch: Annotated[
        str, typer.Option(help="Its architecture, where the weights fit several.", metavar="NAME")
    ] = "",
    key: Annotated[
        str, typer.Option(help="The key of the network in its file, where there are several.")
    ] = "",
    mean: Annotated[
        str, typer.Option(help="Mean that is subtracted from images in [0, 1]: 0.5 or 0.5,0.5,0.4")
    ] = "",
    std: Annotated[str, typer.Option(help="Standard deviation by which it is divided.")] = "",
    method: Annotated[str, typer.Option(help="The purifier.", metavar="NAME")] = "pam_path",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the purifier."),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Purify it also where no class stands out.")
    ] = False,
    like_source: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write a state dict by torch.save, keys as before."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write all numbers as JSON.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The source of everything random.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")] = False,
) -> None:
    """Purify a model of unknown origin. Nothing in its file is executed."""
    from remission.inversion import Voted
    from remission.seeding import Seed
    from remission.suspect.opening import find_model, open_model, relabelled
    from remission.suspect.purification import look, purify
    from remission.suspect.sentences import found_line, model_line, result_lines

    outputs = [file for file in (output, like_source, json_file) if file is not None]
    _check_outputs(outputs, model)
    purifier = _purifier(method, settings or [])
    found = find_model(model, place=key, arch=arch)
    given = _given(mean, std, found.network.recognised.channels)
    dataset = _images(data, found)
    opened = open_model(found, dataset.train, dataset.classes, given=given)
    held_out = relabelled(dataset.test, opened)
    print(model_line(opened, dataset.classes, len(held_out)))
    inversion, source = Voted(), Seed(seed)
    with loops_shown(quiet):
        result = look(opened.model, opened.clean, held_out, inversion, source)
    print(found_line(result, opened, dataset.classes, inversion.threshold))
    if not result.standing_out and not anyway:
        raise CheckpointError(
            f"'{model}': no class stands out, so there may be no backdoor, and purifying an "
            "innocent model costs accuracy",
            "give --anyway to purify it all the same",
        )
    with loops_shown(quiet):
        result = purify(
            opened.model,
            opened.clean,
            held_out,
            result,
            purifier=purifier,
            inversion=inversion,
            seed=source,
        )
    assert result.purified is not None
    _write(result.purified, output, like_source)
    if json_file:
        _write_json(json_file, opened, dataset, result, purifier)
    print(result_lines(result, str(output)))


def _check_outputs(files: list[Path], model: Path) -> None:
    for file in files:
        if file.is_dir() or not file.absolute().parent.is_dir():
            raise CheckpointError(f"'{file}' cannot be written", "name a file in a folder")
        if file.exists() and model.exists() and file.samefile(model):
            raise CheckpointError(f"'{file}' is the model itself", "name another file")


def _purifier(method: str, settings: list[str]) -> Purifier:
    """Builds the purifier from --method and --set."""
    from remission.registry import make_purifier

    table: dict[str, Any] = {"method": method}
    for setting in settings:
        key, sign, text = setting.partition("=")
        if not sign or not key:
            raise SpecError(f"--set {setting}", "write KEY=VALUE, for example --set epochs=20")
        try:
            table[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            table[key.strip()] = text.strip()
    purifier = make_purifier(table)
    if purifier.needed_trigger() == "true":
        raise SpecError(
            f"{method} needs the attacker's trigger, which nobody knows here",
            "choose a method that inverts the trigger or needs none",
        )
    return purifier


def _given(mean: str, std: str, channels: int) -> Normalisation | None:
    """Returns the normalisation of --mean and --std; None without them."""
    from remission.suspect.normalisation import Normalisation

    if not mean and not std:
        return None
    if not mean or not std:
        raise SpecError("--mean and --std belong together", "give both")
    try:
        numbers = [tuple(float(part) for part in text.split(",")) for text in (mean, std)]
        first, second = (n * channels if len(n) == 1 else n for n in numbers)
        if len(first) != channels:
            raise ValueError
        return Normalisation(name="as given", mean=first, std=second)
    except ValueError:
        raise SpecError(
            f"--mean {mean} --std {std}",
            f"give one number, or {channels} with commas between; those of --std above 0",
        ) from None


def _images(folder: Path, found: FoundModel) -> Dataset:
    """Reads the folder of images in the size that the model takes."""
    from remission.data import load_dataset
    from remission.suspect.opening import image_size

    if not folder.is_dir():
        raise DataError(f"there is no folder '{folder}'", "give one with a folder per class")
    return load_dataset(folder, size=image_size(found))


def _write(model: Classifier, output: Path, like_source: Path | None) -> None:
    """Writes the purified weights under the keys of their source, whole or not at all."""
    import io

    import torch

    from remission.disk import write_whole
    from remission.models.checkpoint import pack_tensors
    from remission.recognise import foreign_state

    state = foreign_state(model)
    write_whole(output, [pack_tensors(state)])
    if like_source:
        content = io.BytesIO()
        torch.save(state, content)
        write_whole(like_source, [content.getvalue()])


def _write_json(
    file: Path,
    opened: OpenedModel,
    dataset: Dataset,
    result: SuspectPurification,
    purifier: Purifier,
) -> None:
    from remission.disk import write_whole
    from remission.suspect.purification import to_json

    names = dict(zip(opened.match.indices, dataset.classes, strict=True))
    classes = opened.found.network.recognised.classes
    content = {
        "model": str(opened.found.file),
        "arch": opened.found.network.recognised.arch,
        "normalisation": opened.readings[0].normalisation.name,
        "purifier": {"method": purifier.name, **purifier.settings()},
        **to_json(result, tuple(names.get(index, str(index)) for index in range(classes))),
    }
    write_whole(file, [json.dumps(content, indent=1).encode()])
