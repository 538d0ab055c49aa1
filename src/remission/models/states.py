"""States that a model is in for a while, and is taken out of again even after an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from remission.models.classifier import Classifier


@contextmanager
def evaluating(*models: nn.Module) -> Iterator[None]:
    """Puts ``models`` into eval mode within this context, and back into their modes after it."""
    modes = [model.training for model in models]
    for model in models:
        model.eval()
    try:
        yield
    finally:
        for model, training in zip(models, modes, strict=True):
            model.train(training)


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Lets no parameter of ``model`` require gradients within this context."""
    required = [parameter.requires_grad for parameter in model.parameters()]
    model.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, require in zip(model.parameters(), required, strict=True):
            parameter.requires_grad_(require)


@contextmanager
def watching_final_inputs(model: Classifier, watcher: Callable[[Tensor], object]) -> Iterator[None]:
    """Shows ``watcher`` the input (N, D) of the last linear layer in every forward pass.

    The hook is removed after this context.
    """

    def show(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        del layer
        watcher(inputs[0])

    handle = model.final_linear.register_forward_pre_hook(show)
    try:
        yield
    finally:
        handle.remove()
