"""Preview strips -> ``data:`` URIs; the difference is made visible. Never raises on bad files."""

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops

from remission.records import Artefact, Record

MAX_PIXELS = 4_000_000
"""Larger files are not opened: a strip of eight ImageNet images has a tenth of that."""
_HEIGHT = 88
"""Height in CSS pixels that small images are enlarged to, by a whole factor."""


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Images side by side, ready for an ``<img>``; width and height in CSS pixels."""

    title: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The strips of one record, or the sentence that stands in their place."""

    title: str
    strips: tuple[Strip, ...] = ()
    count: int = 0
    note: str = ""


def compare(folder: Path, record: Record, *, other: str, other_title: str, title: str) -> Pictures:
    """Clean images, the same with a trigger, and what the trigger changed.

    Args:
        folder: the store.
        record: has the artefacts ``preview_clean`` and ``other``, PNG strips of equal size.
        other: role of the strip with the trigger.
        other_title: what to call it.
        title: what to call the whole.
    """
    loaded = []
    for role in ("preview_clean", other):
        found = _load(folder, record.artefacts.get(role))
        if isinstance(found, str):
            return Pictures(title=title, note=f"No pictures: {found}.")
        loaded.append(found)
    clean, changed = loaded
    if clean.size != changed.size:
        note = "No pictures: the previews have different sizes."
        return Pictures(title=title, note=note)
    if clean.mode != changed.mode:
        clean, changed = clean.convert("RGB"), changed.convert("RGB")
    difference, factor = _magnified(clean, changed)
    shown = "no difference" if factor == 0 else f"difference ×{factor:g}"
    strips = (
        _strip("clean", clean),
        _strip(other_title, changed),
        _strip(shown, difference),
    )
    count = record.details.get("preview_count")
    return Pictures(title=title, strips=strips, count=count if isinstance(count, int) else 0)


def _load(folder: Path, artefact: Artefact | None) -> Image.Image | str:
    """The picture in grey or RGB, or why there is none."""
    if artefact is None:
        return "the record keeps no preview"
    file = (folder / artefact.file).resolve()
    if not file.is_relative_to(folder.resolve()):
        # A store may come from somebody else: it must not pull other files into the page.
        return "the preview's path leads out of the store"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused below
            image = Image.open(file, formats=["PNG"])
        with image:
            if image.width * image.height > MAX_PIXELS:
                return "the preview is too large to show"
            return image.convert("L" if image.mode in ("1", "L") else "RGB")
    except FileNotFoundError:
        return "the preview's file is missing from the store"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "the preview's file cannot be read"


def _magnified(clean: Image.Image, changed: Image.Image) -> tuple[Image.Image, float]:
    """|changed - clean| times the factor that makes the largest difference white; 0 if equal."""
    difference = ImageChops.difference(clean, changed)
    extrema = difference.getextrema()
    ends = [extrema] if clean.mode == "L" else list(extrema)
    largest = max(int(end[1]) for end in ends)  # type: ignore[index]  # (low, high) a channel
    if largest == 0:
        return difference, 0.0
    factor = float(f"{255 / largest:.2g}")
    return difference.point(lambda value: min(255, round(value * factor))), factor


def _strip(title: str, image: Image.Image) -> Strip:
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=True)
    scale = max(1, _HEIGHT // image.height)
    return Strip(
        title=title,
        uri=f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}",
        width=image.width * scale,
        height=image.height * scale,
    )
