"""Rounds of inversion: the start of a later round, who asks for it, and its judgement."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import ClassVar, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from remission.inversion import BTIDBF, Inversion, Inverted, InvertedSource
from remission.inversion.base import TargetClass, judge
from remission.method import method
from remission.models import Classifier, Precision
from remission.purifiers import BTIDBFUnlearning
from remission.seeding import Seed
from remission.triggers import BottleneckUNet, UNet
from remission.types import LabelledImages
from tests.reference.test_inversion import slow_reproduction
from tests.reference.toy import SIDE, C, K, Slow, Toy, flat, toy_data


class Grey(nn.Module):
    """Turns every image into one even grey."""

    value: Tensor

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(value))

    def forward(self, images: Tensor) -> Tensor:
        return torch.zeros_like(images) + self.value


@method
class Brightening(Inversion):
    """Names the class after the last; a round makes its generator brighter."""

    name: ClassVar[str] = "brightening"

    def build_generator(
        self, shape: tuple[int, int, int], seed: Seed, precision: Precision
    ) -> nn.Module:
        assert shape == (C, SIDE, SIDE)
        return Grey()

    def invert(
        self,
        model: Classifier,
        clean: LabelledImages,
        generator: nn.Module,
        *,
        previous: Inverted | None,
        seed: Seed,
    ) -> TargetClass:
        assert isinstance(generator, Grey)
        generator.value += 0.25
        return TargetClass(0 if previous is None else (previous.target or 0) + 1, 0.0)


def test_a_later_round_goes_on_from_the_last_one() -> None:
    model, data = Toy().eval(), toy_data(6)
    heard: list[Inverted] = []
    first = Brightening()(model, data, seed=Seed(0))
    source = InvertedSource(Brightening(), first, heard.append)
    for turn in (1, 2):
        source = source.renewed(model, data, seed=Seed(turn))
        assert source.inverted.target == turn, "the class named before is told"
        assert torch.equal(source(data.images), torch.full_like(data.images, 0.25 * (turn + 1)))
        assert heard[-1] is source.inverted
    assert len(heard) == 2
    assert isinstance(first.generator, Grey)
    assert float(first.generator.value) == 0.25, "the earlier round's generator is left alone"


@pytest.mark.parametrize("rounds", [1, 3])
def test_bti_dbf_u_renews_the_trigger_before_every_round_but_the_first(rounds: int) -> None:
    victim, data = Toy(), toy_data(8)
    stamped: list[float] = []
    asked: list[Tensor] = []

    class Renewing:
        def __init__(self, value: float) -> None:
            self.value = value

        def __call__(self, images: Tensor, times: float = 1.0) -> Tensor:
            if stamped[-1:] != [self.value]:
                stamped.append(self.value)
            return torch.full_like(images, self.value)

        def renewed(self, model: Classifier, clean: LabelledImages, *, seed: Seed) -> Renewing:
            assert isinstance(model, Toy)
            assert clean is data
            asked.append(flat(model))
            return Renewing(self.value + 0.25)

    method = BTIDBFUnlearning(rounds=rounds, epochs=2, lr=0.01, batch_size=4, augment="none")
    method(victim, data, seed=Seed(0), trigger=Renewing(0.25))
    assert stamped == [0.25 * (turn + 1) for turn in range(rounds)]
    seen = [flat(victim), *asked]
    assert len(seen) == rounds
    for before, after in pairwise(seen):
        assert not torch.equal(before, after), "asked against the model as purified so far"


def bti_dbf(pretrain_epochs: int) -> BTIDBF:
    """Returns a small method: every batch is the whole data, and step 3 runs to its end."""
    return BTIDBF(
        generator="small", filters=2, levels=1, pretrain_epochs=pretrain_epochs, mask_epochs=1,
        epochs=3, batch_size=6, image_bound=1e9, feature_bound=1e9,
    )  # fmt: skip


def small() -> tuple[Toy, LabelledImages]:
    """Returns a small model in fp32, like the features from which a mask is learned."""
    data = toy_data(6)
    return Toy().float().eval(), LabelledImages(data.images.float(), data.labels)


def a_round(generator: UNet, target: int | None, method: BTIDBF) -> UNet:
    """Returns the generator after a later round, whose predecessor named ``target``."""
    previous = Inverted(generator=generator, target=target, target_share=0.5, change=0.1)
    found = method(*small(), seed=Seed(0), previous=previous).generator
    assert isinstance(found, UNet)
    return found


def untrained() -> UNet:
    with Seed(5).initialising():
        return UNet(C, 2, 1)


def parameters(generator: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in generator.parameters()])


def test_bti_dbf_learns_to_reproduce_images_in_the_first_round_alone() -> None:
    model, data = small()
    some, none = (bti_dbf(epochs)(model, data, seed=Seed(0)).generator for epochs in (5, 0))
    assert not torch.equal(parameters(some), parameters(none))
    for named in (1, None):  # also where the last round's generator moved no image
        some, none = (a_round(untrained(), named, bti_dbf(epochs)) for epochs in (5, 0))
        assert torch.equal(parameters(some), parameters(none))
        assert not torch.equal(parameters(some), parameters(untrained()))


def test_bti_dbf_is_pretrained_by_all_three_terms() -> None:
    """Step 1 with the whole data as one batch, replayed; step 3 at such a rate changes nothing."""
    method, (model, data) = replace(bti_dbf(5), epochs=1, lr=1e-12), small()
    slow, w = Slow.like(Toy()), flat(Toy())

    def whole(rewritten: Tensor) -> Tensor:
        return slow_reproduction(slow, w, rewritten.double(), data.images.double())

    def image_error(rewritten: Tensor) -> Tensor:
        return F.mse_loss(rewritten, data.images)

    ends = []
    for loss in (whole, image_error):
        generator = method.build_generator((C, SIDE, SIDE), Seed(0).child("generator"), "fp32")
        adam = torch.optim.Adam(generator.parameters(), 1e-3)
        for _ in range(5):
            adam.zero_grad()
            loss(generator(data.images)).backward()  # type: ignore[no-untyped-call]
            adam.step()
        ends.append(parameters(generator))
    found = parameters(method(model, data, seed=Seed(0)).generator)
    torch.testing.assert_close(found, ends[0], rtol=0, atol=1e-5)
    assert float((ends[1] - ends[0]).abs().max()) > 1e-4, "the image error alone leads elsewhere"


@pytest.mark.parametrize(("size", "network"), [("published", BottleneckUNet), ("small", UNet)])
def test_the_generator_that_bti_dbf_builds(
    size: Literal["published", "small"], network: type[nn.Module]
) -> None:
    model, data = small()
    method = replace(bti_dbf(1), generator=size)
    found = method(model, data, seed=Seed(0)).generator
    assert type(found) is network
    assert type(BTIDBF().build_generator((3, 32, 32), Seed(0), "fp32")) is BottleneckUNet
    again = method.build_generator(data.shape, Seed(0).child("generator"), "fp32")
    assert not torch.equal(parameters(found), parameters(again)), "it was trained"


def test_bti_dbf_heads_for_the_class_that_the_last_round_named() -> None:
    method, (model, data) = bti_dbf(0), small()
    mask = method.benign_mask(model.requires_grad_(False), data, Seed(0).child("mask"))
    features, ends = model.features(data.images), []
    for target in range(K):
        generator = untrained()
        adam = torch.optim.Adam(generator.parameters(), method.lr)
        for _ in range(3):
            adam.zero_grad()
            loss = method.generator_loss(
                model, generator(data.images), data.images, features, mask, target
            )
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
        found = a_round(untrained(), target, method)
        torch.testing.assert_close(parameters(found), parameters(generator), rtol=0, atol=1e-5)
        ends.append(parameters(generator))
    for k in range(1, K):
        assert float((ends[k] - ends[0]).abs().max()) > 1e-4, "the classes lead elsewhere"


class Reading(Toy):
    """The class of an image is written in its first pixel."""

    def forward(self, images: Tensor) -> Tensor:
        return F.one_hot((10 * images[:, 0, 0, 0]).round().long(), K).double()


def written(classes: list[int], labels: list[int]) -> LabelledImages:
    images = toy_data(len(classes)).images
    images[:, 0, 0, 0] = torch.tensor(classes).double() / 10
    return LabelledImages(images, torch.tensor(labels))


def test_the_judge_counts_images_of_other_classes_alone() -> None:
    found, labels = [3, 3, 3, 3, 3, 1, 1, 0, 0], [3, 3, 3, 3, 0, 0, 2, 0, 1]
    #               class 3 gets most images, but of other classes most go to 1
    judged = judge(Reading(), written(found, labels), nn.Identity())
    assert judged.target == 1
    assert judged.target_share == pytest.approx(2 / 8)
    assert judged.lead is None


def test_the_judge_takes_the_class_that_was_named() -> None:
    data = written([3, 3, 3, 3, 3, 1, 1, 0, 0], [3, 3, 3, 3, 0, 0, 2, 0, 1])
    judged = judge(Reading(), data, nn.Identity(), TargetClass(3, 4.5))
    assert (judged.target, judged.lead) == (3, 4.5)
    assert judged.target_share == pytest.approx(1 / 5)


def test_the_judge_names_nothing_where_no_image_moves() -> None:
    judged = judge(Reading(), written([0, 1, 2, 3], [0, 1, 2, 3]), nn.Identity())
    assert (judged.target, judged.target_share) == (None, 0.0)
