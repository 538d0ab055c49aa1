"""A cluster without room for a stage is refused before anything starts, in one line."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from remission.grid.executor.cluster import Cluster, ClusterError, use_token


@pytest.mark.parametrize("share", [1.5, 2.25, math.inf, math.nan])
def test_a_share_that_ray_does_not_know(share: float) -> None:
    with pytest.raises(ClusterError, match="a whole number above 1"):
        Cluster(gpus_per_stage=share)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0, 3.0])
def test_a_share_that_ray_knows(share: float) -> None:
    Cluster(gpus_per_stage=share).check(1, share, "a node")


Rooms = list[dict[str, Any]]


def node(cpus: float, gpus: float = 0.0, *, alive: bool = True) -> dict[str, Any]:
    room = {"CPU": cpus} | ({"GPU": gpus} if gpus else {})
    return {"Alive": alive, "Resources": room}


@pytest.mark.parametrize(
    ("cpus", "gpus", "nodes", "words"),
    [
        (99, 0.0, [node(2), node(4)], "--cpus-per-stage is 99, and the largest node"),
        (8, 0.0, [node(4), node(4)], "has 4; "),
        (2, 0.5, [node(64)], "--gpus-per-stage is 0.5"),
        (2, 0.5, [node(64, 8, alive=False), node(64)], "--gpus-per-stage is 0.5"),
        (2, 0.5, [], "--cpus-per-stage is 2"),
        (2, 0.5, [node(64), node(2, 1)], ""),
        (2, 2.0, [node(2, 2)], ""),
    ],
)
def test_some_node_needs_room(
    cpus: int, gpus: float, nodes: Rooms, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    from remission.grid.executor.on_ray import _check_room

    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    cluster = Cluster(cpus_per_stage=cpus, gpus_per_stage=gpus)
    if not words:
        _check_room(cluster)
        return
    with pytest.raises(ClusterError, match=words):
        _check_room(cluster)


@pytest.mark.parametrize(
    ("variables", "mode"),
    [
        ({}, None),
        ({"RAY_AUTH_TOKEN": "abc"}, "token"),
        ({"RAY_AUTH_TOKEN_PATH": "token"}, "token"),
        ({"RAY_AUTH_TOKEN_PATH": "nowhere"}, None),
        ({"HOME": "home"}, "token"),
        ({"HOME": "home", "RAY_AUTH_MODE": "disabled"}, "disabled"),
    ],
)
def test_a_token_that_the_account_has_is_shown(
    variables: dict[str, str], mode: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "elsewhere")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for file in (tmp_path / "token", tmp_path / "home" / ".ray" / "auth_token"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ray", sys)
        use_token()
    assert os.environ.get("RAY_AUTH_MODE") == variables.get("RAY_AUTH_MODE"), "it is too late"
    use_token()
    assert os.environ.get("RAY_AUTH_MODE") == mode
