"""The captions of the page's figures, which depend on the records alone."""

from __future__ import annotations

from collections.abc import Sequence

from remission.records import Plane
from remission.report.groups.group import Group
from remission.report.groups.sentences import listed, unchanged

EXPLANATION = (
    "The relapse gap of every purified model of each seed against each predictor. Marks are hollow "
    "where the O-ASR lies more than 10 points above the control's."
)
FRONTIER = (
    "Each mark is one setting of a purifier: the clean accuracy that it costs, and how far its "
    "relapse curve lies above the control's, both as means over attacks and seeds, with 95 % "
    "Student-t intervals, which end at the frame. The lower left corner is the best place. A line "
    "joins the settings of one purifier, the gentlest first."
)
ENSEMBLE = (
    "The ASR in percent after each retuning of an ensemble (row) of each model (column), on test "
    "images, as a mean over seeds; darker is higher. A cell is hatched where the retuning costs "
    "more than 3 points of clean accuracy on validation images, and empty where it failed. "
    "A frame marks the worst retuning within 3 points, chosen on validation images; with several "
    "seeds there may be several. Compare each column with the control's: where the control is as "
    "dark, the retuning teaches the backdoor anew."
)
_BANDS = " Lines are means over seeds, and bands are 95 % Student-t intervals."


def not_applied(group: Group) -> str:
    """Returns a sentence on models that are the victim itself; empty where there are none."""
    labels = unchanged(group)
    if not labels:
        return ""
    return (
        " The victim itself is drawn, alone or in a mean over seeds, where the purifier returned "
        f"it unchanged: {listed(labels)}."
    )


def intervals(group: Group) -> str:
    """Returns what the intervals of a group rest on."""
    if group.seeds > 1:
        return f"{group.seeds} seeds (Student t)"
    return "the test images (Wilson)"


def relapse_curves(group: Group, reactivation: str) -> str:
    """Returns the caption of relapse curves."""
    return (
        f"Reactivation by {reactivation}: the ASR of each purified model against the number of "
        "poisoned images that the reactivation used. The leftmost point is the purified "
        "model as it is (O-ASR). The thick dashed line is the control, which never held a "
        "backdoor: a model whose line rises earlier still holds its own. "
        f"Vertical bars are 95 % intervals over {intervals(group)}.{not_applied(group)}"
    )


def before_and_after(group: Group, reactivation: str) -> str:
    """Returns the caption of ASR before and after a reactivation without poisoned images."""
    return (
        f"Reactivation by {reactivation}, without poisoned images: the ASR before "
        "(hollow mark) and after it (full mark). The longer the line, the more of the backdoor "
        "came back; compare it with the control's line. Shaded bars are 95 % intervals over "
        f"{intervals(group)}.{not_applied(group)}"
    )


def perturbed_images(reactivation: str) -> str:
    """Returns the caption of ASR before and under a perturbation of triggered images."""
    return (
        f"Reactivation by {reactivation}, which leaves the models as they are and perturbs the "
        "images: the ASR before it (hollow mark) and under the perturbation that was made for each "
        "model (full mark, with its 95 % interval shaded). A thick upright bar shows the same "
        "perturbation on the control. Where the bar lies near the full mark, the perturbation is "
        "an adversarial example for any model, and reactivates no backdoor."
    )


def image_in_place(reactivation: str) -> str:
    """Returns the caption of ASR where the perturbation replaces the trigger."""
    return (
        f"Reactivation by {reactivation}, whose image replaces the trigger: the ASR of clean "
        "images with the image that was made for each model (mark, with its 95 % interval "
        "shaded). A thick upright bar shows the same image on the control. Where the bar lies near "
        "the mark, the image reactivates no backdoor."
    )


def transfer(reactivation: str) -> str:
    """Returns the caption of a transfer matrix."""
    return (
        f"Transfer of {reactivation}: the ASR in percent of perturbations that were made for one "
        "model (row) and tried on another (column); bold where both are the same. A perturbation "
        "whose row is dark throughout needs no access to the models that it fools. Where the "
        "control's column is dark, it is an adversarial example for any model."
    )


def path_curves(group: Group) -> str:
    """Returns the caption of the lines and curves from the backdoored to the purified models."""
    caption = (
        "The straight line in weight space from the backdoored model (t = 0) to the purified one "
        "(t = 1). The upper panels show the share of triggered images that no longer reach the "
        "target class. A curve that stays low until close to t = 1 means that the purified model "
        "lies at the edge of the backdoored region, a small step from relapse. The lower panels "
        "show clean accuracy. Interpolated batch-norm statistics can distort both for reasons that "
        "have nothing to do with the backdoor; recalibrated statistics are collected anew at every "
        "t."
    )
    if any(kind == "bezier" for _, kind, _ in group.other_paths):
        caption += (
            " The last panel shows a quadratic Bezier curve between the same ends, whose bend was "
            "trained on the defender's clean images: whether there is a path of low clean error "
            "where the line has a barrier, and where the backdoor is on that path."
        )
    if any(len(curves) > 1 for curves in group.paths.values()):
        caption += _BANDS
    return caption + not_applied(group)


def path_losses(batchnorm: str) -> str:
    """Returns the caption of the losses along the straight line."""
    return (
        f"Cross entropy along the straight line, {batchnorm}: on the left of triggered images with "
        "the class that the attacker wants (low where the backdoor works), on the right of clean "
        "images with their labels. Lines are means over seeds."
    )


def path_onward(group: Group, budgets: Sequence[int]) -> str:
    """Returns the caption of the lines from the purified to the retuned models.

    Args:
        group: has the lines.
        budgets: the numbers of poisoned images behind the retuned models; empty: not known.
    """
    images = f" with {' or '.join(map(str, budgets))} poisoned images" if budgets else ""
    caption = (
        "The straight line from the purified model (t = 0) to the same model after the first "
        f"retuning of the spec{images} (t = 1): how far the retuning has to go before the backdoor "
        "is back. The upper panels show the share of triggered images that do not reach the target "
        "class, the lower panels clean accuracy."
    )
    several = any(len(curves) > 1 for curves in group.other_paths.values())
    return caption + _BANDS if several else caption


def layers(*, normalising: bool) -> str:
    """Returns the caption of distances layer by layer.

    Args:
        normalising: whether layers that normalise have a panel of their own.
    """
    caption = (
        "The distance of each layer of the purified model from the same layer of the backdoored "
        "model, relative to the norm of the latter, from the first layer to the last, on a "
        "logarithmic axis (first seed)."
    )
    if normalising:
        caption += (
            " The upper panel shows layers that do not normalise, the lower panel those that do, "
            "according to their names."
        )
    return caption


def plane_through(purifier: str, plane: Plane) -> str:
    """Returns the caption of the plane through three models."""
    return (
        f"{purifier}: the plane through the backdoored, the purified and the retuned model "
        f"({plane.budget} poisoned images; first seed), {len(plane.x)} × {len(plane.y)} "
        f"points, with batch norm recalibrated at each point and losses over {plane.n_clean} clean "
        f"and {plane.n_triggered} triggered test images, on a logarithmic scale. Dark is low: on "
        "the left where the model works, on the right where the backdoor does. The axes are "
        "distances in weight space, drawn to different scales."
    )
