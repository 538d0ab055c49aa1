"""Simulates a grid of 10,000 stages on a cluster: the real plan and queue, stages that only wait.

    python tools/scale.py [--seeds 15] [--workers 64] [--lost 0.01] [--rate 40]
        [--plan-order] [--json FILE]

The plan is that of recipes/purifiers.toml for CIFAR-10 and ResNet-18. How long a stage takes comes
from the same stage in results/purifiers, which was measured on one thread of a processor: times the
ratio of the operations of both models and numbers of images, over that of the rates of both
machines. The clock of the simulation is its own; nothing is computed. docs/scale.md holds the
results.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import tomllib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from remission.data import CATALOGUE
from remission.grid.dry_run.inputs import stand_in
from remission.grid.executor.stage_queue import StageQueue
from remission.grid.plan.planner import make_plan
from remission.grid.plan.stage import DataNames, Stage
from remission.grid.spec.spec import parse_spec
from remission.intervals import mean_of
from remission.models import Classifier, build_model
from remission.records import Record, read_records
from remission.records.kinds import KINDS
from remission.seeding import Seed

ROOT = Path(__file__).parents[1]
MEASURED_IMAGES = 4 * 40_000
"""Images that the measured training of a control took, each forward and backward."""
_TRAINED = 100 / 4 * 47_500 / 40_000
LARGER = {
    "victim": _TRAINED,
    "control": _TRAINED,
    "innocent": _TRAINED,
    "purified": 2.5,
    "inversion": 2.5,
}
"""How many more images a stage takes than the measured one: victims of 100 passes over 47,500
images instead of 4 over 40,000, and 2,500 clean images instead of 1,000."""
START, LOAD = 8.0, 0.6
"""Seconds until a worker has imported torch, and to fetch weights that its node lacks; assumed."""
NODE = 8
"""Workers of one node, which share a cache of artefacts."""


@dataclass
class Simulated:
    """What the simulation counted.

    Args:
        stages: of the plan.
        workers: of the cluster.
        total: seconds of all stages together.
        critical: seconds of the longest chain of stages.
        makespan: seconds from start to end.
        lost: tasks whose worker was lost, and that were repeated.
        twice: stages that were published more than once.
        moved: bytes of weights that nodes fetched.
        stored: bytes of weights that were stored.
        by_kind: kind of stage -> seconds of all of them.
    """

    stages: int
    workers: int
    total: float = 0.0
    critical: float = 0.0
    makespan: float = 0.0
    lost: int = 0
    twice: int = 0
    moved: float = 0.0
    stored: float = 0.0
    by_kind: dict[str, float] = field(default_factory=dict)

    @property
    def bound(self) -> float:
        """No schedule can end earlier: all work shared evenly, or the longest chain."""
        return max(self.total / self.workers, self.critical)

    @property
    def idle(self) -> float:
        """The share of the workers' time in which they wait."""
        return 1 - self.total / (self.makespan * self.workers)


def model_of(arch: str, shape: tuple[int, int, int]) -> Classifier:
    """Builds a model for ten classes."""
    mean, std = (0.5,) * shape[0], (0.25,) * shape[0]
    return build_model(arch, classes=10, shape=shape, mean=mean, std=std, seed=Seed(0))


def operations(arch: str, shape: tuple[int, int, int]) -> float:
    """Returns the floating-point operations of one forward pass of one image."""
    model = model_of(arch, shape).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, *shape))
    return float(counter.get_total_flops())


def plan_of(seeds: int) -> list[Stage]:
    """Returns the plan of the recipe for CIFAR-10 and ResNet-18."""
    table = tomllib.loads((ROOT / "recipes" / "purifiers.toml").read_text(encoding="utf-8"))
    table |= {"dataset": "cifar10", "arch": "resnet18", "precision": "bf16"}
    table["seeds"], table["innocent"] = list(range(seeds)), [0]
    for attack in table["attack"]:
        attack.pop("image", None)
        attack.pop("seeds", None)
    for purifier in table["purifier"]:
        purifier.pop("seeds", None)
    spec, source = parse_spec(table, ROOT / "recipes"), CATALOGUE["cifar10"]
    return make_plan(spec, "simulated", DataNames(source.name, None, stand_in(source).classes))


def _key(kind: str, settings: dict[str, object]) -> tuple[str, str]:
    role = {"purified": "purifier", "victim": "attack", "inversion": "inversion"}.get(kind, "")
    table = settings.get(role)
    return kind, str(table.get("method", "")) if isinstance(table, dict) else ""


def measured(records: Sequence[Record]) -> dict[tuple[str, str], float]:
    """Returns the mean seconds of each kind of stage and method; of a kind alone under ""."""
    found = defaultdict[tuple[str, str], list[float]](list)
    for record in records:
        if record.status == "done":
            kind, method = _key(record.kind, record.settings)
            found[kind, method].append(record.seconds)
            found[kind, ""].append(record.seconds)
    return {key: mean_of(seconds) for key, seconds in found.items()}


def simulate(
    plan: Sequence[Stage],
    seconds: dict[str, float],
    workers: int,
    lost: float,
    weights: float,
    *,
    longest_chain_first: bool = True,
) -> Simulated:
    """Runs a plan on workers that only wait; a worker that is lost comes back after a minute.

    Args:
        plan: parents before children.
        seconds: identity of a stage -> how long it takes.
        workers: how many compute.
        lost: the chance of a task that its worker is lost in it.
        weights: bytes of the weights of a model.
        longest_chain_first: whether workers take stages in the order of a cluster; else in the
            order of the plan, as the processes of one computer do.
    """
    draws, out = random.Random(0), Simulated(len(plan), workers)
    queue = StageQueue(plan, (), longest_chain_first=longest_chain_first)
    with_weights = {stage.id for stage in plan if KINDS[stage.kind].stores_weights}
    published = Counter[str]()
    cached = defaultdict[int, set[str]](set)
    free = [(START, worker) for worker in range(workers)]
    heapq.heapify(free)
    running, now, waiting = list[tuple[float, int, Stage, bool]](), 0.0, list[int]()
    while len(queue):
        while free and free[0][0] <= now:
            waiting.append(heapq.heappop(free)[1])
        while waiting and (stage := queue.next_stage()):
            worker = waiting.pop()
            node, took = worker // NODE, seconds[stage.id]
            for parent in with_weights.intersection(stage.parents.values()) - cached[node]:
                cached[node].add(parent)
                out.moved += weights
                took += LOAD
            fails = draws.random() < lost
            took *= draws.random() if fails else 1.0
            heapq.heappush(running, (now + took, worker, stage, fails))
        ends = [running[0][0]] if running else []
        ends += [free[0][0]] if free and not waiting else []
        now = max(now, min(ends))
        while running and running[0][0] <= now:
            _, worker, stage, fails = heapq.heappop(running)
            if fails:
                out.lost += 1
                queue.make_ready(stage)
                heapq.heappush(free, (now + 60.0 + START, worker))
                continue
            published[stage.id] += 1
            cached[worker // NODE].add(stage.id)
            queue.finish(stage)
            waiting.append(worker)
    out.makespan = now
    out.twice = sum(count != 1 for count in published.values())
    assert len(published) == len(plan), "every stage was published"
    return out


def longest_chain(plan: Sequence[Stage], seconds: dict[str, float]) -> float:
    """Returns the seconds of the longest chain of stages that build upon one another."""
    until = dict[str, float]()
    for stage in plan:
        before = max((until[parent] for parent in stage.parents.values()), default=0.0)
        until[stage.id] = before + seconds[stage.id]
    return max(until.values())


def main() -> None:
    """Simulates a grid and prints the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--lost", type=float, default=0.01)
    parser.add_argument("--rate", type=float, default=40.0, help="10^12 operations per second")
    parser.add_argument("--plan-order", action="store_true", help="stages in the plan's order")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    times = measured(read_records(ROOT / "results" / "purifiers"))
    here, there = operations("resnet18:16", (1, 28, 28)), operations("resnet18", (3, 32, 32))
    rate = 3 * here * MEASURED_IMAGES / times["control", ""] / 1e12
    factor = there / here * rate / options.rate
    plan = plan_of(options.seeds)
    seconds = dict[str, float]()
    for stage in plan:
        key = _key(stage.kind, stage.settings)
        of = times.get(key, times.get((stage.kind, ""), 20.0))
        seconds[stage.id] = factor * LARGER.get(stage.kind, 1.0) * of
    sizes = 4.0 * sum(p.numel() for p in model_of("resnet18", (3, 32, 32)).parameters())
    out = simulate(
        plan,
        seconds,
        options.workers,
        options.lost,
        sizes,
        longest_chain_first=not options.plan_order,
    )
    out.total, out.critical = sum(seconds.values()), longest_chain(plan, seconds)
    out.stored = sizes * sum(KINDS[stage.kind].stores_weights for stage in plan)
    for stage in plan:
        out.by_kind[stage.kind] = out.by_kind.get(stage.kind, 0.0) + seconds[stage.id]
    print(f"a forward pass of an image: {here:.3g} operations measured, {there:.3g} simulated")
    print(f"rate: {rate:.3f} measured, {options.rate} assumed, in 10^12 per second")
    print(f"so every time is multiplied by {factor:.3f}")
    print(f"{out.stages} stages, {out.total / 3600:.1f} hours of one worker")
    for kind, of in sorted(out.by_kind.items(), key=lambda pair: -pair[1]):
        count = sum(stage.kind == kind for stage in plan)
        print(f"  {kind}: {count} stages, {of / 3600:.1f} h")
    print(f"longest chain {out.critical / 60:.1f} min; lower bound {out.bound / 60:.1f} min")
    print(
        f"{out.workers} workers: {out.makespan / 60:.1f} min, {out.makespan / out.bound:.3f} of "
        f"the bound, idle {out.idle:.1%}; {out.lost} tasks lost and repeated, {out.twice} twice"
    )
    print(f"moved {out.moved / 1e9:.0f} GB, stored {out.stored / 1e9:.0f} GB")
    if options.json:
        options.json.write_text(json.dumps(asdict(out), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
