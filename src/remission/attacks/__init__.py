"""Attacks: which images are poisoned, which labels they get, how the victim is trained."""

from remission.attacks.badnets import BadNets
from remission.attacks.base import Attack, Victim
from remission.attacks.blended import Blended

__all__ = ["Attack", "BadNets", "Blended", "Victim"]
