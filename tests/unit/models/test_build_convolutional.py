"""Convolutional models against a plain computation from the keys of published weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from remission.models import Classifier, load_weights
from tests.unit.models.zoo import built

State = dict[str, Tensor]


def convolved(state: State, x: Tensor, name: str, stride: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, state.get(f"{name}.bias"), stride, padding=weight.shape[2] // 2)


def normalised(state: State, x: Tensor, name: str) -> Tensor:
    one = [state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
    mean, var, weight, bias = (value[:, None, None] for value in one)
    return (x - mean) / (var + 1e-5).sqrt() * weight + bias


def resnet50(s: State, x: Tensor) -> Tensor:
    x = normalised(s, convolved(s, x, "conv1"), "bn1").relu()
    for stage, count in enumerate((3, 4, 6, 3), start=1):
        for block in range(count):
            here, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            out = normalised(s, convolved(s, x, f"{here}.conv1"), f"{here}.bn1").relu()
            out = normalised(s, convolved(s, out, f"{here}.conv2", stride), f"{here}.bn2").relu()
            out = normalised(s, convolved(s, out, f"{here}.conv3"), f"{here}.bn3")
            if block == 0:
                name = f"{here}.shortcut"
                x = normalised(s, convolved(s, x, f"{name}.0", stride), f"{name}.1")
            x = (out + x).relu()
    return x.mean((2, 3)) @ s["linear.weight"].T + s["linear.bias"]


def preactresnet18(s: State, x: Tensor) -> Tensor:
    x = convolved(s, x, "conv1")
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            here, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            first = normalised(s, x, f"{here}.bn1").relu()
            out = convolved(s, first, f"{here}.conv1", stride)
            out = convolved(s, normalised(s, out, f"{here}.bn2").relu(), f"{here}.conv2")
            changes = stage > 1 and block == 0
            x = out + (convolved(s, first, f"{here}.shortcut.0", stride) if changes else x)
    return x.mean((2, 3)) @ s["linear.weight"].T + s["linear.bias"]


def vgg19_bn(s: State, x: Tensor) -> Tensor:
    place = 0
    for count in (2, 2, 4, 4, 4):
        for _ in range(count):
            x = convolved(s, x, f"features.{place}")
            x = normalised(s, x, f"features.{place + 1}").relu()
            place += 3
        x = F.max_pool2d(F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), value=-1e9), 2)
        place += 1
    return x.mean((2, 3)) @ s["classifier.weight"].T + s["classifier.bias"]


def densenet161(s: State, x: Tensor) -> Tensor:
    x = convolved(s, x, "conv1")
    for block, count in enumerate((6, 12, 36, 24), start=1):
        for layer in range(count):
            here = f"dense{block}.{layer}"
            out = convolved(s, normalised(s, x, f"{here}.bn1").relu(), f"{here}.conv1")
            out = convolved(s, normalised(s, out, f"{here}.bn2").relu(), f"{here}.conv2")
            x = torch.cat([out, x], dim=1)
        if block < 4:
            x = convolved(s, normalised(s, x, f"trans{block}.bn").relu(), f"trans{block}.conv")
            x = halved(x)
    x = normalised(s, x, "bn").relu()
    return x.mean((2, 3)) @ s["linear.weight"].T + s["linear.bias"]


def halved(x: Tensor) -> Tensor:
    """Returns means of 2x2 pixels, of fewer at an odd edge."""
    rows = [x[:, :, i : i + 2] for i in range(0, x.shape[2], 2)]
    columns = range(0, x.shape[3], 2)
    return torch.stack(
        [torch.stack([row[..., j : j + 2].mean((2, 3)) for j in columns], -1) for row in rows], 2
    )


SLOW: dict[str, Callable[[State, Tensor], Tensor]] = {
    "densenet161": densenet161,
    "preactresnet18": preactresnet18,
    "resnet50": resnet50,
    "vgg19_bn": vgg19_bn,
}


def published(key: str) -> str:
    return key.replace("layers.", "features.")


def shaken(model: Classifier) -> State:
    """Returns weights as of a trained model, in float64, under the keys of published ones."""
    generator, state = torch.Generator().manual_seed(0), {}
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            noise = torch.rand(value.shape, generator=generator, dtype=torch.float64)
            one_dimensional = (
                noise + 0.5 if "bias" not in key and "mean" not in key else noise - 0.5
            )
            # matrices large enough that activations neither vanish nor explode
            scale = 3 / max(1, value[0].numel()) ** 0.5
            matrix = (noise - 0.5) * 2 * scale
            state[published(key)] = matrix if value.ndim > 1 else one_dimensional
        else:
            state[published(key)] = value
    return state


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 28, 28), (3, 9, 17)], ids=str)
@pytest.mark.parametrize("name", sorted(SLOW))
def test_weights_of_published_keys_give_the_obvious_result(
    name: str, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    model = built(f"{name}:2", shape).eval()
    state = shaken(model)
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "w.safetensors")
    load_weights(model.double(), tmp_path / "w.safetensors")
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, *shape, generator=generator, dtype=torch.float64)
    expected = SLOW[name](state, (images - model.mean) / model.std)
    with torch.no_grad():
        torch.testing.assert_close(model(images), expected, rtol=1e-6, atol=1e-9)
    assert float(expected.std(0).min()) > 0
