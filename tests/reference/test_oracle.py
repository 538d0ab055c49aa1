"""An oracle's answers and its budget; no reference leads from it to the model."""

from __future__ import annotations

import gc
import threading
import time
import types
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from remission.reactivations import OracleError, QueriesSpentError, access
from remission.reactivations.access import Oracle, answering
from tests.reference.toy import Slow, Toy, flat, toy_data


def asked(model: Toy, images: Tensor) -> Tensor:
    """Returns logits by hand, in eval mode."""
    return Slow.like(model).logits(flat(model), images, train=False)


def test_scores_are_softmax_probabilities_and_labels_their_argmax() -> None:
    model, images = Toy().eval(), toy_data(9).images
    logits = asked(model, images)
    with answering(model, "scores", 9) as oracle:
        wanted = logits.exp() / logits.exp().sum(1, keepdim=True)
        torch.testing.assert_close(oracle(images), wanted)
    with answering(model, "labels", 9) as oracle:
        found = oracle(images)
        assert found.dtype == torch.int64
        assert torch.equal(found, logits.argmax(1))


def test_the_budget_is_kept_to_the_image() -> None:
    images = toy_data(9).images
    with answering(Toy().eval(), "labels", 10) as oracle:
        assert len(oracle(images[:7])) == 7
        assert (oracle.used, oracle.left) == (7, 3)
        with pytest.raises(QueriesSpentError, match="4 images asked about, and 3 of 10 queries"):
            oracle(images[:4])
        assert oracle.used == 7, "what is refused is not counted"
        assert len(oracle(images[:3])) == 3
        assert oracle.left == 0
        with pytest.raises(QueriesSpentError):
            oracle(images[:1])
        oracle.budget, oracle._used = 10**9, -(10**9)  # the thread counts, not the oracle
        with pytest.raises(QueriesSpentError):
            oracle(images[:1])
    assert oracle.used == 10


def test_no_gradient_flows_and_nothing_is_shared() -> None:
    model, images = Toy().eval(), toy_data(5).images.requires_grad_(True)
    for answers in ("scores", "labels"):
        with answering(model, answers, 20) as oracle:
            found = oracle(images)
            assert not found.requires_grad
            assert found.grad_fn is None
            before = oracle(images)
            found.zero_()
            assert torch.equal(oracle(images), before)
            assert images.grad is None
    assert all(p.grad is None for p in model.parameters())


def test_an_error_is_told_without_its_traceback() -> None:
    with answering(Toy().eval(), "scores", 20) as oracle:
        with pytest.raises(OracleError, match="could not answer: RuntimeError") as caught:
            oracle(torch.zeros(2, 7, 5, 5))
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert not list(models_within(walk(caught.value)))
        with pytest.raises(OracleError, match="not finite"):
            oracle(torch.full((1, 2, 5, 5), torch.nan, dtype=torch.float64))
        assert oracle(toy_data(3).images).shape == (3, 4), "and it goes on answering"
        assert oracle.used == 6, "a question that failed was asked"


class Spy(Tensor):
    """Claims to hold no image, and records every parameter that torch passes along with it."""

    met: ClassVar[list[object]] = []

    def __len__(self) -> int:
        return 0

    @classmethod
    def __torch_function__(
        cls,
        function: Any,  # noqa: ANN401  # whatever torch calls
        types: Any,  # noqa: ANN401
        args: Any = (),  # noqa: ANN401
        kwargs: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        cls.met += [each for each in args if isinstance(each, nn.Parameter)]
        return super().__torch_function__(function, types, args, kwargs or {})  # type: ignore[no-untyped-call]


def test_an_image_that_brings_code_of_its_own_neither_meets_weights_nor_asks_for_free() -> None:
    images = toy_data(4).images
    with answering(Toy().eval(), "scores", 6) as oracle:
        wanted = oracle(images)
        with pytest.raises(QueriesSpentError, match="4 images asked about, and 2 of 6"):
            oracle(images.as_subclass(Spy))
        with pytest.raises(OracleError, match="a plain tensor"):
            oracle._questions.put(images.as_subclass(Spy))
            oracle(images)
        oracle._replies.get()
        found = oracle(images[:2].as_subclass(Spy))  # another batch size: sums in another order
        torch.testing.assert_close(found, wanted[:2])
    assert oracle.left == 0
    assert not Spy.met


def test_what_is_no_batch_of_images_is_refused_at_once() -> None:
    with answering(Toy().eval(), "labels", 6) as oracle:
        for images in (torch.tensor(0.5), torch.zeros(2, 5, 5)):
            with pytest.raises(OracleError, match=r"a plain tensor \(N, C, H, W\)"):
                oracle(images)
        assert oracle.used == 0


def walk(start: object) -> Iterator[object]:
    """Returns every object that can be reached from ``start``.

    It follows the garbage collector's references, attributes, slots, closures and defaults, and
    modules that the oracle's code can name, but not classes: their methods' globals are modules.
    """
    seen, waiting = set[int](), [start, vars(access)]
    kept: list[object] = []  # so that no id is given twice
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, type | types.ModuleType | types.FrameType):
            continue
        seen.add(id(found))
        kept.append(found)
        yield found
        if isinstance(found, types.FunctionType):
            waiting += [*(c.cell_contents for c in found.__closure__ or ()), found.__defaults__]
        else:
            waiting += gc.get_referents(found)
            waiting += attributes(found)


def attributes(found: object) -> list[Any]:
    slots = [s for cls in type(found).__mro__ for s in getattr(cls, "__slots__", ())]
    values = [getattr(found, name, None) for name in slots if isinstance(name, str)]
    return [*values, *getattr(found, "__dict__", {}).values()]


def models_within(found: Iterator[object]) -> Iterator[object]:
    for each in found:
        if isinstance(each, nn.Module | nn.Parameter) or (
            isinstance(each, Tensor) and (each.requires_grad or each.grad_fn is not None)
        ):
            yield each


def test_no_model_can_be_reached_from_an_oracle() -> None:
    images = toy_data(4).images
    with answering(Toy().eval(), "scores", 100) as oracle:
        oracle(images)
        found = list(walk(oracle))
        assert len(found) > 20
        assert any(each is oracle._replies for each in found), "the walk sees slots"
        assert not list(models_within(iter(found)))


def test_no_thread_leads_to_the_model_while_it_answers() -> None:
    with answering(Toy().eval(), "scores", 100) as oracle:
        oracle(toy_data(4).images)
        (thread,) = (t for t in threading.enumerate() if t.name == "oracle")
        arguments = vars(thread)["_args"]
        assert not list(models_within(walk(arguments)))
    for _ in range(100):
        if not thread.is_alive():
            break
        time.sleep(0.01)
    assert not thread.is_alive(), "the thread ends with its context"


def test_the_walk_would_find_a_model() -> None:
    model = Toy().eval()

    class Leaky(Oracle):
        __slots__ = ("hidden",)

    with answering(model, "scores", 1) as oracle:
        leaky = Leaky(oracle._questions, oracle._replies, "scores", 1)
        leaky.hidden = [lambda: model]  # type: ignore[attr-defined]
        assert model in list(models_within(walk(leaky)))
