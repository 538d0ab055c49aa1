"""Paths and planes in weight space between models, and measurements along them."""

from remission.paths.bezier import bezier_path
from remission.paths.distance import Distance, weight_distance
from remission.paths.linear import linear_path
from remission.paths.planes import PlanePoints, plane
from remission.paths.walk import PathPoints

__all__ = [
    "Distance",
    "PathPoints",
    "PlanePoints",
    "bezier_path",
    "linear_path",
    "plane",
    "weight_distance",
]
