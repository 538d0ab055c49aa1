"""How Sphinx builds the site from the Markdown in this folder: `make site`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_site"))

project = "remission"
copyright = "The remission authors"
author = "The remission authors"
html_title = "remission"
html_theme = "furo"
html_static_path = ["_site/static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_extra_path = ["_site/extra"]  # llms.txt, which leads to the sources of the pages

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "mathml",
]
exclude_patterns = ["_site/**", "auto_examples/*.ipynb", "sg_execution_times.rst"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
suppress_warnings = [
    "config.cache",  # the gallery's configuration holds functions
]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False

sphinx_gallery_conf = {
    "examples_dirs": str(DOCS.parent / "examples"),
    "gallery_dirs": "auto_examples",
    "filename_pattern": r".*\.py",
    "ignore_pattern": r"__init__",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "default_thumb_file": str(DOCS / "report.png"),
    "show_signature": False,
    "min_reported_time": 0,
}

SOURCE = os.environ.get("REMISSION_SITE_SOURCE", "")
"""The address below which the repository can be read in a browser, without a slash at its end."""


def outward(text: str, source: str) -> str:
    """Rewrites links that lead out of docs/, which the site does not hold.

    With an address they lead there. Without one, a link to a file offers it as a download, as
    MyST does by itself, and a link to a folder becomes its name.
    """

    def rewrite(link: re.Match[str]) -> str:
        words, path = link["words"], link["path"]
        if source:
            return f"[{words}]({source}/{path})"
        return words if (DOCS.parent / path).is_dir() else link[0]

    return re.sub(r"\[(?P<words>[^\]]*)\]\(\.\./(?P<path>[^)#\s]+)\)", rewrite, text)


def _rewrite_source(_app: Sphinx, _name: str, source: list[str]) -> None:
    source[0] = outward(source[0], SOURCE)


def setup(app: Sphinx) -> None:
    """Registers what this site needs beside its extensions."""
    app.connect("source-read", _rewrite_source)
