"""Tables and one HTML page, made from records alone. No torch, no recomputation.

Start at ``tables.render.render`` and ``page.page.write_report``. Both read the records as
:class:`remission.report.groups.results.Results`, which groups them once.
"""
