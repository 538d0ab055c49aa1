"""Formulas as MathML, which browsers draw without a script and without a request."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx


def _inline(self: Any, node: nodes.math) -> None:  # noqa: ANN401  # a translator of Sphinx
    self.body.append(convert(node.astext(), display="inline"))
    raise nodes.SkipNode


def _display(self: Any, node: nodes.math_block) -> None:  # noqa: ANN401  # a translator of Sphinx
    self.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the renderer ``mathml``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
