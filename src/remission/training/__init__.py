"""The one training loop, what it is made of, and how models are measured."""

from remission.training.batches import batches
from remission.training.batchnorm import frozen_statistics, recalibrate
from remission.training.curve import Curve, connect
from remission.training.evaluation import Measured, clean_accuracy, evaluate, measure, predict
from remission.training.loop import Recipe, Trained, fit
from remission.training.matching import match
from remission.training.weights import Weights

__all__ = [
    "Curve",
    "Measured",
    "Recipe",
    "Trained",
    "Weights",
    "batches",
    "clean_accuracy",
    "connect",
    "evaluate",
    "fit",
    "frozen_statistics",
    "match",
    "measure",
    "predict",
    "recalibrate",
]
