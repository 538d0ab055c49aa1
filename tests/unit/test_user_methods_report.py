"""A user's own methods have the right captions: tables judge from facts."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest

from remission import registry, user_methods
from remission.catalogue import default_inversion
from tests.unit.grid.small import by_label, remission, run, write_spec

pytestmark = pytest.mark.usefixtures("forgotten_methods")

METHODS = '''
from typing import ClassVar
import torch
from remission.inversion import Inversion
from remission.inversion.base import TargetClass
from remission.method import field, method
from remission.purifiers import FT, TriggerPurifier
from remission.reactivations import InputReactivation
from remission.reactivations.access import Access
from remission.reactivations.perturbations import UniversalPerturbation
from remission.triggers import UNet

@method
class Stamping(TriggerPurifier):
    """Looks at triggered images and changes nothing."""
    name: ClassVar[str] = "stamping"
    paper: ClassVar[str] = "a user's own"

    def purify(self, model, clean, *, trigger, seed):
        self.stamp_share(trigger, clean.floats(torch.arange(4)))
        return model

@method
class Guess(Inversion):
    """Names class 1 without looking."""
    name: ClassVar[str] = "guess"
    paper: ClassVar[str] = "a user's own"

    def build_generator(self, shape, seed, precision):
        with seed.initialising():
            return UNet(shape[0], 2, 1)

    def invert(self, model, clean, generator, *, previous, seed):
        return TargetClass(1, 1.5)

@method
class Instead(InputReactivation):
    """A pattern in the trigger's place."""
    name: ClassVar[str] = "instead"
    paper: ClassVar[str] = "a user's own"
    triggered: ClassVar[bool] = False

    def access(self):
        return Access("nothing")

    def perturbation(self, shape, seed):
        return UniversalPerturbation(shape, self.epsilon, seed)

    def learn(self, perturbation, model, attacker, *, budget, seed):
        pass

@method
class OnTop(Instead):
    """The same pattern on triggered images."""
    name: ClassVar[str] = "on_top"
    paper: ClassVar[str] = "a user's own"
    triggered: ClassVar[bool] = True

@method
class Shorter(FT):
    """Fine-tuning under another name."""
    name: ClassVar[str] = "shorter"
    paper: ClassVar[str] = "a user's own"
'''
SPEC = """
[[purifier]]
method = "stamping"

[[reactivation]]
method = "instead"

[[reactivation]]
method = "on_top"

[[purifier]]
method = "shorter"
epochs = 1
augment = "none"
"""
INVERSION = (
    'method = "bti_dbf"\ngenerator = "small"\nfilters = 2\nlevels = 1\n'
    "pretrain_epochs = 1\nmask_epochs = 1\nepochs = 1\n",
    'method = "guess"\n',
)
PAM = '[[purifier]]\nmethod = "pam"\nrounds = 2\nepochs = 1\naugment = "none"\n'


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Returns a store with a model of each method."""
    file = tmp_path / "mine.py"
    file.write_text(METHODS, encoding="utf-8")
    spec = write_spec(tmp_path, INVERSION, (PAM, ""), ("\n[path]\npoints = 2\n", ""), more=SPEC)
    told = run(spec, tmp_path / "store", "--methods", str(file))
    assert told.status == 0, told.err
    user_methods._used.clear()
    for methods in registry._own.values():  # whoever reads a store has no such file
        methods.clear()
    return tmp_path / "store"


def test_tables_and_page_say_what_the_methods_are(store: Path) -> None:
    made = by_label(store)
    facts = {label: record.details.get("facts") for label, record in made.items()}
    assert facts["badnets/seed0/victim"] == {"needs": ["training images", "training labels"]}
    ours = next(f for label, f in facts.items() if "instead" in label)
    assert ours is not None
    assert (ours["changes"], ours["triggered"]) == ("images", False)
    victim = made["badnets/seed0/victim"].details["test_classes"]
    assert victim["number"] == 10
    assert 0.1 <= victim["largest"] < 0.2

    rows = json.loads(remission("table", store, "--format", "json").out)[0]["rows"]
    by_name = {row["purifier"]: row for row in rows}
    assert by_name["stamping"]["purifier_params"]["inversion"] == "guess"
    assert default_inversion() == "bti_dbf"
    assert by_name["ft"]["ft_epochs"]["mean"] == pytest.approx(2), (
        "plain fine-tuning is what costs are counted in"
    )
    assert by_name["shorter"]["ft_epochs"]["mean"] != 1

    text = remission("table", store, "--view", "inversions").out
    assert "guess" in text
    page = store.parent / "page.html"
    assert remission("report", store, "-o", page).status == 0
    words = html.unescape(page.read_text(encoding="utf-8"))
    assert "Reactivation by instead, whose image replaces the trigger" in words
    assert "Reactivation by on_top, which leaves the models as they are and perturbs" in words
    assert "Here the perturbation replaces the trigger" in words
    assert "guess: names class 1" in words or "inversion: names class 1" in words
