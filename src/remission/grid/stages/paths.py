"""What a path stage does: the walks, the distance and the plane that a spec's [path] asks for."""

from __future__ import annotations

from typing import Any

from remission.data.split import holdout
from remission.grid.stages.inputs import StageInputs
from remission.metrics import Rates
from remission.models import Classifier
from remission.paths import PathPoints, bezier_path, linear_path, plane, weight_distance
from remission.reactivations import Retuning
from remission.records import PathCurve, Plane
from remission.registry import make_reactivation
from remission.types import LabelledImages

_KEYS = (
    "id",
    "dataset",
    "arch",
    "attack",
    "attack_params",
    "poison_rate",
    "target",
    "seed",
    "purifier",
    "purifier_params",
    "target_name",
)


class Walks:
    """The models of a path stage and everything that is measured between them.

    Args:
        given: the stage's inputs.
        keys: of the cell that the stage's settings fix.
    """

    def __init__(self, given: StageInputs, keys: dict[str, Any]) -> None:
        self.given, self.asked = given, given.stage.settings["path"]
        self.keys = {key: keys[key] for key in _KEYS}
        self.trigger, self.target = given.trigger()
        self.clean = given.split.defender
        self.statistics = self._part(self.clean, self.asked.get("statistics"), "statistics")
        self.test = given.some_test(self.asked["test"], "path")
        self.victim, self.purified = given.model("victim"), given.model("model")
        self.details: dict[str, Any] = {"barriers": {}}
        self.curves: list[PathCurve] = []
        self.plane: Plane | None = None

    def go(self) -> None:
        """Fills ``curves``, ``plane`` and ``details``."""
        self.line("line", self.victim, self.purified)
        if "retuned" in self.asked:
            retuned = self.retuned()
            self.line("retuned", self.purified, retuned)
            if self.asked.get("plane"):
                self.through(retuned)
        if self.asked.get("curve"):
            self.bezier()

    def line(self, name: str, start: Classifier, end: Classifier) -> None:
        """The straight line, once for each policy of batch normalisation."""
        apart = weight_distance(start, end)
        # a list: the keys of a record are sorted, and layers have an order
        self.details[f"layers, {name}"] = [[key, *both] for key, both in apart.layers.items()]
        lengths = {"distance": apart.total, "relative_distance": apart.relative}
        for policy in self.asked["batchnorm"]:
            found = linear_path(
                start,
                end,
                self.test,
                self.trigger,
                self.target,
                points=self.asked["points"],
                batchnorm=policy,
                clean=self.statistics,
            )
            self._keep(found, walk=name, batchnorm=policy, **lengths)

    def bezier(self) -> None:
        """The curve from victim to purified model; statistics are collected at every point."""
        found = bezier_path(
            self.victim,
            self.purified,
            self.test,
            self.trigger,
            self.target,
            clean=self.clean,
            statistics=self.statistics,
            seed=self.given.seed.child("path", "curve"),
            epochs=self.asked["curve"],
            points=self.asked["points"],
        )
        self._keep(found, walk="bezier", batchnorm="recalibrated")

    def retuned(self) -> Classifier:
        """The purified model after the spec's first retuning: that of the reactivated cell.

        It is not stored there; the same seed and budget make it again.
        """
        reactivation = make_reactivation(self.given.stage.settings["retuning"])
        assert isinstance(reactivation, Retuning)
        return reactivation(
            self.purified,
            self.given.split.attacker,
            self.trigger,
            self.target,
            budget=self.asked["retuned"],
            seed=self.given.seed.child("reactivation", reactivation.name),
        )

    def through(self, retuned: Classifier) -> None:
        """The plane, on a stratified part of the test images."""
        test = self._part(self.given.split.test, self.asked["plane_test"], "plane")
        found = plane(
            self.victim,
            self.purified,
            retuned,
            test,
            self.trigger,
            self.target,
            clean=self.statistics,
            points=self.asked["plane"],
        )
        if found.flat:
            self.details["plane"] = "the three models lie on one line"
            return
        first: Rates = found.rows[0][0].rates
        self.plane = Plane(
            x=found.x,
            y=found.y,
            models=dict(zip(("victim", "purified", "retuned"), found.models, strict=True)),
            budget=self.asked["retuned"],
            clean_loss=[[each.clean_loss for each in row] for row in found.rows],
            backdoor_loss=[[each.backdoor_loss for each in row] for row in found.rows],
            asr=[[each.rates.asr.value for each in row] for row in found.rows],
            clean_acc=[[each.rates.clean_acc.value for each in row] for row in found.rows],
            n_clean=first.clean_acc.total,
            n_triggered=first.asr.total,
        )

    def _part(self, images: LabelledImages, most: int | None, name: str) -> LabelledImages:
        """A stratified part of them, the same for every model; all for None."""
        if most is None or most >= len(images):
            return images
        seed = self.given.seed.child("path", name)
        return images[holdout(images.labels.cpu(), most / len(images), seed)[1]]

    def _keep(self, found: PathPoints, **more: Any) -> None:  # noqa: ANN401  # fields of a curve
        name = more["walk"] + ", " + more["batchnorm"]
        self.details["barriers"][name] = found.barriers()
        self.curves.append(
            PathCurve(
                **self.keys,
                t=found.t,
                asr=[rates.asr.value for rates in found.rates],
                clean_acc=[rates.clean_acc.value for rates in found.rates],
                n_clean=found.rates[0].clean_acc.total,
                n_triggered=found.rates[0].asr.total,
                clean_loss=found.clean_loss,
                backdoor_loss=found.backdoor_loss,
                **more,
            )
        )
