"""PAM's update, replayed on one flat vector: w' = w + rho * d / ||d||, d = w_bd - w."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from remission.inversion import KnownSource
from remission.models import Classifier
from remission.purifiers import PAM
from remission.seeding import Seed
from remission.training import Weights
from remission.types import LabelledImages
from tests.reference.toy import (
    FEATURES,
    SCALE,
    SHIFT,
    Slow,
    SlowSGD,
    Toy,
    assert_same,
    by_hand,
    corner,
    cross_entropy,
    flat,
    grad,
    moments,
    recognise,
    schedule,
    toy_data,
)


def length(vector: Tensor) -> float:
    return math.sqrt(sum(float(value) ** 2 for value in vector))


def moved(w: Tensor, w_bd: Tensor, rho: float, cap: bool) -> Tensor:
    """Returns w', written out."""
    d = w_bd - w
    if length(d) == 0:
        return w
    reach = rho / length(d)
    return w + (min(1.0, reach) if cap else reach) * d


@pytest.mark.parametrize("cap", [True, False])
@pytest.mark.parametrize("rho", [0.02, 0.5, 5.0])
def test_every_update(rho: float, cap: bool) -> None:
    victim, data = Toy(), toy_data(11)
    method = PAM(
        rho=rho, cap=cap, recalibrate=False, rounds=1, epochs=3, lr=0.1, share=0.5,
        batch_size=4, augment="none",
    )  # fmt: skip
    done = method(victim, data, seed=Seed(0), trigger=KnownSource(corner())).model
    assert isinstance(done, Toy)
    w_bd = flat(victim)
    w, slow, sgd = w_bd, Slow.like(victim), SlowSGD(0.1, momentum=0.1)
    for step, batch in enumerate(done.seen):
        which, triggered = recognise(batch, data)
        assert sum(triggered) == 2, "half of 4, and half of 3, rounded to even"
        at = moved(w, w_bd, rho, cap)
        torch.testing.assert_close(done.visited[step], at, rtol=1e-9, atol=1e-12)
        y = data.labels[which]
        # the gradient and the running statistics are those of w', the step starts from w
        g = grad(lambda w, x=batch, y=y: cross_entropy(slow.logits(w, x), y), at)  # type: ignore[misc]
        w = sgd.step(w, g, schedule("cosine", step, total=9))
    assert_same(done, w, slow)


def test_the_distance_moved() -> None:
    """With the cap it never passes w_bd; without it is rho, even where w_bd is nearer."""
    victim, data = Toy(), toy_data(8)
    w_bd = flat(victim)
    for cap in (True, False):
        model = Toy(seed=5)
        near = 0.3 * (flat(model) - w_bd) / length(flat(model) - w_bd)
        _put(model, w_bd + near)  # at a distance of 0.3
        for rho in (0.1, 0.3, 0.9):
            _gradient(model, victim, data, PAM(rho=rho, cap=cap))
            found = model.visited[-1] - flat(model)
            assert length(found) == pytest.approx(min(rho, 0.3) if cap else rho, rel=1e-9)
            torch.testing.assert_close(found / length(found), -near / 0.3, rtol=1e-9, atol=1e-12)
            assert float(found[SCALE].abs().min()) > 0, "batch-norm scale takes part"
            assert float(found[SHIFT].abs().min()) > 0, "batch-norm shift takes part"


def test_at_the_backdoored_weights_nothing_is_moved() -> None:
    victim, data = Toy(), toy_data(8)
    for cap in (True, False):
        model = Toy()
        _gradient(model, victim, data, PAM(rho=0.5, cap=cap))
        assert torch.equal(model.visited[-1], flat(victim))
        assert bool(torch.isfinite(_gradients(model)).all())


def test_the_weights_are_put_back_bit_for_bit_and_the_gradient_is_left() -> None:
    victim, model, data = Toy(), Toy(seed=5), toy_data(8)
    before = flat(model)
    _gradient(model, victim, data, PAM(rho=0.7))
    assert torch.equal(flat(model), before)
    at, slow = moved(before, flat(victim), 0.7, cap=True), Slow.like(model)
    wanted = grad(lambda w: cross_entropy(slow.logits(w, data.images), data.labels), at)
    torch.testing.assert_close(_gradients(model), wanted, rtol=1e-9, atol=1e-12)


def test_rounds_walk_toward_the_same_point_and_start_the_optimiser_anew() -> None:
    victim, data = Toy(), toy_data(8)
    method = PAM(
        rho=0.5, rounds=3, epochs=2, lr=0.1, batch_size=8, augment="none", recalibrate=False
    )
    done = method(victim, data, seed=Seed(0), trigger=KnownSource(corner())).model
    assert isinstance(done, Toy)
    w_bd, slow = flat(victim), Slow.like(victim)
    w, sgd = w_bd, SlowSGD(0.1, 0.1)
    assert len(done.seen) == 6
    for step, batch in enumerate(done.seen):
        if step % 2 == 0:
            sgd = SlowSGD(0.1, 0.1)
        which, _ = recognise(batch, data)
        at = moved(w, w_bd, 0.5, cap=True)
        y = data.labels[which]
        g = grad(lambda w, x=batch, y=y: cross_entropy(slow.logits(w, x), y), at)  # type: ignore[misc]
        w = sgd.step(w, g, schedule("cosine", step % 2, total=2))
    assert_same(done, w, slow)


def test_recalibrated_statistics_are_those_of_the_final_weights_on_clean_images() -> None:
    victim, data = Toy(), toy_data(11)
    kept, renewed = (
        PAM(rounds=1, epochs=2, lr=0.1, batch_size=4, augment="none", recalibrate=recalibrate)(
            victim, data, seed=Seed(0), trigger=KnownSource(corner())
        ).model
        for recalibrate in (False, True)
    )
    assert isinstance(kept, Toy)
    assert isinstance(renewed, Toy)
    assert torch.equal(flat(kept), flat(renewed)), "the weights are the same"
    z = Slow.like(victim).convolved(flat(renewed), data.images)
    mean, var = moments(z)
    count = z.numel() / FEATURES
    torch.testing.assert_close(renewed.bn.running_mean, mean, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        renewed.bn.running_var, var * count / (count - 1), rtol=1e-9, atol=1e-12
    )
    assert not torch.allclose(kept.bn.running_mean, mean, rtol=1e-3)  # type: ignore[arg-type]


def test_from_the_second_round_on_the_source_is_renewed_against_the_model_so_far() -> None:
    victim, data = Toy(), toy_data(8)
    heard: list[Tensor] = []

    class Renewing:
        def __init__(self, value: float) -> None:
            self.value = value

        def __call__(self, images: Tensor, times: float = 1.0) -> Tensor:
            return torch.full_like(images, self.value)

        def renewed(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Renewing:
            assert isinstance(model, Toy)
            assert clean is data
            heard.append(flat(model))
            return Renewing(self.value + 0.25)

    method = PAM(rounds=3, epochs=1, batch_size=8, augment="none", recalibrate=False)
    done = method(victim, data, seed=Seed(0), trigger=Renewing(0.25)).model
    assert isinstance(done, Toy)
    stamps = [float(torch.unique(batch[0])) for batch in done.seen]
    assert stamps == [0.25, 0.5, 0.75]
    assert len(heard) == 2
    assert not torch.equal(heard[0], flat(victim))
    assert not torch.equal(heard[0], heard[1])


def test_before_the_trigger_is_inverted_again_the_statistics_are_those_of_the_weights() -> None:
    victim, data = Toy(), toy_data(8)
    apart: list[float] = []

    class Looking(KnownSource):
        def renewed(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> KnownSource:
            assert isinstance(model, Toy)
            mean, _ = moments(Slow.like(victim).convolved(flat(model), data.images))
            assert model.bn.running_mean is not None
            apart.append(float((model.bn.running_mean - mean).abs().max()))
            return super().renewed(model, clean, seed=seed)

    for recalibrate in (True, False):
        method = PAM(
            rounds=2, epochs=2, lr=0.1, batch_size=8, augment="none", recalibrate=recalibrate
        )
        method(victim, data, seed=Seed(0), trigger=Looking(corner()))
    assert apart[0] < 1e-9
    assert apart[1] > 1e-2, "training leaves others"


def test_by_hand_is_what_the_source_gives() -> None:
    data = toy_data(3)
    assert torch.equal(KnownSource(corner())(data.images), by_hand(data.images))


def _gradient(model: Toy, victim: Toy, data: LabelledImages, method: PAM) -> None:
    """Leaves PAM's gradient of plain cross entropy at ``model`` in ``.grad``."""
    model.zero_grad()

    def backward() -> Tensor:
        loss = torch.nn.functional.cross_entropy(model(data.images), data.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    method.gradient(Weights(model), [p.detach().clone() for p in victim.parameters()], backward)


def _gradients(model: Toy) -> Tensor:
    found = [p.grad for p in model.parameters()]
    return torch.cat([g.reshape(-1) for g in found if g is not None])


def _put(model: Toy, w: Tensor) -> None:
    start = 0
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(w[start : start + p.numel()].view_as(p))
            start += p.numel()
