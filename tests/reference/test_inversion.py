"""BTI-DBF's losses against their formulas, in every branch.

The features pass through fp32 on their way into the loss of step 3, so those terms agree to 1e-6
only.
"""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from remission.inversion import BTIDBF
from remission.inversion.bti_dbf_losses import mask_loss, mask_of, reproduction_loss
from remission.seeding import Seed
from remission.types import LabelledImages
from tests.reference.toy import FEATURES, SIDE, C, K, Slow, Toy, cross_entropy, flat, toy_data


def square(values: Tensor) -> float:
    """Returns the mean of the squares, in a plain loop."""
    return sum(float(value) ** 2 for value in values.flatten()) / values.numel()


def made() -> tuple[Toy, Slow, Tensor, LabelledImages, Tensor, Tensor]:
    """Returns a model, the same by hand, its weights, images x, G(x), a mask."""
    model, data = Toy().eval(), toy_data(6)
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(data.images.shape, generator=generator, dtype=torch.float64)
    mask = torch.rand(1, FEATURES, SIDE, SIDE, generator=generator, dtype=torch.float64)
    return model, Slow.like(model), flat(model), data, (data.images + 0.1 * noise), mask


def test_the_mask() -> None:
    a = torch.tensor([-30.0, -0.7, 0.0, 0.4, 30.0], dtype=torch.float64)
    wanted = [math.tanh(v) / 2 + 0.5 for v in a.tolist()]
    torch.testing.assert_close(mask_of(a), torch.tensor(wanted, dtype=torch.float64))


def test_the_mask_loss_and_its_gradient() -> None:
    model, slow, w, data, _, mask = made()
    h = slow.features(w, data.images, train=False)
    a = mask.logit().requires_grad_(True)

    def by_hand(a: Tensor) -> Tensor:
        m = 1 / (1 + (-2 * a).exp())  # tanh(a) / 2 + 1 / 2 is the logistic function of 2 a
        kept = cross_entropy(slow.classify(w, m * h), data.labels)
        return kept - cross_entropy(slow.classify(w, (1 - m) * h), data.labels)

    found = mask_loss(model, mask_of(a), h, data.labels)
    torch.testing.assert_close(found, by_hand(a), rtol=1e-9, atol=1e-12)
    found_gradient = torch.autograd.grad(found, a)[0]
    wanted_gradient = torch.autograd.grad(by_hand(a), a)[0]
    torch.testing.assert_close(found_gradient, wanted_gradient, rtol=1e-9, atol=1e-12)


def slow_reproduction(slow: Slow, w: Tensor, rewritten: Tensor, images: Tensor) -> Tensor:
    """CE(softmax f(G(x)), softmax f(x)) + MSE(h(x), h(G(x))) + c * MSE(x, G(x)), in loops."""
    h, h_new = (slow.features(w, x, train=False) for x in (images, rewritten))
    logits, logits_new = slow.classify(w, h), slow.classify(w, h_new)
    apart = torch.zeros((), dtype=torch.float64)
    for n in range(len(images)):
        for k in range(K):
            wanted = float(logits[n, k].exp() / logits[n].exp().sum())
            apart = apart - wanted * (logits_new[n, k] - logits_new[n].exp().sum().log())
    scaled = (rewritten - images) / slow.image_std.view(1, -1, 1, 1)
    image = scaled.pow(2).sum() / scaled.numel()
    return (
        apart / len(images)
        + (h_new - h).pow(2).sum() / h.numel()
        + (100 if float(image.detach()) > 0.1 else 0.01) * image
    )


@pytest.mark.parametrize("error", [0.0999, 0.1001, 3.0])
def test_the_pretraining_loss_and_its_gradient(error: float) -> None:
    model, slow, w, data, rewritten, _ = made()
    change = rewritten - data.images
    change = change * math.sqrt(error / square(change / model.std))
    at = (data.images + change).requires_grad_(True)
    found = reproduction_loss(model, at, data.images)
    wanted = slow_reproduction(slow, w, at, data.images)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)
    assert (float(found.detach()) > 9) == (error > 0.1), "the weight of the image error changes"
    found_gradient = torch.autograd.grad(found, at)[0]
    wanted_gradient = torch.autograd.grad(wanted, at)[0]
    torch.testing.assert_close(found_gradient, wanted_gradient, rtol=1e-9, atol=1e-12)


def test_the_pretraining_loss_is_least_where_the_images_are_reproduced() -> None:
    model, _, _, data, _, _ = made()
    at = data.images.clone().requires_grad_(True)
    loss = reproduction_loss(model, at, data.images)
    p = model(data.images).softmax(dim=1).detach()
    torch.testing.assert_close(loss.detach(), -(p * p.log()).sum(1).mean(), rtol=1e-9, atol=0)
    gradient = torch.autograd.grad(loss, at)[0]
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)


def loss_of(method: BTIDBF, target: int | None) -> Tensor:
    model, _, _, data, rewritten, mask = made()
    features = model.features(data.images)
    loss = method.generator_loss(model, rewritten, data.images, features, mask, target)
    return loss.detach()


def terms() -> tuple[float, float, float, Slow, Tensor, Tensor]:
    """Returns the image error, the errors of benign and other features, and h(G(x))."""
    model, slow, w, data, rewritten, mask = made()
    scaled = (rewritten - data.images) / model.std
    h = slow.features(w, data.images, train=False)
    h_new = slow.features(w, rewritten, train=False)
    return (
        square(scaled),
        square(mask * h_new - mask * h),
        square((1 - mask) * h_new - (1 - mask) * h),
        slow,
        w,
        h_new,
    )


def test_the_image_error_is_in_units_of_the_channels_variance() -> None:
    model, _, _, data, rewritten, _ = made()
    wanted = 0.0
    for c in range(C):
        wanted += square(rewritten[:, c] - data.images[:, c]) / float(model.std.flatten()[c]) ** 2
    assert terms()[0] == pytest.approx(wanted / C, rel=1e-12)


@pytest.mark.parametrize("target", [None, 2])
@pytest.mark.parametrize(("image_factor", "feature_factor"), [(0.99, 1.01), (1.01, 0.99)])
def test_above_either_bound_the_image_error_and_the_target_count(
    image_factor: float, feature_factor: float, target: int | None
) -> None:
    image, benign, _, slow, w, h_new = terms()
    method = BTIDBF(image_bound=image * image_factor, feature_bound=benign * feature_factor)
    wanted = image
    if target is not None:
        goal = torch.full((len(h_new),), target)
        wanted += float(cross_entropy(slow.classify(w, h_new), goal))
    assert float(loss_of(method, target)) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("target", [None, 0, 2])
def test_within_both_bounds_benign_features_stay_and_the_others_move(target: int | None) -> None:
    image, benign, rest, slow, w, h_new = terms()
    method = BTIDBF(image_bound=image * 1.01, feature_bound=benign * 1.01)
    wanted = 0.01 * benign - rest
    if target is not None:
        goal = torch.full((len(h_new),), target)
        wanted += float(cross_entropy(slow.classify(w, h_new), goal))
    assert float(loss_of(method, target)) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("start", ["noise", "even"])
def test_the_training_of_the_mask(start: Literal["noise", "even"]) -> None:
    """Step 2 with the whole data as one batch, replayed in float64."""
    model, data = Toy().float().eval(), toy_data(6)
    data = LabelledImages(data.images.float(), data.labels)
    method = BTIDBF(mask_epochs=15, batch_size=6, mask_start=start)
    found = method.benign_mask(model.requires_grad_(False), data, Seed(0))

    slow, w = Slow.like(Toy()), flat(Toy())
    h = slow.features(w, data.images.double(), train=False)
    a = torch.zeros(1, FEATURES, SIDE, SIDE, dtype=torch.float64)
    if start == "noise":
        a += torch.randn(a.shape, generator=Seed(0).child("start").generator())
    a.requires_grad_(True)
    adam = torch.optim.Adam([a], 0.01)
    for _ in range(15):
        m = a.tanh() / 2 + 0.5
        kept = cross_entropy(slow.classify(w, m * h), data.labels)
        loss = kept - cross_entropy(slow.classify(w, (1 - m) * h), data.labels)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    moving = (a.grad.abs() > 1e-6) if a.grad is not None else torch.tensor(False)
    assert float(moving.double().mean()) > 0.5
    wanted = (a.tanh() / 2 + 0.5).detach().float()
    torch.testing.assert_close(found[moving], wanted[moving], rtol=1e-4, atol=1e-5)


def test_the_noise_with_which_the_mask_begins() -> None:
    """One step of Adam moves a by at most 0.01, so that the start is seen."""
    model, data = Toy().float().eval().requires_grad_(False), toy_data(6)
    data = LabelledImages(data.images.float(), data.labels)
    masks = [
        BTIDBF(mask_epochs=1, batch_size=6).benign_mask(model, data, Seed(seed)) for seed in (0, 1)
    ]
    a = torch.cat([torch.atanh(2 * mask - 1).flatten() for mask in masks])
    assert abs(float(a.mean())) < 0.35, "four standard errors of 150 numbers"
    assert 0.75 < float(a.std()) < 1.25
    assert float((masks[0] - masks[1]).abs().mean()) > 0.1, "the seed decides"


def test_what_a_generator_amounts_to() -> None:
    """The target is the class into which most other images move; clean mistakes count."""
    from remission.inversion.base import judge

    model = Toy().eval()
    with torch.no_grad():
        model.linear.weight.zero_()
        model.linear.bias.copy_(torch.tensor([0.0, 3.0, 1.0, 2.0]))  # everything is class 1
    data = toy_data(9)
    found = judge(model, data, torch.nn.Identity())
    assert (found.target, found.target_share, found.change) == (1, 1.0, 0.0)

    class Darker(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images * 0.5

    wanted = math.sqrt(square(data.images * 0.5))
    assert judge(model, data, Darker()).change == pytest.approx(wanted, rel=1e-6)
