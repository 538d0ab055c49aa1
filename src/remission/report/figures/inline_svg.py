"""Matplotlib's SVG made fit to stand inline in a page beside other ones."""

from __future__ import annotations

import re
from xml.etree import ElementTree

_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LINK = "{http://www.w3.org/1999/xlink}href"


def inline(svg: str, *, prefix: str, label: str) -> str:
    """The picture as an HTML fragment: ids start with ``prefix``, ``label`` is read aloud.

    Two inline pictures share one id space: without the prefix, the clip path of the first would
    cut the second. Parsed and not replaced by a pattern, so that a name in the picture that looks
    like an id stays as it is. The style sheet and the metadata are left out, for a style sheet in
    an inline picture applies to the whole page.
    """
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {
            ("href" if name == _LINK else _local(name)): _renamed(name, value, prefix)
            for name, value in element.attrib.items()
        }
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")


def _renamed(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name in ("href", _LINK) and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    return _REFERENCE.sub(rf"url(#{prefix}\1)", value)


def _local(name: str) -> str:
    """``{namespace}tag`` -> ``tag``: HTML knows the tags of SVG without a namespace."""
    return name.rpartition("}")[2]
