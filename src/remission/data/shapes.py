"""``shapes``: a synthetic colour data set that every computer draws for itself, bit by bit.

An image shows one object in front of a background of two colours, plain clutter and noise. Outline
and texture together are its class: neither of them alone decides it, nor do the colours, which are
drawn independently of the class. Some objects are small, half covered or hardly textured, so that
no classifier is perfect.

Only whole numbers are used: raw 64-bit draws of PCG64, whose stream numpy guarantees, and integer
arithmetic in fixed point. So no processor and no library rounds in its own way.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.random import PCG64
from numpy.typing import NDArray

from remission.mapped_tensors import allocate
from remission.types import LabelledImages

Ints = NDArray[np.int32]

OUTLINES = ("disc", "square", "triangle", "cross", "ring")
TEXTURES = ("striped", "chequered")
CLASSES = tuple(f"{texture} {outline}" for outline in OUTLINES for texture in TEXTURES)
TRAIN, TEST = 20_000, 4_000

_CHUNK = 250  # images drawn at a time: they fit into a processor's cache
_BITS = 4  # of fraction in a coordinate
_ANGLES = 256  # in the circle
_TILT = 20  # of these angles at most either way: 28 degrees
# 12 bits are far coarser than any library's error, so that the table is the same everywhere.
_COS = np.array(
    [round(4096 * math.cos(2 * math.pi * i / _ANGLES)) for i in range(_ANGLES)], np.int32
)


def draw_shapes(count: int, size: int, seed: int) -> LabelledImages:
    """Draws ``count`` images, uint8 (N, 3, size, size), equally many per class, in random order.

    Args:
        count: of images.
        size: side in pixels; objects grow with it.
        seed: the same seed gives the same images on every computer.
    """
    order = np.argsort(PCG64([seed, count]).random_raw(count), kind="stable")
    labels = np.empty(count, np.int64)
    labels[order] = np.arange(count) % len(CLASSES)
    images = allocate((count, 3, size, size))
    array = images.numpy()

    def fill(job: tuple[int, int]) -> None:
        outline, start = job
        members = np.flatnonzero(labels // len(TEXTURES) == outline)[start : start + _CHUNK]
        dice = _Dice(PCG64([seed, count, outline, start]), len(members))
        array[members] = _draw(dice, size, outline, labels[members] % len(TEXTURES))

    largest = -(-count // len(CLASSES)) * len(TEXTURES)
    jobs = [(o, start) for o in range(len(OUTLINES)) for start in range(0, largest, _CHUNK)]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        list(pool.map(fill, jobs))
    return LabelledImages(images, torch.from_numpy(labels))


class _Dice:
    """Draws whole numbers for a chunk of images."""

    def __init__(self, source: PCG64, count: int) -> None:
        self.source, self.count = source, count

    def between(self, low: int, high: int, *more: int) -> Ints:
        """Draws (N, ..., 1, 1) numbers from ``low`` to ``high``, both included."""
        shape = (self.count, *more, 1, 1)
        raw = self.source.random_raw(math.prod(shape)) >> np.uint64(32)
        spread = (raw * np.uint64(high - low + 1)) >> np.uint64(32)
        return (spread.astype(np.int32) + np.int32(low)).reshape(shape)

    def noise(self, size: int) -> NDArray[np.int16]:
        """Draws (N, 3, size, size) numbers from -255 to 255, those near 0 more often."""
        half = self.count * 3 * size * size
        words = -(-half * 2 // 8)
        raw = self.source.random_raw(words).astype("<u8").view(np.uint8)
        one, other = raw[: half * 2].astype(np.int16).reshape(2, self.count, 3, size, size)
        return np.asarray(one - other, np.int16)


def _draw(dice: _Dice, size: int, outline: int, texture: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draws (N, 3, size, size) images of one outline."""
    unit = size << _BITS  # the image's side
    grid = (np.arange(size, dtype=np.int32) << _BITS) - (unit // 2) + (1 << (_BITS - 1))
    ys, xs = grid[None, :, None], grid[None, None, :]

    image = _background(dice, xs, ys, unit)
    for _ in range(2):
        image = _clutter(dice, image, xs, ys, unit)

    radius = dice.between(unit * 24 // 100, unit * 38 // 100)
    reach = unit // 2 - radius
    x, y = _turned(dice, xs - _within(dice, reach), ys - _within(dice, reach), reach=_TILT)
    inside = _INSIDE[outline](dice, x, y, radius)
    fill = _textured(dice, x, y, unit, texture)
    image = _over(image, fill, inside)
    image = _occluder(dice, image, xs, ys, unit)

    light = dice.between(200, 290).astype(np.int16)[:, None]
    amount = dice.between(16, 64).astype(np.int16)[:, None]
    image = ((image.astype(np.int32) * light) >> 8).astype(np.int16)
    image += (dice.noise(size) * amount) >> 8
    drawn: NDArray[np.uint8] = image.clip(0, 255).astype(np.uint8)
    return drawn


def _background(dice: _Dice, xs: Ints, ys: Ints, unit: int) -> NDArray[np.int16]:
    """Draws one colour that runs into another along a random direction, (N, 3, H, W)."""
    first, second = dice.between(0, 150, 3), dice.between(0, 150, 3)
    x, _ = _turned(dice, xs, ys, reach=_ANGLES // 2)
    share = ((x * 256) // unit + 128).clip(0, 256).astype(np.int16)[:, None]
    return (first + (((second - first) * share) >> 8)).astype(np.int16)


def _clutter(
    dice: _Dice, image: NDArray[np.int16], xs: Ints, ys: Ints, unit: int
) -> NDArray[np.int16]:
    """Draws a plain disc or slab somewhere behind the object."""
    half = unit // 2
    x, y = _turned(
        dice, xs - dice.between(-half, half), ys - dice.between(-half, half), reach=_ANGLES // 2
    )
    radius = dice.between(unit * 8 // 100, unit * 20 // 100)
    slab = np.minimum(radius - abs(x), radius // 2 - abs(y))
    inside = np.where(dice.between(0, 1) == 1, slab, _disc(x, y, radius))
    return _over(image, dice.between(0, 200, 3).astype(np.int16), inside)


def _occluder(
    dice: _Dice, image: NDArray[np.int16], xs: Ints, ys: Ints, unit: int
) -> NDArray[np.int16]:
    """Draws a plain slab across a part of the image, in front of the object."""
    half = unit // 3
    x, y = _turned(
        dice, xs - dice.between(-half, half), ys - dice.between(-half, half), reach=_ANGLES // 2
    )
    width = dice.between(-unit * 6 // 100, unit * 13 // 100)  # below 0: there is none
    inside = np.minimum(width - abs(x), unit // 3 - abs(y))
    return _over(image, dice.between(0, 200, 3).astype(np.int16), inside)


def _textured(
    dice: _Dice, x: Ints, y: Ints, unit: int, texture: NDArray[np.int64]
) -> NDArray[np.int16]:
    """Draws two colours in stripes or a chequer, in the object's own coordinates."""
    period = dice.between(unit * 14 // 100, unit * 22 // 100)
    u, v = _turned(dice, x, y, reach=_TILT)
    first = ((u + dice.between(0, unit)) % period) * 2 >= period
    second = ((v + dice.between(0, unit)) % period) * 2 >= period
    chequered = texture.astype(bool)[:, None, None]
    mask = first ^ (second & chequered)
    light = dice.between(120, 255, 3)
    dark = light - ((light * dice.between(2, 110)[:, None]) >> 8)
    return np.where(mask[:, None], dark, light).astype(np.int16)


def _over(image: NDArray[np.int16], colour: NDArray[np.int16], inside: Ints) -> NDArray[np.int16]:
    """Lays ``colour`` over ``image`` where ``inside`` is positive; edges are one pixel soft."""
    share = (inside + (1 << (_BITS - 1))).clip(0, 1 << _BITS).astype(np.int16)[:, None]
    return image + (((colour - image) * share) >> _BITS)


def _turned(dice: _Dice, x: Ints, y: Ints, *, reach: int) -> tuple[Ints, Ints]:
    """Turns coordinates (N, H, W) by a random angle, at most ``reach`` either way."""
    angle = dice.between(-reach, reach)
    cos, sin = _COS[angle % _ANGLES], _COS[(angle - _ANGLES // 4) % _ANGLES]
    return (x * cos + y * sin) >> 12, (y * cos - x * sin) >> 12


def _within(dice: _Dice, reach: Ints) -> Ints:
    """Draws numbers from -reach to reach."""
    return (dice.between(-1024, 1024) * reach) >> 10


def _plain_disc(dice: _Dice, x: Ints, y: Ints, radius: Ints) -> Ints:
    del dice
    return _disc(x, y, radius)


def _disc(x: Ints, y: Ints, radius: Ints) -> Ints:
    """Returns nearly how far a point lies inside a disc; at its edge this is exact."""
    inside: Ints = (radius * radius - x * x - y * y) // (2 * radius)
    return inside


def _square(dice: _Dice, x: Ints, y: Ints, radius: Ints) -> Ints:
    del dice
    half = radius * 9 // 10
    return half - np.maximum(abs(x), abs(y))


def _triangle(dice: _Dice, x: Ints, y: Ints, radius: Ints) -> Ints:
    """Returns how far a point lies inside an equilateral triangle; cos 30 degrees is 887 / 1024."""
    del dice
    half = radius * 6 // 10
    return half - np.maximum(-y, ((abs(x) * 887) >> 10) + (y >> 1))


def _cross(dice: _Dice, x: Ints, y: Ints, radius: Ints) -> Ints:
    """Returns how far a point lies inside a cross; with thick arms it is nearly a square."""
    across, along = abs(x), abs(y)
    arm = (radius * dice.between(9, 22)) >> 5
    one, other = np.minimum(arm - across, radius - along), np.minimum(arm - along, radius - across)
    inside: Ints = np.maximum(one, other)
    return inside


def _ring(dice: _Dice, x: Ints, y: Ints, radius: Ints) -> Ints:
    """Returns how far a point lies inside a ring; with a small hole it is nearly a disc."""
    hole = (radius * dice.between(6, 18)) >> 5
    inside: Ints = np.minimum(_disc(x, y, radius), -_disc(x, y, hole))
    return inside


_INSIDE: tuple[Callable[[_Dice, Ints, Ints, Ints], Ints], ...] = (
    _plain_disc,
    _square,
    _triangle,
    _cross,
    _ring,
)
