"""``purify`` and ``audit`` with ``--device cuda``: what they write is what the processor writes."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from remission.attacks import BadNets
from remission.audit import auditing, depth, estimate
from remission.data import load_dataset, split_dataset
from remission.inversion import Voted
from remission.models import build_model
from remission.reactivations import OBA, Retuning
from remission.seeding import Seed
from remission.training import Recipe
from remission.triggers import checkerboard
from tests.device.pretended import pretended_device
from tests.unit.grid.small import remission

SHAPE, TARGET = (1, 8, 8), 4


class Held:
    """A backdoored model of digits as a file, its trigger as a picture, and images as a folder."""

    def __init__(self, folder: Path) -> None:
        data, seed = load_dataset("digits"), Seed(0)
        split = split_dataset(data, seed, defender=300, attacker=50, victim=700)
        self.data, self.suspect = folder / "images", folder / "suspect.pth"
        self.trigger, self.read = folder / "trigger.png", ("--mean", "0.3", "--std", "0.37")
        for number, (image, label) in enumerate(
            zip(split.defender.images, split.defender.labels.tolist(), strict=True)
        ):
            (self.data / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0].numpy()).save(self.data / str(label) / f"{number}.png")
        model = build_model(
            "resnet18:4", classes=10, shape=SHAPE, mean=(0.3,), std=(0.37,), seed=Seed(1)
        )
        recipe = Recipe(epochs=4, lr=0.1, schedule="one_cycle", batch_size=64)
        attack = BadNets(size=2, margin=0, target=TARGET)
        torch.save(attack(model, split.victim, recipe, seed=seed).model.state_dict(), self.suspect)
        change = checkerboard(SHAPE, size=2, margin=0)
        both = torch.cat([change.pattern, change.mask.expand_as(change.pattern)])
        pixels = (255 * both).round().byte().permute(1, 2, 0)
        Image.fromarray(pixels.numpy(), "LA").save(self.trigger)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    return Held(tmp_path_factory.mktemp("held"))


@pytest.fixture(autouse=True)
def _shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes a few steps of everything."""
    quick = partial(Voted, steps=4, batch_size=8, reference_epochs=1, starts=2, margin_steps=3)
    monkeypatch.setattr("remission.inversion.Voted", quick)
    monkeypatch.setattr(depth, "GRID", {"one pass": Retuning(epochs=1, layers="head")})
    monkeypatch.setattr(depth, "_SEARCH", OBA(epochs=1, steps=2))
    monkeypatch.setattr(depth, "QUICK_BUDGETS", (0, 5))
    monkeypatch.setattr(auditing, "_COPIES", 1)
    monkeypatch.setattr(auditing, "_QUICK_COPIES", 1)
    monkeypatch.setattr(estimate, "_PATIENCE", 0.0)


def untimed(file: Path, folder: Path) -> Any:  # noqa: ANN401
    """Returns what a file of numbers says, without seconds and the names of its folder."""
    content = json.loads(file.read_text(encoding="utf-8").replace(str(folder), ""))
    return {key: value for key, value in content.items() if "seconds" not in key}


def purified(device: str, held: Held, folder: Path) -> tuple[Path, Any]:
    """Purifies; returns the file of the weights, and all numbers."""
    folder.mkdir()
    told = remission(
        "purify", held.suspect, "--data", held.data, *held.read, "--device", device, "--anyway",
        "-o", folder / "pure.safetensors", "--like-source", folder / "pure.pth",
        "--report", folder / "pure.html", "--json", folder / "pure.json", "--set", "epochs=1",
    )  # fmt: skip
    assert told.status == 0, told.err
    return folder / "pure.safetensors", untimed(folder / "pure.json", folder)


def audited(device: str, held: Held, pure: Path, *more: str | Path) -> Any:  # noqa: ANN401
    """Audits; returns all numbers."""
    file = pure.with_suffix(".json")
    told = remission(
        "audit", held.suspect, "--purified", pure, "--data", held.data, *held.read,
        "--device", device, *more, "-o", pure.with_suffix(".html"), "--json", file,
    )  # fmt: skip
    assert told.status == 0, told.err
    return untimed(file, pure.parent)


def test_purify(held: Held, tmp_path: Path) -> None:
    pure, numbers = purified("cpu", held, tmp_path / "cpu")
    with pretended_device() as drawn:
        there, found = purified("cuda", held, tmp_path / "cuda")
        assert (there.read_bytes(), found) == (pure.read_bytes(), numbers)
        assert not drawn
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.allow_tf32


@pytest.mark.claims
@pytest.mark.parametrize("known", [True, False], ids=["known trigger", "sought triggers"])
def test_audit(held: Held, tmp_path: Path, known: bool) -> None:
    more = ("--trigger", held.trigger, "--quick") if known else ()
    pure, _ = purified("cpu", held, tmp_path / "cpu")
    wanted = audited("cpu", held, pure, *more)
    with pretended_device() as drawn:
        assert audited("cuda", held, pure, *more) == wanted
        assert not drawn
