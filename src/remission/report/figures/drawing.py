"""A figure with its title and its caption."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from remission.report.groups.labels import printable


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure with its title and its caption.

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
        """The picture for an HTML page, with a label for screen readers."""
        label = escape(printable(f"{self.title}. {self.caption}"))
        return self.svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
