"""An SVG picture that is written element by element: paths, marks and text.

Matplotlib provides the shapes of marks, the widths of texts, ticks, colours and contours. Its
figures are not used, as they are slow: each tick consists of five artists, and each artist is laid
out twice. The 60 figures of one report took 15 s of processor time with matplotlib, and take 0.3 s
here.

Lengths are in points (1/72 inch), x goes to the right and y goes down.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Literal
from xml.etree import ElementTree

FONT = "DejaVu Sans"
SIZE = 9.5
"""The default size of text."""

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
_DASHES = {"-": (), "--": (3.7, 1.6), ":": (1.0, 1.65), "-.": (6.4, 1.6, 1.0, 1.6)}
"""Lengths of dashes and gaps in widths of the line."""


class Canvas:
    """An SVG picture without identifiers, so that one page can hold several."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._root = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "width": f"{width:.0f}pt",
                "height": f"{height:.0f}pt",
                "viewBox": f"0 0 {width:.0f} {height:.0f}",
                "font-family": f"'{FONT}', sans-serif",
                "font-size": f"{SIZE}",
            },
        )
        self._parent = self._root

    def svg(self) -> str:
        """Returns the picture as text."""
        return ElementTree.tostring(self._root, encoding="unicode")

    @contextmanager
    def named(
        self, name: str, colour: str, points: Iterable[tuple[Point, str]] = ()
    ) -> Iterator[None]:
        """Puts what is drawn meanwhile into a group, which the page's script can switch and name.

        Args:
            name: of the line; what is drawn under the same name later belongs to it, too.
            colour: of the line.
            points: what a reader sees near a point; points that are no numbers are left out.
        """
        texts = [[round(x, 1), round(y, 1), text] for (x, y), text in points if _known((x, y))]
        attributes = {"data-line": name, "data-colour": colour}
        if texts:
            attributes["data-points"] = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
        with self._group(attributes):
            yield

    @contextmanager
    def legend(self, height: float) -> Iterator[None]:
        """Puts what is drawn meanwhile into a group that the page's script replaces.

        Args:
            height: of the legend, which lies at the top of the picture.
        """
        with self._group({"data-legend": f"{height:.0f}"}):
            yield

    @contextmanager
    def _group(self, attributes: dict[str, str]) -> Iterator[None]:
        before = self._parent
        self._parent = ElementTree.SubElement(before, "g", attributes)
        yield
        self._parent = before

    def line(
        self,
        points: Iterable[Point],
        colour: str,
        width: float = 0.8,
        *,
        dash: str = "-",
        opacity: float = 1.0,
    ) -> None:
        """Draws a line through points; a point that is not a number breaks it."""
        self.strokes([points], colour, width, dash=dash, opacity=opacity)

    def strokes(
        self,
        lines: Iterable[Iterable[Point]],
        colour: str,
        width: float = 0.8,
        *,
        dash: str = "-",
        opacity: float = 1.0,
    ) -> None:
        """Draws several lines of the same style, as one element."""
        path = " ".join(filter(None, map(_open, lines)))
        if not path:
            return
        style = {"fill": "none", "stroke": colour, "stroke-width": f"{width:g}"}
        if pattern := _DASHES[dash]:
            style["stroke-dasharray"] = " ".join(f"{width * length:.2f}" for length in pattern)
        else:
            style["stroke-linecap"] = "square"
        self._path(path, style, opacity)

    def area(
        self,
        outlines: Iterable[Iterable[Point]],
        fill: str,
        *,
        opacity: float = 1.0,
        stroke: str = "none",
        width: float = 0.8,
    ) -> None:
        """Fills the area within outlines; an outline within another one cuts a hole."""
        path = " ".join(f"{_open(outline)} Z" for outline in outlines)
        style = {"fill": fill, "stroke": stroke, "fill-rule": "evenodd"}
        if stroke != "none":
            style["stroke-width"] = f"{width:g}"
        self._path(path, style, opacity)

    def box(self, corner: Point, width: float, height: float, fill: str, **style: float) -> None:
        """Fills the rectangle with the upper left corner ``corner``."""
        x, y = corner
        outline = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        self.area([outline], fill, **style)  # type: ignore[arg-type]

    def marks(
        self,
        points: Iterable[Point],
        marker: str,
        colour: str,
        *,
        fill: str | None = None,
        size: float = 5.5,
        opacity: float = 1.0,
    ) -> None:
        """Draws a mark at each point that is a number.

        Args:
            points: the centres of the marks.
            marker: as matplotlib names it, for example ``"o"``; empty: no mark is drawn.
            colour: of the outline.
            fill: colour of the inside; None: that of the outline.
            size: width of a mark.
            opacity: in [0, 1].
        """
        if not marker:
            return
        path = " ".join(_mark(marker, size, *point) for point in points if _known(point))
        if path:
            style = {"fill": fill or colour, "stroke": colour, "stroke-linejoin": "round"}
            self._path(path, style, opacity)

    def text(
        self,
        at: Point,
        text: str,
        *,
        colour: str = "black",
        size: float = SIZE,
        anchor: Anchor = "start",
        bold: bool = False,
        angle: float = 0,
    ) -> None:
        """Writes one line of text.

        Args:
            at: the start, middle or end of the text, by ``anchor``; half-way up its letters.
            text: what to write.
            colour: of the letters.
            size: of the font.
            anchor: which part of the text lies at ``at``.
            bold: whether the text is bold.
            angle: in degrees, counter-clockwise.
        """
        x, y = at
        attributes = {"x": f"{x:.1f}", "y": f"{y + 0.36 * size:.1f}", "fill": colour}
        if size != SIZE:
            attributes["font-size"] = f"{size:g}"
        if anchor != "start":
            attributes["text-anchor"] = anchor
        if bold:
            attributes["font-weight"] = "bold"
        if angle:
            attributes["transform"] = f"rotate({-angle:g} {x:.1f} {y:.1f})"
        ElementTree.SubElement(self._parent, "text", attributes).text = text

    def _path(self, path: str, style: dict[str, str], opacity: float) -> None:
        if opacity < 1:
            style["opacity"] = f"{opacity:g}"
        ElementTree.SubElement(self._parent, "path", {"d": path, **style})


def _open(points: Iterable[Point]) -> str:
    """Returns the path through points, interrupted where a point is not a number."""
    parts, pen = [], "M"
    for point in points:
        if _known(point):
            parts.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
            pen = "L"
        else:
            pen = "M"
    return " ".join(parts)


def _known(point: Point) -> bool:
    return not (math.isnan(point[0]) or math.isnan(point[1]))


def _mark(marker: str, size: float, x: float, y: float) -> str:
    if marker == "o":
        r = size / 2
        circle = f"a{r:g} {r:g} 0 1 0 {size:g} 0a{r:g} {r:g} 0 1 0 {-size:g} 0z"
        return f"M{x - r:.1f} {y:.1f}{circle}"
    corners = _corners(marker)
    (left, top), *others = [(size * a, size * b) for a, b in corners]
    shape = " ".join(
        f"{a - c:.2f} {b - d:.2f}"
        for (a, b), (c, d) in zip(others, [(left, top), *others[:-1]], strict=True)
    )
    return f"M{x + left:.1f} {y + top:.1f}l{shape}z"


@cache
def _corners(marker: str) -> Sequence[Point]:
    """Returns the corners of a mark of matplotlib, of width 1 about the origin."""
    import numpy as np
    from matplotlib.markers import MarkerStyle

    style = MarkerStyle(marker)
    outline = np.asarray(style.get_path().transformed(style.get_transform()).vertices)
    corners = [(float(x), -float(y)) for x, y in outline[:-1]]  # the last one closes the outline
    return list(dict.fromkeys(corners))


@cache
def text_width(text: str, size: float = SIZE, *, bold: bool = False) -> float:
    """Returns how wide a line of text is, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
    with warnings.catch_warnings():
        # A letter that the font lacks only costs exact spacing: the browser has the letter.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)
