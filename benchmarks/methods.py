"""Every purifier and reactivation against its floor, all in one run.

The floor of a cell is the number of passes that the method's formula needs (``floors.py``), times
what a bare pass takes: forward, backward and SGD on one batch that is ready, on the same model,
with the same batch size and precision. Cells and passes are timed in turn, round after round, in
seconds of processor time on one thread, so that other work on the machine slows both alike. The
results are medians of ratios within a round. All images are random, as zeros are faster to
multiply.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from bench import BATCH, RECIPE, SEED, SHAPE, new_model, random_images
from floors import build, cell, methods
from passes import KINDS, Work
from remission.grid.stages.environment import environment
from remission.inversion import KnownSource
from remission.method import Method
from remission.models import Classifier
from remission.purifiers import Purifier
from remission.reactivations import InputReactivation, WeightReactivation
from remission.reactivations.perturbations import Generator
from remission.training.loop import make_optimizer
from remission.triggers import Trigger, checkerboard
from remission.types import LabelledImages

MOST = 1.25
"""The largest ratio that is accepted."""
TARGET = 0


def call(
    method: Method, model: Classifier, data: LabelledImages, trigger: Trigger, target: int
) -> None:
    """Runs a method once, as its kind is run."""
    if isinstance(method, Purifier):
        source = KnownSource(trigger) if method.needed_trigger() else None
        method(model, data, seed=SEED, trigger=source)
        return
    if isinstance(method, InputReactivation):
        budget = method.tries()[0]
        method(model, data, trigger, target, budget=budget, seed=SEED, victim=model, control=model)
        return
    assert isinstance(method, WeightReactivation)
    method(model, data, trigger, target, budget=method.tries()[0] or 0, seed=SEED)


def processor_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Returns the processor time of ``work``; on an accelerator the time that passes."""
    if device.type == "cpu":
        began = time.process_time()
        work()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def bare_passes(model: Classifier, data: LabelledImages) -> dict[str, Callable[[], None]]:
    """Returns one bare pass over a batch of each kind of :class:`passes.Passes`."""
    images = data.images[:BATCH].float().div(255).contiguous(memory_format=torch.channels_last)
    labels = data.labels[:BATCH]
    whole, masked = copy.deepcopy(model), copy.deepcopy(model).requires_grad_(False)
    for layer in masked.modules():
        if isinstance(layer, _BatchNorm):
            layer.requires_grad_(True)
    fixed = copy.deepcopy(model).requires_grad_(False).eval()
    optimizer = make_optimizer(list(whole.parameters()), RECIPE)
    generator = Generator(SHAPE, 0.06, "mlp", 1024, SEED).to(labels.device)
    generators = make_optimizer(list(generator.parameters()), RECIPE)

    def forward() -> None:
        with torch.no_grad():
            fixed(images)

    def to_images() -> None:
        shown = images.detach().requires_grad_(True)
        torch.autograd.grad(F.cross_entropy(fixed(shown), labels), shown)

    def to_scales() -> None:
        masked.train().zero_grad()
        _backward(F.cross_entropy(masked(images), labels))

    def step(train: bool = True) -> None:
        whole.train(train)
        optimizer.zero_grad()
        _backward(F.cross_entropy(whole(images), labels))
        optimizer.step()

    def generate() -> None:
        generators.zero_grad()
        _backward(generator(images).square().mean())
        generators.step()

    return {
        "forward": forward,
        "to_images": to_images,
        "to_scales": to_scales,
        "step": step,
        "step_in_eval": lambda: step(False),
        "generator": generate,
    }


def _backward(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def work_of(model: Classifier, data: LabelledImages, target: int) -> Work:
    """Returns what the methods are run on, with the class that the attacker wants."""
    norms = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    return Work(
        images=len(data),
        others=int((data.labels != target).sum()),
        classes=model.classes,
        channels=sum(layer.num_features for layer in norms),
    )


class Timing:
    """Times cells against their floors.

    Args:
        arch: the model's name.
        images: number of images.
        device: where it is timed.
    """

    def __init__(self, arch: str, images: int, device: torch.device) -> None:
        self.device, self.data = device, random_images(images, device)
        self.model = new_model(device, arch)
        self.trigger = checkerboard(SHAPE, 3, 1).to(device)
        self.passes = bare_passes(self.model, self.data)
        self.work = work_of(self.model, self.data, TARGET)

    def ratio(self, kind: str, name: str) -> tuple[float, float]:
        """Times the bare passes that a cell needs, then the cell; returns (ratio, seconds)."""
        method = build(kind, name, BATCH)
        floor = cell(kind, name).floor(method, self.work)
        prices = {
            each: processor_seconds(self.passes[each], self.device) / BATCH
            for each in KINDS
            if getattr(floor, each)
        }
        spent = processor_seconds(
            lambda: call(method, self.model, self.data, self.trigger, TARGET), self.device
        )
        ratio = spent / floor.seconds(prices)
        print(f"{kind} {name}: {ratio:.2f}", file=sys.stderr)
        return ratio, spent


def main() -> None:
    """Measures and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=2 * BATCH)
    parser.add_argument("--arch", default="resnet18:16")
    parser.add_argument("--only", action="append", help="name of a method; default: all")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    timing = Timing(options.arch, options.images, device)
    chosen = [each for each in methods() if not options.only or each[1] in options.only]
    found: dict[tuple[str, str], list[tuple[float, float]]] = {each: [] for each in chosen}
    for turn in range(options.rounds + 1):
        for kind, name in chosen:
            ratio = timing.ratio(kind, name)
            if turn:  # the first round loads kernels
                found[kind, name].append(ratio)
        print(f"round {turn} of {options.rounds}", file=sys.stderr)
    result = {
        f"{kind} {name}": {
            "ratio": statistics.median(ratio for ratio, _ in pairs),
            "seconds": statistics.median(spent for _, spent in pairs),
        }
        for (kind, name), pairs in found.items()
    }
    precision = timing.model.precision
    if options.json:
        print(json.dumps({"results": result, "environment": environment(device, precision)}))
        return
    print(f"{options.arch}, 3x32x32, {options.images} images, batch {BATCH}, {precision}, {device}")
    for name, each in result.items():
        note = "" if each["ratio"] <= MOST else f"   (more than {MOST})"
        print(f"{name:28} / floor  {each['ratio']:.2f}   {each['seconds']:.2f} s{note}")


if __name__ == "__main__":
    main()
