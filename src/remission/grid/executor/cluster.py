"""Which Ray cluster computes a grid, and which code its workers must have."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from remission.errors import StoreError, UserError
from remission.records.places import StorePath, is_shared


class ClusterError(UserError):
    """A Ray cluster cannot be reached, or cannot compute the grid."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A Ray cluster, and what each stage takes of it.

    Args:
        address: of a running cluster, ``"auto"`` or ``"HOST:PORT"``; None: one is started on this
            computer, and ends with the run.
        cpus_per_stage: processors per stage, at least 1; a stage computes with as many threads.
        gpus_per_stage: accelerators per stage, for example 0.25; with 0 stages run on processors.
        jobs: processors of a cluster that is started here; None: all of them.
    """

    address: str | None = None
    cpus_per_stage: int = 1
    gpus_per_stage: float = 0.0
    jobs: int | None = None

    def __post_init__(self) -> None:
        """Checks what no cluster can give.

        Raises:
            ClusterError: Ray shares an accelerator between stages, but gives whole ones otherwise.
        """
        share = self.gpus_per_stage
        if not math.isfinite(share) or (share > 1 and share != int(share)):
            raise ClusterError(
                f"--gpus-per-stage is {share:g}", "give a share of one, or a whole number above 1"
            )

    def check(self, cpus: float, gpus: float, where: str) -> None:
        """Checks that a stage finds room, for which Ray would wait without a word.

        Args:
            cpus: processors of the place with most of them.
            gpus: accelerators there.
            where: that place, in words.

        Raises:
            ClusterError: it lacks what a stage takes.
        """
        for option, wanted, there in (
            ("--cpus-per-stage", self.cpus_per_stage, cpus),
            ("--gpus-per-stage", self.gpus_per_stage, gpus),
        ):
            if wanted > there:
                raise ClusterError(
                    f"{option} is {wanted:g}, and {where} has {there:g}", "give at most as many"
                )

    @property
    def threads(self) -> int:
        """The number of threads of a stage."""
        return self.cpus_per_stage


def check_ray() -> None:
    """Checks that Ray is installed.

    Raises:
        ClusterError: it is not.
    """
    if importlib.util.find_spec("ray") is None:
        raise ClusterError(
            "Ray is not installed", "install it on every node: pip install 'remission[ray]'"
        )


def use_token() -> None:
    """Lets Ray show this account's token to a running cluster, unless Ray is imported already.

    ``ray start`` asks for the token as soon as the account has one, but ``ray.init`` does not show
    it unasked. A cluster that asks for none does not mind it.
    """
    variables = os.environ
    file = Path(variables.get("RAY_AUTH_TOKEN_PATH") or Path("~/.ray/auth_token").expanduser())
    if "ray" in sys.modules:  # it has read its settings, and its processes would read others
        return
    if "RAY_AUTH_MODE" not in variables and (variables.get("RAY_AUTH_TOKEN") or file.is_file()):
        variables["RAY_AUTH_MODE"] = "token"


def check_shared(store: StorePath) -> None:
    """Checks that the workers of a cluster can see a store at all.

    Raises:
        StoreError: it lies in the memory of this process.
    """
    if not is_shared(store):
        raise StoreError(
            f"workers do not see what is written to '{store}'",
            "give a store that lies in a folder that every node shares, or behind s3://",
        )


@cache
def own_code() -> str:
    """Returns the version of this package with a digest of its source files."""
    root, found = Path(__file__).parents[2], hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        found.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return f"{version('remission')} ({found.hexdigest()[:8]})"
