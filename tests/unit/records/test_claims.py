"""Of several processes one gets a claim; only those of the dead are taken over."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from remission.errors import StoreError
from remission.records import Store
from remission.records.claims import Claims, claims_in
from remission.records.places import StorePath, place_of
from remission.records.status import silence_of
from tests.unit.records.remote import s3_server

STAGE = "0123456789abcdef"


@pytest.fixture(params=["folder", "memory", "s3"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StorePath]:
    if request.param == "folder":
        yield tmp_path
    elif request.param == "memory":
        yield place_of(f"memory://{uuid.uuid4().hex}")
    else:
        with s3_server(monkeypatch) as bucket:
            yield place_of(f"{bucket}/store")


@pytest.fixture(autouse=True)
def _mark(tmp_path: Path) -> None:
    Store(tmp_path)


def take(claims: Claims) -> bool:
    return claims.take(STAGE, "purified", "badnets/seed0/ft")


def test_one_of_two_gets_it_and_gives_it_back(place: StorePath) -> None:
    ours, theirs = Claims(place), Claims(place)
    assert take(ours)
    assert not take(theirs)
    assert theirs.is_claimed(STAGE)
    assert not ours.is_claimed(STAGE), "by somebody else"
    theirs.release(STAGE)
    assert not take(theirs), "nobody can release what is not theirs"
    ours.release(STAGE)
    assert not theirs.is_claimed(STAGE)
    assert take(theirs)
    theirs.release_all()
    assert list(claims_in(place)) == []


def test_of_many_at_once_one_gets_it(place: StorePath) -> None:
    several = [Claims(place) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(take, several)) == [False] * 7 + [True]
    for claims in several:
        claims.release_all()


def test_a_claim_says_who_holds_it_and_how_far_it_is(place: StorePath) -> None:
    claims = Claims(place)
    assert take(claims)
    claims.advance(STAGE, "fine-tuning", 3, 20)
    claims.heartbeat()
    (claim,) = claims_in(place)
    assert (claim.stage, claim.label) == (STAGE, "badnets/seed0/ft")
    assert (claim.doing, claim.done, claim.total, claim.beat) == ("fine-tuning", 3, 20, 1)
    assert not claim.is_gone
    silence = silence_of(place, claim)
    assert silence is None if place.as_posix().startswith("memory:") else 0 <= (silence or 0) < 60
    claims.release_all()
    assert silence_of(place, claim) is None, "it is given back"


def claimed_by_the_dead(store: Path, stage: str) -> None:
    """Lets a process claim a stage of fine-tuning and end without giving it back."""
    code = (
        "import os, sys; from pathlib import Path; from remission.records.claims import Claims\n"
        "assert Claims(Path(sys.argv[1])).take(sys.argv[2], 'purified', 'badnets/seed0/ft')\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(store), stage], check=False, timeout=60)


def test_a_claim_whose_process_is_gone_is_taken_at_once(tmp_path: Path) -> None:
    claimed_by_the_dead(tmp_path, STAGE)
    (claim,) = claims_in(tmp_path)
    assert claim.is_gone
    claims = Claims(tmp_path)
    assert not claims.is_claimed(STAGE)
    assert take(claims)
    claims.release_all()


def test_another_process_with_the_same_number_is_not_the_holder(tmp_path: Path) -> None:
    assert take(Claims(tmp_path))
    edited(tmp_path, holder="17-abc")
    assert take(Claims(tmp_path))


def edited(folder: Path, **values: object) -> None:
    """Changes what the claim says."""
    file = folder / "claims" / f"{STAGE}.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_claim_from_elsewhere_is_taken_when_its_heartbeat_stood_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert take(Claims(tmp_path, interval=1e6))
    edited(tmp_path, computer="another", holder="5-abc", started="2999-01-01T00:00:00+00:00")
    waiting = Claims(tmp_path, interval=1e6)
    assert not take(waiting)
    now[0] += 599
    assert not take(waiting)
    edited(tmp_path, beat=1)
    now[0] += 599
    assert not take(waiting), "it has moved since"
    now[0] += 601
    assert take(waiting)


def test_who_lost_a_claim_neither_beats_nor_releases_it(tmp_path: Path) -> None:
    slow = Claims(tmp_path, interval=1e6)
    assert take(slow)
    edited(tmp_path, computer="another", holder="5-abc")
    before = (tmp_path / "claims" / f"{STAGE}.json").read_bytes()
    slow.heartbeat()
    slow.release(STAGE)
    assert (tmp_path / "claims" / f"{STAGE}.json").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"stage": 3}', b"\xff"])
def test_a_broken_claim_is_waited_for_and_then_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    file = tmp_path / "claims" / f"{STAGE}.json"
    file.parent.mkdir()
    file.write_bytes(content)
    claims = Claims(tmp_path, interval=1e6)
    assert not take(claims)
    assert list(claims_in(tmp_path)) == []
    now[0] = 601
    assert take(claims)


def test_the_heart_beats_by_itself(tmp_path: Path) -> None:
    claims = Claims(tmp_path, interval=0.02)
    assert take(claims)
    give_up = time.monotonic() + 20
    while next(claims_in(tmp_path)).beat < 2:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    claims.release_all()
    assert list(claims_in(tmp_path)) == []


def test_a_run_of_this_process_that_could_not_give_it_back_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = Claims(tmp_path)
    assert take(ended)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        ended.release_all()
    assert take(Claims(tmp_path))


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("content", [b"", b"{", b'{"stage": "0123', b"\xff\xfe"])
def test_a_claim_that_is_not_whole_is_abandoned_after_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """Its process was killed, or the disk was full, between opening and writing it."""
    claims, now = Claims(tmp_path), [100.0]
    monkeypatch.setattr("remission.records.claims.time.monotonic", lambda: now[0])
    file = tmp_path / "claims" / f"{STAGE}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    assert not take(claims), "its process may be writing it"
    now[0] += 5
    assert not claims.is_claimed(STAGE)
    assert take(claims)
    claims.release_all()


def test_a_claim_of_a_newer_remission_is_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims, now = Claims(tmp_path), [100.0]
    monkeypatch.setattr("remission.records.claims.time.monotonic", lambda: now[0])
    (tmp_path / "claims").mkdir(exist_ok=True)
    (tmp_path / "claims" / f"{STAGE}.json").write_text('{"stage": "0", "colour": "red"}')
    assert not take(claims)
    now[0] += 500
    assert not take(claims)
    assert claims.is_claimed(STAGE)
    claims.release_all()


@pytest.mark.parametrize("room", [0, 10])
def test_a_full_disk_leaves_no_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    claims, opening = Claims(tmp_path), Path.open

    class Full(io.FileIO):
        def write(self, content: Any) -> int:  # noqa: ANN401
            if room:
                return super().write(content[:room])
            raise OSError(28, "No space left on device")

    def full(file: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        return Full(file, "xb") if mode == "xb" else opening(file, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(StoreError, match="no space left for"):
        take(claims)
    monkeypatch.undo()
    assert list((tmp_path / "claims").iterdir()) == []
    assert take(claims)
    claims.release_all()
