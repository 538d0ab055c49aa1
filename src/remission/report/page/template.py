"""Templates of pages, filled."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from remission.report.groups.labels import printable

_TEMPLATES = Path(__file__).parent / "templates"


def render_page(name: str, **content: Any) -> str:  # noqa: ANN401  # whatever the templates show
    """Returns a page as HTML text.

    Args:
        name: the file of its template.
        content: the values that the template shows; text is escaped.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,  # names come from other people's specs and files
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        sentence=_as_sentence, signed=_signed, printable=printable, uncommented=_uncommented
    )
    return environment.get_template(name).render(**content)


def as_json(value: object) -> str:
    """Returns JSON that can stand within a script element: no text in it ends the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def _as_sentence(note: str) -> str:
    """Returns a note with a capital letter, a full stop, and minus signs before numbers."""
    text = with_minus(note)
    return f"{text[:1].upper()}{text[1:]}."


def _uncommented(script: str) -> str:
    """Returns a script without the lines that hold a comment alone."""
    return re.sub(r"^ *//.*\n", "", script, flags=re.MULTILINE)


def with_minus(text: str) -> str:
    """Returns a text with minus signs in place of hyphens before numbers."""
    return re.sub(r"(?<!\w)-(?=\d)", "\u2212", text)


def _signed(number: str) -> str:
    """Returns a signed number with a minus instead of a hyphen; other text as it is."""
    return number.replace("-", "\u2212") if number[:1] in ("+", "-") else number
