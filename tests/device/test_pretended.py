"""The pretended device complains where torch would, and nowhere else."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from threading import Thread

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.device.pretended import pretended_device
from tests.device.tensor import DeviceTensor

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def drawn() -> Iterator[list[str]]:
    with pretended_device() as operations:
        yield operations


def there(*shape: int) -> Tensor:
    """Returns a tensor on the device, of 1, 2, 3 ..."""
    return here(*shape).to("cuda")


def here(*shape: int) -> Tensor:
    """Returns a tensor on the CPU, of 1, 2, 3 ..."""
    return torch.arange(1, 1 + int(np.prod(shape))).float().reshape(shape)


def put(where: Tensor, index: Tensor, value: Tensor) -> None:
    where[index] = value


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


MIXTURES: dict[str, Callable[[], object]] = {
    "sum": lambda: there(3) + here(3),
    "sum in place": lambda: here(3).add_(there(3)),
    "scalar of the device in place": lambda: here().add_(there()),
    "scalar of the device": lambda: here(3) * there(),
    "product": lambda: there(2, 2) @ here(2, 2),
    "cat": lambda: torch.cat([there(3), here(3)]),
    "stack": lambda: torch.stack([there(), here()]),
    "where": lambda: torch.where(there(3) > 1, there(3), here(3)),
    "equal": lambda: torch.equal(there(3), here(3)),
    "isin": lambda: torch.isin(there(3), here(3)),
    "gather": lambda: there(3).gather(0, torch.tensor([0])),
    "index of the device": lambda: here(3)[torch.tensor([0], device="cuda")],
    "mask of the device": lambda: here(3)[there(3) > 1],
    "value of the CPU": lambda: put(there(3), torch.tensor([0, 1]), here(2)),
    "labels": lambda: F.cross_entropy(there(2, 3), torch.tensor([0, 1])),
    "layer": lambda: nn.Linear(3, 2)(there(1, 3)),
    "batch norm": lambda: nn.BatchNorm1d(3)(there(2, 3)),
    "arange": lambda: there(3) + torch.arange(3),
    "out": lambda: torch.add(there(3), there(3), out=here(3)),
}


@pytest.mark.parametrize("operation", MIXTURES.values(), ids=MIXTURES)
def test_two_devices_do_not_meet(operation: Callable[[], object]) -> None:
    with pytest.raises(RuntimeError, match="same device"):
        operation()


def test_a_generator_of_the_cpu_draws_on_the_cpu_alone() -> None:
    draws: list[Callable[[], Tensor]] = [
        lambda: there(3).uniform_(generator=generator()),
        lambda: torch.rand(3, generator=generator(), device="cuda"),
        lambda: torch.randperm(3, generator=generator(), device="cuda"),
        lambda: torch.bernoulli(there(3) / 3, generator=generator()),
    ]
    for draw in draws:
        with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator"):
            draw()
    assert here(3).uniform_(generator=generator()).device == CPU


def test_what_the_device_draws_is_noted(drawn: list[str]) -> None:
    torch.rand(3, generator=generator()).to("cuda")
    F.dropout(there(3), 0.5, training=False)
    assert drawn == []
    there(3).normal_()
    torch.rand(3, device="cuda")
    F.dropout(there(3), 0.5)
    assert len(drawn) == 3


@pytest.mark.parametrize(
    "read",
    [Tensor.numpy, lambda x: x.numpy(), np.asarray, lambda x: x.detach().numpy()],
    ids=["method", "call", "asarray", "detached"],
)
def test_numpy_reads_nothing_there(read: Callable[[Tensor], object]) -> None:
    x = there(3)
    with pytest.raises(TypeError, match=r"Use Tensor\.cpu\(\) to copy the tensor"):
        (read if read is not Tensor.numpy else type(x).numpy)(x)
    assert x.cpu().numpy().tolist() == [1, 2, 3]


def test_what_else_a_device_tensor_cannot() -> None:
    with pytest.raises(RuntimeError, match="cannot pin"):
        there(3).pin_memory()
    with pytest.raises(RuntimeError, match="pickled"):
        copy.copy(there(3))
    with pytest.raises(AssertionError, match="nobody waits for"):
        there(3).to("cpu", non_blocking=True)
    with pytest.raises(RuntimeError, match="same device"):
        nn.Parameter(there(3)).data = here(3)


ALLOWED: dict[str, Callable[[], Tensor]] = {
    "number": lambda: there(3) + 1,
    "scalar of the CPU": lambda: there(3) * here(),
    "scalar of the CPU in place": lambda: there(3).mul_(here()),
    "scalars of where": lambda: torch.where(there(3) > 1, there(3), torch.tensor(0.0)),
    "masked fill": lambda: there(3).masked_fill(there(3) > 1, torch.tensor(0.0)),
    "index of the CPU": lambda: there(3)[torch.tensor([2, 0])],
    "index of the device": lambda: there(3)[torch.tensor([2, 0], device="cuda")],
    "list": lambda: there(3)[[2, 0]],
    "mask of the CPU": lambda: there(3)[torch.tensor([True, False, True])],
    "new": lambda: there(3).new_tensor([1, 2]),
    "new zeros": lambda: there(3).new_zeros(2),
    "like": lambda: torch.zeros_like(here(3), device="cuda"),
    "made": lambda: torch.full((2,), 3.0, device="cuda"),
    "made of the device's": lambda: torch.tensor([there(), there()], device="cuda"),
    "to another": lambda: here(3).double().to(there(3)),
    "type": lambda: here(3).double().type_as(there(3)),
    "layer": lambda: nn.Linear(3, 2).to("cuda")(there(1, 3)),
    "one hot": lambda: F.one_hot(torch.tensor([1, 2], device="cuda"), 3),
    "interpolated": lambda: F.interpolate(there(1, 1, 2, 2), size=(4, 4), mode="bicubic"),
}


@pytest.mark.parametrize("operation", ALLOWED.values(), ids=ALLOWED)
def test_what_torch_allows(operation: Callable[[], Tensor]) -> None:
    assert operation().device == CUDA


def test_copies_between_devices() -> None:
    x, y = there(3), here(3)
    y.copy_(2 * x)
    assert y.device == CPU
    assert y.tolist() == [2, 4, 6]
    x.copy_(y)
    x[:1] = here(1)
    assert x.tolist() == [1, 4, 6]
    assert float(x.sum()) == 11
    assert torch.equal(x.clone(), x)


def test_a_file_of_weights_is_written_from_there() -> None:
    content = safetensors.torch.save({"x": there(3)})
    assert safetensors.torch.load(content)["x"].tolist() == [1, 2, 3]


def test_a_move_is_a_copy_in_both_directions() -> None:
    x = here(3)
    y = x.to("cuda")
    z = y.cpu()
    x.zero_()
    z.zero_()
    assert y.tolist() == [1, 2, 3]
    assert y.to("cuda") is y
    assert here(3).to("cpu", torch.float64).dtype == torch.float64


def test_views_are_written_through() -> None:
    x = there(2, 3)
    x[1].mul_(0)
    x.view(-1)[0] = 7
    assert x.tolist() == [[7, 2, 3], [0, 0, 0]]
    with torch.inference_mode():
        assert x[None].shape == (1, 2, 3)


def test_gradients_take_the_way_back() -> None:
    x = here(3).requires_grad_()
    y = there(3).requires_grad_()
    ((x.to("cuda") * y)[[0, 2]] ** 2).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert y.grad is not None
    assert (x.grad.device, y.grad.device) == (CPU, CUDA)
    assert x.grad.tolist() == y.grad.tolist() == [2, 0, 54]


def test_a_module_keeps_its_parameters_and_learns() -> None:
    layer = nn.Linear(2, 1)
    weight, before = layer.weight, layer.weight.tolist()
    optimizer = torch.optim.SGD(layer.to("cuda").parameters(), 0.1, momentum=0.9, fused=True)
    assert layer.weight is weight
    assert isinstance(weight, nn.Parameter)
    assert weight.device == CUDA
    twin = copy.deepcopy(layer)
    layer(there(1, 2)).sum().backward()
    optimizer.step()
    assert np.allclose(np.subtract(before, weight.tolist()), [[0.1, 0.2]])
    assert twin.weight.tolist() == before
    assert isinstance(twin.weight, nn.Parameter)
    layer.cpu()
    assert layer.weight is weight
    assert type(weight) is nn.Parameter
    assert np.allclose(weight.numpy(force=True), layer.weight.tolist())


def test_autocast_is_that_of_one_device() -> None:
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert (there(2, 2) @ there(2, 2)).dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (here(2, 2) @ here(2, 2)).dtype == torch.bfloat16
        with pytest.raises(AssertionError, match="leaves device tensors as they are"):
            there(2, 2) @ there(2, 2)
    assert (there(2, 2) @ there(2, 2)).dtype == torch.float32


def test_a_thread_knows_the_device() -> None:
    found = []
    thread = Thread(target=lambda: found.append(here(2).to("cuda")))
    thread.start()
    thread.join()
    assert [x.device for x in found] == [CUDA]


def test_nothing_remains(drawn: list[str]) -> None:
    del drawn
    with pretended_device():
        assert isinstance(here(2).to("cuda"), DeviceTensor)
    assert torch.zeros(2, device="cpu").device == CPU


def test_without_it_there_is_no_device() -> None:
    x = there(2)
    with torch._C.DisableTorchFunction(), pytest.raises((AssertionError, RuntimeError)):
        torch.zeros(2, device="cuda")
    assert x.is_cuda
