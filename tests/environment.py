"""Changes of all tests by environment variables, to see whether tests pass under them."""

from __future__ import annotations

import os

THREADS = int(os.environ.get("REMISSION_TEST_THREADS", "1"))
"""Of each process: other threads, other sums."""
SHIFT = int(os.environ.get("REMISSION_TEST_SEED", "0"))
"""Added to the seed of every network's first weights."""
MARGINS = os.environ.get("REMISSION_TEST_MARGINS", "")
"""A file to which tests.margins writes each comparison; none if empty."""
