"""Who handles Ctrl-C and SIGTERM of a run, and when they wait."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from remission.grid.executor.cluster import Cluster
from remission.grid.executor.interruptions import tidying

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no masks of signals")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    which = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, signal.default_int_handler) for each in which}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def test_ray_does_not_keep_the_handlers_that_it_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    from remission.grid.executor.on_ray import _connected

    def replaces(**_: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))

    monkeypatch.setattr(ray, "init", replaces)
    monkeypatch.setattr(ray, "shutdown", replaces)
    with _connected(Cluster()):
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler


def test_sigterm_while_ray_starts_is_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    from remission.grid.executor.on_ray import _connected

    monkeypatch.setattr(ray, "init", lambda **_: sys.exit(15))
    with pytest.raises(KeyboardInterrupt), _connected(Cluster()):
        pass


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_what_is_tidied_up_is_whole(which: signal.Signals) -> None:
    done = []

    def tidy() -> None:
        with tidying():
            os.kill(os.getpid(), which)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        tidy()
    assert done == ["whole"]
