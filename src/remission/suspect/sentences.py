"""What is said of a model of unknown origin and of its purification, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from remission.metrics import Rate
from remission.suspect.opening import OpenedModel
from remission.suspect.purification import SuspectPurification


def model_line(opened: OpenedModel, folders: Sequence[str], held_out: int) -> str:
    """Says what the model is and how it was read.

    Args:
        opened: the model with images.
        folders: the names of the folders.
        held_out: number of images that only measure.
    """
    recognised, best = opened.found.network.recognised, opened.readings[0]
    lines = [
        f"{opened.found.file}: {recognised.arch}, {recognised.classes} classes; "
        f"{opened.match.sentence}"
    ]
    if len(opened.readings) > 1:
        lines.append("clean accuracy under each normalisation:")
        lines += [
            f"  {reading.clean_acc.value:6.1%}  {reading.normalisation.name}"
            for reading in opened.readings
        ]
    lines.append(
        f"normalisation: {best.normalisation.name}, clean accuracy {best.clean_acc.value:.1%}"
    )
    lines.append(f"{len(opened.clean)} images purify, {held_out} only measure")
    return "\n".join(lines)


def _named(index: int, folders: Sequence[str], opened: OpenedModel) -> str:
    indices = opened.match.indices
    name = f" ({folders[indices.index(index)]})" if index in indices else ""
    return f"{index}{name}"


def found_line(
    result: SuspectPurification, opened: OpenedModel, folders: Sequence[str], threshold: float
) -> str:
    """Says which classes stand out, and by how much.

    Args:
        result: what was found.
        opened: the model.
        folders: the names of the folders.
        threshold: the least vote with which a class is named.
    """
    inverted = result.inverted
    votes = (
        f"lead {inverted.lead or 1:.1f} by perturbation and {inverted.margin_lead or 1:.1f} by "
        f"margin; the vote is {inverted.vote or 0:.1f}, and {threshold:g} name a class"
    )
    if result.standing_out:
        classes = " and ".join(_named(c, folders, opened) for c in result.standing_out)
        one = len(result.standing_out) == 1
        what = ("class", "stands out as the target") if one else ("classes", "stand out as targets")
        return f"{what[0]} {classes} {what[1]} of a backdoor ({votes})"
    suspects = " and ".join(_named(c, folders, opened) for c in inverted.candidates)
    return f"no class stands out; the likeliest are {suspects} ({votes})"


def result_lines(result: SuspectPurification, output: str) -> str:
    """Says what the purification did, with 95 % intervals.

    Args:
        result: of the purification.
        output: where the purified model was written.
    """
    assert result.after is not None
    before, after = result.before, result.after

    def rates(first: Rate, second: Rate) -> str:
        low, high = second.interval
        return f"{first.value:.1%} -> {second.value:.1%} [{low:.1%}, {high:.1%}]"

    return "\n".join(
        [
            f"clean accuracy: {rates(before.clean_acc, after.clean_acc)}",
            f"success of the inverted trigger: {rates(before.trigger, after.trigger)}",
            f"written: {output} ({result.seconds:.0f} s)",
            "a low success of the inverted trigger is no proof: the true trigger may be another, "
            "and a purified model may relapse",
        ]
    )
