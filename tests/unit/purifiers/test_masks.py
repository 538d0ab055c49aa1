"""Masks on the channels of batch norms, and how many channels they prune."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from remission.data import load_dataset
from remission.errors import SpecError
from remission.method import from_table
from remission.models import Classifier, build_model
from remission.models.tracing.structure import batch_norms
from remission.purifiers import ANP, CLP, RNP, Purifier
from remission.purifiers.masks import CANDIDATES, Masked, MaskPruning, geometric, smallest
from remission.purifiers.pruning import Channels
from remission.seeding import Seed
from remission.training import Recipe, fit
from remission.types import LabelledImages, as_float


def model(shape: tuple[int, int, int] = (1, 8, 8), arch: str = "resnet18:2") -> Classifier:
    channels = shape[0]
    return build_model(
        arch, classes=10, shape=shape, mean=(0.5,) * channels, std=(0.3,) * channels, seed=Seed(3)
    )


def digits(count: int) -> LabelledImages:
    return load_dataset("digits").train[:count]


@pytest.mark.parametrize("arch", ["densenet161:2", "preactresnet18:2", "resnet18:2", "vgg19_bn:2"])
def test_masks_of_one_change_nothing_and_masks_of_zero_are_pruned_channels(arch: str) -> None:
    net = model((3, 16, 16), arch).eval()
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    masked, plain = Masked(copy.deepcopy(net)).eval(), net(x)
    assert torch.equal(masked(x), plain)
    assert torch.equal(masked(x, torch.zeros(2, len(masked.mask))), plain)
    off = torch.rand(len(masked.mask), generator=torch.Generator().manual_seed(1)) < 0.3
    with torch.no_grad():
        masked.mask[off] = 0
    Channels(list(batch_norms(net).values()), keep_shift=True).prune(torch.split(off, masked.sizes))
    torch.testing.assert_close(masked(x), net(x))
    assert not torch.allclose(net(x), plain)


def test_only_masks_are_trained() -> None:
    masked = Masked(model())
    assert [name for name, p in masked.named_parameters() if p.requires_grad] == ["mask"]


@pytest.mark.parametrize("highest", [1, 2, 3, 40, 76, 600, 1200, 21_000])
def test_numbers_of_channels_reach_from_one_to_all_in_steps_that_grow(highest: int) -> None:
    numbers = geometric(highest)
    assert numbers[0] == 1
    assert numbers[-1] == highest
    assert len(numbers) <= CANDIDATES
    for low, high in pairwise(numbers):
        assert low < high <= max(low + 1, 1.3 * low + 1)


def test_the_smallest_masks_over_all_layers_go_first() -> None:
    masks = [torch.tensor([0.0, 1.0, 0.3]), torch.tensor([0.2, 0.0]), torch.tensor([0.0, 0.9])]
    order = [(2, 0), (1, 1), (0, 0), (1, 0), (0, 2), (2, 1)]
    for number in range(9):
        chosen = smallest(masks, number)
        assert [len(each) for each in chosen] == [3, 2, 2]
        found = {(i, int(k)) for i, each in enumerate(chosen) for k in each.nonzero()}
        assert found == set(order[:number]), "and a mask of 1 stays"


@pytest.mark.parametrize("method", [ANP, RNP])
@pytest.mark.parametrize("zeros", [4, 40])
def test_many_masks_of_zero_do_not_keep_the_search_from_pruning_some(
    method: type[MaskPruning], zeros: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By thresholds all of them would be pruned, which costs too much, or none."""
    net, data = model(), digits(60)
    sizes = [len(norm.weight) for norm in batch_norms(net).values()]
    whole = torch.ones(sum(sizes))
    whole[-zeros:] = 0
    masks = list(torch.split(whole, sizes))
    monkeypatch.setattr(method, "masks", lambda *args: masks)

    def hits(model: Classifier, images: LabelledImages) -> int:
        gone = sum(int((norm.weight == 0).sum()) for norm in batch_norms(model).values())
        return len(images) if gone <= 3 else 0

    monkeypatch.setattr("remission.purifiers.pruning.recognised", hits)
    done = method()(net, data, seed=Seed(0)).model
    pruned = torch.cat([norm.weight == 0 for norm in batch_norms(done).values()])
    assert pruned.nonzero().flatten().tolist() == [len(whole) - k for k in (3, 2, 1)]


def nothing_is_cheap(model: Classifier, images: LabelledImages) -> int:
    """Counts as if every pruned channel cost everything."""
    whole = all(bool((norm.weight != 0).all()) for norm in batch_norms(model).values())
    return len(images) if whole else 0


@pytest.mark.parametrize(
    "method",
    [
        ANP(iterations=8, lr=1.0, batch_size=16),
        RNP(epochs=4, unlearn_epochs=2, lr=1.0, batch_size=16),
        CLP(),
        ANP(iterations=8, lr=1.0, batch_size=16, channels=0),
        ANP(iterations=1, lr=1e-9, threshold=0.5),
    ],
    ids=lambda method: method.name,
)
def test_a_model_of_which_nothing_is_pruned_is_the_victim_to_the_last_bit(
    method: Purifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = model()
    with torch.no_grad():
        for norm in batch_norms(victim).values():
            norm.weight.uniform_(0.5, 1.5, generator=Seed(0).generator())
            norm.bias.normal_(generator=Seed(1).generator())
    monkeypatch.setattr("remission.purifiers.pruning.recognised", nothing_is_cheap)
    done = method(victim, digits(60), seed=Seed(0)).model
    before = victim.state_dict()
    assert all(torch.equal(value, before[key]) for key, value in done.state_dict().items())


@pytest.mark.parametrize("method", [ANP, RNP])
def test_a_threshold_and_a_number_of_channels_exclude_each_other(method: type[MaskPruning]) -> None:
    table = {"threshold": 0.2, "channels": 8}
    with pytest.raises(SpecError, match="both 'threshold' and 'channels'"):
        from_table(method, table, "[purifier]")


@pytest.fixture(scope="module")
def trained() -> tuple[Classifier, LabelledImages]:
    net, data = model(arch="resnet18:4"), digits(120)
    fit(net, data, Recipe(epochs=30, lr=0.1, batch_size=32), seed=Seed(0))
    assert share(net, data) > 0.9
    return net, data


@pytest.mark.parametrize(("lr", "goal"), [(0.03, 0.2), (0.1, 0.2), (0.5, 0.2), (0.1, 0.5)])
def test_unlearning_ends_near_its_goal_however_large_the_steps_are(
    lr: float, goal: float, trained: tuple[Classifier, LabelledImages]
) -> None:
    """A step of the larger rates takes the accuracy from far above the goal to far below it."""
    net, data = copy.deepcopy(trained[0]), trained[1]
    RNP(unlearn_lr=lr, unlearn_acc=goal, unlearn_epochs=60, augment="none").unlearn(
        net, data, Seed(0)
    )
    assert goal - 0.05 <= share(net, data) <= goal + 0.01


def share(model: Classifier, data: LabelledImages) -> float:
    """Returns the share of images that the model recognises with the statistics of them all."""
    with torch.no_grad():
        answers: Tensor = copy.deepcopy(model).train()(as_float(data.images)).argmax(1)
    return float((answers == data.labels).float().mean())
