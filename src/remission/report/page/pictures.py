"""Strips of preview images for the page. A file that cannot be shown becomes a sentence."""

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops

from remission import png
from remission.errors import StoreError
from remission.records import Artefact, Record
from remission.records.artefacts import read_artefact

MAX_BYTES = 1 << 24
"""Larger files are not read; ``MAX_PIXELS`` pixels fit into this size without compression."""
MAX_PIXELS = 4_000_000
"""Pictures with more pixels are not shown; a strip of eight ImageNet images has a tenth of it."""
_HEIGHT = 88
"""Height in CSS pixels to which small images are enlarged, by a whole factor."""
_COMPACT = 64
"""The same for compact strips, where large images are shrunk to it."""
_GAP = 2  # CSS pixels between the images of a compact strip, a little less or more


@dataclass(frozen=True, kw_only=True)
class StripComparison:
    """Strips of the same images, clean and changed.

    Args:
        clean: grey or RGB.
        changed: a strip of the same size and mode.
        difference: |changed - clean| times ``factor``.
        factor: makes the largest difference white; 0 where there is none.
        count: images in a strip; 0 if unknown.
    """

    clean: Image.Image
    changed: Image.Image
    difference: Image.Image
    factor: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Images side by side, ready for an ``<img>``; width and height in CSS pixels."""

    title: str
    uri: str
    width: int
    height: int
    smooth: bool
    """Whether the picture is shrunk; in an enlarged picture pixels stay squares."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The strips of one record, or a sentence that says why there are none."""

    title: str
    strips: tuple[Strip, ...] = ()
    count: int = 0
    note: str = ""


def compare(
    folder: Path,
    record: Record,
    *,
    other: str,
    other_title: str,
    title: str,
    first: int | None = None,
    before: str = "preview_clean",
) -> Pictures:
    """Returns strips of clean images, of the same images with a trigger, and of the difference.

    Args:
        folder: the store.
        record: has the artefacts ``before`` and ``other``, PNG strips of equal size.
        other: role of the strip with the trigger.
        other_title: title of that strip.
        title: title of the pictures.
        first: number of images in compact strips; None: full strips of all images.
        before: role of the strip before the change: ``preview_`` and its title.
    """
    compared = comparison(folder, record, other=other, first=first, before=before)
    if isinstance(compared, str):
        return Pictures(title=title, note=f"No pictures: {compared}.")
    name_of_difference = f"difference ×{compared.factor:g}" if compared.factor else "no difference"
    images = {
        before.removeprefix("preview_"): compared.clean,
        other_title: compared.changed,
        name_of_difference: compared.difference,
    }
    make = _compact if first else _strip
    strips = tuple(make(name, image, compared.count) for name, image in images.items())
    return Pictures(title=title, strips=strips, count=compared.count)


def comparison(
    folder: Path,
    record: Record,
    *,
    other: str,
    first: int | None = None,
    before: str = "preview_clean",
) -> StripComparison | str:
    """Returns the strips of a record, or why there are none; arguments as for :func:`compare`."""
    loaded = []
    for role in (before, other):
        image = _load(folder, record.artefacts.get(role))
        if isinstance(image, str):
            return image
        loaded.append(image)
    clean, changed = loaded
    if clean.size != changed.size:
        return "the previews have different sizes"
    if clean.mode != changed.mode:
        clean, changed = clean.convert("RGB"), changed.convert("RGB")
    count = record.details.get("preview_count")
    if not isinstance(count, int) or count < 1 or clean.width % count:
        count = 0
    if first and count > first:
        box = (0, 0, clean.width // count * first, clean.height)
        clean, changed, count = clean.crop(box), changed.crop(box), first
    difference, factor = _magnified(clean, changed)
    return StripComparison(
        clean=clean, changed=changed, difference=difference, factor=factor, count=count
    )


def compare_strips(
    clean: bytes, changed: bytes, *, count: int, other_title: str, title: str
) -> Pictures:
    """Returns strips of clean images, of the same images with a trigger, and of the difference.

    Args:
        clean: a strip as a PNG file.
        changed: another of the same size and mode.
        count: images in a strip.
        other_title: title of the strip ``changed``.
        title: title of the pictures.
    """
    with Image.open(io.BytesIO(clean)) as first, Image.open(io.BytesIO(changed)) as second:
        difference, factor = _magnified(first, second)
        images = {
            "clean": first,
            other_title: second,
            f"difference \u00d7{factor:g}" if factor else "no difference": difference,
        }
        strips = tuple(_strip(name, image, count) for name, image in images.items())
    return Pictures(title=title, strips=strips, count=count)


def sheet(strips: StripComparison, scale: int) -> bytes:
    """Returns the three strips of a comparison one below the other, enlarged, as a PNG."""
    rows = [
        _parted(image, strips.count, 1)
        for image in (strips.clean, strips.changed, strips.difference)
    ]
    width, height = rows[0].size
    whole = Image.new(rows[0].mode, (width, 3 * height + 2), "white")
    for index, row in enumerate(rows):
        whole.paste(row, (0, index * (height + 1)))
    size = (scale * whole.width, scale * whole.height)
    return png.encode(whole.resize(size, Image.Resampling.NEAREST), smallest=True)


def _load(folder: Path, artefact: Artefact | None) -> Image.Image | str:
    """Reads a picture, grey or RGB, or returns why there is none.

    It must have the checksum in the record: a store may come from somebody else, and no link in it
    must pull another file into the page.
    """
    if artefact is None:
        return "the record keeps no preview"
    if artefact.bytes > MAX_BYTES:
        return "the preview is too large to show"
    try:
        content = read_artefact(folder, artefact)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused below
            image = Image.open(io.BytesIO(content), formats=["PNG"])
        with image:
            if image.width * image.height > MAX_PIXELS:
                return "the preview is too large to show"
            return image.convert("L" if image.mode in ("1", "L") else "RGB")
    except StoreError as error:
        return error.problem
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "the preview's file cannot be read"


def _magnified(clean: Image.Image, changed: Image.Image) -> tuple[Image.Image, float]:
    """Returns |changed - clean| times a factor that makes its maximum white, and that factor."""
    difference = ImageChops.difference(clean, changed)
    extrema = difference.getextrema()
    ends = [extrema] if clean.mode == "L" else list(extrema)
    largest = max(int(end[1]) for end in ends)  # type: ignore[index]  # (low, high) per channel
    if largest == 0:
        return difference, 0.0
    factor = float(f"{255 / largest:.2g}")
    return difference.point(lambda value: min(255, round(value * factor))), factor


def _strip(title: str, image: Image.Image, count: int) -> Strip:
    """Returns a strip whose images are enlarged if they are small."""
    return _shown(title, image, max(1, _HEIGHT // image.height))


def _compact(title: str, image: Image.Image, count: int) -> Strip:
    """Returns a strip of a fixed height, with white between its ``count`` images."""
    if image.height <= _COMPACT:
        scale: float = _COMPACT // image.height
    else:
        scale = _COMPACT / image.height
    if scale < 0.5:  # two pixels per CSS pixel are enough for any screen
        width = max(1, round(2 * _COMPACT / image.height * image.width / max(count, 1)))
        image = image.resize((max(count, 1) * width, 2 * _COMPACT), Image.Resampling.BOX)
        scale = 0.5
    return _shown(title, _parted(image, count, max(1, round(_GAP / scale))), scale)


def _parted(image: Image.Image, count: int, gap: int) -> Image.Image:
    """Returns a strip with ``gap`` white pixels between its ``count`` images."""
    if count < 2:
        return image
    width = image.width // count
    parted = Image.new(image.mode, (image.width + (count - 1) * gap, image.height), "white")
    for i in range(count):
        part = image.crop((i * width, 0, (i + 1) * width, image.height))
        parted.paste(part, (i * (width + gap), 0))
    return parted


def _shown(title: str, image: Image.Image, scale: float) -> Strip:
    return Strip(
        title=title,
        uri=f"data:image/png;base64,{base64.b64encode(png.encode(image, smallest=True)).decode()}",
        width=round(image.width * scale),
        height=round(image.height * scale),
        smooth=scale <= 1,
    )
