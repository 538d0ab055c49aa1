"""A store that is removed while it is in use does not grow again in part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from remission.errors import StoreError
from remission.records import Store
from remission.records.claims import Claims
from remission.records.copying import copy_store
from remission.records.snapshots import keep_snapshot
from tests.unit.records.test_record import WHOLE


def _copied_into(store: Store) -> None:
    other = Store(store.folder.parent / "other")
    other.keep(WHOLE)
    other.keep_plan("small", [])
    copy_store(other, store)


@pytest.mark.parametrize(
    "use",
    [
        lambda store: keep_snapshot(store.folder, WHOLE.id, b"weights"),
        lambda store: store.keep(WHOLE),
        lambda store: store.keep_artefacts(WHOLE.id, {"weights.safetensors": b""}),
        lambda store: store.keep_plan("small", []),
        lambda store: store.keep_spec("small", "{}"),
        lambda store: store.keep_versions([]),
        lambda store: Claims(store.folder).take(WHOLE.id, WHOLE.kind, WHOLE.label),
        _copied_into,
    ],
)
def test_nothing_writes_into_it(tmp_path: Path, use: Callable[[Store], object]) -> None:
    store = Store(tmp_path / "store")
    store.folder.rename(tmp_path / "away")
    with pytest.raises(StoreError, match="was removed while it was in use"):
        use(store)
    assert not store.folder.exists()
