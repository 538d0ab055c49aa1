"""What a file or folder of a model holds, in words and as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from remission.audit.suspect.declared import Declared, declared
from remission.audit.suspect.folder_files import ModelFiles, model_files
from remission.audit.suspect.states import FoundState, find_states
from remission.checkpoints import Loaded, read_checkpoint
from remission.errors import CheckpointError
from remission.names import printable
from remission.recognise import ArchitectureError, Recognised, candidates

_CONTAINERS = {
    "safetensors": "safetensors",
    "zip": "torch.save",
    "legacy": "torch.save before 1.6",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class InspectedNetwork:
    """One network in a file.

    Args:
        state: where it is, with its tensors.
        fitting: the architectures that its tensors fit; empty: none.
        reason: why none fits; empty where one does.
    """

    state: FoundState
    fitting: tuple[Recognised, ...]
    reason: str

    @property
    def parameters(self) -> int:
        """The number of values of all tensors, buffers included."""
        return sum(tensor.numel() for tensor in self.state.tensors.values())


@dataclass(frozen=True, kw_only=True, eq=False)
class Inspection:
    """The content of a file.

    Args:
        files: the file of weights, and the configurations beside it.
        loaded: its content.
        declared: what is said about the model.
        networks: the networks in it, in its order.
    """

    files: ModelFiles
    loaded: Loaded
    declared: Declared
    networks: tuple[InspectedNetwork, ...]

    @property
    def others(self) -> list[str]:
        """The keys of the file that lead to no network."""
        tree = self.loaded.tree
        if not isinstance(tree, dict) or any(not n.state.place for n in self.networks):
            return []
        places = {network.state.place.partition(".")[0] for network in self.networks}
        return [printable(str(key)) for key in tree if str(key) not in places]

    def to_json(self) -> dict[str, Any]:
        """Returns the inspection as JSON values."""
        said = self.declared
        return {
            "file": str(self.files.weights),
            "container": self.loaded.container,
            "declared": {
                "arch": said.arch,
                "classes": list(said.names) if said.names else None,
                "size": list(said.size) if said.size else None,
                "mean": list(said.mean) if said.mean else None,
                "std": list(said.std) if said.std else None,
                "data": said.data,
            },
            "networks": [_network_json(network) for network in self.networks],
            "others": self.others,
        }

    def to_text(self, *, keys: bool = False) -> str:
        """Returns the inspection in words: at most 10 names of classes and 20 other keys.

        Args:
            keys: whether every tensor is listed with its shape and type.
        """
        lines = [f"{printable(str(self.files.weights))}: {_CONTAINERS[self.loaded.container]}"]
        for network in self.networks:
            lines += _network_lines(network, keys=keys)
        if not self.networks:
            lines.append("it holds no network: no state dict and no module")
        lines += _declared_lines(self.declared)
        if self.others:
            lines.append(f"beside it: {', '.join(self.others[:20])}")
        return "\n".join(lines)


def inspect(path: Path) -> Inspection:
    """Reads a file or folder of a model; nothing in it is executed.

    Args:
        path: a file of weights, or a folder with one and with configurations.

    Raises:
        CheckpointError: it cannot be read.
    """
    files = model_files(path)
    loaded = read_checkpoint(files.weights)
    return Inspection(
        files=files,
        loaded=loaded,
        declared=declared(loaded.tree, files),
        networks=tuple(_inspected(state) for state in find_states(loaded)),
    )


def _inspected(state: FoundState) -> InspectedNetwork:
    try:
        return InspectedNetwork(state=state, fitting=candidates(state.tensors), reason="")
    except (ArchitectureError, CheckpointError) as error:
        return InspectedNetwork(state=state, fitting=(), reason=str(error))


def _network_lines(network: InspectedNetwork, *, keys: bool) -> list[str]:
    state = network.state
    what = f", a pickled {printable(state.module)}" if state.module else ""
    lines = [
        f"network in {printable(state.where)}{what}: {len(state.tensors)} tensors, "
        f"{network.parameters:,} values of {_types(state.tensors)}"
    ]
    for one in network.fitting:
        size = f"{one.size[0]}x{one.size[1]} pixels" if one.size else "no tensor says their size"
        lines.append(
            f"  architecture {one.arch}: {one.classes} classes, {one.channels} channels, {size}"
        )
        lines += [f"    {sentence}" for sentence in one.evidence]
        if one.mean and one.std:
            lines.append(f"    normalisation inside: mean {one.mean}, std {one.std}")
    if network.reason:
        lines.append(f"  architecture not recognised: {network.reason}")
    if keys:
        lines += [
            f"  {printable(key)} {tuple(tensor.shape)} {_type(tensor)}"
            for key, tensor in state.tensors.items()
        ]
    return lines


def _declared_lines(said: Declared) -> list[str]:
    lines = []
    if said.arch:
        lines.append(f"it names its architecture: {printable(said.arch)}")
    if said.names:
        shown = ", ".join(printable(name) for name in said.names[:10])
        more = f" and {len(said.names) - 10} more" if len(said.names) > 10 else ""
        lines.append(f"it names its classes: {shown}{more}")
    if said.size:
        lines.append(f"its images have {said.size[0]}x{said.size[1]} pixels")
    if said.mean and said.std:
        lines.append(f"its images are normalised by mean {said.mean} and std {said.std}")
    if said.data:
        lines.append(f"its images are of {printable(said.data)}")
    return lines


def _network_json(network: InspectedNetwork) -> dict[str, Any]:
    return {
        "place": network.state.place,
        "module": network.state.module or None,
        "values": network.parameters,
        "architectures": [
            {
                "arch": one.arch,
                "layout": one.layout,
                "classes": one.classes,
                "channels": one.channels,
                "size": list(one.size) if one.size else None,
                "mean": list(one.mean) if one.mean else None,
                "std": list(one.std) if one.std else None,
                "evidence": list(one.evidence),
            }
            for one in network.fitting
        ],
        "reason": network.reason or None,
        "tensors": {
            key: {"shape": list(tensor.shape), "dtype": _type(tensor)}
            for key, tensor in network.state.tensors.items()
        },
    }


def _types(tensors: Mapping[str, Tensor]) -> str:
    return " and ".join(dict.fromkeys(_type(tensor) for tensor in tensors.values()))


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
