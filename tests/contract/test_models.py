"""Every method on every model: it finds the parts that it needs by structure."""

from __future__ import annotations

import copy

import pytest
import torch

from remission.models import MODELS, Classifier, build_model
from remission.paths import linear_path
from remission.seeding import Seed
from remission.training import predict, recalibrate
from tests.contract.cases import (
    CASES,
    CLASSES,
    SHAPE,
    TARGET,
    Case,
    call,
    clean_images,
    true_trigger,
)

ARCHS = {
    "densenet161": "densenet161:1",
    "preactresnet18": "preactresnet18:2",
    "resnet18": "resnet18:2",
    "resnet50": "resnet50:4",
    "swin_t": "swin_t:4",
    "vgg19_bn": "vgg19_bn:2",
    "vit_tiny": "vit_tiny:12",
}
TRIED = {
    "attack-badnets": "trains",
    "attack-bypass": "a discriminator on the features",
    "attack-trojannn": "excites neurons of the last feature map",
    "inversion-bti_dbf": "masks the last feature map",
    "purifier-bti_dbf-inverted": "features of triggered and of clean images",
    "purifier-fst": "starts the last linear layer anew",
    "purifier-ft_sam": "frozen running statistics, moves weights",
    "purifier-i_bau": "second derivatives",
    "purifier-nad": "feature maps on the way, found by following the data",
    "purifier-nc": "searches triggers in eval mode",
    "purifier-pam-inverted": "collects running statistics anew, moves weights",
    "reactivation-alternative": "pools the last feature map",
    "reactivation-qra-mlp": "gradients of images through frozen models",
    "reactivation-retuning": "trains",
}
"""Methods that ask something of the model that others do not -> what; others do as these."""
METHODS = [case for case in CASES if case.id in TRIED]

every_model = pytest.mark.parametrize("name", sorted(ARCHS))


def subject(name: str, number: int = 1) -> Classifier:
    return build_model(
        ARCHS[name], classes=CLASSES, shape=SHAPE, mean=(0.5,), std=(0.3,), seed=Seed(number)
    )


def test_every_model_and_method_that_is_named_is_tried() -> None:
    assert set(ARCHS) == set(MODELS)
    assert [case.id for case in METHODS] == list(TRIED)


SLOW = {"densenet161": ("inversion-bti_dbf", "purifier-fst", "purifier-ft_sam")}
"""A model that takes longest -> the methods that it is tried with."""
PAIRS = [
    pytest.param(name, case, id=f"{name}-{case.id}")
    for name in sorted(ARCHS)
    for case in METHODS
    if case.id in SLOW.get(name, TRIED)
]


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_the_method_works_on_the_model(name: str, case: Case) -> None:
    model, before = subject(name), torch.get_rng_state()
    start = {key: value.clone() for key, value in model.state_dict().items()}
    outcome = call(case, model, clean_images(), Seed(0))
    assert torch.equal(torch.get_rng_state(), before)
    found, wanted = outcome.module.state_dict(), outcome.like.state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in wanted.items()}
    assert all(bool(torch.isfinite(value).all()) for value in found.values())
    if outcome.like is model:
        moved = [k for k, v in found.items() if v.ndim > 1 and not torch.equal(v, start[k])]
        assert len(moved) > 0.9 * sum(v.ndim > 1 for v in found.values())


@every_model
def test_batch_norm_policies(name: str) -> None:
    """Recalibration changes running statistics alone; without them both policies are the same."""
    start, end = subject(name, 1).eval(), subject(name, 2).eval()
    again, data = copy.deepcopy(end), clean_images()
    recalibrate(again, data)
    changed = {
        key for key, v in again.state_dict().items() if not torch.equal(v, end.state_dict()[key])
    }
    assert all("running_" in key or "num_batches" in key for key in changed)
    assert bool(changed) == (name not in ("swin_t", "vit_tiny"))
    walk = [
        linear_path(
            start, end, data, true_trigger(), TARGET, points=2, batchnorm=policy, clean=data
        )
        for policy in ("interpolated", "recalibrated")
    ]
    if not changed:
        assert walk[0] == walk[1]
    ends = [predict(model, data) for model in (start, end)]
    accuracy = [float((found == data.labels).float().mean()) for found in ends]
    assert [rates.clean_acc.value for rates in walk[0].rates] == pytest.approx(accuracy)
