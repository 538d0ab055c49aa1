"""QRA by queries: the questions, their order, and the training on the answers."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from remission.reactivations import QRABlackBox
from remission.reactivations.access import Oracle, answering
from remission.reactivations.attacker import Attacker
from remission.reactivations.qra_blackbox import AnsweredImages, changed
from remission.seeding import Seed
from remission.types import as_bytes
from tests.reference.toy import (
    K,
    Slow,
    SlowSGD,
    Toy,
    by_hand,
    corner,
    flat,
    grad,
    schedule,
    toy_data,
)

TARGET, COUNT = 1, 11
METHOD: dict[str, Any] = {
    "epsilon": 0.1, "width": 4, "epochs": 1, "batch_size": 4, "teacher_epochs": 1, "rounds": 2,
    "surrogate_epochs": 2, "surrogate_lr": 0.02,
}  # fmt: skip


class Listening(Toy):
    """Records the questions to the purified model and to its copies."""

    asked: list[Tensor] = []  # noqa: RUF012  (of the class on purpose: the method copies the model)

    def features(self, images: Tensor) -> Tensor:
        Listening.asked.append(images.detach().clone())
        return super().features(images)


@pytest.fixture(autouse=True)
def _forget() -> None:
    Listening.asked.clear()


def attacker() -> Attacker:
    return Attacker(
        images=toy_data(COUNT), trigger=corner(), target=TARGET, classes=K, victim=Toy(3).eval()
    )


def call(method: QRABlackBox) -> int:
    made = method(
        Listening(0), toy_data(COUNT), corner(), TARGET, budget=2, seed=Seed(0),
        victim=Toy(3), control=Toy(1),
    )  # fmt: skip
    assert made.queries is not None
    assert sum(len(images) for images in Listening.asked) == made.queries
    return made.queries


def test_it_asks_about_clean_triggered_noisy_and_perturbed_images() -> None:
    data = toy_data(COUNT)
    stamped = by_hand(data.images[data.labels != TARGET])
    both = len(data) + len(stamped)
    assert call(QRABlackBox(**METHOD)) == 3 * both
    plain, noisy, perturbed = torch.split(torch.cat(Listening.asked), both)
    known = {
        tuple(image.flatten().tolist()) for image in as_bytes(torch.cat([data.images, stamped]))
    }
    assert {tuple(image.flatten().tolist()) for image in as_bytes(plain)} == known
    step = int(0.1 * 255) / 255
    moved = (noisy - plain).abs()
    inside = (plain >= step) & (plain <= 1 - step)
    torch.testing.assert_close(moved[inside], torch.full_like(moved[inside], step))
    assert float((perturbed - plain).abs().max()) <= 0.1 + 0.5 / 255
    assert float((perturbed - plain).abs().max()) > 0
    torch.testing.assert_close(255 * perturbed, (255 * perturbed).round())


@pytest.mark.parametrize("queries", [2, 7, 25])
def test_it_spends_its_budget_and_stops(queries: int) -> None:
    assert call(QRABlackBox(**METHOD, queries=queries)) == queries


@pytest.mark.parametrize("answers", ["scores", "labels"])
def test_distillation(answers: Literal["scores", "labels"]) -> None:
    purified, surrogate, seed = Toy(0).eval(), Toy(3).eval(), Seed(4)
    method, images = QRABlackBox(**METHOD, answers=answers), as_bytes(toy_data(COUNT).images)
    with answering(purified, answers, 100) as oracle:
        known = AnsweredImages(oracle, attacker())
        known.ask(images[:5])
        known.ask(images[5:])
    w, slow, start = flat(surrogate), Slow.like(surrogate), SlowSGD(0.02, 0.9)
    method.distil(surrogate, known, seed=seed)
    x = images.double() / 255
    logits = Slow.like(purified).logits(flat(purified), x, train=False)
    wanted = logits.exp() / logits.exp().sum(1, keepdim=True)
    if answers == "labels":
        wanted = torch.nn.functional.one_hot(logits.argmax(1), K).double()

    def loss(at: Tensor, part: Tensor) -> Tensor:
        found = slow.logits(at, x[part])
        total = torch.zeros((), dtype=torch.float64)
        for row, p in zip(found, wanted[part], strict=True):
            log_q = row - row.exp().sum().log()
            for k in range(K):
                if p[k] > 0:
                    total = total + p[k] * (p[k].log() - log_q[k])
        return total / len(part)

    generator, step = seed.child("surrogate").child("batches").generator(), 0
    for _ in range(2):
        for part in torch.split(torch.randperm(COUNT, generator=generator), 4):
            g = grad(lambda at, part=part: loss(at, part), w)  # type: ignore[misc]
            w = start.step(w, g, schedule("cosine", step, 6))
            step += 1
    torch.testing.assert_close(flat(surrogate), w, rtol=1e-5, atol=1e-7)  # 8-bit images are fp32
    assert not any(p.requires_grad for p in surrogate.parameters())
    assert not surrogate.training


def test_perturbed_images_are_rounded_to_8_bits() -> None:
    method, images = QRABlackBox(**METHOD), as_bytes(toy_data(COUNT).images)
    made = method.perturbation((2, 5, 5), Seed(0)).double()
    found = changed(made, images)
    assert found.dtype == torch.uint8
    with torch.no_grad():
        wanted = (made(images.double() / 255) * 255).round()
    assert float((found.double() - wanted).abs().max()) <= 1


def test_the_hook_is_given_an_oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    def learn(
        self: object, perturbation: object, model: object, *args: object, **more: object
    ) -> None:
        given.append(model)

    monkeypatch.setattr(QRABlackBox, "learn", learn)
    assert call(QRABlackBox(**METHOD)) == 0
    assert [type(each) for each in given] == [Oracle]
