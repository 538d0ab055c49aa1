"""Records in, tables and one HTML page out. No torch, no recomputation.

Start at ``tables.render`` and ``page.write_report``; both see what ``summary.summarise`` makes of
the records.
"""
