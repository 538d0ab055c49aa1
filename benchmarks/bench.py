"""Speed of a training step compared with a lower bound and with a naive way, all in one run.

ResNet-18 with 64 base channels, 3x32x32 images, batches of 128. The kinds of step are timed in
turn, round after round, so that a machine whose speed drifts slows all of them. The results are
medians of ratios within a round. All images are random, as zeros are faster to multiply.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from remission.grid.stages.environment import environment
from remission.inversion import BTIDBF, Inverted, InvertedSource
from remission.models import Classifier, build_model, resolve_precision
from remission.purifiers import PAM
from remission.seeding import Seed
from remission.training import Recipe, Weights, fit
from remission.training.loop import make_optimizer
from remission.types import LabelledImages

BATCH = 128
SHAPE = (3, 32, 32)
MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
SEED = Seed(0)
RECIPE = Recipe(epochs=1, lr=0.01, momentum=0.9, batch_size=BATCH)


def new_model(device: torch.device, arch: str) -> Classifier:
    """Builds a model in the precision that suits the machine."""
    precision = resolve_precision("auto", device)
    return build_model(
        arch, classes=10, shape=SHAPE, mean=MEAN, std=STD, seed=SEED, precision=precision
    ).to(device)


def random_images(count: int, device: torch.device) -> LabelledImages:
    """Returns random uint8 images with random labels."""
    generator = SEED.child("images").generator()
    images = torch.randint(256, (count, *SHAPE), generator=generator, dtype=torch.uint8)
    return LabelledImages(images, torch.randint(10, (count,), generator=generator)).to(device)


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Returns how long ``work`` takes, with the accelerator's queue drained before and after."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def bare_steps(model: Classifier, data: LabelledImages) -> Callable[[], None]:
    """Returns the lower bound: forward, backward and SGD on one batch that is ready."""
    images = data.images[:BATCH].float().div(255).contiguous(memory_format=torch.channels_last)
    labels = data.labels[:BATCH]
    optimizer = make_optimizer(list(model.parameters()), RECIPE)
    steps = len(data) // BATCH

    def work() -> None:
        model.train()
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return work


def training_steps(model: Classifier, data: LabelledImages) -> Callable[[], object]:
    """Returns this package's training loop with shuffling, crops and flips."""
    return lambda: fit(model, data, replace(RECIPE, augment="crop_flip"), seed=SEED)


def pam_steps(model: Classifier, data: LabelledImages) -> Callable[[], None]:
    """Returns this package's PAM update with the paper's generator on a fifth of each batch."""
    inversion = BTIDBF()
    generator = inversion.build_generator(SHAPE, SEED, model.precision).to(data.labels.device)
    inverted = Inverted(generator=generator.eval(), target=0, target_share=1.0, change=0.0)
    source, pam, weights = InvertedSource(inversion, inverted), PAM(), Weights(model)
    backdoored = [w.detach() + 0.01 * torch.rand_like(w) for w in weights.now]

    def work() -> None:
        fit(
            model,
            data,
            RECIPE,
            seed=SEED,
            transform=lambda images, labels: (pam.stamp_share(source, images), labels),
            gradient=lambda backward: pam.gradient(weights, backdoored, backward),
        )

    return work


class _PerImage(TorchDataset[tuple[Tensor, Tensor]]):
    """The naive way to augment: one image at a time, on the processor."""

    def __init__(self, data: LabelledImages) -> None:
        self.images, self.labels = data.images.cpu(), data.labels.cpu()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = F.pad(self.images[index].float() / 255, (4, 4, 4, 4))
        top, left = (int(torch.randint(9, ())) for _ in range(2))
        image = image[:, top : top + 32, left : left + 32]
        return image.flip(2) if torch.rand(()) < 0.5 else image, self.labels[index]


def naive_pam_steps(model: Classifier, data: LabelledImages) -> Callable[[], None]:
    """Returns the naive way: fp32, NCHW, a DataLoader, state dicts copied and loaded per step.

    It runs without the generator, which is to its advantage.
    """
    device = data.labels.device
    plain = copy.deepcopy(model)
    for parameter in plain.parameters():
        parameter.data = parameter.data.contiguous()
    plain.precision = "fp32"
    loader = DataLoader(_PerImage(data), batch_size=BATCH, shuffle=True, drop_last=True)
    backdoored = {k: v + 0.01 for k, v in copy.deepcopy(plain.state_dict()).items()}
    optimizer = torch.optim.SGD(plain.parameters(), 0.01, 0.9)

    def nchw(images: Tensor) -> Tensor:
        logits: Tensor = plain.head(plain.feature_map((images - plain.mean) / plain.std))
        return logits

    def step(images: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad()
        before = copy.deepcopy(plain.state_dict())
        names = [name for name, _ in plain.named_parameters()]
        difference = {name: backdoored[name] - before[name] for name in names}
        length = torch.sqrt(sum((d.norm() ** 2 for d in difference.values()), torch.tensor(0.0)))
        shifted = copy.deepcopy(before)
        for name in names:
            shifted[name] = before[name] + 0.5 * difference[name] / length.to(device)
        plain.load_state_dict(shifted)
        F.cross_entropy(nchw(images), labels).backward()  # type: ignore[no-untyped-call]
        plain.load_state_dict(before)
        optimizer.step()

    def work() -> None:
        plain.train()
        for images, labels in loader:
            step(images.to(device), labels.to(device))

    return work


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int = 4096) -> float:
    """Returns the floating-point operations per second of a square matrix product, best of six."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = min(seconds(lambda: a @ b, device) for _ in range(6))
    return 2 * size**3 / best


def step_operations(model: Classifier) -> float:
    """Returns the floating-point operations of one step: three times those of the forward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    example = torch.rand(1, *SHAPE, device=next(model.parameters()).device)
    with FlopCounterMode(display=False) as counter:
        model.eval()(example)
    return 3.0 * BATCH * float(counter.get_total_flops())


def rounds(
    kinds: dict[str, Callable[[], object]], count: int, device: torch.device
) -> Iterator[dict[str, float]]:
    """Yields the seconds of each kind of work per round, after one round that does not count."""
    for turn in range(count + 1):
        times = {name: seconds(work, device) for name, work in kinds.items()}
        if turn:
            yield times
        print(f"round {turn} of {count}", file=sys.stderr)


def main() -> None:
    """Measures and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="steps of each kind in a round")
    parser.add_argument("--arch", default="resnet18:64")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = random_images(BATCH * options.steps, device)
    kinds: dict[str, Callable[[], object]] = {
        name: make(new_model(device, options.arch), data)
        for name, make in {
            "bare": bare_steps,
            "training": training_steps,
            "pam": pam_steps,
            "naive pam": naive_pam_steps,
        }.items()
    }
    timings = list(rounds(kinds, options.rounds, device))
    model = new_model(device, options.arch)
    dtype = torch.bfloat16 if model.precision == "bf16" else torch.float32
    rate = matrix_rate(device, dtype)

    def ratio(a: str, b: str) -> float:
        return statistics.median(times[a] / times[b] for times in timings)

    bare = statistics.median(times["bare"] for times in timings) / options.steps
    result = {
        "pam / bare": ratio("pam", "bare"),
        "training / bare": ratio("training", "bare"),
        "naive pam / pam": ratio("naive pam", "pam"),
        "share of the matrix-product rate": step_operations(model) / bare / rate,
        "bare images/s": BATCH / bare,
        "matrix product GFLOP/s": rate / 1e9,
    }
    if options.json:
        print(json.dumps({"results": result, "environment": environment(device, model.precision)}))
        return
    print(f"{options.arch}, 3x32x32, batch {BATCH}, {model.precision}, {device}")
    print(f"PAM step / bare step             {result['pam / bare']:.3f}   (at most 1.2)")
    print(f"training step / bare step        {result['training / bare']:.3f}   (at most 1.1)")
    print(f"naive PAM step / PAM step        {result['naive pam / pam']:.2f}    (at least 2.5)")
    share = result["share of the matrix-product rate"]
    print(f"bare step, share of the {model.precision} matrix-product rate  {share:.1%}")
    print(f"bare step {BATCH / bare:.0f} images/s, matrix product {rate / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
