"""Whatever ends a method is a failure of its stage, but for an interruption."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from remission.errors import StoreError
from remission.grid.stages import execute
from remission.records import Store
from tests.unit.grid.executor.test_grid_run import A

CPU = torch.device("cpu")


class Odd(BaseException):
    """What no handler of usual errors sees."""


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(execute, "execute", broken)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (SystemExit("bad data"), "SystemExit: bad data"),
        (GeneratorExit(), "GeneratorExit:"),
        (Odd("odd"), "Odd: odd"),
        (ValueError("of its own"), "ValueError: of its own"),
    ],
)
def test_it_is_recorded(
    error: BaseException, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(error, monkeypatch)
    store = Store(tmp_path / "store")
    record = execute.run_or_record_failure(A, store, CPU)
    assert (record.status, record.error) == ("failed", reason)
    assert store.failure(A.kind, A.id) == record


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoreError("the store", "is gone")])
def test_it_ends_the_run(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(error, monkeypatch)
    store = Store(tmp_path / "store")
    with pytest.raises(type(error)):
        execute.run_or_record_failure(A, store, CPU)
    assert store.failure(A.kind, A.id) is None
