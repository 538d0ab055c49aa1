"""How many passes over images the formula of each method needs, counted by hand.

A method's floor is the time of these passes and of nothing else: no copies of models, no draws, no
trigger. ``tests/benchmarks/test_floors.py`` compares them with the passes that each method makes. A
method that is added to the registry needs an entry in :data:`CELLS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from passes import Passes, Work
from remission.method import Method
from remission.purifiers import (
    ANP,
    CLP,
    FP,
    FT,
    FTSAM,
    IBAU,
    NAD,
    PAM,
    RNP,
    SAU,
    TSC,
    UNDO,
    BTIDBFUnlearning,
    NeuralCleanse,
    PAMPath,
)
from remission.purifiers.clp import STRENGTHS
from remission.purifiers.masks import geometric
from remission.reactivations import OBA, Alternative, QRABlackBox
from remission.reactivations.generator import GeneratorReactivation
from remission.registry import PURIFIERS, REACTIVATIONS
from remission.training.batches import share_of

Floor = Callable[[Any, Work], Passes]
"""(method, work) -> the passes that its formula needs."""


class _HasEpochs(Protocol):
    """A method that trains for some epochs."""

    @property
    def epochs(self) -> int:
        """Passes over the images."""


def _training(method: _HasEpochs, work: Work) -> Passes:
    """One step per image and epoch."""
    return Passes(step=method.epochs * work.images)


def _anp(method: ANP, work: Work) -> Passes:
    """S ascent steps and the two losses per image; then the search on images that are held out."""
    held = round(method.held_out * work.images)
    rest = work.images - held
    epochs = -(-method.iterations // -(-rest // method.batch_size))
    return Passes(to_scales=epochs * rest * (method.steps + 2)) + _search(held, work)


def _search(held: int, work: Work) -> Passes:
    """The victim and each candidate on the images that are held out."""
    return Passes(forward=held * (1 + len(geometric(work.channels))))


def _bti_dbf(method: BTIDBFUnlearning, work: Work) -> Passes:
    """One step per image; triggered images go through the network without the trigger as well."""
    whole, last = divmod(work.images, method.batch_size)
    sizes = [method.batch_size] * whole + [last] * (last > 0)
    both = sum(size + share_of(size, method.share) for size in sizes)
    return Passes(step=method.rounds * method.epochs * both)


def _clp(method: CLP, work: Work) -> Passes:
    """The victim and each candidate on all images."""
    del method
    return Passes(forward=work.images * (1 + len(STRENGTHS)) + 1)  # a blank image shows the layers


def _fp(method: FP, work: Work) -> Passes:
    """Activations, the victim's answers, features that all candidates share; then fine-tuning."""
    held = round(method.held_out * work.images)
    return Passes(forward=work.images - held + 2 * held) + _training(method, work)


def _ft_sam(method: FTSAM, work: Work) -> Passes:
    """Two gradients per step."""
    return Passes(step=2 * method.epochs * work.images)


def _i_bau(method: IBAU, work: Work) -> Passes:
    """Per round and image: the ascent, H, grad G, K - 1 products J v, and (d Phi / d w)^T v.

    A product J v needs a forward pass of v and a backward pass to the images. The last term needs
    these and two gradients by the weights: two steps but for one pass to the images.
    """
    n, k = method.rounds * work.images, method.iterations
    return Passes(
        to_images=n * (method.inner_epochs + 1 + (k - 1) - 1),
        step_in_eval=n * (1 + 2),
    )


def _nad(method: NAD, work: Work) -> Passes:
    """The teacher's training; then one step of the student and the teacher's maps per image."""
    n = work.images
    return Passes(
        step=(method.teacher_epochs + method.epochs) * n,
        forward=method.epochs * n + 2,  # two blank images show where the maps are
    )


def _nc(method: NeuralCleanse, work: Work) -> Passes:
    """A gradient of mask and pattern per class, image and pass; then the unlearning."""
    shown = min(method.images, work.images) * method.passes * work.classes
    return Passes(to_images=shown) + _training(method, work)


def _pam(method: PAM, work: Work) -> Passes:
    """One gradient per step, at moved weights; after each round the statistics."""
    n = method.rounds * work.images
    return Passes(step=method.epochs * n, forward=n if method.recalibrate else 0)


def _pam_path(method: PAMPath, work: Work) -> Passes:
    """Two gradients per step and the victim's answer; in the end the statistics."""
    n = work.images
    return Passes(step=2 * method.epochs * n, forward=(method.epochs + 1) * n)


def _rnp(method: RNP, work: Work) -> Passes:
    """Unlearning and recovering, each one pass per image and epoch; then the search."""
    held = round(method.held_out * work.images)
    rest = work.images - held
    train = Passes(step=method.unlearn_epochs * rest, to_scales=method.epochs * rest)
    return train + _search(held, work)


def _sau(method: SAU, work: Work) -> Passes:
    """Per image: T gradients through both models, the victim's answer, one step on x and x'."""
    n = method.epochs * work.images
    return Passes(to_images=2 * method.steps * n, forward=n, step_in_eval=2 * n)


def _tsc(method: TSC, work: Work) -> Passes:
    """Per round two curves, the statistics at both points, and activations to match.

    The first match compares the model with itself, the second with another.
    """
    n, tuned = work.images, method.tune_epochs * (method.rounds - 1)
    return Passes(
        step=(2 * method.rounds * method.epochs + tuned) * n,
        forward=method.rounds * (2 + 3) * n + 2,  # two blank images show what shares an order
    )


def _undo(method: UNDO, work: Work) -> Passes:
    """The base, here fine-tuning; a step and the teacher's answer per image; the statistics."""
    n = work.images
    assert isinstance(method.base, FT)
    distil = Passes(step=method.epochs * n, forward=(method.epochs + 1) * n)
    return _training(method.base, work) + distil


def _alternative(method: Alternative, work: Work) -> Passes:
    """The mean features with and without the trigger; then a gradient per image and epoch."""
    m = work.others
    return Passes(forward=2 * m, to_images=method.epochs * m)


def _oba(method: OBA, work: Work) -> Passes:
    """With the model's weights: several gradients per image and epoch."""
    return Passes(to_images=method.epochs * method.steps * work.others)


def _generator(method: GeneratorReactivation, work: Work) -> Passes:
    """The teacher's retuning and answers; per image two gradients and one of the generator."""
    n, e = work.images, method.epochs
    return Passes(step=method.teacher_epochs * n, forward=n, to_images=2 * e * n, generator=e * n)


def _qra_blackbox(method: QRABlackBox, work: Work) -> Passes:
    """One round: answers to images as they are and with noise, their distillation, and QRA."""
    asked = min(method.queries, 2 * (work.images + work.others))
    distil = Passes(forward=asked, step=method.surrogate_epochs * asked)
    return distil + _generator(method, work)


@dataclass(frozen=True)
class Cell:
    """One cell that is timed: the parameters that keep it short, and its floor."""

    parameters: Mapping[str, object]
    floor: Floor


_SHORT = {"epochs": 1}
_NO_GOAL = {"unlearn_acc": 0.0, "unlearn_lr": 1e-9, "unlearn_epochs": 1}  # the ascent never ends
_SUSPECTS = {"images": 128, "passes": 1, "success": 0.0, "anomaly": 0.0, "classes_at_once": 1}
_QRA = {"epochs": 2, "teacher_epochs": 1}

CELLS: Mapping[str, Cell] = {
    "purifier anp": Cell({"iterations": 1}, _anp),
    "purifier bti_dbf": Cell({**_SHORT, "rounds": 1, "trigger": "true"}, _bti_dbf),
    "purifier clp": Cell({}, _clp),
    "purifier d3": Cell(_SHORT, _training),
    "purifier ep": Cell(_SHORT, _training),
    "purifier fp": Cell(_SHORT, _fp),
    "purifier fst": Cell(_SHORT, _training),
    "purifier ft": Cell(_SHORT, _training),
    "purifier ft_sam": Cell(_SHORT, _ft_sam),
    "purifier i_bau": Cell({"rounds": 1}, _i_bau),
    "purifier nad": Cell({**_SHORT, "teacher_epochs": 1}, _nad),
    "purifier nc": Cell({**_SHORT, **_SUSPECTS}, _nc),
    "purifier pam": Cell({**_SHORT, "rounds": 1, "trigger": "true"}, _pam),
    "purifier pam_path": Cell({**_SHORT, "trigger": "true"}, _pam_path),
    "purifier rnp": Cell({**_SHORT, **_NO_GOAL}, _rnp),
    "purifier sau": Cell({**_SHORT, "steps": 2}, _sau),
    "purifier tsc": Cell({"epochs": 3, "rounds": 1}, _tsc),
    "purifier undo": Cell({**_SHORT, "base": FT(epochs=1)}, _undo),
    "purifier weight_dist_reg": Cell(_SHORT, _training),
    "purifier weight_distortion": Cell(_SHORT, _training),
    "reactivation alternative": Cell(_SHORT, _alternative),
    "reactivation oba": Cell({**_SHORT, "steps": 2}, _oba),
    "reactivation qra": Cell(_QRA, _generator),
    "reactivation qra_blackbox": Cell({**_QRA, "rounds": 1, "surrogate_epochs": 1}, _qra_blackbox),
    "reactivation retuning": Cell({**_SHORT, "budgets": (5,)}, _training),
}
"""Kind and name of a method -> its cell. The batch size is added where a method has one."""


class NoFloorError(Exception):
    """A registered method has no entry in :data:`CELLS`."""


def cell(kind: str, name: str) -> Cell:
    """Returns the cell of a registered method.

    Raises:
        NoFloorError: it has none.
    """
    if f"{kind} {name}" not in CELLS:
        raise NoFloorError(
            f"the {kind} '{name}' has no floor: count how many passes over images its formula "
            "needs, and write that down in CELLS of benchmarks/floors.py"
        )
    return CELLS[f"{kind} {name}"]


def build(kind: str, name: str, batch_size: int) -> Method:
    """Builds the method of a cell, with batches of ``batch_size`` where it has batches.

    Raises:
        NoFloorError: the method has no cell.
    """
    parameters = dict(cell(kind, name).parameters)
    cls: Any = {"purifier": PURIFIERS, "reactivation": REACTIVATIONS}[kind][name]
    if "batch_size" in cls.__dataclass_fields__:
        parameters["batch_size"] = batch_size
    if "base" in parameters:
        parameters["base"] = FT(epochs=1, batch_size=batch_size)
    method: Method = cls(**parameters)
    return method


def methods() -> list[tuple[str, str]]:
    """Returns (kind, name) of every registered purifier and reactivation."""
    tables = {"purifier": PURIFIERS, "reactivation": REACTIVATIONS}
    return [(kind, name) for kind, table in tables.items() for name in table]
