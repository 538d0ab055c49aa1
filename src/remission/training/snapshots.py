"""Snapshots of a training under way, so that one that was killed goes on bit for bit.

A grid installs a keeper for the time of a stage; without one nothing is kept. A snapshot holds
weights, buffers, the state of the optimiser, the losses so far and the number of steps. The order
of the data and its augmentation are drawn again up to that step, so that no generator is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR


class SnapshotKeeper(Protocol):
    """Keeps the newest snapshot of each training of a stage."""

    def name(self, what: str) -> str:
        """Returns the name of the next training of the stage, by the order in which they begin."""

    def load(self, name: str) -> Mapping[str, Tensor] | None:
        """Returns the snapshot of a training, which lies on the CPU; None where there is none."""

    def due(self) -> bool:
        """Returns whether the last snapshot is old enough for another."""

    def save(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keeps a snapshot in place of the last one."""


_keeper: ContextVar[SnapshotKeeper | None] = ContextVar("keeper", default=None)


@contextmanager
def keeping(keeper: SnapshotKeeper) -> Iterator[None]:
    """Lets ``keeper`` keep the snapshots of every training within this context."""
    token = _keeper.set(keeper)
    try:
        yield
    finally:
        _keeper.reset(token)


@dataclass(eq=False)
class Snapshots:
    """The snapshots of one training; a dry run and a training without a keeper have none.

    Args:
        model: what is trained.
        optimizer: its optimiser.
        what: the name of the training.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    what: str

    def __post_init__(self) -> None:
        """Asks for a keeper, and for a name."""
        self.keeper = _keeper.get()
        self.name = self.keeper.name(self.what) if self.keeper else ""

    def restore(self, rates: LambdaLR, losses: list[float], summed: Tensor) -> int:
        """Restores a training, if there is a snapshot that fits.

        Args:
            rates: sets the learning rate.
            losses: filled with those of whole epochs.
            summed: filled with the sum of those of the present epoch, a scalar.

        Returns:
            The number of steps done; 0 without a snapshot.
        """
        found = self.keeper.load(self.name) if self.keeper else None
        if found is None or not self._fits(found):
            return 0
        state = {key: found[f"model.{key}"] for key in self.model.state_dict()}
        self.model.load_state_dict(state)
        self._restore_optimizer(found)
        done = rates.last_epoch = int(found["done"])
        groups = zip(self.optimizer.param_groups, rates.base_lrs, rates.lr_lambdas, strict=True)
        for group, base, share in groups:
            group["lr"] = base * share(done)
        losses += found["losses"].tolist()
        summed.copy_(found["summed"])
        return done

    def _restore_optimizer(self, found: Mapping[str, Tensor]) -> None:
        """Fills the state of the optimiser, each tensor in the memory layout of its parameter."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        state = dict[int, dict[str, Tensor]]()
        for key, value in found.items():
            kind, _, rest = key.partition(".")
            if kind == "optimizer":
                number, _, entry = rest.partition(".")
                like = parameters[int(number)]
                if same := value.shape == like.shape:  # fused steps walk both as memory lies
                    laid = torch.empty_like(like, requires_grad=False).copy_(value)
                state.setdefault(int(number), {})[entry] = laid if same else value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})

    def _fits(self, found: Mapping[str, Tensor]) -> bool:
        """Returns whether a snapshot is one of this model."""
        own = self.model.state_dict()
        return {"done", "losses", "summed"} <= found.keys() and all(
            f"model.{key}" in found and found[f"model.{key}"].shape == value.shape
            for key, value in own.items()
        )

    def maybe_keep(self, done: int, losses: list[float], summed: Tensor) -> None:
        """Keeps a snapshot after a step, if one is due.

        Args:
            done: the number of steps done.
            losses: of whole epochs.
            summed: the sum of those of the present one, a scalar.
        """
        if self.keeper is None or not self.keeper.due():
            return
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            for entry, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{number}.{entry}"] = value
        tensors["done"] = torch.tensor(done)
        tensors["losses"] = torch.tensor(losses, dtype=torch.float64)
        tensors["summed"] = summed
        self.keeper.save(self.name, tensors)
