"""Retunings at ten budgets and ten seeds, as batch jobs and one after the other, in one run.

ResNet-18 with 16 base channels, 1,000 grey images of 28x28, five epochs, as in the recipes. For
each seed both ways are timed in turn and in changing order, so that a machine whose speed drifts
slows both. One after the other runs in the precision that suits the machine, as in a grid; batch
jobs run in fp32, as they must. On a processor this is a sample of two seeds and one epoch of 128
images.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
from collections.abc import Callable

import torch

from bench import seconds
from remission.grid.stages.environment import environment
from remission.models import build_model, resolve_precision
from remission.reactivations import Retuning
from remission.seeding import Seed
from remission.triggers.patch import checkerboard
from remission.types import LabelledImages

SHAPE = (1, 28, 28)
BUDGETS = (1, 2, 4, 7, 10, 20, 35, 50, 75, 100)


def main() -> None:
    """Measures and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--images", type=int)
    parser.add_argument("--arch", default="resnet18:16")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    whole = device.type != "cpu"
    seeds = options.seeds or (10 if whole else 2)
    count, epochs = (
        options.images or (1000 if whole else 128),
        options.epochs or (5 if whole else 1),
    )
    model = build_model(
        options.arch,
        classes=10,
        shape=SHAPE,
        mean=(0.29,),
        std=(0.35,),
        seed=Seed(0),
        precision=resolve_precision("auto", device),
    ).to(device)
    generator = Seed(0).child("images").generator()
    images = torch.randint(256, (count, *SHAPE), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (count,), generator=generator)
    data = LabelledImages(images, labels).to(device)
    trigger, method = checkerboard(SHAPE, 3, 1).to(device), Retuning(budgets=BUDGETS, epochs=epochs)

    exact = copy.deepcopy(model)
    exact.precision = "fp32"

    def alone(seed: Seed) -> None:
        for budget in BUDGETS:
            method(model, data, trigger, 0, budget=budget, seed=seed)

    def together(seed: Seed) -> None:
        method.batch_job(exact, data, trigger, 0, budgets=BUDGETS, seed=seed)

    def timed(way: Callable[[Seed], None], seed: Seed) -> float:
        return seconds(lambda: way(seed), device)

    together(Seed(0))  # the first call also loads kernels
    pairs: list[tuple[float, float]] = []
    for number in range(seeds):
        seed = Seed(number)
        if number % 2:
            slow, quick = timed(alone, seed), timed(together, seed)
        else:
            quick, slow = timed(together, seed), timed(alone, seed)
        pairs.append((quick, slow))
        print(f"seed {number + 1} of {seeds}", file=sys.stderr)
    ratio = statistics.median(quick / slow for quick, slow in pairs)
    sums = sum(quick for quick, _ in pairs) / sum(slow for _, slow in pairs)
    result = {"median ratio": ratio, "ratio of the sums": sums}
    if options.json:
        print(json.dumps({"results": result, "environment": environment(device, model.precision)}))
        return
    print(f"{options.arch}, {len(BUDGETS)} budgets, {seeds} seeds, {model.precision}, {device}")
    print(f"batch job / one after the other  {ratio:.2f}   (median over seeds; all: {sums:.2f})")


if __name__ == "__main__":
    main()
