"""A mistake in an address, or an answer that ends early, costs one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remission.errors import StoreError
from remission.records import Store
from remission.records.places import is_local, place_of, read_all
from tests.unit.grid.small import assert_one_line, remission
from tests.unit.records.remote import misbehaving
from tests.unit.records.test_record import WHOLE


@pytest.mark.parametrize("where", ["s3://", "s3:///x", "S3:///", "memory://", "memory:///"])
def test_an_address_names_something(where: str) -> None:
    with pytest.raises(StoreError, match="of a store names no"):
        place_of(where)


def test_schemes_are_written_in_any_case(tmp_path: Path) -> None:
    pytest.importorskip("s3fs")
    assert place_of("S3://bucket/x/") == place_of("s3://bucket/x")
    assert place_of("Memory://one") == place_of("memory://one")
    assert place_of(f"FILE://{tmp_path}") == tmp_path
    assert is_local(place_of("odd name://x"))


def test_an_address_of_a_server_without_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    s3fs = pytest.importorskip("s3fs")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "tests")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:5988")
    s3fs.S3FileSystem.clear_instance_cache()
    for command in (["table"], ["status"], ["store", "verify"], ["store", "prune"]):
        assert_one_line(remission(*command, "s3://bucket/x"), "AWS_ENDPOINT_URL")


def test_a_body_that_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    ending: list[bool] = []

    def ends(request: Any) -> bool:  # noqa: ANN401
        if not ending or request.command != "GET" or WHOLE.id not in request.path:
            return False
        request.send_response(206 if "Range" in request.headers else 200)
        request.send_header("Content-Length", "1000")
        request.send_header("Content-Range", "bytes 0-999/1000")
        request.end_headers()
        request.wfile.write(b"begun")
        request.close_connection = True
        return True

    with misbehaving(monkeypatch, ends) as bucket:
        store = Store(f"{bucket}/store")
        store.keep(WHOLE)
        place_of(f"{bucket}/store").fs.retries = 1  # type: ignore[attr-defined]
        ending.append(True)
        file = store.record_file(WHOLE.kind, WHOLE.id)
        with pytest.raises(OSError, match=r"[Pp]ayload|[Ii]ncomplete"):
            file.read_bytes()
        with pytest.raises(OSError, match=r"[Pp]ayload|[Ii]ncomplete"):
            read_all(file.parent, [file.name])
