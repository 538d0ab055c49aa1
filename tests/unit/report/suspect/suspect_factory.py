"""Records of audits and purifications, made by hand."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

from PIL import Image

from remission.intervals import Rate
from remission.records.suspect import (
    AuditedLine,
    AuditedTrigger,
    ModelClass,
    ModelReading,
    NormalisationTrial,
    SuspectAudit,
    SuspectPurification,
    SuspectRates,
    Suspicion,
    TriggerRole,
    WorstRetuning,
)

BUDGETS = (0, 1, 5, 20, 100)


def rate(percent: float, total: int = 200) -> Rate:
    return Rate(round(percent * total / 100), total)


READING = ModelReading(
    file="model.pth",
    place="state_dict",
    arch="resnet18",
    classes=10,
    shape=(3, 32, 32),
    match="folders and classes have the same names",
    normalisations=(
        NormalisationTrial(name="cifar10", clean_acc=rate(92, 1000)),
        NormalisationTrial(name="<half>", clean_acc=rate(71, 1000)),
    ),
    used=800,
    held_out=200,
)


def suspicion(named: bool = True) -> Suspicion:
    bag, cat = ModelClass(index=3, name="bag"), ModelClass(index=5, name="5")
    return Suspicion(
        inversion="voted",
        standing_out=(bag,) if named else (),
        likeliest=() if named else (bag, cat),
        threshold=3.0,
        vote=12.4 if named else 0.8,
        pair_vote=None if named else 0.4,
        lead=3.2 if named else 1.05,
        margin_lead=2.1 if named else 1.0,
        change=0.03,
    )


def trigger(
    *percents: float, role: TriggerRole, worst: float | None = None, kind: str = "patch"
) -> AuditedTrigger:
    """A trigger with its success, in percent, after each budget of :data:`BUDGETS`."""
    return AuditedTrigger(
        name=f"{kind} to class 3" if role == "suspected" else f"{role} {kind} to class 5",
        target=ModelClass(index=3, name="bag"),
        role=role,
        beside=f"{kind} to class 3" if role == "fresh" else "",
        on_suspect=rate(96 if role == "suspected" else 3),
        as_purified=rate(percents[0]),
        budgets=BUDGETS,
        success=tuple(map(rate, percents)),
        clean_acc=tuple(rate(90) for _ in percents),
        worst=None
        if worst is None
        else WorstRetuning(
            setting="SGD, lr 0.05, 5 passes",
            budget=20,
            success=rate(worst),
            clean_acc=rate(89),
            tried=6,
        ),
        perturbed=rate(percents[-1]),
    )


def audit(
    suspected: AuditedTrigger | None = None,
    fresh: tuple[AuditedTrigger, ...] = (),
    **changes: Any,  # noqa: ANN401  # of the record
) -> SuspectAudit:
    """An audit of a model whose class 3 stands out; the purified model ignores the trigger."""
    base = SuspectAudit(
        suspect=READING,
        purified=replace(READING, file="pure.safetensors", place=""),
        exact=False,
        suspicion=suspicion(),
        clean_acc=rate(92),
        purified_clean_acc=rate(91),
        alone=rate(95),
        most_lost=0.03,
        alone_on_purified=rate(2),
        triggers=(suspected or trigger(1, 2, 3, 5, 20, role="suspected"), *(fresh or _FRESH)),
        lines=(
            AuditedLine(
                batchnorm="recalibrated",
                t=(0.0, 0.5, 1.0),
                success=(0.95, 0.6, 0.02),
                clean_acc=(0.92, 0.9, 0.91),
            ),
        ),
        relative_distance=0.2,
        seconds=400.0,
    )
    return replace(base, **changes)


_FRESH = (
    trigger(1, 1, 2, 4, 20, role="fresh"),
    trigger(0, 1, 2, 6, 30, role="fresh"),
)


def purification(
    after: float = 1,
    before: float = 95,
    **changes: Any,  # noqa: ANN401  # of the record
) -> SuspectPurification:
    """A purification; the success of the inverted trigger in percent."""
    base = SuspectPurification(
        model=READING,
        suspicion=suspicion(),
        purifier={"method": "pam_path", "epochs": 60},
        before=SuspectRates(clean_acc=rate(92), trigger=rate(before)),
        after=SuspectRates(clean_acc=rate(91.5), trigger=rate(after)),
        output="pure.safetensors",
        seconds=240.0,
    )
    return replace(base, **changes)


def strips() -> tuple[bytes, bytes]:
    """Two strips of eight images."""
    files = []
    for shade in (80, 90):
        stream = io.BytesIO()
        Image.new("RGB", (64, 8), (shade, 0, 0)).save(stream, format="PNG")
        files.append(stream.getvalue())
    return files[0], files[1]


HOSTILE = replace(READING, file="<script>alert(1)</script>.pth", match='a "match" & more')


def check_alone(page: str) -> None:
    """Checks that a page is one file with at most its own script, with every value filled in."""
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("<script") == page.count("<script>") <= 1
    page = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "None" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
