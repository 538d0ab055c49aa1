"""``remission slurm``: a job script that runs a spec on an allocation of Slurm."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable
from typing import Annotated

import typer

from remission.cli.run import CpusPerStage, MethodsOption, OnlyOption, SpecArgument

_SCRIPT = """\
#!/bin/bash
# Runs {spec} on {nodes} nodes, by a Ray cluster that lives as long as this job.
# What is finished is stored: the job may be requeued, or submitted again, and goes on.
#SBATCH --job-name={job}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
{resources}#SBATCH --time={time}
#SBATCH --signal=B:TERM@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={job}-%j.log
{further}
set -euo pipefail
{setup}
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head_node=${{hosts%%$'\n'*}}
head_address=$(srun --nodes=1 --ntasks=1 --nodelist="$head_node" hostname --ip-address)
head_address=${{head_address%% *}}
port=$((20000 + SLURM_JOB_ID % 20000))
export RAY_ADDRESS="$head_address:$port"
# The head asks for this account's token if there is one; the others must show it too.
if [ -z "${{RAY_AUTH_MODE:-}}" ] && [ -f "$HOME/.ray/auth_token" ]; then
    export RAY_AUTH_MODE=token
fi
here=({counts})

# Three minutes before the end of its time Slurm sends this signal: the run stores what is
# finished and stops, and the job goes back into the queue.
driver=
interrupted=
stop() {{
    interrupted=yes
    if [ -n "$driver" ]; then kill -TERM "$driver" 2>/dev/null || true; fi
}}
trap stop TERM

srun --nodes=1 --ntasks=1 --nodelist="$head_node" \\
    ray start --head --node-ip-address="$head_address" --port="$port" "${{here[@]}}" --block &
sleep {pause}
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    others=$((SLURM_JOB_NUM_NODES - 1))
    srun --nodes="$others" --ntasks="$others" --exclude="$head_node" \\
        ray start --address="$RAY_ADDRESS" "${{here[@]}}" --block &
fi
sleep {pause}

{command} --address "$RAY_ADDRESS" &
driver=$!
if [ -n "$interrupted" ]; then kill -TERM "$driver" 2>/dev/null || true; fi
status=0
wait "$driver" || status=$?
if [ -n "$interrupted" ]; then
    wait "$driver" || true
    echo "out of time: back into the queue"
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
fi
exit "$status"
"""


SharedStore = Annotated[
    str,
    typer.Option(metavar="STORE", help="A folder that all nodes share, or an s3:// address."),
]
GpusPerNode = Annotated[
    int, typer.Option(min=0, help="Accelerators per node; with 0 stages run on processors.")
]
CpusPerNode = Annotated[
    int | None,
    typer.Option(min=1, show_default="what the partition gives", help="Processors per node."),
]
ShareOption = Annotated[
    float | None,
    typer.Option(min=0, show_default="0.25 with accelerators", help="Accelerators per stage."),
]
SbatchOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OPTION",
        help="A further option of sbatch, for example --sbatch=--partition=gpu. Can be repeated.",
    ),
]
SetupOption = Annotated[
    str,
    typer.Option(help="A line of shell before the run, for example 'source .venv/bin/activate'."),
]
TimeOption = Annotated[
    str, typer.Option(help="How long the job may take, for example 4:00:00 or 1-12:00:00.")
]
PauseOption = Annotated[
    int, typer.Option(min=0, help="Seconds for Ray to start, on the head and on the others.")
]


def slurm(
    spec: SpecArgument,
    nodes: Annotated[int, typer.Option(min=1, help="Number of nodes.")] = 1,
    gpus_per_node: GpusPerNode = 0,
    cpus_per_node: CpusPerNode = None,
    time: TimeOption = "1:00:00",
    store: SharedStore = "remission-store",
    gpus_per_stage: ShareOption = None,
    cpus_per_stage: CpusPerStage = 1,
    methods: MethodsOption = None,
    only: OnlyOption = None,
    sbatch: SbatchOption = None,
    setup: SetupOption = "",
    pause: PauseOption = 15,
) -> None:
    """Print a job script that starts Ray on an allocation of Slurm and runs a spec.

    Pipe it to sbatch: remission slurm SPEC.toml --nodes 8 --gpus-per-node 8 | sbatch
    """
    from remission.errors import SpecError
    from remission.grid.spec.spec import read_spec
    from remission.user_methods import use_methods

    for file in methods or []:
        use_methods(file)
    name = read_spec(spec).name
    _check_text(time, sbatch or [], setup)
    share = gpus_per_stage if gpus_per_stage is not None else (0.25 if gpus_per_node else 0.0)
    if share and not gpus_per_node:
        raise SpecError("--gpus-per-stage needs accelerators", "add --gpus-per-node")
    _check(store, (cpus_per_stage, share), (cpus_per_node, gpus_per_node))
    command = ["remission", "run", str(spec), "--store", store, "--on", "ray", "--quiet"]
    command += ["--cpus-per-stage", str(cpus_per_stage)]
    command += ["--gpus-per-stage", f"{share:g}"] if share else []
    command += [word for file in methods or [] for word in ("--methods", str(file))]
    command += ["--only", only] if only else []
    resources = {"--gpus-per-node": gpus_per_node, "--cpus-per-task": cpus_per_node}
    counts = {"--num-gpus": gpus_per_node, "--num-cpus": cpus_per_node}
    script = _SCRIPT.format(
        spec=str(spec).replace("\n", " "),
        nodes=nodes,
        job="remission-" + re.sub(r"[^A-Za-z0-9_-]", "-", name),
        resources=_directives(f"{key}={value}" for key, value in resources.items() if value),
        time=time,
        further=_directives(sbatch or []),
        setup=setup,
        counts=" ".join(f"{key}={value}" for key, value in counts.items() if value),
        pause=pause,
        command=shlex.join(command),
    )
    print(script, end="")


def _check_text(time: str, sbatch: list[str], setup: str) -> None:
    """Checks the options that go into the script as they are."""
    from remission.errors import SpecError

    wrong = [one for one in sbatch if not one.startswith("-") or "\n" in one]
    is_time = re.fullmatch(r"(\d+-)?\d+(:\d{1,2}){0,2}", time) and re.search("[1-9]", time)
    for is_wrong, problem, remedy in (
        (not is_time, f"--time is '{time}'", "give it as 4:00:00 or 1-12:00:00"),
        (wrong, f"--sbatch is {wrong[:1]}", "give an option, for example --sbatch=--partition=gpu"),
        ("\n" in setup, "--setup has several lines", "give one, with && between its commands"),
    ):
        if is_wrong:
            raise SpecError(problem, remedy)


def _check(store: str, stage: tuple[int, float], node: tuple[int | None, int]) -> None:
    """Checks that workers see the store, and that a node has room for a stage.

    Args:
        store: as the user names it.
        stage: processors and accelerators per stage.
        node: processors and accelerators per node; None where the partition says how many.
    """
    from remission.grid.executor.cluster import Cluster, check_shared
    from remission.records.places import place_of

    check_shared(place_of(store))
    cluster = Cluster(address="", cpus_per_stage=stage[0], gpus_per_stage=stage[1])
    cluster.check(math.inf if node[0] is None else node[0], node[1], "a node")


def _directives(options: Iterable[str]) -> str:
    return "".join(f"#SBATCH {option}\n" for option in options)
