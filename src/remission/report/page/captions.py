"""How to read each figure of the page. What a caption says depends on what was recorded alone."""

from __future__ import annotations

from collections.abc import Sequence

from remission.records import Plane
from remission.report.groups.group import Group

EXPLANATION = (
    "The relapse gap of every purified model of each seed against each predictor; hollow where the "
    "O-ASR lies more than 10 points above the control's."
)
_BANDS = " Lines are means over seeds, bands 95 % Student-t intervals."


def intervals(group: Group) -> str:
    """Returns what the intervals of a group are over."""
    if group.seeds > 1:
        return f"{group.seeds} seeds (Student t)"
    return "the test images (Wilson)"


def relapse_curves(group: Group, reactivation: str) -> str:
    """Returns the caption of relapse curves."""
    return (
        f"Reactivation by {reactivation}: ASR of each purified model against the number of "
        "poisoned images that the reactivation used; the leftmost point is the purified "
        "model as it is (O-ASR). What counts is the distance to the thick dashed line, "
        "the control that never held a backdoor: a line that climbs earlier hides one. "
        f"Vertical bars: 95 % intervals over {intervals(group)}."
    )


def before_and_after(group: Group, reactivation: str) -> str:
    """Returns the caption of ASR before and after a reactivation without poisoned images."""
    return (
        f"Reactivation by {reactivation}, without poisoned images: ASR before "
        "(hollow) and after (full). The longer the line, the more of the backdoor came "
        "back; compare with the control's. Shaded: 95 % intervals over "
        f"{intervals(group)}."
    )


def perturbed_images(reactivation: str) -> str:
    """Returns the caption of ASR before and under a perturbation of triggered images."""
    return (
        f"Reactivation by {reactivation}, which leaves the models as they are and perturbs the "
        "images: ASR before (hollow) and under the perturbation made for each model (full), "
        "shaded its 95 % interval. Black bars: the same perturbation on the control. Where the bar "
        "lies near the full mark it is an adversarial example for any model, and wakes nothing."
    )


def image_in_place(reactivation: str) -> str:
    """Returns the caption of ASR where the perturbation takes the trigger's place."""
    return (
        f"Reactivation by {reactivation}, whose image takes the trigger's place: ASR of clean "
        "images under the one made for each model, shaded its 95 % interval. Black bars: the "
        "same on the control. Where the bar lies near the mark it wakes nothing."
    )


def transfer(reactivation: str) -> str:
    """Returns the caption of a transfer matrix."""
    return (
        f"Transfer of {reactivation}: ASR in percent of perturbations made for one model (a "
        "row) and tried on another (a column); in bold where both are the same. A row that is "
        "dark throughout needs no access to the model that it fools; where the control's "
        "column is dark, it is an adversarial example for any model."
    )


def path_curves(group: Group) -> str:
    """Returns the caption of the lines and curves from the backdoored to the purified models."""
    caption = (
        "The straight line in weight space from the backdoored model (t = 0) to the purified one "
        "(t = 1). Above: the share of triggered images that no longer reach the target class. A "
        "line that stays low until close to t = 1 says that the purified model lies at the edge of "
        "the backdoored region, a small step from relapse. Below: clean accuracy on the way. "
        "Interpolated batch-norm statistics can break both curves for reasons that have nothing to "
        "do with the backdoor; recalibrated ones are measured anew at every t."
    )
    if any(walk == "bezier" for _, walk, _ in group.other_paths):
        caption += (
            " Beside the lines a quadratic Bezier curve between the same ends, whose bend was "
            "trained on the defender's clean images: whether a way of low clean error is there "
            "where the line has a barrier, and where the backdoor is on it."
        )
    several = any(len(curves) > 1 for curves in group.paths.values())
    return caption + _BANDS if several else caption


def path_losses(batchnorm: str) -> str:
    """Returns the caption of the losses along the straight line."""
    return (
        f"Cross entropy along the straight line, {batchnorm}: left of triggered images and the "
        "class that the attacker wants (low: the backdoor works), right of clean images and their "
        "labels. Means over seeds."
    )


def path_onward(group: Group, budgets: Sequence[int]) -> str:
    """Returns the caption of the lines from the purified to the retuned models.

    Args:
        group: has the lines.
        budgets: the numbers of poisoned images behind the retuned models; empty: not known.
    """
    images = f" with {' or '.join(map(str, budgets))} poisoned images" if budgets else ""
    caption = (
        "The straight line on, from the purified model (t = 0) to the same after the first "
        f"retuning of the spec{images} (t = 1): how far the retuning has to go before the backdoor "
        "is back. Above the share of triggered images that do not reach the target class, below "
        "clean accuracy."
    )
    several = any(len(curves) > 1 for curves in group.other_paths.values())
    return caption + _BANDS if several else caption


def layers(*, normalising: bool) -> str:
    """Returns the caption of distances layer by layer.

    Args:
        normalising: whether layers that normalise have a panel of their own.
    """
    caption = (
        "How far each layer of the purified model lies from the backdoored one's, as a share of "
        "that one's norm, from the first layer to the last, on a logarithmic axis (first seed)."
    )
    if normalising:
        caption += " Above layers with weights, below those that normalise, as their names tell."
    return caption


def plane_through(purifier: str, plane: Plane) -> str:
    """Returns the caption of the plane through three models."""
    return (
        f"{purifier}: the plane through the backdoored, the purified and the retuned model "
        f"({plane.budget} poisoned images; first seed), {len(plane.x)} × {len(plane.y)} "
        f"points, batch norm recalibrated at each, losses over {plane.n_clean} clean and "
        f"{plane.n_triggered} triggered test images, on a logarithmic scale. Dark is low: on "
        "the left where the model works, on the right where the backdoor does. The axes are "
        "distances in weight space, drawn to different scales."
    )
