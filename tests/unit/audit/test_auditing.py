"""What an audit refuses, and what a quick one leaves out."""

from __future__ import annotations

import pytest

from remission.audit.auditing import Auditor
from remission.audit.suspicion import Suspect
from remission.errors import CheckpointError
from remission.inversion import Voted
from remission.models import build_model
from remission.seeding import Seed
from tests.unit.audit.stubs import suspect


def known(classes: int, side: int = 8) -> Suspect:
    model = build_model(
        "resnet18:2", classes=classes, shape=(1, side, side), mean=(0.5,), std=(0.25,), seed=Seed(0)
    )
    return suspect(model)


def test_models_of_different_classes_are_refused() -> None:
    with pytest.raises(CheckpointError, match="has 4 classes, and the suspect model has 3"):
        Auditor(suspect=known(3), purified=known(4), inversion=Voted(), seed=Seed(0))


def test_models_of_other_images_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"shape \(1, 16, 16\), and the suspect model of"):
        Auditor(suspect=known(3), purified=known(3, 16), inversion=Voted(), seed=Seed(0))


def test_a_quick_audit_takes_half_of_the_steps_and_never_more() -> None:
    quick = Auditor(suspect=known(3), purified=None, inversion=Voted(), seed=Seed(0), quick=True)
    assert quick.inversion == Voted(steps=50, reference_epochs=15, starts=4, margin_steps=60)
    few = Voted(steps=7)
    quick = Auditor(suspect=known(3), purified=None, inversion=few, seed=Seed(0), quick=True)
    assert quick.inversion.steps == 7
    whole = Auditor(suspect=known(3), purified=None, inversion=few, seed=Seed(0))
    assert whole.inversion == few
