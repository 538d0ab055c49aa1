"""Views of a store as text, Markdown, CSV and JSON.

Each view is one file of this folder, which registers the view when it is imported
(:func:`remission.report.tables.views.register_view`). All files are imported here.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
