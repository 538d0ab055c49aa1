"""The line between two models, interpolated by hand in float64."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from remission.paths import bezier_path, linear_path, plane, weight_distance
from remission.seeding import Seed
from remission.training import Recipe, connect, evaluate
from remission.types import LabelledImages
from tests.reference.toy import (
    CONV,
    FEATURES,
    HEAD,
    SCALE,
    SHIFT,
    Slow,
    Toy,
    by_hand,
    corner,
    cross_entropy,
    flat,
    moments,
    toy_data,
)

TARGET = 2


def counted(slow: Slow, w: torch.Tensor, data: LabelledImages) -> tuple[int, int, int]:
    """Counts hits of clean accuracy, ASR and robust accuracy, image by image."""
    clean = asr = robust = 0
    on_clean = slow.logits(w, data.images, train=False).argmax(1).tolist()
    on_triggered = slow.logits(w, by_hand(data.images), train=False).argmax(1).tolist()
    for i, label in enumerate(data.labels.tolist()):
        clean += on_clean[i] == label
        if label != TARGET:
            asr += on_triggered[i] == TARGET
            robust += on_triggered[i] == label
    return clean, asr, robust


def losses(slow: Slow, w: torch.Tensor, data: LabelledImages) -> tuple[float, float]:
    """Returns the losses of clean images with labels and of triggered images with the target."""
    clean = cross_entropy(slow.logits(w, data.images, train=False), data.labels)
    others = data.labels != TARGET
    logits = slow.logits(w, by_hand(data.images[others]), train=False)
    wanted = torch.full((len(logits),), TARGET)
    return float(clean), float(cross_entropy(logits, wanted))


def recalibrated(slow: Slow, w: torch.Tensor, clean: LabelledImages) -> Slow:
    """Returns the model with the statistics of ``clean`` at the weights ``w``."""
    z = slow.convolved(w, clean.images)
    mean, var = moments(z)
    count = z.numel() / FEATURES
    return Slow(slow.image_mean, slow.image_std, mean, var * count / (count - 1))


@pytest.mark.parametrize("policy", ["interpolated", "recalibrated"])
def test_every_position(policy: Literal["interpolated", "recalibrated"]) -> None:
    start, end = Toy(seed=0), Toy(seed=9)
    test, clean = toy_data(60, seed=3), toy_data(12, seed=4)
    found = linear_path(start, end, test, corner(), TARGET, points=9, batchnorm=policy, clean=clean)
    assert found.t == pytest.approx([i / 8 for i in range(9)], rel=1e-12)
    a, b, seen = Slow.like(start), Slow.like(end), set()
    for place, (t, rates) in enumerate(zip(found.t, found.rates, strict=True)):
        w = (1 - t) * flat(start) + t * flat(end)
        mean = (1 - t) * a.running_mean + t * b.running_mean
        var = (1 - t) * a.running_var + t * b.running_var
        slow = Slow(a.image_mean, a.image_std, mean, var)
        if policy == "recalibrated":
            slow = recalibrated(slow, w, clean)
        wanted = counted(slow, w, test)
        assert (rates.clean_acc.hits, rates.asr.hits, rates.robust_acc.hits) == wanted
        others = int((test.labels != TARGET).sum())
        measured = (found.clean_loss[place], found.backdoor_loss[place])
        assert measured == pytest.approx(losses(slow, w, test), rel=1e-5)
        assert rates.clean_acc.total == 60
        assert rates.asr.total == rates.robust_acc.total == others
        seen.add(wanted)
    assert len(seen) > 2, "the rates change along the line"


def test_the_ends_are_the_two_models_exactly() -> None:
    start, end, test = Toy(seed=0), Toy(seed=9), toy_data(60, seed=3)
    found = linear_path(start, end, test, corner(), TARGET, points=4, batchnorm="interpolated")
    assert found.rates[0] == evaluate(start, test, corner(), TARGET)
    assert found.rates[-1] == evaluate(end, test, corner(), TARGET)
    assert found.rates[0] != found.rates[-1]


def test_the_models_stay_as_they_are() -> None:
    start, end, data = Toy(seed=0), Toy(seed=9).eval(), toy_data(12)
    linear_path(start, end, data, corner(), TARGET, points=3, clean=data)
    for model, seed in ((start, 0), (end, 9)):
        for key, value in Toy(seed=seed).state_dict().items():
            assert torch.equal(model.state_dict()[key], value), key
    assert (start.training, end.training) == (True, False)
    assert all(p.requires_grad for p in start.parameters())


def test_barriers_by_hand() -> None:
    start, end, test = Toy(seed=0), Toy(seed=9), toy_data(60, seed=3)
    found = linear_path(start, end, test, corner(), TARGET, points=5, batchnorm="interpolated")
    error = [1 - rates.clean_acc.hits / 60 for rates in found.rates]
    excess = [error[k] - (1 - k / 4) * error[0] - k / 4 * error[4] for k in range(5)]
    assert found.barriers()["clean_error"] == pytest.approx(max(excess))
    loss = found.backdoor_loss
    excess = [loss[k] - (1 - k / 4) * loss[0] - k / 4 * loss[4] for k in range(5)]
    assert found.barriers()["backdoor_loss"] == pytest.approx(max(excess))
    assert min(found.barriers().values()) >= 0


def test_distances() -> None:
    start, end = Toy(seed=0), Toy(seed=9)
    a, b = flat(start), flat(end)
    found = weight_distance(start, end)
    assert found.total == pytest.approx(float((b - a).pow(2).sum().sqrt()), rel=1e-12)
    assert found.relative == pytest.approx(found.total / float(a.norm()), rel=1e-12)
    assert list(found.layers) == ["conv", "bn", "linear"]
    both = slice(SCALE.start, SHIFT.stop)
    for layer, part in (("conv", CONV), ("bn", both), ("linear", slice(HEAD.start, None))):
        length = float((b - a)[part].norm())
        wanted = (length, length / float(a[part].norm()))
        assert found.layers[layer] == pytest.approx(wanted, rel=1e-12)
    assert weight_distance(start, start).total == 0
    with torch.no_grad():
        start.linear.weight.zero_()
        start.linear.bias.zero_()
    assert weight_distance(start, end).layers["linear"][1] is None, "no share of nothing"


def test_every_point_of_the_plane() -> None:
    models = [Toy(seed) for seed in (0, 9, 5)]
    test, clean = toy_data(30, seed=3), toy_data(12, seed=4)
    a, b, c = models
    found = plane(a, b, c, test, corner(), TARGET, clean=clean, points=4)
    first, second, third = (flat(model) for model in models)
    u = (second - first) / (second - first).norm()
    v = third - first
    v = v - (v * u).sum() * u
    v = v / v.norm()
    for (x, y), w in zip(found.models, (first, second, third), strict=True):
        torch.testing.assert_close(first + x * u + y * v, w, rtol=1e-9, atol=1e-12)
    xs, ys = ([place[axis] for place in found.models] for axis in (0, 1))
    for along, places in ((found.x, xs), (found.y, ys)):
        extent = max(places) - min(places)
        assert along[0] == pytest.approx(min(places) - extent / 4)
        assert along[-1] == pytest.approx(max(places) + extent / 4)
    like = Slow.like(models[0])
    for i, j in ((0, 0), (1, 3), (3, 2)):
        w = first + found.x[j] * u + found.y[i] * v
        slow, here = recalibrated(like, w, clean), found.rows[i][j]
        assert (here.clean_loss, here.backdoor_loss) == pytest.approx(
            losses(slow, w, test), rel=1e-5
        )
        hits = (here.rates.clean_acc.hits, here.rates.asr.hits, here.rates.robust_acc.hits)
        assert hits == counted(slow, w, test)
    assert not found.flat
    for model, w in zip(models, (first, second, third), strict=True):
        assert torch.equal(flat(model), w), "the models stay as they are"


def test_three_models_on_a_line_are_no_plane() -> None:
    first, second, third = Toy(0), Toy(9), Toy(0)
    with torch.no_grad():
        pairs = zip(third.parameters(), second.parameters(), strict=True)
        for parameter, other in pairs:
            parameter.lerp_(other, 0.5)
    data = toy_data(12)
    args = (data, corner(), TARGET)
    assert plane(first, second, third, *args, clean=data, points=2).flat
    assert plane(first, first, first, *args, clean=data, points=2).flat


@pytest.mark.parametrize("own", [False, True])
def test_the_curve_is_walked_with_statistics_of_its_own(own: bool) -> None:
    start, end = Toy(0), Toy(9)
    test, clean = toy_data(30, seed=3), toy_data(12, seed=4)
    behind = clean[:7] if own else clean
    found = bezier_path(
        start,
        end,
        test,
        corner(),
        TARGET,
        clean=clean,
        statistics=behind if own else None,
        seed=Seed(7),
        epochs=3,
        lr=0.2,
        points=5,
    )
    recipe = Recipe(epochs=3, lr=0.2, schedule="cosine")
    curve = connect(Toy(0), end, clean, recipe, seed=Seed(7))
    bend = torch.cat([part.flatten() for part in curve.bend])
    for place, t in enumerate(found.t):
        w = (1 - t) ** 2 * flat(start) + 2 * t * (1 - t) * bend + t**2 * flat(end)
        slow = recalibrated(Slow.like(start), w, behind)
        measured = (found.clean_loss[place], found.backdoor_loss[place])
        assert measured == pytest.approx(losses(slow, w, test), rel=1e-5)
    assert torch.equal(flat(start), flat(Toy(0)))


def test_the_curve_goes_around_the_barrier_of_the_line() -> None:
    """Without training the curve is the line itself."""
    start, end, data = Toy(0), Toy(1), toy_data(40)
    args = (start, end, data, corner(), TARGET)
    line = linear_path(*args, points=5, clean=data)
    bent = bezier_path(*args, clean=data, seed=Seed(0), epochs=60, lr=0.1, points=5)
    assert bent.clean_loss[2] < line.clean_loss[2] - 0.02
    assert bent.clean_loss[0] == pytest.approx(line.clean_loss[0], rel=1e-6)
    assert bent.clean_loss[4] == pytest.approx(line.clean_loss[4], rel=1e-6)
