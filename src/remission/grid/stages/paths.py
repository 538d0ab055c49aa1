"""The stage that measures weight space between models: paths, distances and the plane."""

from __future__ import annotations

from typing import Any

from remission.data.split import holdout
from remission.grid.stages.inputs import StageInputs
from remission.grid.stages.result import StageResult
from remission.models import Classifier
from remission.paths import PathPoints, bezier_path, linear_path, plane, weight_distance
from remission.reactivations import Retuning
from remission.records import SUBJECT, PathCurve, Plane
from remission.records.details import Layer, PathDetails
from remission.records.kinds import PATH
from remission.types import LabelledImages

_KEYS = ("id", *SUBJECT, "target_name")
"""The fields of a cell that a curve has as well."""


def path(inputs: StageInputs) -> StageResult:
    """Measures the models between a victim and a purified model, as the spec's [path] asks."""
    stage = _PathStage(inputs)
    victim, purified, section = stage.victim, stage.purified, inputs.path
    stage.line("line", victim, purified)
    grid: Plane | None = None
    flat: str | None = None
    if section.retuned is not None:
        retuned = stage.retuned(section.retuned)
        stage.line("retuned", purified, retuned)
        if section.plane:
            grid = stage.plane(retuned, section.retuned)
            flat = None if grid else "the three models lie on one line"
    if section.curve:
        stage.bezier()
    return StageResult(
        paths=tuple(stage.curves),
        plane=grid,
        details=PathDetails(layers=stage.layers, plane=flat),
    )


class _PathStage:
    """The models of a path stage, and the paths that are measured between them."""

    def __init__(self, inputs: StageInputs) -> None:
        self.inputs, self.asked = inputs, inputs.path
        self.keys = {key: inputs.cell_keys[key] for key in _KEYS}
        self.trigger, self.target = inputs.trigger()
        self.clean = inputs.split.defender
        self.statistics = self._part(self.clean, self.asked.statistics, "statistics")
        self.test = inputs.some_test(self.asked.test, "path")
        self.victim, self.purified = inputs.model("victim"), inputs.model("model")
        self.layers: dict[str, list[Layer]] = {}
        self.curves: list[PathCurve] = []

    def line(self, name: str, start: Classifier, end: Classifier) -> None:
        """Measures the straight line, once for each policy of batch normalisation."""
        distance = weight_distance(start, end)
        # A list keeps the order of the layers; the keys of a record are sorted.
        self.layers[name] = [(layer, *values) for layer, values in distance.layers.items()]
        for policy in self.asked.batchnorm:
            points = linear_path(
                start,
                end,
                self.test,
                self.trigger,
                self.target,
                points=self.asked.points,
                batchnorm=policy,
                clean=self.statistics,
            )
            self._add_curve(
                points,
                walk=name,
                batchnorm=policy,
                distance=distance.total,
                relative_distance=distance.relative,
            )

    def bezier(self) -> None:
        """Measures the curve from victim to purified model; collects statistics at each point."""
        points = bezier_path(
            self.victim,
            self.purified,
            self.test,
            self.trigger,
            self.target,
            clean=self.clean,
            statistics=self.statistics,
            seed=self.inputs.seed.child("path", "curve"),
            epochs=self.asked.curve,
            points=self.asked.points,
        )
        self._add_curve(points, walk="bezier", batchnorm="recalibrated")

    def retuned(self, budget: int) -> Classifier:
        """Retunes the purified model as the spec's first retuning does in its own stage.

        That stage stores no weights; the same seed and budget give the same model.
        """
        retuning = self.inputs.retuning
        assert isinstance(retuning, Retuning)
        return self.inputs.reactivated(
            retuning, self.purified, self.trigger, self.target, budget=budget
        )

    def plane(self, retuned: Classifier, budget: int) -> Plane | None:
        """Measures the plane through the three models, on a stratified part of the test images.

        Returns:
            None where the three models lie on one line.
        """
        grid = plane(
            self.victim,
            self.purified,
            retuned,
            self._part(self.inputs.split.test, self.asked.plane_test, "plane"),
            self.trigger,
            self.target,
            clean=self.statistics,
            points=self.asked.plane,
        )
        if grid.flat:
            return None
        first = grid.rows[0][0].rates
        return Plane(
            x=grid.x,
            y=grid.y,
            models=dict(zip(("victim", "purified", "retuned"), grid.models, strict=True)),
            budget=budget,
            clean_loss=[[point.clean_loss for point in row] for row in grid.rows],
            backdoor_loss=[[point.backdoor_loss for point in row] for row in grid.rows],
            asr=[[point.rates.asr.value for point in row] for row in grid.rows],
            clean_acc=[[point.rates.clean_acc.value for point in row] for row in grid.rows],
            n_clean=first.clean_acc.total,
            n_triggered=first.asr.total,
        )

    def _part(self, images: LabelledImages, most: int | None, name: str) -> LabelledImages:
        """Draws a stratified part of the images, the same for every model; all for None."""
        if most is None or most >= len(images):
            return images
        seed = self.inputs.seed.child("path", name)
        return images[holdout(images.labels.cpu(), most / len(images), seed)[1]]

    def _add_curve(self, points: PathPoints, **fields: Any) -> None:  # noqa: ANN401 -- of PathCurve
        self.curves.append(
            PathCurve(
                **self.keys,
                t=points.t,
                asr=[rates.asr.value for rates in points.rates],
                clean_acc=[rates.clean_acc.value for rates in points.rates],
                n_clean=points.rates[0].clean_acc.total,
                n_triggered=points.rates[0].asr.total,
                clean_loss=points.clean_loss,
                backdoor_loss=points.backdoor_loss,
                **fields,
            )
        )


FUNCTIONS = {PATH: path}
"""Kind -> the function that computes it."""
