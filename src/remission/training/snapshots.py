"""Snapshots of a training under way, so that one that was killed goes on bit for bit.

A grid installs a keeper for the time of a stage; without one nothing is kept. A snapshot holds
weights, buffers, the state of the optimiser, the losses so far and the number of steps, and what
else the method changes in each step. The order of the data and its augmentation are drawn again up
to that step, so that their generator is not stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


Stateful = nn.Module | torch.optim.Optimizer | torch.Generator
"""What a method may change in each step beside the weights that are trained."""

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
        beside: what else each step changes.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    what: str
    beside: Sequence[Stateful] = ()

    def __post_init__(self) -> None:
        """Asks for a keeper, and for a name."""
        self.keeper = _keeper.get()
        self.name = self.keeper.name(self.what) if self.keeper else ""

    @property
    def _parts(self) -> dict[str, Stateful]:
        """Prefix of the names of its tensors -> what they belong to."""
        others = {f"beside.{number}": part for number, part in enumerate(self.beside)}
        return {"model": self.model, "optimizer": self.optimizer, **others}

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
        for prefix, part in self._parts.items():
            begin = f"{prefix}."
            own = {key.removeprefix(begin): found[key] for key in found if key.startswith(begin)}
            _restore(part, own)
        done = rates.last_epoch = int(found["done"])
        groups = zip(self.optimizer.param_groups, rates.base_lrs, rates.lr_lambdas, strict=True)
        for group, base, share in groups:
            group["lr"] = base * share(done)
        losses += found["losses"].tolist()
        summed.copy_(found["summed"])
        return done

    def _fits(self, found: Mapping[str, Tensor]) -> bool:
        """Returns whether a snapshot is one of this training."""
        modules = {f"{prefix}.{key}": value
                   for prefix, part in self._parts.items() if isinstance(part, nn.Module)
                   for key, value in part.state_dict().items()}  # fmt: skip
        return {"done", "losses", "summed"} <= found.keys() and all(
            key in found and found[key].shape == value.shape for key, value in modules.items()
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
        tensors = {
            f"{prefix}.{key}": value
            for prefix, part in self._parts.items()
            for key, value in _tensors(part).items()
        }
        tensors["done"] = torch.tensor(done)
        tensors["losses"] = torch.tensor(losses, dtype=torch.float64)
        tensors["summed"] = summed
        self.keeper.save(self.name, tensors)


def _tensors(part: Stateful) -> dict[str, Tensor]:
    """Returns the state of a module, of an optimiser or of a generator."""
    if isinstance(part, nn.Module):
        return dict(part.state_dict())
    if isinstance(part, torch.Generator):
        return {"state": part.get_state()}
    return {
        f"{number}.{entry}": value
        for number, state in part.state_dict()["state"].items()
        for entry, value in state.items()
        if isinstance(value, Tensor)
    }


def _restore(part: Stateful, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what :func:`_tensors` returned.

    Each tensor of an optimiser gets the memory layout of its parameter.
    """
    if isinstance(part, nn.Module):
        part.load_state_dict(tensors)
        return
    if isinstance(part, torch.Generator):
        part.set_state(tensors["state"].cpu())
        return
    parameters = [p for group in part.param_groups for p in group["params"]]
    state = dict[int, dict[str, Tensor]]()
    for key, value in tensors.items():
        number, _, entry = key.partition(".")
        like = parameters[int(number)]
        if same := value.shape == like.shape:  # fused steps walk both as memory lies
            laid = torch.empty_like(like, requires_grad=False).copy_(value)
        state.setdefault(int(number), {})[entry] = laid if same else value
    part.load_state_dict({**part.state_dict(), "state": state})
