"""Attacks: which images are poisoned, which labels they get, how the victim is trained."""

from remission.attacks.badnets import BadNets
from remission.attacks.base import Attack, CleanLabel, DirtyLabel, TrainingAttack, Victim
from remission.attacks.blended import Blended

__all__ = [
    "Attack",
    "BadNets",
    "Blended",
    "CleanLabel",
    "DirtyLabel",
    "TrainingAttack",
    "Victim",
]
