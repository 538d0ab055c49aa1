"""Reactivations: they try to bring the backdoor of a purified model back."""

from remission.reactivations.base import Reactivation
from remission.reactivations.retuning import Retuning

__all__ = ["Reactivation", "Retuning"]
