"""The code that purifiers which prune share."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from remission.errors import SpecError
from remission.models import Classifier, build_model
from remission.models.tracing.structure import batch_norms
from remission.progress import cutting
from remission.purifiers import ANP, CLP, FP, RNP, Purifier
from remission.purifiers.pruning import Channels, HeldOutSearch, StrengthSearch
from remission.rehearsal import Rehearsal
from remission.seeding import Seed
from remission.types import LabelledImages


def images(count: int, classes: int = 10) -> LabelledImages:
    """Returns different images, so that each can be recognised."""
    values = torch.arange(count).view(-1, 1, 1, 1).expand(-1, 1, 8, 8) / count
    return LabelledImages(values, torch.arange(count) * 7 % classes)


def model(shape: tuple[int, int, int] = (1, 8, 8), arch: str = "resnet18:2") -> Classifier:
    channels = shape[0]
    return build_model(
        arch, classes=4, shape=shape, mean=(0.5,) * channels, std=(0.3,) * channels, seed=Seed(3)
    )


@pytest.mark.parametrize(
    ("max_drop", "hits", "best"),
    [
        (0.0, [50, 50, 49], 1),
        (0.0, [51, 49, 50, 49], 2),  # a dip on the way is no reason to stop
        (0.02, [50, 48, 47, 46], 1),
        (0.29, [21, 20], 0),  # 0.29 * 100 is less than 29 in floating point
        (0.02, [47, 46], None),
        (1.0, [0, 0, 0], 2),
    ],
)
def test_the_strongest(max_drop: float, hits: list[int], best: int | None) -> None:
    assert StrengthSearch(max_drop=max_drop).strongest(hits, victim=50, total=100) == best


@pytest.mark.parametrize(
    ("count", "share", "held"), [(1000, 0.2, 200), (1000, 0.1, 100), (43, 0.2, 9), (9, 0.01, 1)]
)
def test_the_parts_are_disjoint_and_of_all_classes_alike(
    count: int, share: float, held: int
) -> None:
    data, method = images(count), HeldOutSearch(held_out=share)
    learn, search = method.parts(data, Seed(0))
    assert len(search) == held
    both = torch.cat([learn.images, search.images])[:, 0, 0, 0].sort().values
    assert torch.equal(both, data.images[:, 0, 0, 0]), "each image is in one of them"
    for part in (learn, search):
        assert torch.equal((part.images[:, 0, 0, 0] * count).round().long() * 7 % 10, part.labels)
        counts = part.labels.bincount(minlength=10)
        assert int(counts.max() - counts.min()) <= 1
    again, _ = method.parts(data, Seed(0))
    assert torch.equal(again.images, learn.images)
    others = [method.parts(data, Seed(number))[0].images for number in range(1, 5)]
    assert not all(torch.equal(other, learn.images) for other in others)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
@pytest.mark.parametrize("count", [3, 4])
def test_a_few_images_are_enough_for_two_parts(count: int, share: float) -> None:
    learn, search = HeldOutSearch(held_out=share).parts(images(count), Seed(0))
    assert len(learn) >= 2
    assert len(search) >= 1


@pytest.mark.parametrize("method", [ANP(), FP(), RNP()], ids=lambda method: method.name)
def test_too_few_images_are_the_users_mistake(method: Purifier) -> None:
    with pytest.raises(SpecError, match="2 clean images are too few to hold some out"):
        method(model(), images(2, 4), seed=Seed(0))


@pytest.mark.parametrize("keep_shift", [False, True])
def test_channels_are_pruned_from_the_same_start_and_put_back(keep_shift: bool) -> None:
    net = model()
    norms = list(batch_norms(net).values())
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5, generator=Seed(0).generator())
            norm.bias.uniform_(0.5, 1.5, generator=Seed(1).generator())
    before = copy.deepcopy(net.state_dict())
    channels = Channels(norms, keep_shift=keep_shift)
    first = [torch.arange(len(norm.weight)) == 0 for norm in norms]
    last = [torch.arange(len(norm.weight)) == len(norm.weight) - 1 for norm in norms]
    channels.prune(first)
    channels.prune(last)
    for norm, mask in zip(norms, last, strict=True):
        assert torch.equal(norm.weight == 0, mask), "what was pruned before is back"
        assert torch.equal(norm.bias == 0, mask & (not keep_shift))
    channels.restore()
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


METHODS = [
    ANP(iterations=4, batch_size=8),
    CLP(),
    FP(epochs=1, batch_size=8),
    RNP(epochs=1, unlearn_epochs=2, batch_size=8),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("classes", [2, 43])
def test_colours_sizes_and_classes(method: Purifier, classes: int) -> None:
    net = build_model(
        "preactresnet18:2", classes=classes, shape=(3, 33, 17), mean=(0.5,) * 3, std=(0.3,) * 3
    )
    x = torch.randint(256, (classes + 9, 3, 33, 17), generator=Seed(0).generator())
    data = LabelledImages(x.to(torch.uint8), torch.arange(classes + 9) % classes)
    method(net, data, seed=Seed(0))


@pytest.mark.parametrize("arch", ["swin_t:8", "vit_tiny:12"])
def test_without_batch_norm_only_fine_pruning_goes(arch: str) -> None:
    net, data = model((1, 16, 16), arch), images(20, 4)
    data = LabelledImages(data.images.repeat(1, 1, 2, 2), data.labels)
    done = FP(share=0.5, epochs=1, batch_size=8)(net, data, seed=Seed(0)).model
    columns = (done.final_linear.weight == 0).all(0)
    assert int(columns.sum()) == len(columns) // 2
    for method in (ANP(), CLP(), RNP()):
        with pytest.raises(SpecError, match=f"{method.name} needs batch norm, and {arch} has none"):
            method(net, data, seed=Seed(0))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_rehearsal_leaves_a_model(method: Purifier) -> None:
    """Its loops end early, or are left out altogether."""
    known: dict[str, float] = {}
    for _ in range(2):
        with cutting(Rehearsal(known, patience=0.0, images=4)):
            method(model(), images(60, 4), seed=Seed(0))
    assert any("search" in name for name in known)


def test_a_strength_that_is_given_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    def search(*args: object, **more: object) -> None:
        raise AssertionError

    monkeypatch.setattr(StrengthSearch, "strongest", search)
    given: dict[str, Any] = {"batch_size": 8, "threshold": 0.2}
    methods = (
        ANP(iterations=2, **given),
        CLP(u=3.0),
        FP(share=0.2, epochs=1, batch_size=8),
        RNP(epochs=1, unlearn_epochs=1, **given),
    )
    for method in methods:
        method(model(), images(20, 4), seed=Seed(0))
