"""A figure with its words."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from remission.report.groups.labels import printable


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure, what to call it and how to read it.

    Args:
        svg: the picture, beginning with its ``<svg`` tag and without identifiers.
        title: a few words.
        caption: full sentences.
    """

    svg: str
    title: str
    caption: str

    @property
    def inline(self) -> str:
        """The picture for an HTML page, with a label that a screen reader says."""
        label = escape(printable(f"{self.title}. {self.caption}"))
        return self.svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
