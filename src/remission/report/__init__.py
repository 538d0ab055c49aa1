"""Records in, tables and one HTML page out. No torch, no recomputation.

Start at ``tables.render.render`` and ``page.page.write_report``. Both see the records as
:class:`remission.report.groups.results.Results`, which groups them once.
"""
