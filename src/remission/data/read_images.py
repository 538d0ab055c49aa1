"""Many image files as one uint8 tensor, and what a user should know of them.

Each image is decoded straight into its place, so that a set larger than memory needs no more of it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from remission.data.decode import DIM, WHITE, Header, Resize, read_header, read_pixels
from remission.data.open_image import pillow_is_strict
from remission.errors import DataError
from remission.mapped_tensors import allocate
from remission.progress import advance

NAMED = 10
"""How many files an error names at most, before it counts the others."""

_AT_ONCE = 64  # images that a thread takes


@dataclass(frozen=True, eq=False)
class ReadImages:
    """The images of a list of files.

    Args:
        images: uint8 (N, C, H, W), in the order of the files.
        digests: of the pixels of each; two are equal where the pixels are.
        notes: sentences on what a user might not expect of the files.
    """

    images: Tensor
    digests: list[bytes]
    notes: tuple[str, ...]


def read_images(
    paths: Sequence[Path],
    *,
    size: tuple[int, int] | None,
    channels: int | None,
    resize: Resize = "crop",
    white: int | None = None,
) -> ReadImages:
    """Reads the images of the files, see :func:`remission.data.decode.read_pixels`.

    Args:
        paths: at least one file.
        size: (height, width) of all; without it all must share one size.
        channels: 1 or 3; without it 1 if all are grey, else 3.
        resize: how images of another size come to this one.
        white: the value that stands for white in files of 16 bits; without it 65535.

    Raises:
        DataError: files are no images, damaged, or of another size, and the message names them;
            16-bit files look nearly black beside the others; or all are too large together.
    """
    headers, errors = _headers(paths)
    grey = all(header.grey for header in headers.values()) if channels is None else channels == 1
    goal, first = (size, paths[0]) if size else _first(paths, headers, grey, errors)
    images = allocate((len(paths), 1 if grey else 3, *goal))
    array = images.numpy()
    digests, peaks = [b""] * len(paths), [0] * len(paths)

    def fill(i: int) -> None:
        if i in errors:
            return
        try:
            pixels, peaks[i] = read_pixels(
                paths[i], size=size, grey=grey, resize=resize, white=white or WHITE
            )
        except DataError as error:
            errors[i] = error
            return
        if pixels.shape[1:] != goal:
            errors[i] = _OtherSizeError(paths[i], pixels.shape[1:], first, goal)
            return
        array[i] = pixels
        digests[i] = hashlib.blake2b(array[i].data, digest_size=16).digest()

    in_threads(fill, len(paths), "reading images")
    _raise(errors)
    depth = _depth_note(paths, headers, peaks, images, white)
    return ReadImages(images, digests, (*depth, *_frames_note(paths, headers)))


def in_threads(work: Callable[[int], None], count: int, what: str) -> None:
    """Calls ``work`` with every number below ``count``, several at once, and reports progress."""

    def several(start: int) -> int:
        stop = min(start + _AT_ONCE, count)
        for i in range(start, stop):
            work(i)
        return stop

    with ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool, pillow_is_strict():
        for done in pool.map(several, range(0, count, _AT_ONCE)):
            advance(what, done, count)


def together(errors: Sequence[DataError]) -> DataError:
    """Makes one error of several: it names the first ten files and counts the others."""
    if len(errors) == 1:
        return errors[0]
    named = ", ".join(error.problem for error in errors[:NAMED])
    more = f", and {len(errors) - NAMED} more" if len(errors) > NAMED else ""
    remedies = ", or ".join(dict.fromkeys(error.remedy for error in errors))
    return DataError(f"{len(errors)} files cannot be used: {named}{more}", f"of each: {remedies}")


class _OtherSizeError(DataError):
    """An image has not the size of the first one."""

    def __init__(
        self, path: Path, size: tuple[int, ...], first: Path, goal: tuple[int, int]
    ) -> None:
        super().__init__(
            f"{path} is {size[0]}x{size[1]} pixels (height x width) where {first} is "
            f"{goal[0]}x{goal[1]}",
            "give a size that all images are brought to, and as resize how (crop, squash or "
            "pad), or make them one size",
        )


def _headers(paths: Sequence[Path]) -> tuple[dict[int, Header], dict[int, DataError]]:
    """Returns the headers of the files that have a good one, and the errors of the others."""
    headers, errors = dict[int, Header](), dict[int, DataError]()

    def look(i: int) -> None:
        try:
            headers[i] = read_header(paths[i])
        except DataError as error:
            errors[i] = error

    in_threads(look, len(paths), "looking at images")
    return headers, errors


def _first(
    paths: Sequence[Path], headers: Mapping[int, Header], grey: bool, errors: dict[int, DataError]
) -> tuple[tuple[int, int], Path]:
    """Returns (height, width) and path of the first image that can be read."""
    with pillow_is_strict():
        for i in sorted(headers):
            try:
                pixels, _ = read_pixels(paths[i], size=None, grey=grey, resize="crop")
            except DataError as error:
                errors[i] = error
            else:
                return (pixels.shape[1], pixels.shape[2]), paths[i]
    raise together([errors[i] for i in sorted(errors)])


def _raise(errors: Mapping[int, DataError]) -> None:
    """Raises one error for all files; other sizes only where nothing is damaged."""
    ordered = [errors[i] for i in sorted(errors)]
    sizes = [error for error in ordered if isinstance(error, _OtherSizeError)]
    if worse := [error for error in ordered if not isinstance(error, _OtherSizeError)]:
        raise together(worse)
    if len(sizes) > 1:
        first = sizes[0]
        raise DataError(
            f"{first.problem}, and {len(sizes) - 1} more are of another size", first.remedy
        )
    if sizes:
        raise sizes[0]


def _depth_note(
    paths: Sequence[Path],
    headers: Mapping[int, Header],
    peaks: Sequence[int],
    images: Tensor,
    white: int | None,
) -> list[str]:
    """Says that 16-bit files are nearly black, and refuses them beside 8-bit ones that are not."""
    deep = [i for i in sorted(headers) if headers[i].deep]
    if white is not None:
        _check_white(paths, headers, deep, white)
        return []
    largest = max((peaks[i] for i in deep), default=WHITE)
    if largest * DIM >= WHITE:
        return []
    brightest = paths[max(deep, key=lambda i: peaks[i])]
    dim = (
        f"{len(deep)} of {len(paths)} images have 16 bits per channel and no value above {largest} "
        f"of {WHITE} (as {brightest})"
    )
    likely = (1 << max(1, largest.bit_length())) - 1  # 4095 where 4000 is the largest
    if all(headers[i].grey for i in deep):
        remedy = f"write white = {likely} if that value stands for white"
    else:
        remedy = "save them with 8 bits per channel"
    shallow = [i for i in sorted(headers) if not headers[i].deep]
    if shallow and max(int(images[i].max()) for i in shallow) / 255 > DIM * largest / WHITE:
        raise DataError(f"{dim}: beside the others they would be nearly black", remedy)
    return [f"{dim} and are nearly black: {remedy}"]


def _check_white(
    paths: Sequence[Path], headers: Mapping[int, Header], deep: Sequence[int], white: int
) -> None:
    if not deep:
        raise DataError(
            f"white = {white}, and none of the {len(paths)} images has 16 bits per channel",
            "leave it out",
        )
    colours = [paths[i] for i in deep if not headers[i].grey]
    if colours and white != WHITE:
        raise DataError(
            f"white = {white}, and {colours[0]} has 16 bits per channel in colour, which white is "
            "not for",
            "save such images with 8 bits per channel",
        )


def _frames_note(paths: Sequence[Path], headers: Mapping[int, Header]) -> list[str]:
    several = [i for i in sorted(headers) if headers[i].frames]
    if not several:
        return []
    return [
        f"{len(several)} of {len(paths)} files hold several frames, of which the first one is read "
        f"(as {paths[several[0]]})"
    ]
