"""The one training loop and what it is made of."""

from remission.training.batches import batches
from remission.training.batchnorm import frozen_statistics, recalibrate
from remission.training.evaluate import evaluate, predict
from remission.training.loop import Recipe, Trained, fit
from remission.training.weights import Weights

__all__ = [
    "Recipe",
    "Trained",
    "Weights",
    "batches",
    "evaluate",
    "fit",
    "frozen_statistics",
    "predict",
    "recalibrate",
]
