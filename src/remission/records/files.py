"""The names of a store's files."""

from __future__ import annotations

STORE_MARK = "remission-store.json"
"""The file that makes a folder a store."""
RECORDS = "records"
"""Folder: one folder per kind of stage, one JSON file per record, named by its identity."""
ARTEFACTS = "artefacts"
"""Folder: weights and pictures, each named by the identity of its record and its own name."""
SPECS = "specs"
"""Folder: the texts of the specs that were run into the store."""
PLANS = "plans"
"""Folder: one file per spec, with all stages of its grid."""
VERSIONS_FILE = "versions.json"
"""The versions of methods that the last runs into the store had."""
