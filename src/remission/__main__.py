"""``python -m remission``: the command line."""

from __future__ import annotations

from remission.cli import main

if __name__ == "__main__":
    main()
