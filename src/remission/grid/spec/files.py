"""The file of a spec, and the paths in it: the image folder, and the pictures of triggers."""

from __future__ import annotations

import inspect
import os
import re
import tomllib
import unicodedata
from pathlib import Path

from remission.data.catalogue import find_source
from remission.data.load import find_folder
from remission.data.picture import image_uri
from remission.errors import DataError, SpecError
from remission.grid.spec.tables import TomlTable
from remission.method import Method
from remission.names import composed, on_disk
from remission.registry import known
from remission.text_files import SAVE_AS_UTF8, EncodingError, read_text


def read_toml(file: Path) -> TomlTable:
    """Reads a spec's file.

    Every name in it is composed, so that it is the name of a method or a class that reads alike.

    Raises:
        SpecError: the file is missing, or no TOML in UTF-8.
    """
    text = ""
    try:
        text = composed(read_text(file))
        return tomllib.loads(text)
    except FileNotFoundError as error:
        raise SpecError(f"there is no spec '{file}'", "check its path") from error
    except EncodingError as error:
        raise SpecError(f"the spec '{file}' is no UTF-8: {error}", SAVE_AS_UTF8) from error
    except OSError as error:
        raise SpecError(f"the spec '{file}' cannot be read ({error})", "check the file") from error
    except (ValueError, RecursionError) as error:
        raise SpecError(
            f"'{file}' is no TOML ({error}){_foreign_letter(text, str(error))}",
            "mend the line it names",
        ) from error


def _foreign_letter(text: str, complaint: str) -> str:
    """A clause that names the letter which the parser stumbled over, where it is not ASCII.

    Such a letter often looks like one of TOML's own, or like nothing: a curly quotation mark, a
    space that does not break.

    Args:
        text: of the file.
        complaint: the parser's, with the line and the column.
    """
    place = re.search(r"\(at line (\d+), column (\d+)\)", complaint)
    line = text.split("\n")[int(place[1]) - 1] if place else ""
    letter = line[int(place[2]) - 1 :][:1] if place else ""
    if not letter or letter.isascii():
        return ""
    return f" at the letter U+{ord(letter):04X} ({unicodedata.name(letter, 'without a name')})"


def located(dataset: str, base: Path) -> str:
    """Returns the argument for :func:`remission.data.load_dataset`: a name or an absolute path.

    Args:
        dataset: as the spec names it.
        base: the folder that a path is relative to.

    Raises:
        DataError: there is no such folder and no such name; the message says where it looked.
    """
    folder = find_folder(dataset, base)
    if folder is None:
        try:
            return find_source(dataset).name
        except DataError as error:
            problem = f"{error.problem}, and there is no folder '{base / dataset}'"
            raise DataError(problem, error.remedy + _near(dataset, base)) from None
    if not folder.exists():
        raise DataError(
            f"'dataset' is '{dataset}', and '{folder}' does not exist",
            "give the path of a folder of images, absolute or relative to the spec"
            + _near(dataset, base),
        )
    return str(folder)


def _near(dataset: str, base: Path) -> str:
    """Returns a hint for a path that is relative to the working directory by mistake."""
    if not dataset or dataset.startswith("~"):
        return ""
    folder = find_folder(f".{os.sep}{dataset}")
    if folder is None or not folder.is_dir() or Path(dataset).is_absolute():
        return ""
    return f"; for '{folder}' write '{os.path.relpath(folder, base)}'"


def with_pictures(table: TomlTable, folder: Path) -> TomlTable:
    """Returns the tables of a spec with pictures in place of their paths, relative to ``folder``.

    So the identity of a stage depends on the content of a picture, and a stored spec needs no file.

    Raises:
        SpecError: a picture is missing, too large or damaged.
    """
    attacks = table.get("attack")
    if not isinstance(attacks, list):
        return table
    return {**table, "attack": [_with_picture(attack, folder) for attack in attacks]}


def _with_picture(attack: object, folder: Path) -> object:
    if not isinstance(attack, dict):
        return attack
    name, image = attack.get("method"), attack.get("image")
    if not isinstance(name, str) or not isinstance(image, str) or image.startswith("data:"):
        return attack
    if not image or not _takes_picture(known("attack").get(name)):
        return attack  # the check of the method itself refuses the key
    try:
        return {**attack, "image": image_uri(on_disk(folder / image))}
    except DataError as error:
        raise SpecError(f"[attack] {name}: 'image': {error.problem}", error.remedy) from error


def _takes_picture(attack: type[Method] | None) -> bool:
    return attack is not None and "image" in inspect.signature(attack).parameters
