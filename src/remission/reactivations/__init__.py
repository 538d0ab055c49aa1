"""Reactivations: attempts to bring the backdoor of a purified model back."""

from remission.reactivations.access import Access, Oracle, OracleError, QueriesSpentError
from remission.reactivations.alternative import Alternative
from remission.reactivations.attacker import Attacker
from remission.reactivations.base import (
    InputReactivation,
    Perturbed,
    Reactivation,
    WeightReactivation,
)
from remission.reactivations.oba import OBA
from remission.reactivations.perturbations import Perturbation
from remission.reactivations.qra import QRA
from remission.reactivations.qra_blackbox import QRABlackBox
from remission.reactivations.retuning import Retuning

__all__ = [
    "OBA",
    "QRA",
    "Access",
    "Alternative",
    "Attacker",
    "InputReactivation",
    "Oracle",
    "OracleError",
    "Perturbation",
    "Perturbed",
    "QRABlackBox",
    "QueriesSpentError",
    "Reactivation",
    "Retuning",
    "WeightReactivation",
]
