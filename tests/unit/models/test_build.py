"""Guarantees of every model of the package."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from remission.data import load_dataset
from remission.errors import SpecError
from remission.models import MODELS, Classifier, traits
from remission.seeding import Seed
from remission.training import Recipe, fit, recalibrate
from remission.types import LabelledImages
from tests.unit.models.zoo import SMALL, TRANSFORMERS, built

every_model = pytest.mark.parametrize("name", sorted(SMALL))
SHAPES = [(1, 8, 8), (3, 16, 16), (1, 28, 28), (3, 9, 17), (1, 31, 12)]


def lived_in(model: Classifier) -> Classifier:
    """Returns a model in eval mode with the running statistics of some images."""
    data = LabelledImages(images(model.shape, 24, seed=9), torch.zeros(24, dtype=torch.int64))
    recalibrate(model, data)
    return model.eval()


def images(shape: tuple[int, int, int], count: int = 4, seed: int = 0) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def test_every_model_is_tried() -> None:
    assert set(SMALL) == set(MODELS)


PUBLISHED = {
    "resnet18": (11_173_962, 10, 32),
    "resnet50": (23_520_842, 10, 32),
    "preactresnet18": (11_171_146, 10, 32),
    "vgg19_bn": (20_040_522, 10, 32),
    "densenet161": (26_482_378, 10, 32),
    "vit_tiny": (5_717_416 - 2 * 192, 1000, 224),  # no class token, nor its position
    "swin_t": (28_288_354, 1000, 224),
}
"""Name -> (parameters of the published model, classes, side of its images)."""


@every_model
def test_as_many_parameters_as_the_published_model(name: str) -> None:
    count, classes, side = PUBLISHED[name]
    with torch.device("meta"):
        model = built(name, (3, side, side), classes)
    assert sum(p.numel() for p in model.parameters()) == count


@every_model
def test_the_published_width_is_the_default(name: str) -> None:
    with torch.device("meta"):
        plain, given = built(name), built(f"{name}:{MODELS[name].width}")
    assert {k: v.shape for k, v in plain.state_dict().items()} == {
        k: v.shape for k, v in given.state_dict().items()
    }


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@every_model
def test_logits_are_the_head_on_the_feature_map(name: str, shape: tuple[int, int, int]) -> None:
    model = lived_in(built(SMALL[name], shape, classes=7))
    with torch.no_grad():
        features = model.features(images(shape))
        logits = model(images(shape))
        assert torch.equal(model.classify(features), logits)
    assert features.ndim == 4
    assert features.shape[:2] == (4, model.final_linear.in_features)
    assert features.is_contiguous(memory_format=torch.channels_last)
    assert logits.shape == (4, 7)
    assert logits.dtype == torch.float32
    assert float(logits.std(0).min()) > 0, "images do not matter"


@pytest.mark.parametrize("side", [64, 224])
@every_model
def test_larger_images(name: str, side: int) -> None:
    """This checks shapes only, which are computed from the layers as on real images."""
    with torch.device("meta"):
        model = built(SMALL[name], (3, side, side), classes=43)
        features = model.features(torch.empty(2, 3, side, side))
        assert model.classify(features).shape == (2, 43)
    assert min(features.shape[2:]) == {
        "vgg19_bn": side // 32,
        "vit_tiny": 8 if side == 64 else 14,
        "swin_t": 2 if side == 64 else 7,
    }.get(name, side // 8)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_larger_images_of_a_transformer_are_computed(name: str) -> None:
    """At 56 pixels windows of 7 fit into the map, at 72 they do not."""
    for side in (56, 72):
        model = built(SMALL[name], (3, side, side)).eval()
        with torch.no_grad():
            logits = model(images((3, side, side), 2))
        assert bool(torch.isfinite(logits).all())
        assert float(logits.std(0).min()) > 0


@every_model
def test_images_that_are_too_small_are_refused(name: str) -> None:
    for shape in ((1, 7, 28), (3, 28, 7), (1, 1, 1)):
        with pytest.raises(SpecError, match=f"too small for {name}; use images of at least 8x8"):
            built(name, shape)


@every_model
def test_the_seed_decides_the_weights_and_nothing_else_does(name: str) -> None:
    before = torch.get_rng_state()
    first, other = built(SMALL[name], seed=3), built(SMALL[name], seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = built(SMALL[name], seed=3)
    differing = []
    for key, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
        if value.ndim > 1 and not torch.equal(value, other.state_dict()[key]):
            differing.append(key)
    assert differing == [key for key, value in first.state_dict().items() if value.ndim > 1]


@every_model
def test_gradients_reach_every_parameter_and_the_images(name: str) -> None:
    model, x = built(SMALL[name], (3, 16, 16)).train(), images((3, 16, 16), 6).requires_grad_()
    before = torch.get_rng_state()
    F.cross_entropy(model(x), torch.arange(6) % 5).backward()  # type: ignore[no-untyped-call]
    assert torch.equal(torch.get_rng_state(), before), "training draws from the global generator"
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert bool(torch.isfinite(parameter.grad).all()), key
    reached = [float(p.grad.abs().sum()) > 0 for p in model.parameters() if p.grad is not None]
    assert sum(reached) > 0.8 * len(reached)  # a bias before batch norm has none


@every_model
def test_the_result_for_an_image_does_not_depend_on_the_others(name: str) -> None:
    model = lived_in(built(SMALL[name]))
    with torch.no_grad():
        together = model(images((3, 16, 16), 5))
        alone = torch.cat([model(x[None]) for x in images((3, 16, 16), 5)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformer_is_the_same_in_training_and_in_use(name: str) -> None:
    model = built(SMALL[name])
    with torch.no_grad():
        assert torch.equal(model.train()(images((3, 16, 16))), model.eval()(images((3, 16, 16))))


@every_model
def test_the_model_normalises_its_images_itself(name: str) -> None:
    model = lived_in(built(SMALL[name]))
    plain = copy.deepcopy(model)
    plain.mean, plain.std = torch.zeros_like(model.mean), torch.ones_like(model.std)
    x = images((3, 16, 16))
    with torch.no_grad():
        torch.testing.assert_close(model(x), plain((x - model.mean) / model.std))
        assert not torch.equal(model(x), plain(x))


@every_model
def test_bf16_gives_fp32_logits_and_gradients_near_those_of_fp32(name: str) -> None:
    model, x = lived_in(built(SMALL[name])), images((3, 16, 16), 8)
    exact = model(x).detach()
    model.precision = "bf16"
    logits = model(x)
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, exact), "it was not bf16 inside"
    assert float((logits.detach() - exact).square().mean().sqrt()) < 0.3 * float(exact.std())
    logits.sum().backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert {grad.dtype for grad in grads} == {torch.float32}


@every_model
def test_weights_lie_in_channels_last_memory(name: str) -> None:
    for key, parameter in built(SMALL[name]).named_parameters():
        if parameter.ndim == 4:
            assert parameter.is_contiguous(memory_format=torch.channels_last), key


@every_model
def test_the_state_dict_loads_into_another_model_of_its_kind(name: str) -> None:
    one, two = built(SMALL[name], seed=1).eval(), built(SMALL[name], seed=2).eval()
    two.load_state_dict(one.state_dict())
    with torch.no_grad():
        assert torch.equal(one(images((3, 16, 16))), two(images((3, 16, 16))))


def test_what_models_are_made_of() -> None:
    found = {name: traits(built(small)) for name, small in SMALL.items()}
    assert {name for name, has in found.items() if not has} == set(TRANSFORMERS)
    assert all(has == ("batch norm", "convolutions") for has in found.values() if has)


@pytest.fixture(scope="module")
def digits() -> LabelledImages:
    return load_dataset("digits").train[:300]


QUICK = {"densenet161": "densenet161:3", "vgg19_bn": "vgg19_bn:8", "vit_tiny": "vit_tiny:24"}


@every_model
def test_the_model_learns_digits(name: str, digits: LabelledImages) -> None:
    """From ln 10, the loss of a model that knows nothing."""
    model = built(QUICK.get(name, f"{name}:8"), (1, 8, 8), classes=10)
    deep = name == "densenet161"  # a step takes longer, and fewer do
    sgd = Recipe(epochs=3 if deep else 5, lr=0.03, schedule="one_cycle", batch_size=25)
    adam = Recipe(epochs=5, lr=0.003, optimizer="adam", schedule="one_cycle", batch_size=20)
    trained = fit(model, digits, adam if name in TRANSFORMERS else sgd, seed=Seed(0))
    assert trained.losses[-1] < 1.5, trained.losses
