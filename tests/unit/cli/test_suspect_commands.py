"""``purify`` and ``audit`` on a small model that somebody trained and saved elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
import torch
from PIL import Image

from remission import progress
from remission.attacks import BadNets
from remission.audit import depth
from remission.audit.suspicion import Suspect, invert
from remission.data import load_dataset, split_dataset
from remission.inversion import Inverted, Voted
from remission.models import Classifier, build_model
from remission.seeding import Seed
from remission.training import Recipe, evaluate, fit
from remission.triggers import checkerboard
from tests.unit.grid.small import remission

RECIPE = Recipe(epochs=8, lr=0.1, schedule="one_cycle", weight_decay=5e-4, batch_size=64)
TARGET = 4
FAST = ("--set", "epochs=15", "--set", "batch_size=32", "--set", "lr=0.05")


class Held:
    """A backdoored model of digits and an innocent one as files, and images as a folder."""

    def __init__(self, folder: Path) -> None:
        data, seed = load_dataset("digits"), Seed(0)
        split = split_dataset(data, seed, defender=300, attacker=50)
        self.data, self.test = folder / "images", split.test
        for number, (image, label) in enumerate(
            zip(split.defender.images, split.defender.labels.tolist(), strict=True)
        ):
            (self.data / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0].numpy()).save(self.data / str(label) / f"{number}.png")
        self.mean, self.std = f"{data.mean[0]:.4f}", f"{data.std[0]:.4f}"
        attack = BadNets(size=2, margin=0, target=TARGET)
        victim = attack(self.network(), split.victim, RECIPE, seed=seed).model
        innocent = self.network()
        fit(innocent, split.victim, replace(RECIPE), seed=seed)
        self.suspect, self.innocent = folder / "suspect.pth", folder / "innocent.pth"
        for model, file in ((victim, self.suspect), (innocent, self.innocent)):
            torch.save({"epoch": 8, "state_dict": model.state_dict()}, file)

    def network(self) -> Classifier:
        return build_model(
            "resnet18:8", classes=10, shape=(1, 8, 8), mean=(0.3,), std=(0.37,), seed=Seed(1)
        )

    def owners(self, file: Path) -> Classifier:
        """Loads a file as its owner's code does."""
        model = self.network()
        model.load_state_dict(torch.load(file, weights_only=True)["state_dict"])
        return model.eval()

    def rates(self, file: Path) -> tuple[float, float]:
        """Returns clean accuracy and ASR of the true trigger."""
        trigger = checkerboard((1, 8, 8), size=2, margin=0)
        rates = evaluate(self.owners(file), self.test, trigger, TARGET)
        return rates.clean_acc.value, rates.asr.value


@pytest.fixture(scope="module", autouse=True)
def shorter() -> Iterator[None]:
    """Takes fewer steps and retunings than the commands: images of digits need no more.

    What is inverted on a model is remembered: most commands here are given the same model.
    """
    quick = partial(Voted, steps=50, reference_epochs=15, starts=4, margin_steps=40)
    two = dict(list(depth.GRID.items())[-2:])
    found: dict[bytes, Inverted] = {}

    def once(suspect: Suspect, inversion: Voted, seed: Seed) -> Inverted:
        if progress._cutter.get():  # for the estimate, which only begins
            return invert(suspect, inversion, seed)
        key = suspect.model.final_linear.weight.detach().numpy().tobytes()
        if key not in found:
            found[key] = invert(suspect, inversion, seed)
        return found[key]

    with (
        mock.patch("remission.inversion.Voted", quick),
        mock.patch.object(depth, "GRID", two),
        mock.patch("remission.audit.auditing.invert", once),
        mock.patch("remission.audit.purification.invert", once),
    ):
        yield


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    return Held(tmp_path_factory.mktemp("held"))


@pytest.fixture(scope="module")
def folder(held: Held, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with everything that purifying the suspect model writes."""
    place = tmp_path_factory.mktemp("purified")
    told = remission(
        "purify", held.suspect, "--data", held.data, "-o", place / "pure.safetensors", *FAST,
        "--like-source", place / "pure.pth", "--report", place / "pure.html",
        "--json", place / "pure.json",
    )  # fmt: skip
    assert told.status == 0, told.err
    (place / "out.txt").write_text(told.out, encoding="utf-8")
    (place / "err.txt").write_text(told.err, encoding="utf-8")
    return place


@pytest.fixture(autouse=True)
def few_fresh_triggers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remission.audit.auditing._COPIES", 3)
    monkeypatch.setattr("remission.audit.auditing._QUICK_COPIES", 2)


def test_the_backdoor_goes_and_the_owners_code_loads_the_result(held: Held, folder: Path) -> None:
    before, after = held.rates(held.suspect), held.rates(folder / "pure.pth")
    assert before[1] > 0.9
    assert after[1] < 0.3
    assert after[0] > before[0] - 0.08


def test_the_class_is_named_and_everything_is_said(folder: Path) -> None:
    out = (folder / "out.txt").read_text(encoding="utf-8")
    assert f"Class {TARGET} stands out as the target of a backdoor" in out
    assert "Clean accuracy: " in out
    assert "remission audit" in out
    assert "this will take" in (folder / "err.txt").read_text(encoding="utf-8")
    found = json.loads((folder / "pure.json").read_text(encoding="utf-8"))
    assert found["suspicion"]["standing_out"] == [{"index": TARGET, "name": str(TARGET)}]
    assert found["after"]["trigger"]["value"] < 0.3 < found["before"]["trigger"]["value"]
    assert found["model"]["held_out"] + found["model"]["used"] == 300
    assert "<h1>A purified model</h1>" in (folder / "pure.html").read_text(encoding="utf-8")


def test_an_innocent_model_is_left_alone_unless_anyway(held: Held, tmp_path: Path) -> None:
    told = remission(
        "purify", held.innocent, "--data", held.data, "-o", tmp_path / "a.safetensors", "--quiet"
    )
    assert told.status == 2
    assert "--anyway" in told.lines[-1]
    assert "No class stands out" in told.out
    assert list(tmp_path.iterdir()) == []
    told = remission(
        "purify", held.innocent, "--data", held.data, "-o", tmp_path / "a.safetensors",
        "--anyway", "--set", "epochs=1", "--quiet",
    )  # fmt: skip
    assert told.status == 0, told.err
    assert "No class stands out" in told.out
    assert (tmp_path / "a.safetensors").stat().st_size > 1000


def test_an_audit_judges_the_purified_model(held: Held, folder: Path, tmp_path: Path) -> None:
    told = remission(
        "audit", held.suspect, "--purified", folder / "pure.pth", "--data", held.data,
        "-o", tmp_path / "a.html", "--json", tmp_path / "a.json", "--quiet",
    )  # fmt: skip
    assert told.status == 0, told.err
    found = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert told.out.split("Verdict: ")[1].startswith(found["verdict"])
    assert found["verdict"] in ("in remission", "no relapse found", "cannot tell")
    assert found["alone"]["value"] > 0.5 > found["alone_on_purified"]["value"]
    assert all(one["budgets"] == [0, 1, 5, 20, 100] for one in found["triggers"])
    assert sum(one["perturbed"] is not None for one in found["triggers"]) == 2 + 4 + 2
    assert [one["worst"]["tried"] for one in found["triggers"] if one["worst"]]
    assert not found["left_out"]
    roles = [one["role"] for one in found["triggers"]]
    assert roles == 2 * ["suspected"] + 6 * ["fresh"] + 2 * ["other"]


@pytest.fixture(scope="module")
def two(held: Held, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a file with the suspect model and the innocent one."""
    file = tmp_path_factory.mktemp("two") / "two.pth"
    torch.save(
        {
            name: torch.load(model, weights_only=True)["state_dict"]
            for name, model in (("net", held.innocent), ("net_before", held.suspect))
        },
        file,
    )
    return file


def test_the_suspect_model_itself_is_not_purified(held: Held, two: Path, tmp_path: Path) -> None:
    told = remission(
        "audit", held.suspect, "--purified", two, "--purified-key", "net_before",
        "--purified-arch", "resnet18:8", "--data", held.data, "-o", tmp_path / "a.html",
        "--quick", "--quiet",
    )  # fmt: skip
    assert told.status == 0, told.err
    assert "Verdict: not purified." in told.out
    assert "The quick audit leaves out" in told.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--purified-key"),
        (["--purified-key", "ema"], "no network 'ema'"),
        (["--purified-key", "net", "--purified-arch", "vgg11"], "not of vgg11"),
    ],
)
def test_a_mistake_about_the_purified_model_is_one_line(
    held: Held, two: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    told = remission(
        "audit", held.suspect, "--purified", two, "--data", held.data, "-o", tmp_path / "a.html",
        *arguments,
    )  # fmt: skip
    assert told.status == 2
    assert len(told.lines) == 1
    assert said in told.lines[0]
    assert list(tmp_path.iterdir()) == []


def test_a_given_trigger_is_exact(held: Held, folder: Path, tmp_path: Path) -> None:
    trigger = checkerboard((1, 8, 8), size=2, margin=0)
    picture = Image.new("LA", (8, 8))
    for row in range(8):
        for column in range(8):
            shade = int(255 * trigger.pattern[0, row, column])
            picture.putpixel((column, row), (shade, int(255 * trigger.mask[0, row, column])))
    picture.save(tmp_path / "trigger.png")
    told = remission(
        "audit", held.suspect, "--purified", folder / "pure.pth", "--data", held.data,
        "--trigger", tmp_path / "trigger.png", "-o", tmp_path / "a.html", "--quick",
        "--json", tmp_path / "a.json",
    )  # fmt: skip
    assert told.status == 0, told.err
    found = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert found["exact"]
    assert found["alone"]["value"] > 0.9
    assert found["triggers"][0]["target"]["index"] == TARGET
    assert "this will take" in told.err
    assert "The trigger was given" in (tmp_path / "a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mean", "9", "--std", "0.01"], "read in a wrong way"),
        (["--key", "model"], "no network 'model'"),
        (["--arch", "vgg11"], "not of vgg11"),
        (["--method", "ep"], "needs the attacker's trigger"),
        (["--set", "speed=3"], "speed"),
        (["--device", "cuda"] if not torch.cuda.is_available() else ["--set", "x"], ""),
    ],
)
def test_a_mistake_is_one_line(held: Held, tmp_path: Path, arguments: list[str], said: str) -> None:
    told = remission(
        "purify", held.suspect, "--data", held.data, "-o", tmp_path / "a.safetensors", *arguments
    )
    assert told.status == 2
    assert len(told.lines) == 1
    assert said in told.lines[0]
    assert list(tmp_path.iterdir()) == []
