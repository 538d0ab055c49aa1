"""Lines in weight space between two models, and what is measured along them."""

from remission.paths.linear import PathPoints, linear_path

__all__ = ["PathPoints", "linear_path"]
