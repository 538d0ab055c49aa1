"""What is said of a model of unknown origin and of its purification, in full sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from remission.intervals import Rate, newcombe
from remission.names import printable
from remission.records.suspect import (
    ModelClass,
    ModelReading,
    SuspectPurification,
    Suspicion,
)
from remission.report.groups.sentences import listed

LOW = 0.15
"""An inverted trigger that succeeds on no more images counts as gone; the paper's limit of ASR."""
ARRIVES = 0.5
"""An inverted trigger that succeeds on fewer images of the suspect model proves little."""
_SIGN = 1.1
"""A factor above which a sign points to a class."""


def percent(rate: Rate) -> str:
    """Returns a rate with its 95 % interval: ``91.5 % [90.1, 92.8]``."""
    low, high = rate.interval
    return f"{100 * rate.value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def classes_text(classes: Sequence[ModelClass]) -> str:
    """Returns classes as ``class 3 (bag)``, or ``classes 3 (bag) and 5``."""
    return f"class{'' if len(classes) == 1 else 'es'} {listed([str(one) for one in classes])}"


def reading_lines(model: ModelReading) -> Iterator[str]:
    """Yields sentences on how a model was read."""
    where = f", network '{model.place}'" if model.place else ""
    channels, height, width = model.shape
    best, *others = model.normalisations
    yield (
        f"{model.file}{where}: {model.arch}, {model.classes} classes, images of "
        f"{channels} x {height} x {width}; {model.match}."
    )
    if contradicts(model.stated, model.arch):
        yield (
            f"The file states another architecture: '{printable(model.stated)}'. No tensor tells "
            "networks apart that differ in a filter, an activation or a number of heads; where it "
            "is another one, name your own code by --arch FILE.py:function."
        )
    how = f", which is as good as any of {len(others) + 1} that were measured" if others else ""
    yield (
        f"Images are normalised by: {best.name}{how}. Clean accuracy is then "
        f"{percent(best.clean_acc)}."
    )
    yield (
        f"{model.used} images are for inversion, purification and retuning; {model.held_out} "
        "others only measure."
    )


def contradicts(stated: str, arch: str) -> bool:
    """Returns whether the architecture that a file states is another one than was recognised.

    ``ResNetForImageClassification`` is a ``transformers/resnet50``, and ``resnet18`` a
    ``resnet18:16``.
    """
    if ".py" in arch:  # its owner's code
        return False
    said = re.sub("forimageclassification$", "", _letters(stated))
    found = _letters(arch.rpartition("/")[2].partition(":")[0])
    return bool(said) and not (said in found or found in said)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def normalisation_lines(model: ModelReading) -> Iterator[str]:
    """Yields the clean accuracy under each normalisation, as a table; nothing for a single one."""
    if len(model.normalisations) > 1:
        yield "clean accuracy  normalisation"
        for one in model.normalisations:
            yield f"{one.clean_acc.value:14.1%}  {one.name}"


def suspicion_line(suspicion: Suspicion) -> str:
    """Says which classes stand out as targets, with how much lead, and which votes agree."""
    lead, margin_lead = suspicion.lead or 1.0, suspicion.margin_lead or 1.0
    pair = suspicion.pair_vote is not None and bool(suspicion.standing_out)
    vote = (suspicion.pair_vote if pair else suspicion.vote) or 0.0
    votes = (
        f"the vote is {vote:.1f}, and a class is named from {suspicion.threshold:g} on. The next "
        f"class needs a perturbation {lead:.2f} times as large, and the margin lies "
        f"{margin_lead:.2f} times as far above that of the references as the next class's: "
        f"{_agreement(lead, margin_lead)}."
    )
    if suspicion.standing_out:
        one = len(suspicion.standing_out) == 1
        what = (
            "stands out as the target of a backdoor" if one else "stand out as targets of backdoors"
        )
        named = classes_text(suspicion.standing_out)
        return f"{named[0].upper()}{named[1:]} {what}: {votes}"
    suspects = (
        f" The likeliest are {classes_text(suspicion.likeliest)}." if suspicion.likeliest else ""
    )
    return f"No class stands out: {votes}{suspects}"


def _agreement(lead: float, margin_lead: float) -> str:
    """Says which of the two signs point to a class."""
    both = {"perturbation": lead, "margin": margin_lead}
    signs = [name for name, factor in both.items() if factor > _SIGN]
    if len(signs) == 2:
        return "both signs point to a class"
    return f"only the {signs[0]} points to a class" if signs else "neither sign points to a class"


def result_lines(result: SuspectPurification) -> Iterator[str]:
    """Yields sentences on what a purification did, and on what to do next."""
    before, after = result.before, result.after
    cost = before.clean_acc.value - after.clean_acc.value
    yield (f"Clean accuracy: {percent(before.clean_acc)} before, {percent(after.clean_acc)} after.")
    yield (
        f"Success of the inverted trigger: {percent(before.trigger)} before, "
        f"{percent(after.trigger)} after."
    )
    if before.trigger.value < ARRIVES:
        yield (
            "The inverted trigger reached few images before, so that its success after says little."
        )
    elif after.trigger.value > LOW:
        yield f"The inverted trigger still works: try {_stronger(result)}another method."
    if cost > 0.03:
        yield (
            f"The purification cost {100 * cost:.1f} points of clean accuracy: more clean images, "
            "or gentler parameters, cost less."
        )
    yield (
        "A low success of the inverted trigger is no proof, since the true trigger may be another, "
        f"and a purified model may relapse. Next: {next_command(result)}"
    )


def _stronger(result: SuspectPurification) -> str:
    """Names those parameters of the purifier that make it stronger where they are larger."""
    keys = [f"a larger '{key}'" for key in ("epochs", "rounds", "lr") if key in result.purifier]
    return f"{' or '.join(keys)}, or " if keys else ""


def next_command(result: SuspectPurification) -> str:
    """Returns the command that audits the purified model."""
    return (
        f"remission audit {result.model.file} --purified {result.output} --data DIR -o audit.html"
    )


def purification_headline(result: SuspectPurification) -> str:
    """Returns one or two sentences on a purification."""
    suspicion, before, after = result.suspicion, result.before, result.after
    said = "no class stood out, and the model was purified all the same"
    if suspicion.standing_out:
        one = len(suspicion.standing_out) == 1
        what = "the target of a backdoor" if one else "targets of backdoors"
        said = f"{classes_text(suspicion.standing_out)} stood out as {what}"
    low, high = newcombe(
        after.clean_acc.value, after.clean_acc.interval,
        before.clean_acc.value, before.clean_acc.interval,
    )  # fmt: skip
    change = 100 * (after.clean_acc.value - before.clean_acc.value)
    return (
        f"{said[0].upper()}{said[1:]}. The inverted trigger reached "
        f"{100 * before.trigger.value:.0f} % of the held-out images of other classes before the "
        f"purification, and reaches {100 * after.trigger.value:.0f} % now. Clean accuracy changed "
        f"by {change:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]."
    )
